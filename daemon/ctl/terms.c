/* The terms of an account as they are written. */
#include "ctl/terms.h"

#include "base/rfc3339.h"

#include <string.h>

#define DAY  (sizeof "2027-01-31" - 1)
#define TIME (sizeof "10:32:05" - 1)

json_t *terms_text(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

json_t *terms_names(const char *text)
{
	json_t *names = json_array();

	while (*text != '\0') {
		size_t length = strcspn(text, ",");

		if (json_array_append_new(names, json_stringn(text, length)) != 0) {
			json_decref(names);
			return NULL;
		}
		text += length + (text[length] == ',');
	}
	return names;
}

/* What is to stand behind "10:32:05", or "10:32:05.5", and what is behind it: "", "Z", "+02", "-03:30". */
static const char *rest_of_offset(const char *offset)
{
	if (offset[0] == '\0')
		return "Z";
	return strchr("+-", offset[0]) != NULL && strlen(offset) == strlen("+02") ? ":00" : "";
}

json_t *terms_moment(TALLOC_CTX *ctx, const char *text)
{
	size_t length = strlen(text), time;
	const char *moment = text;

	if (length == DAY) {
		moment = talloc_asprintf(ctx, "%sT00:00:00Z", text);
	} else if (length >= DAY + 1 + TIME && text[DAY] == ' ') {
		time = TIME + strspn(text + DAY + 1 + TIME, ".0123456789");
		moment = talloc_asprintf(ctx, "%.*sT%s%s", (int)DAY, text, text + DAY + 1,
		                         rest_of_offset(text + DAY + 1 + time));
	}
	return moment != NULL ? terms_text(moment) : NULL;
}

bool terms_has_moment(const json_t *terms)
{
	const char *text = json_string_value(json_object_get(terms, "valid_until"));
	int64_t us;

	return text == NULL || rfc3339_read(text, &us);
}

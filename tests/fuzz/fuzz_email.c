/* E-mail addresses: one that is taken is within its bounds, breaks out of no line, and is its own form. */
#include "fuzz.h"

#include "base/email.h"
#include "base/utf8.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *typed = fuzz_text(NULL, data, size);
	char address[EMAIL_SIZE], again[EMAIL_SIZE], shown[EMAIL_SHOWN_SIZE];

	if (email_parse(typed, address) == NULL) {
		MUST(strlen(address) <= EMAIL_MAX);
		MUST(utf8_is_printable(address));
		MUST(strchr(address, '@') != NULL && strchr(address, '@') == strrchr(address, '@'));
		MUST(strpbrk(address, " <>\"(),:;\\[]") == NULL);
		MUST(email_parse(address, again) == NULL && strcmp(address, again) == 0);
		MUST(utf8_is_printable(email_show(address, shown)));
	} else {
		MUST(address[0] == '\0');
	}
	(void)email_show(typed, shown);
	talloc_free(typed);
	return 0;
}

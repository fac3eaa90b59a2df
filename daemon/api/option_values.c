/* The daemon's own options, as modules read them. */
#include "api/exchange.h"
#include "base/config_value.h"
#include "base/log.h"
#include "base/options.h"
#include "base/units.h"

#include <string.h>

#define SECTION_SIZE 32

const struct ones_app *ones_app(const struct ones_request *req)
{
	return req->app;
}

static bool is_number(const struct option *option)
{
	return option->type != OPTION_STRING && option->type != OPTION_CHOICE;
}

/* NULL, and logged, when there is none of that kind. */
static const struct option *find(const char *name, bool wants_number)
{
	const char *dot = name != NULL ? strchr(name, '.') : NULL;
	const struct option *option = NULL;
	char section[SECTION_SIZE];

	if (dot != NULL && (size_t)(dot - name) < sizeof section) {
		memcpy(section, name, (size_t)(dot - name));
		section[dot - name] = '\0';
		option = options_find(section, dot + 1);
	}
	if (option != NULL && is_number(option) == wants_number && (option->flags & OPTION_SECRET) == 0)
		return option;
	log_error("option_fault", LOG_STR("option", name),
	          LOG_STR("problem", "there is no such option, it is a secret, or not of that kind"));
	return NULL;
}

int64_t ones_option_number(const struct ones_app *app, const char *name)
{
	const struct option *option = find(name, true);

	return option != NULL ? config_value_number(app->settings, option) : 0;
}

const char *ones_option_text(const struct ones_app *app, const char *name)
{
	const struct option *option = find(name, false);

	if (option == NULL)
		return "";
	return option->type == OPTION_CHOICE ? option->choices[config_value_number(app->settings, option)]
	                                     : config_value_string(app->settings, option);
}

bool ones_duration(const char *text, int64_t *milliseconds)
{
	return text != NULL && units_parse_duration(text, milliseconds) == 0;
}

/* The one table that declares every option; the parser, -o, -t, --dump and the sample file are drawn from it. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_STRING,   /* const char * */
	OPTION_NUMBER,   /* int64_t */
	OPTION_MODE,     /* int64_t, written in octal */
	OPTION_DURATION, /* int64_t, milliseconds */
	OPTION_SIZE,     /* int64_t, bytes */
	OPTION_SWITCH,   /* bool, on or off */
	OPTION_CHOICE,   /* an enum, one of `choices` */
};

enum option_flag {
	OPTION_RELOADABLE = 1, /* takes effect on SIGHUP; else only on a restart */
	OPTION_SECRET = 2,     /* not to be shown: it may hold a password, and terminals and logs keep what they show */
	OPTION_ROOT_IS_EMPTY = 4, /* "/" is stored as "", so that a route's path can simply follow it */
	OPTION_AUTO = 8,          /* a number, or "auto", which is stored as SETTING_AUTO */
};

struct option {
	const char *section;
	const char *key;
	enum option_type type;
	size_t offset;              /* into struct settings */
	const char *fallback;       /* the default, as it would be written */
	int64_t min, max;           /* of the stored number; for a string of its length */
	const char *const *choices; /* for OPTION_CHOICE: in the enum's order, ends with NULL */
	/* For a string: NULL when `value` is right, else what would be right ("a path that begins with a slash"). */
	const char *(*check)(const char *value);
	unsigned flags;   /* of enum option_flag */
	const char *help; /* one line */
};

/* All options, in the order in which they are shown: options[0] to options[options_count - 1]. */
extern const struct option options[];
extern const size_t options_count;

/* NULL when `value` can be a path below which routes are; else what would be right. */
const char *options_prefix_problem(const char *value);

/* The option of that name, or NULL. */
const struct option *options_find(const char *section, const char *key);

/* Is there any option in that section? */
bool options_has_section(const char *name);

#endif

#include "base/config.h"

#include "base/options.h"
#include "base/units.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A connection string with several hosts and certificates is long. */
#define LINE_SIZE 4096

/* Reading one source of values, a file or a -o. */
struct reader {
	TALLOC_CTX *ctx;
	struct settings *settings;
	FILE *complaints;
	bool failed;
	FILE *file;
	const char *path;
	int line;      /* of the line that inih has got last */
	bool is_continued; /* that line begins with white space */
	bool is_broken;    /* nothing more can be read */
	int *set_at;   /* for each option: the line that set it, 0 for none */
};

/* ---- One value ---------------------------------------------------------------------------------------------- */

static void *place_of(struct settings *settings, const struct option *option)
{
	return (char *)settings + option->offset;
}

static const void *value_of(const struct settings *settings, const struct option *option)
{
	return (const char *)settings + option->offset;
}

static int parse_mode(const char *value, int64_t *mode)
{
	int64_t result = 0;

	if (*value == '\0' || strlen(value) > 4)
		return -1;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '7')
			return -1;
		result = result * 8 + (*value - '0');
	}
	*mode = result;
	return 0;
}

static int parse_choice(const char *value, const struct option *option, int64_t *choice)
{
	for (int i = 0; option->choices[i] != NULL; i++) {
		if (strcmp(value, option->choices[i]) == 0) {
			*choice = i;
			return 0;
		}
	}
	return -1;
}

static int parse_switch(const char *value, int64_t *on)
{
	if (strcmp(value, "on") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "true") == 0)
		*on = 1;
	else if (strcmp(value, "off") == 0 || strcmp(value, "no") == 0 || strcmp(value, "false") == 0)
		*on = 0;
	else
		return -1;
	return 0;
}

static int parse_number(const char *value, const struct option *option, int64_t *number)
{
	switch (option->type) {
	case OPTION_NUMBER: return units_parse_number(value, number);
	case OPTION_MODE: return parse_mode(value, number);
	case OPTION_DURATION: return units_parse_duration(value, number);
	case OPTION_SIZE: return units_parse_size(value, number);
	case OPTION_SWITCH: return parse_switch(value, number);
	case OPTION_CHOICE: return parse_choice(value, option, number);
	default: return -1;
	}
}

static void print_number(FILE *out, const struct option *option, int64_t number)
{
	char text[32];

	switch (option->type) {
	case OPTION_MODE: (void)fprintf(out, "%04" PRIo64, number); break;
	case OPTION_DURATION: (void)fputs(units_format_duration(number, text, sizeof text), out); break;
	case OPTION_SIZE: (void)fputs(units_format_size(number, text, sizeof text), out); break;
	case OPTION_SWITCH: (void)fputs(number != 0 ? "on" : "off", out); break;
	case OPTION_CHOICE: (void)fputs(option->choices[number], out); break;
	default: (void)fprintf(out, "%" PRId64, number); break;
	}
}

/* What would be right: "a duration such as 30s, 5m, 2h or 14d, from 1s to 1h". Strings have a check of their own. */
static void print_expected(FILE *out, const struct option *option)
{
	static const char *const kinds[] = {
		[OPTION_NUMBER] = "a whole number",
		[OPTION_MODE] = "file permissions in octal",
		[OPTION_DURATION] = "a duration such as 500ms, 30s, 5m, 2h or 14d",
		[OPTION_SIZE] = "a size such as 64KiB, 64MiB or 1GiB",
	};

	switch (option->type) {
	case OPTION_SWITCH:
		(void)fputs("on or off", out);
		break;
	case OPTION_CHOICE:
		for (int i = 0; option->choices[i] != NULL; i++)
			(void)fprintf(out, "%s%s", i == 0 ? "" : option->choices[i + 1] == NULL ? " or " : ", ", option->choices[i]);
		break;
	case OPTION_STRING:
		(void)fprintf(out, "at most %" PRId64 " characters", option->max);
		break;
	default:
		(void)fprintf(out, "%s from ", kinds[option->type]);
		print_number(out, option, option->min);
		(void)fputs(" to ", out);
		print_number(out, option, option->max);
		break;
	}
}

static void store_number(struct settings *settings, const struct option *option, int64_t number)
{
	void *place = place_of(settings, option);

	if (option->type == OPTION_SWITCH)
		*(bool *)place = number != 0;
	else if (option->type == OPTION_CHOICE)
		*(int *)place = (int)number;
	else
		*(int64_t *)place = number;
}

static int64_t load_number(const struct settings *settings, const struct option *option)
{
	const void *value = value_of(settings, option);

	if (option->type == OPTION_SWITCH)
		return *(const bool *)value;
	if (option->type == OPTION_CHOICE)
		return *(const int *)value;
	return *(const int64_t *)value;
}

static const char *load_string(const struct settings *settings, const struct option *option)
{
	const char *text;

	memcpy(&text, value_of(settings, option), sizeof text);
	return text;
}

/* ---- Complaints --------------------------------------------------------------------------------------------- */

/* Begin a complaint about what is being read; the caller ends the line. */
static FILE *complain(struct reader *reader)
{
	reader->failed = true;
	if (reader->line > 0)
		(void)fprintf(reader->complaints, "%s:%d: ", reader->path, reader->line);
	else
		(void)fprintf(reader->complaints, "%s: ", reader->path);
	return reader->complaints;
}

/* A connection string may hold a password, which must not come into a terminal's history or a log. */
static bool is_secret(const struct option *option)
{
	return strcmp(option->key, "conninfo") == 0;
}

static void complain_value(struct reader *reader, const struct option *option, const char *value, const char *expected)
{
	FILE *out = complain(reader);

	(void)fprintf(out, "%s.%s: ", option->section, option->key);
	if (is_secret(option))
		(void)fputs("the value is not right; it should be ", out);
	else
		(void)fprintf(out, "\"%s\" is not ", value);
	if (expected != NULL)
		(void)fputs(expected, out);
	else
		print_expected(out, option);
	(void)fputc('\n', out);
}

static size_t smallest(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* How many letters have to be changed, added or left out (Levenshtein); for short names. */
static size_t distance(const char *one, const char *other)
{
	size_t row[64];
	size_t width = strlen(other);

	if (width + 1 > sizeof row / sizeof row[0])
		return SIZE_MAX;
	for (size_t i = 0; i <= width; i++)
		row[i] = i;
	for (size_t y = 1; one[y - 1] != '\0'; y++) {
		size_t diagonal = row[0];

		row[0] = y;
		for (size_t x = 1; x <= width; x++) {
			size_t above = row[x];

			row[x] = smallest(smallest(above, row[x - 1]) + 1, diagonal + (one[y - 1] != other[x - 1]));
			diagonal = above;
		}
	}
	return row[width];
}

static void complain_unknown(struct reader *reader, const char *section, const char *key)
{
	const struct option *nearest = NULL;
	size_t least = 3;
	FILE *out = complain(reader);

	for (size_t i = 0; i < options_count; i++) {
		size_t away = distance(key, options[i].key) + (strcmp(section, options[i].section) != 0);

		if (away < least) {
			least = away;
			nearest = &options[i];
		}
	}
	if (section[0] == '\0')
		(void)fprintf(out, "%s: stands before the first [section]\n", key);
	else if (nearest != NULL)
		(void)fprintf(out, "%s.%s: there is no such key; did you mean %s.%s?\n", section, key, nearest->section,
		              nearest->key);
	else
		(void)fprintf(out, "%s.%s: there is no such key; --dump shows all that there are\n", section, key);
}

/* ---- Setting a key ------------------------------------------------------------------------------------------ */

static void set_string(struct reader *reader, const struct option *option, const char *value)
{
	const char *problem = option->check != NULL ? option->check(value) : NULL;
	const char *copy;

	if (problem != NULL || strlen(value) > (size_t)option->max) {
		complain_value(reader, option, value, problem);
		return;
	}
	/* The root's prefix is nothing, so that a route's path can simply follow it. */
	copy = talloc_strdup(reader->ctx, strcmp(option->key, "prefix") == 0 && strcmp(value, "/") == 0 ? "" : value);
	if (copy == NULL)
		(void)fputs("out of memory\n", complain(reader));
	else
		memcpy(place_of(reader->settings, option), &copy, sizeof copy);
}

static void set_value(struct reader *reader, const struct option *option, const char *value)
{
	int64_t number;

	if (option->type == OPTION_STRING) {
		set_string(reader, option, value);
		return;
	}
	if (parse_number(value, option, &number) != 0 ||
	    (option->type != OPTION_CHOICE && (number < option->min || number > option->max)))
		complain_value(reader, option, value, NULL);
	else
		store_number(reader->settings, option, number);
}

/* A line that begins with white space goes on with the value before it. */
static void continue_value(struct reader *reader, const struct option *option, const char *value)
{
	const char *joined;

	if (option->type != OPTION_STRING) {
		(void)fprintf(complain(reader), "%s.%s: only a text may go on in the next line\n", option->section, option->key);
		return;
	}
	joined = talloc_asprintf(reader->ctx, "%s %s", load_string(reader->settings, option), value);
	if (joined == NULL)
		(void)fputs("out of memory\n", complain(reader));
	else
		set_string(reader, option, joined);
}

static int handle(void *user, const char *section, const char *key, const char *value)
{
	struct reader *reader = user;
	const struct option *option = options_find(section, key);
	int *set_at;

	if (option == NULL) {
		complain_unknown(reader, section, key);
		return 1;
	}
	set_at = &reader->set_at[option - options];
	if (*set_at != 0 && reader->is_continued) {
		continue_value(reader, option, value);
		return 1;
	}
	if (*set_at != 0) {
		(void)fprintf(complain(reader), "%s.%s: was set already in line %d\n", section, key, *set_at);
		return 1;
	}
	*set_at = reader->line;
	set_value(reader, option, value);
	return 1;
}

/* inih asks for lines with this; here they are counted, and what it would pass over in silence is refused. */
static char *read_line(char *buffer, int size, void *stream)
{
	struct reader *reader = stream;
	size_t length = 0;
	int byte;

	if (reader->is_broken)
		return NULL;
	while ((byte = fgetc(reader->file)) != EOF && length + 2 < (size_t)size) {
		buffer[length++] = (char)byte;
		if (byte == '\n')
			break;
	}
	if (length == 0 && byte == EOF)
		return NULL;
	buffer[length] = '\0';
	reader->line++;
	reader->is_continued = buffer[0] == ' ' || buffer[0] == '\t';
	if (strlen(buffer) != length || (byte != '\n' && byte != EOF)) {
		(void)fprintf(complain(reader), strlen(buffer) != length ? "a NUL byte\n" : "longer than %d bytes\n", LINE_SIZE - 2);
		reader->is_broken = true;
		return NULL;
	}
	return buffer;
}

static void read_file(struct reader *reader)
{
	struct stat status;
	int wrong;

	if (fstat(fileno(reader->file), &status) == 0 && S_ISDIR(status.st_mode)) {
		(void)fprintf(complain(reader), "%s\n", strerror(EISDIR));
		return;
	}
	/* inih's limits are variables of its own; no thread but ours is there. */
	ini_use_stack = false;
	ini_max_line = LINE_SIZE;
	ini_initial_alloc = LINE_SIZE;
	wrong = ini_parse_stream(read_line, reader, handle, reader);
	if (ferror(reader->file)) {
		(void)fprintf(complain(reader), "%s\n", strerror(errno));
	} else if (wrong > 0 && !reader->is_broken) {
		reader->line = wrong;
		(void)fputs("neither a [section] nor a key = value\n", complain(reader));
	} else if (wrong < 0) {
		(void)fputs("out of memory\n", complain(reader));
	}
}

static void apply_override(struct reader *reader, const char *override)
{
	const char *dot = strchr(override, '.');
	const char *equals = strchr(override, '=');
	const struct option *option = NULL;
	char *section, *key;

	if (dot == NULL || equals == NULL || dot > equals) {
		reader->path = "-o";
		(void)fputs("is to be followed by SECTION.KEY=VALUE\n", complain(reader));
		return;
	}
	section = talloc_strndup(reader->ctx, override, (size_t)(dot - override));
	key = talloc_strndup(reader->ctx, dot + 1, (size_t)(equals - dot - 1));
	reader->path = "-o";
	if (section == NULL || key == NULL) {
		(void)fputs("out of memory\n", complain(reader));
		return;
	}
	option = options_find(section, key);
	if (option == NULL)
		complain_unknown(reader, section, key);
	else
		set_value(reader, option, equals + 1);
}

int config_load(TALLOC_CTX *ctx, const struct config_source *source, struct settings *settings, FILE *complaints)
{
	struct reader reader = {.ctx = ctx, .settings = settings, .complaints = complaints, .path = "default"};

	memset(settings, 0, sizeof *settings);
	for (size_t i = 0; i < options_count; i++)
		set_value(&reader, &options[i], options[i].fallback);
	reader.set_at = talloc_zero_array(ctx, int, (unsigned int)options_count);
	if (reader.set_at == NULL) {
		(void)fputs("out of memory\n", complain(&reader));
		return -1;
	}
	reader.path = source->path != NULL ? source->path : CONFIG_DEFAULT_PATH;
	reader.file = fopen(reader.path, "re");
	if (reader.file != NULL) {
		read_file(&reader);
		(void)fclose(reader.file);
	} else if (source->path != NULL || errno != ENOENT) {
		(void)fprintf(complain(&reader), "%s\n", strerror(errno));
	}
	reader.line = 0;
	for (size_t i = 0; i < source->override_count; i++)
		apply_override(&reader, source->overrides[i]);
	if (!reader.failed && settings->session.cookie_samesite == COOKIE_SAMESITE_NONE &&
	    settings->session.cookie_secure == COOKIE_SECURE_NEVER) {
		(void)fputs("session.cookie_samesite: none needs a secure cookie; session.cookie_secure must not be never\n",
		            complain(&reader));
	}
	return reader.failed ? -1 : 0;
}

/* ---- Showing ------------------------------------------------------------------------------------------------ */

static void print_value(FILE *out, const struct settings *settings, const struct option *option)
{
	const char *text;

	if (option->type != OPTION_STRING) {
		print_number(out, option, load_number(settings, option));
		return;
	}
	text = load_string(settings, option);
	(void)fputs(strcmp(option->key, "prefix") == 0 && text[0] == '\0' ? "/" : text, out);
}

static void print_section(FILE *out, size_t i)
{
	if (i == 0 || strcmp(options[i].section, options[i - 1].section) != 0)
		(void)fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", options[i].section);
}

void config_dump(const struct settings *settings, FILE *out)
{
	for (size_t i = 0; i < options_count; i++) {
		print_section(out, i);
		(void)fprintf(out, "%s = ", options[i].key);
		print_value(out, settings, &options[i]);
		(void)fputc('\n', out);
	}
}

void config_sample(FILE *out)
{
	(void)fputs("# Configuration of onesession. Every key is optional; what is shown is its default.\n"
	            "# A value may go on in the next line, if that begins with a space. White space and a semicolon\n"
	            "# begin a comment. onesessiond -t checks this file.\n\n",
	            out);
	for (size_t i = 0; i < options_count; i++) {
		print_section(out, i);
		(void)fprintf(out, "# %s%s.\n", options[i].help, options[i].planned ? " (not yet in effect)" : "");
		if (options[i].type != OPTION_STRING) {
			(void)fputs("# It is ", out);
			print_expected(out, &options[i]);
			(void)fputs(".\n", out);
		}
		(void)fprintf(out, "#%s = %s\n", options[i].key, options[i].fallback);
	}
}

void config_each_planned(const struct settings *settings, void (*tell)(const char *section, const char *key))
{
	for (size_t i = 0; i < options_count; i++) {
		const struct option *option = &options[i];
		int64_t fallback = 0;

		if (!option->planned)
			continue;
		if (option->type == OPTION_STRING) {
			if (strcmp(load_string(settings, option), option->fallback) != 0)
				tell(option->section, option->key);
		} else if (parse_number(option->fallback, option, &fallback) == 0 &&
		           load_number(settings, option) != fallback) {
			tell(option->section, option->key);
		}
	}
}

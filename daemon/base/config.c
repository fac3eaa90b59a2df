#include "base/config.h"

#include "base/options.h"
#include "base/units.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/* A connection string with several hosts and certificates is long. */
#define LINE_SIZE 4096

/* A longer value is shown only in part. */
#define SHOWN_SIZE 100

/* Reading one source of values, a file or a -o. */
struct reader {
	TALLOC_CTX *ctx;     /* of the settings */
	TALLOC_CTX *scratch; /* of what is needed only while reading */
	struct settings *settings;
	FILE *complaints;
	bool failed;
	const char *path; /* or what else complaints begin with */
	FILE *file;
	int line; /* the one that inih has got last; 0: not reading a file */
	int read_error;
	bool is_key_expected; /* inih has got a line that is wrong unless it calls handle() */
	bool is_continuation; /* that line goes on with the value before it */
	bool is_after_key;    /* there is a key since the last [section], so that a value may go on */
	bool is_section_lost; /* which section the next keys belong to is not known */
	int *set_at;          /* for each option: the line that set it, 0 for none */
	/* The key that was read last, NULL when there is none; its value may go on in the next line. */
	const struct option *pending;
	char *pending_value;
	int pending_line;
};

static void set_value(struct reader *reader, const struct option *option, const char *value);

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
	case OPTION_MODE: (void)fprintf(out, "%04" PRIo64, (uint64_t)number); break;
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
	case OPTION_SWITCH: (void)fputs("on or off", out); break;
	case OPTION_CHOICE:
		for (int i = 0; option->choices[i] != NULL; i++)
			(void)fprintf(out, "%s%s",
			              i == 0                           ? ""
			              : option->choices[i + 1] == NULL ? " or "
			                                               : ", ",
			              option->choices[i]);
		break;
	case OPTION_STRING: (void)fprintf(out, "at most %" PRId64 " characters", option->max); break;
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

static void set_pending(struct reader *reader)
{
	const struct option *option = reader->pending;
	int line = reader->line;

	if (option == NULL)
		return;
	reader->pending = NULL;
	reader->line = reader->pending_line;
	set_value(reader, option, reader->pending_value);
	reader->line = line;
}

/* Begin a complaint about what is being read; the caller ends the line. */
static FILE *complain(struct reader *reader)
{
	/* What is wrong with an earlier line comes first. */
	set_pending(reader);
	reader->failed = true;
	if (reader->line > 0)
		(void)fprintf(reader->complaints, "%s:%d: ", reader->path, reader->line);
	else
		(void)fprintf(reader->complaints, "%s: ", reader->path);
	return reader->complaints;
}

/* The same about a key, which a -o has named already. */
static FILE *complain_key(struct reader *reader, const char *section, const char *key)
{
	char shown_section[SHOWN_SIZE], shown[SHOWN_SIZE];
	FILE *out = complain(reader);

	if (reader->line > 0) {
		utf8_clean(section, shown_section, sizeof shown_section);
		utf8_clean(key, shown, sizeof shown);
		(void)fprintf(out, "%s.%s: ", shown_section, shown);
	}
	return out;
}

/* A connection string may hold a password, which must not come into a terminal's history or a log. */
static bool is_secret(const struct option *option)
{
	return strcmp(option->key, "conninfo") == 0;
}

static void complain_value(struct reader *reader, const struct option *option, const char *value, const char *expected)
{
	char shown[SHOWN_SIZE];
	FILE *out = complain_key(reader, option->section, option->key);

	utf8_clean(value, shown, sizeof shown);
	if (is_secret(option))
		(void)fputs("the value is not ", out);
	else
		(void)fprintf(out, "\"%s\" is not ", shown);
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

static const char *nearest_section(const char *section)
{
	const char *nearest = NULL;
	size_t least = 3;

	for (size_t i = 0; i < options_count; i++) {
		size_t away = distance(section, options[i].section);

		if (away < least && away < strlen(section)) {
			least = away;
			nearest = options[i].section;
		}
	}
	return nearest;
}

static const struct option *nearest_option(const char *section, const char *key)
{
	const struct option *nearest = NULL;
	size_t least = 3;

	for (size_t i = 0; i < options_count; i++) {
		size_t away = distance(key, options[i].key);

		/* Of a short name nothing would be left. */
		if (away >= strlen(key))
			continue;
		away += strcmp(section, options[i].section) != 0;
		if (away < least) {
			least = away;
			nearest = &options[i];
		}
	}
	return nearest;
}

static void complain_unknown(struct reader *reader, const char *section, const char *key)
{
	const struct option *nearest = nearest_option(section, key);
	FILE *out = complain_key(reader, section, key);

	(void)fputs("there is no such key; ", out);
	if (nearest != NULL)
		(void)fprintf(out, "did you mean %s.%s?\n", nearest->section, nearest->key);
	else
		(void)fputs("--dump shows all that there are\n", out);
}

/* ---- Setting a key ------------------------------------------------------------------------------------------ */

/* Any value that is taken can be written to a file again, where white space and a semicolon begin a comment. */
static bool is_writable(const char *value)
{
	bool after_space = true;

	for (; *value != '\0'; value++) {
		if ((utf8_is_ascii_control(*value) && *value != '\t') || (after_space && *value == ';'))
			return false;
		after_space = *value == ' ' || *value == '\t';
	}
	return true;
}

static void set_string(struct reader *reader, const struct option *option, const char *value)
{
	const char *problem = NULL;
	const char *copy;

	if (!is_writable(value))
		problem = "a text without control characters and without white space before a semicolon";
	else if (option->check != NULL)
		problem = option->check(value);
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

/* ---- A file ------------------------------------------------------------------------------------------------- */

static void complain_memory(struct reader *reader)
{
	(void)fputs("out of memory\n", complain(reader));
}

static void continue_value(struct reader *reader, const char *value)
{
	const struct option *option = reader->pending;
	size_t length = 0;

	/* The line that this goes on with was wrong. */
	if (option == NULL)
		return;
	if (option->type != OPTION_STRING) {
		(void)fputs("begins with white space, so it would go on with the value before it, which is no text\n",
		            complain_key(reader, option->section, option->key));
		return;
	}
	/* inih leaves a comment in such a line. */
	while (value[length] != '\0' && !(isspace((unsigned char)value[length]) && value[length + 1] == ';'))
		length++;
	while (length > 0 && isspace((unsigned char)value[length - 1]))
		length--;
	reader->pending_value = talloc_asprintf(reader->scratch, "%s%s%.*s", reader->pending_value,
	                                        reader->pending_value[0] == '\0' ? "" : " ", (int)length, value);
	if (reader->pending_value == NULL) {
		reader->pending = NULL;
		complain_memory(reader);
	}
}

static void begin_value(struct reader *reader, const char *section, const char *key, const char *value)
{
	const struct option *option = options_find(section, key);
	int *set_at;

	set_pending(reader);
	reader->is_after_key = key[0] != '\0';
	if (reader->is_section_lost)
		return;
	if (section[0] == '\0') {
		(void)fputs("a key before the first [section]\n", complain(reader));
		return;
	}
	if (option == NULL) {
		complain_unknown(reader, section, key);
		return;
	}
	set_at = &reader->set_at[option - options];
	if (*set_at != 0) {
		(void)fprintf(complain_key(reader, section, key), "was set already in line %d\n", *set_at);
		return;
	}
	*set_at = reader->line;
	reader->pending_value = talloc_strdup(reader->scratch, value);
	if (reader->pending_value == NULL) {
		complain_memory(reader);
		return;
	}
	reader->pending = option;
	reader->pending_line = reader->line;
}

static int handle(void *user, const char *section, const char *key, const char *value)
{
	struct reader *reader = user;

	reader->is_key_expected = false;
	if (reader->is_continuation)
		continue_value(reader, value);
	else
		begin_value(reader, section, key, value);
	return 1;
}

/* The next line without its end, when it is one that inih would not cut. */
static bool get_line(struct reader *reader, char *buffer, size_t size, bool *has_more)
{
	size_t length = 0;
	bool has_nul = false, is_long = false;
	int byte;

	while ((byte = fgetc(reader->file)) != EOF && byte != '\n') {
		if (byte == '\0')
			has_nul = true;
		else if (length + 1 < size)
			buffer[length++] = (char)byte;
		else
			is_long = true;
	}
	if (ferror(reader->file))
		reader->read_error = errno;
	buffer[length] = '\0';
	*has_more = byte != EOF || length > 0 || has_nul;
	if (!*has_more)
		return false;
	reader->line++;
	if (has_nul)
		(void)fputs("a NUL byte\n", complain(reader));
	else if (is_long)
		(void)fprintf(complain(reader), "longer than %zu bytes\n", size - 1);
	return !has_nul && !is_long;
}

/* inih takes any section, and passes over what stands behind it. */
static void check_section(struct reader *reader, const char *header)
{
	const char *name = header + 1;
	size_t length = strcspn(name, "]");
	const char *rest = name + length + 1;
	char shown[SHOWN_SIZE];
	const char *nearest;
	char *copy;

	set_pending(reader);
	reader->is_after_key = false;
	reader->is_section_lost = name[length] == '\0';
	if (reader->is_section_lost) {
		(void)fputs("a section's name without a ] behind it\n", complain(reader));
		return;
	}
	rest += strspn(rest, " \t\r");
	if (*rest != '\0' && *rest != ';')
		(void)fputs("text behind a [section]; a key needs a line of its own\n", complain(reader));
	copy = talloc_strndup(reader->scratch, name, length);
	if (copy == NULL) {
		complain_memory(reader);
		return;
	}
	nearest = nearest_section(copy);
	if (nearest != NULL && strcmp(nearest, copy) == 0)
		return;
	utf8_clean(copy, shown, sizeof shown);
	if (nearest != NULL)
		(void)fprintf(complain(reader), "there is no section [%s]; did you mean [%s]?\n", shown, nearest);
	else
		(void)fprintf(complain(reader), "there is no section [%s]; --dump shows all that there are\n", shown);
}

/* inih asks for lines with this; here they are counted, and what it would pass over in silence is refused. */
static char *read_line(char *buffer, int size, void *stream)
{
	struct reader *reader = stream;
	bool has_more;
	const char *text;

	if (reader->is_key_expected)
		(void)fputs("neither a [section] nor a key = value\n", complain(reader));
	reader->is_key_expected = false;
	reader->is_continuation = false;
	while (!get_line(reader, buffer, (size_t)size, &has_more)) {
		if (!has_more)
			return NULL;
	}
	text = buffer;
	if (reader->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (isspace((unsigned char)*text))
		text++;
	if (*text == '\0' || *text == ';' || *text == '#')
		return buffer;
	if (text > buffer && reader->is_after_key)
		reader->is_continuation = true;
	else if (*text == '[')
		check_section(reader, text);
	else
		reader->is_key_expected = true;
	return buffer;
}

static void read_file(struct reader *reader)
{
	struct stat status;

	if (fstat(fileno(reader->file), &status) == 0 && S_ISDIR(status.st_mode)) {
		(void)fprintf(complain(reader), "%s\n", strerror(EISDIR));
		return;
	}
	/* inih's limits are variables of its own; no thread but ours is there. */
	ini_use_stack = false;
	ini_max_line = LINE_SIZE;
	ini_initial_alloc = LINE_SIZE;
	/* Wrong lines, which a positive result would tell of, are found in read_line(). */
	if (ini_parse_stream(read_line, reader, handle, reader) < 0)
		complain_memory(reader);
	set_pending(reader);
	reader->line = 0;
	if (reader->read_error != 0)
		(void)fprintf(complain(reader), "%s\n", strerror(reader->read_error));
}

/* ---- A -o --------------------------------------------------------------------------------------------------- */

static char *trimmed(TALLOC_CTX *ctx, const char *text, size_t length)
{
	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	return talloc_strndup(ctx, text, length);
}

static void apply_override(struct reader *reader, const char *override)
{
	const char *dot = strchr(override, '.');
	const char *equals = strchr(override, '=');
	const struct option *option = NULL;
	char shown[SHOWN_SIZE];
	size_t size = sizeof shown;
	char *section, *key, *value;

	reader->path = "-o";
	/* What it is is not known, so it is not shown: it may be a password. */
	if (dot == NULL || equals == NULL || dot > equals) {
		(void)fputs("is to be followed by SECTION.KEY=VALUE\n", complain(reader));
		return;
	}
	section = trimmed(reader->scratch, override, (size_t)(dot - override));
	key = trimmed(reader->scratch, dot + 1, (size_t)(equals - dot - 1));
	value = trimmed(reader->scratch, equals + 1, strlen(equals + 1));
	if (section == NULL || key == NULL || value == NULL) {
		complain_memory(reader);
		return;
	}
	option = options_find(section, key);
	if (option == NULL || is_secret(option))
		size = smallest(size, (size_t)(equals - override) + 1);
	utf8_clean(override, shown, size);
	reader->path = talloc_asprintf(reader->scratch, "-o %s", shown);
	if (reader->path == NULL) {
		reader->path = "-o";
		complain_memory(reader);
	} else if (option == NULL) {
		complain_unknown(reader, section, key);
	} else {
		set_value(reader, option, value);
	}
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

static void check_relations(struct reader *reader)
{
	const struct settings *settings = reader->settings;

	if (settings->session.cookie_samesite == COOKIE_SAMESITE_NONE &&
	    settings->session.cookie_secure == COOKIE_SECURE_NEVER) {
		(void)fputs("session.cookie_samesite: none needs a secure cookie; session.cookie_secure must not be "
		            "never\n",
		            complain(reader));
	}
}

static int load(struct reader *reader, const struct config_source *source)
{
	const char *path = source->path != NULL ? source->path : CONFIG_DEFAULT_PATH;

	reader->path = "default";
	for (size_t i = 0; i < options_count; i++)
		set_value(reader, &options[i], options[i].fallback);
	reader->path = path;
	reader->set_at = talloc_zero_array(reader->scratch, int, (unsigned int)options_count);
	if (reader->set_at == NULL) {
		complain_memory(reader);
		return -1;
	}
	reader->file = fopen(path, "re");
	if (reader->file != NULL) {
		read_file(reader);
		(void)fclose(reader->file);
	} else if (source->path != NULL || errno != ENOENT) {
		(void)fprintf(complain(reader), "%s\n", strerror(errno));
	}
	for (size_t i = 0; i < source->override_count; i++)
		apply_override(reader, source->overrides[i]);
	reader->path = path;
	if (!reader->failed)
		check_relations(reader);
	return reader->failed ? -1 : 0;
}

int config_load(TALLOC_CTX *ctx, const struct config_source *source, struct settings *settings, FILE *complaints)
{
	struct reader reader = {.ctx = ctx, .settings = settings, .complaints = complaints};
	int result;

	memset(settings, 0, sizeof *settings);
	reader.scratch = talloc_new(ctx);
	if (reader.scratch == NULL) {
		(void)fputs("out of memory\n", complaints);
		return -1;
	}
	result = load(&reader, source);
	talloc_free(reader.scratch);
	return result;
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
		(void)fprintf(out, "# %s%s.\n", options[i].help, options[i].reloadable ? "" : " (read at start only)");
		if (options[i].type != OPTION_STRING) {
			(void)fputs("# It is ", out);
			print_expected(out, &options[i]);
			(void)fputs(".\n", out);
		}
		(void)fprintf(out, "#%s = %s\n", options[i].key, options[i].fallback);
	}
}

int config_keep_fixed(TALLOC_CTX *ctx, struct settings *next, const struct settings *current,
                      void (*tell)(const char *section, const char *key))
{
	for (size_t i = 0; i < options_count; i++) {
		const struct option *option = &options[i];
		bool is_same;

		if (option->reloadable)
			continue;
		if (option->type == OPTION_STRING) {
			const char *kept = talloc_strdup(ctx, load_string(current, option));

			if (kept == NULL)
				return -1;
			is_same = strcmp(load_string(next, option), kept) == 0;
			memcpy(place_of(next, option), &kept, sizeof kept);
		} else {
			is_same = load_number(next, option) == load_number(current, option);
			store_number(next, option, load_number(current, option));
		}
		if (!is_same)
			tell(option->section, option->key);
	}
	return 0;
}

void config_warnings(const struct settings *settings, void (*tell)(const char *doubt))
{
	if (settings->session.on_limit == ON_LIMIT_REFUSE && settings->session.idle_timeout == 0)
		tell("session.on_limit = refuse without session.idle_timeout: whoever loses a browser cannot sign in "
		     "for as long as session.lifetime");
}

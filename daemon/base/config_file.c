/* A configuration file: INI, read by inih; sections, lines and values that go on in the next line. */
#include "base/config_file.h"

#include "base/config_names.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <string.h>
#include <sys/stat.h>

/* A connection string with several hosts and certificates is long. */
#define LINE_SIZE 4096

struct reader {
	struct config_set *set; /* its line is the one that inih has got last */
	FILE *file;
	int read_error;
	bool is_key_expected; /* inih has got a line that is wrong unless it calls take_key() */
	bool is_continuation; /* that line goes on with the value before it */
	bool is_after_key;    /* there is a key since the last [section], so that a value may go on */
	bool is_section_lost; /* which section the next keys belong to is not known */
	/* The key that was read last, NULL when there is none; its value may go on in the next line. */
	const struct option *pending;
	const char *pending_section, *pending_key; /* of a key that is a module's own; NULL: none */
	char *pending_value;
	int pending_line;
};

static void set_pending(struct reader *reader)
{
	struct config_set *set = reader->set;
	const struct option *option = reader->pending;
	const char *key = reader->pending_key;
	int line = set->line;

	if (option == NULL && key == NULL)
		return;
	reader->pending = NULL;
	reader->pending_key = NULL;
	set->line = reader->pending_line;
	if (option != NULL)
		config_set_value(set, option, reader->pending_value);
	else
		config_set_module_value(set, reader->pending_section, key, reader->pending_value, false);
	set->line = line;
}

/* Begin a complaint about the line that was read last; what is wrong with an earlier one comes first. */
static FILE *complain(struct reader *reader)
{
	set_pending(reader);
	return config_complain(reader->set);
}

static void complain_memory(struct reader *reader)
{
	set_pending(reader);
	config_complain_memory(reader->set);
}

static void continue_value(struct reader *reader, const char *value)
{
	const struct option *option = reader->pending;
	size_t length = 0;

	/* The line that this goes on with was wrong. */
	if (option == NULL && reader->pending_key == NULL)
		return;
	if (option != NULL && option->type != OPTION_STRING) {
		set_pending(reader);
		(void)fputs("begins with white space, so it would go on with the value before it, which is no text\n",
		            config_complain_key(reader->set, option->section, option->key));
		return;
	}
	/* inih leaves a comment in such a line. */
	while (value[length] != '\0' && !(isspace((unsigned char)value[length]) && value[length + 1] == ';'))
		length++;
	while (length > 0 && isspace((unsigned char)value[length - 1]))
		length--;
	reader->pending_value = talloc_asprintf(reader->set->scratch, "%s%s%.*s", reader->pending_value,
	                                        reader->pending_value[0] == '\0' ? "" : " ", (int)length, value);
	if (reader->pending_value == NULL) {
		reader->pending = NULL;
		reader->pending_key = NULL;
		complain_memory(reader);
	}
}

static void begin_module_value(struct reader *reader, const char *section, const char *key, const char *value)
{
	TALLOC_CTX *scratch = reader->set->scratch;

	reader->pending_section = talloc_strdup(scratch, section);
	reader->pending_key = talloc_strdup(scratch, key);
	reader->pending_value = talloc_strdup(scratch, value);
	reader->pending_line = reader->set->line;
	if (reader->pending_section == NULL || reader->pending_key == NULL || reader->pending_value == NULL) {
		reader->pending_key = NULL;
		complain_memory(reader);
	}
}

static bool is_module_section(const struct reader *reader, const char *section)
{
	return config_sections_find(reader->set->settings->sections, section) != NULL;
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
	if (is_module_section(reader, section)) {
		begin_module_value(reader, section, key, value);
		return;
	}
	if (option == NULL) {
		config_complain_unknown(reader->set, section, key);
		return;
	}
	set_at = &reader->set->set_at[option - options];
	if (*set_at != 0) {
		(void)fprintf(config_complain_key(reader->set, section, key), "was set already in line %d\n", *set_at);
		return;
	}
	*set_at = reader->set->line;
	reader->pending_value = talloc_strdup(reader->set->scratch, value);
	if (reader->pending_value == NULL) {
		complain_memory(reader);
		return;
	}
	reader->pending = option;
	reader->pending_line = reader->set->line;
}

static int take_key(void *user, const char *section, const char *key, const char *value)
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
static bool read_whole_line(struct reader *reader, char *buffer, size_t size, bool *has_more)
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
	reader->set->line++;
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
	char shown[CONFIG_SHOWN_SIZE];
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
	copy = talloc_strndup(reader->set->scratch, name, length);
	if (copy == NULL) {
		complain_memory(reader);
		return;
	}
	nearest = config_names_section(copy, NULL, 0);
	if (nearest != NULL && strcmp(nearest, copy) == 0)
		return;
	/* Whether it is one of a module is not known before all is read. */
	if (config_section_can_be(copy)) {
		if (config_sections_get(reader->set->settings->sections, copy, reader->set->source,
		                        reader->set->line) == NULL)
			complain_memory(reader);
		return;
	}
	utf8_clean(copy, shown, sizeof shown);
	if (nearest != NULL)
		(void)fprintf(complain(reader), "there is no section [%s]; did you mean [%s]?\n", shown, nearest);
	else
		(void)fprintf(complain(reader), "there is no section [%s]; --dump shows all that there are\n", shown);
}

/* inih asks for lines with this; here they are counted, and what it would pass over in silence is refused. */
static char *next_ini_line(char *buffer, int size, void *stream)
{
	struct reader *reader = stream;
	bool has_more;
	const char *text;

	if (reader->is_key_expected)
		(void)fputs("neither a [section] nor a key = value\n", complain(reader));
	reader->is_key_expected = false;
	reader->is_continuation = false;
	while (!read_whole_line(reader, buffer, (size_t)size, &has_more)) {
		if (!has_more)
			return NULL;
	}
	text = buffer;
	if (reader->set->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
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

static void read_lines(struct reader *reader)
{
	/* inih's limits are variables of its own; no thread but ours is there. */
	ini_use_stack = false;
	ini_max_line = LINE_SIZE;
	ini_initial_alloc = LINE_SIZE;
	/* Wrong lines, which a positive result would tell of, are found in next_ini_line(). */
	if (ini_parse_stream(next_ini_line, reader, take_key, reader) < 0)
		complain_memory(reader);
	set_pending(reader);
	reader->set->line = 0;
	if (reader->read_error != 0)
		(void)fprintf(complain(reader), "%s\n", strerror(reader->read_error));
}

void config_file_read(struct config_set *set, FILE *file)
{
	struct reader reader = {.set = set, .file = file};
	struct stat status;

	if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
		(void)fprintf(config_complain(set), "%s\n", strerror(EISDIR));
		return;
	}
	read_lines(&reader);
}

/*
 * Comma-separated values. Where a record ends is known whatever is in it: what cannot be kept of one is passed over by
 * the same rules, so that no text within quotation marks, which may be anybody's, is ever taken for a record of its
 * own.
 */
#include "ctl/csv.h"

#include <string.h>

/* Beside the separator, '\n' and EOF: what is behind a field is none of them. */
#define FAULT (-2)

struct csv *csv_new(TALLOC_CTX *ctx, FILE *file, enum csv_dialect dialect)
{
	static const unsigned char byte_order_mark[] = {0xef, 0xbb, 0xbf};
	struct csv *csv = talloc_zero(ctx, struct csv);

	if (csv == NULL)
		return NULL;
	csv->file = file;
	csv->dialect = dialect;
	csv->next_line = 1;
	csv->input_count = fread(csv->input, 1, sizeof csv->input, file);
	if (csv->input_count >= sizeof byte_order_mark &&
	    memcmp(csv->input, byte_order_mark, sizeof byte_order_mark) == 0)
		csv->input_at = sizeof byte_order_mark;
	return csv;
}

/* The next character, which stays. */
static int look(struct csv *csv)
{
	if (csv->input_at == csv->input_count) {
		csv->input_at = 0;
		csv->input_count = fread(csv->input, 1, sizeof csv->input, csv->file);
	}
	return csv->input_count > 0 ? csv->input[csv->input_at] : EOF;
}

static int take(struct csv *csv)
{
	int c = look(csv);

	if (c != EOF)
		csv->input_at++;
	if (c == '\n')
		csv->next_line++;
	return c;
}

/* Add a character to the field. One place is kept for its end. */
static void add(struct csv *csv, int c)
{
	if (c == '\0')
		csv->has_nul = true;
	if (csv->length + 1 >= sizeof csv->text)
		csv->is_too_long = true;
	else
		csv->text[csv->length++] = (char)c;
}

static bool is_separator(struct csv *csv, int c)
{
	if (csv->separator == 0 && (c == ',' || c == ';' || c == '\t'))
		csv->separator = c;
	return csv->separator != 0 && c == csv->separator;
}

/* What is behind a backslash. */
static void take_escaped(struct csv *csv)
{
	int c = take(csv);

	switch (c) {
	case EOF: add(csv, '\\'); break;
	case '0': add(csv, '\0'); break;
	case 'b': add(csv, '\b'); break;
	case 'n': add(csv, '\n'); break;
	case 'r': add(csv, '\r'); break;
	case 't': add(csv, '\t'); break;
	case 'Z': add(csv, 0x1a); break;
	case 'N':
		csv->is_escaped_n = csv->length == csv->field_begin && !csv->is_quoted;
		add(csv, c);
		break;
	default: add(csv, c);
	}
}

/* Returns what is behind the field, which begins with `c`. */
static int take_plain(struct csv *csv, int c)
{
	for (; c != EOF && c != '\n' && !is_separator(csv, c); c = take(csv)) {
		if (c == '\\' && csv->dialect == CSV_MYSQL)
			take_escaped(csv);
		else if (c != '\r' || look(csv) != '\n')
			add(csv, c);
	}
	return c;
}

static int take_quoted(struct csv *csv)
{
	csv->is_quoted = true;
	for (;;) {
		int c = take(csv);

		if (c == EOF) {
			csv->problem = "a field that begins with a quotation mark has no end";
			return FAULT;
		}
		if (c == '\\' && csv->dialect == CSV_MYSQL) {
			take_escaped(csv);
			continue;
		}
		if (c == '"')
			c = take(csv);
		else {
			add(csv, c);
			continue;
		}
		if (c == '"') {
			add(csv, c);
			continue;
		}
		if (c == '\r' && look(csv) == '\n')
			c = take(csv);
		if (c == EOF || c == '\n' || is_separator(csv, c))
			return c;
		csv->problem = "there is something between the quotation mark that ends a field and the next one";
		return FAULT;
	}
}

static void end_field(struct csv *csv)
{
	struct csv_field *field = &csv->fields[csv->field_count];

	if (csv->field_count == CSV_FIELDS_MAX) {
		csv->is_too_long = true;
		return;
	}
	/* add() has kept this place, unless the record is too long. */
	csv->text[csv->length] = '\0';
	field->text = csv->text + csv->field_begin;
	field->is_null =
		csv->dialect == CSV_MYSQL && !csv->is_quoted &&
		((csv->is_escaped_n && csv->length == csv->field_begin + 1) || strcmp(field->text, "NULL") == 0);
	csv->field_count++;
	if (csv->length + 1 < sizeof csv->text)
		csv->length++;
	else
		csv->is_too_long = true;
	csv->field_begin = csv->length;
}

/* Between tabs MySQL puts nothing into quotation marks: one that is there is the text's own. */
static bool has_quotes(const struct csv *csv)
{
	return csv->dialect != CSV_MYSQL || csv->separator != '\t';
}

/* One field, of which `c` is the first character. Returns what is behind it. */
static int take_field(struct csv *csv, int c)
{
	csv->is_quoted = csv->is_escaped_n = false;
	c = c == '"' && has_quotes(csv) ? take_quoted(csv) : take_plain(csv, c);
	if (c != FAULT)
		end_field(csv);
	return c;
}

/* The first character of the next record; EOF when there is none. */
static int skip_empty_lines(struct csv *csv)
{
	int c;

	do {
		csv->line = csv->next_line;
		c = take(csv);
		if (c == '\r' && look(csv) == '\n')
			c = take(csv);
	} while (c == '\n');
	return c;
}

enum csv_result csv_read(struct csv *csv)
{
	int c = skip_empty_lines(csv);

	csv->field_count = csv->length = csv->field_begin = 0;
	csv->has_nul = csv->is_too_long = false;
	csv->problem = NULL;
	if (c == EOF)
		return CSV_END;
	while ((c = take_field(csv, c)) != FAULT && c != '\n' && c != EOF)
		c = take(csv);
	if (c == FAULT)
		return CSV_FAULT;
	if (csv->is_too_long)
		csv->problem = "the line is too long";
	else if (csv->has_nul)
		csv->problem = "there is a NUL byte in the line";
	return csv->problem != NULL ? CSV_LEFT_OUT : CSV_RECORD;
}

#include "ctl/table.h"

#include "ctl/text.h"

#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP        2
#define SHRUNK_MIN 8
#define ELLIPSIS   "\u2026"

struct table {
	const struct table_column *columns;
	unsigned column_count;
	unsigned cell_count; /* below 2^31: memory ends before */
	char **cells;
	bool is_broken; /* out of memory */
};

struct table *table_new(TALLOC_CTX *ctx, const struct table_column columns[], unsigned column_count)
{
	struct table *table = talloc_zero(ctx, struct table);

	if (table == NULL)
		return NULL;
	table->columns = columns;
	table->column_count = column_count;
	for (size_t i = 0; i < column_count; i++)
		table_cell(table, columns[i].title);
	return table;
}

void table_cell(struct table *table, const char *text)
{
	if (text == NULL)
		table->is_broken = true;
	if (table->is_broken)
		return;
	/* Room is made in powers of two, so that a long list is not copied for each cell. */
	if ((table->cell_count & (table->cell_count - 1)) == 0) {
		unsigned room = table->cell_count == 0 ? 1 : table->cell_count * 2;
		char **grown = talloc_realloc(table, table->cells, char *, room);

		if (grown == NULL) {
			table->is_broken = true;
			return;
		}
		table->cells = grown;
	}
	table->cells[table->cell_count] = text_clean(table->cells, text);
	if (table->cells[table->cell_count] == NULL)
		table->is_broken = true;
	else
		table->cell_count++;
}

/* How many columns the terminal has; as many as anybody wants when `out` is none. */
static size_t line_width(FILE *out)
{
	struct winsize size;

	if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return SIZE_MAX;
}

static size_t *measure_columns(const struct table *table, TALLOC_CTX *ctx)
{
	size_t *widths = talloc_zero_array(ctx, size_t, table->column_count);

	for (size_t i = 0; widths != NULL && i < table->cell_count; i++) {
		size_t *widest = &widths[i % table->column_count];
		size_t width = text_width(table->cells[i]);

		if (width > *widest)
			*widest = width;
	}
	return widths;
}

/* Take from the widest of the columns that may shrink until the line fits, or nothing is left to take. */
static void shrink_columns(const struct table *table, size_t widths[], size_t line)
{
	size_t total = GAP * (table->column_count - 1);

	for (size_t i = 0; i < table->column_count; i++)
		total += widths[i];
	for (; total > line; total--) {
		size_t *widest = NULL;

		for (size_t i = 0; i < table->column_count; i++) {
			if (table->columns[i].shrinks && widths[i] > SHRUNK_MIN &&
			    (widest == NULL || widths[i] > *widest))
				widest = &widths[i];
		}
		if (widest == NULL)
			return;
		--*widest;
	}
}

/* Append one cell, padded or cut to its column; `is_last` needs no padding behind it. */
static char *append_cell(char *line, const char *cell, size_t width, bool right, bool is_last)
{
	size_t needed = text_width(cell);
	size_t padding = needed < width ? width - needed : 0;

	if (line != NULL && right)
		line = talloc_asprintf_append_buffer(line, "%*s", (int)padding, "");
	if (line != NULL && needed > width)
		line = talloc_asprintf_append_buffer(line, "%.*s" ELLIPSIS, (int)text_fit(cell, width - 1), cell);
	else if (line != NULL)
		line = talloc_strdup_append_buffer(line, cell);
	if (line != NULL && !is_last)
		line = talloc_asprintf_append_buffer(line, "%*s", (int)((right ? 0 : padding) + GAP), "");
	return line;
}

int table_print(const struct table *table, FILE *out)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	size_t limit = line_width(out);
	size_t *widths = table->is_broken ? NULL : measure_columns(table, scratch);
	int result = -1;

	if (widths == NULL)
		goto out;
	shrink_columns(table, widths, limit);
	for (size_t row = 0; row < table->cell_count; row += table->column_count) {
		char *line = talloc_strdup(scratch, "");

		for (size_t i = 0; i < table->column_count; i++)
			line = append_cell(line, table->cells[row + i], widths[i], table->columns[i].right,
			                   i + 1 == table->column_count);
		if (line == NULL)
			goto out;
		(void)fprintf(out, "%.*s\n", (int)text_fit(line, limit), line);
		talloc_free(line);
	}
	result = 0;
out:
	talloc_free(scratch);
	return result;
}

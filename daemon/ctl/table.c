/*
 * Tables for people. Not libsmartcols: where a line is too long it cuts numbers or lets them overflow, and leaves no
 * columns out, so that half a number is shown as another one. What it takes for safe includes characters that reverse
 * or hide the text around them (U+202E, U+200B), and the widths of a table that grows (`events --follow`) are for it to
 * choose anew with each part.
 */
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
	size_t *widths; /* of the columns in the part that was printed, or NULL */
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

/* How many columns the terminal has; without a bound when `out` is none. */
static size_t line_width(FILE *out)
{
	struct winsize size;

	if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return SIZE_MAX;
}

static size_t least_width(const struct table_column *column)
{
	return column->least > 0 ? column->least : SHRUNK_MIN;
}

static size_t *measure_columns(const struct table *table, TALLOC_CTX *ctx, bool is_bounded)
{
	size_t *widths = talloc_array(ctx, size_t, table->column_count);

	for (unsigned i = 0; widths != NULL && i < table->column_count; i++)
		widths[i] = table->widths != NULL ? table->widths[i] : table->columns[i].wanted;
	/* What comes later lines up with the first part; what is wider is cut. */
	if (table->widths != NULL && is_bounded)
		return widths;
	for (unsigned i = 0; widths != NULL && i < table->cell_count; i++) {
		size_t *widest = &widths[i % table->column_count];
		size_t width = text_width(table->cells[i]);

		if (width > *widest)
			*widest = width;
	}
	return widths;
}

/* Take from the widest of the first `count` columns that may shrink. True when the line fits then. */
static bool shrink_columns(const struct table *table, size_t widths[], unsigned count, size_t line)
{
	size_t total = (size_t)GAP * (count - 1);

	for (unsigned i = 0; i < count; i++)
		total += widths[i];
	for (; total > line; total--) {
		size_t *widest = NULL;

		for (unsigned i = 0; i < count; i++) {
			if (table->columns[i].shrinks && widths[i] > least_width(&table->columns[i]) &&
			    (widest == NULL || widths[i] > *widest))
				widest = &widths[i];
		}
		if (widest == NULL)
			return false;
		--*widest;
	}
	return true;
}

/* As wide as is wanted, or with as many of the columns as fit: returns how many. The first one is always there. */
static unsigned fit_columns(const struct table *table, const size_t wanted[], size_t widths[], size_t line)
{
	unsigned count = table->column_count;

	for (;; count--) {
		memcpy(widths, wanted, count * sizeof widths[0]);
		if (shrink_columns(table, widths, count, line) || count == 1)
			return count;
	}
}

/* Append one cell, padded or cut to its column; `is_last` needs no padding behind it. */
static char *append_cell(char *line, const char *cell, size_t width, bool right, bool is_last)
{
	size_t taken = text_width(cell);
	size_t bytes = strlen(cell);
	const char *mark = "";
	int padding;

	if (taken > width) {
		/* A wide character may leave one column more. */
		bytes = text_fit(cell, width - 1);
		taken = text_fit_width(cell, width - 1) + 1;
		mark = ELLIPSIS;
	}
	padding = (int)(width - taken);
	if (line != NULL)
		line = talloc_asprintf_append_buffer(line, "%*s%.*s%s", right ? padding : 0, "", (int)bytes, cell,
		                                     mark);
	if (line != NULL && !is_last)
		line = talloc_asprintf_append_buffer(line, "%*s", (right ? 0 : padding) + GAP, "");
	return line;
}

/* What there was no room for, in lines that fit. */
static void tell_left_out(const struct table *table, unsigned from, size_t limit, FILE *out)
{
	size_t taken = (size_t)fprintf(out, "Not shown:");

	for (unsigned i = from; i < table->column_count; i++) {
		const char *title = table->columns[i].title;
		bool fits = taken + strlen(title) + strlen(" ,") <= limit;

		(void)fprintf(out, "%s%s%s", fits ? " " : "\n", title, i + 1 < table->column_count ? "," : ".");
		taken = (fits ? taken + 1 : 0) + strlen(title) + 1;
	}
	(void)fputs("\nA wider terminal or --json has them.\n", out);
}

int table_print(struct table *table, FILE *out)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	size_t limit = line_width(out);
	size_t *wanted = table->is_broken ? NULL : measure_columns(table, table, limit != SIZE_MAX);
	size_t *widths = talloc_array(scratch, size_t, table->column_count);
	unsigned columns;
	int result = -1;

	if (wanted == NULL || widths == NULL)
		goto out;
	columns = fit_columns(table, wanted, widths, limit);
	for (unsigned row = 0; row < table->cell_count; row += table->column_count) {
		char *line = talloc_strdup(scratch, "");

		for (unsigned i = 0; i < columns; i++)
			line = append_cell(line, table->cells[row + i], widths[i], table->columns[i].right,
			                   i + 1 == columns);
		if (line == NULL)
			goto out;
		(void)fprintf(out, "%.*s\n", (int)text_fit(line, limit), line);
		talloc_free(line);
	}
	if (columns < table->column_count && table->widths == NULL)
		tell_left_out(table, columns, limit, out);
	result = 0;
out:
	if (table->widths == NULL)
		table->widths = wanted;
	else
		talloc_free(wanted);
	talloc_free(scratch);
	return result;
}

void table_continue(struct table *table)
{
	talloc_free(table->cells);
	table->cells = NULL;
	table->cell_count = 0;
}

/* Tables for people: columns that line up and, on a terminal, lines that fit. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <talloc.h>

struct table_column {
	const char *title;
	bool right;    /* numbers line up at their ends */
	bool shrinks;  /* may be cut when the line would not fit */
	size_t least;  /* it does not shrink further; 0: 8 */
	size_t wanted; /* as wide it is at least where there is room */
};

struct table;

/* On `ctx`; `columns` is kept, not copied. NULL when out of memory. */
struct table *table_new(TALLOC_CTX *ctx, const struct table_column columns[], unsigned column_count);

/*
 * The next cell, line by line. `text` is copied. NULL stands for "out of memory", which table_print() then returns,
 * so that not each cell need be checked.
 */
void table_cell(struct table *table, const char *text);

/*
 * Columns for which the terminal is too narrow are left out from the right, for half a number would be another number;
 * below the first part it is said which. Returns 0, or -1 when memory had run out on the way.
 */
int table_print(struct table *table, FILE *out);

/* After table_print(): cells that are added now are another part of the same table, below the one that was printed. */
void table_continue(struct table *table);

#endif

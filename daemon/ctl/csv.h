/* Comma-separated values (RFC 4180), a record at a time: of any length, in memory that does not grow. */
#ifndef CTL_CSV_H
#define CTL_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <talloc.h>

#define CSV_RECORD_MAX 65536 /* bytes of all fields of a record, each with one behind it */
#define CSV_FIELDS_MAX 256

enum csv_dialect {
	CSV_RFC4180,
	/* As MySQL and MariaDB write it: with backslashes, and \N or NULL for nothing. */
	CSV_MYSQL,
};

struct csv_field {
	const char *text;
	bool is_null; /* nothing, which is not the same as an empty text */
};

struct csv {
	/* The record that was read last. */
	int64_t line; /* where it begins; the first is 1 */
	struct csv_field fields[CSV_FIELDS_MAX];
	size_t field_count;
	const char *problem; /* what is wrong with it, constant */
	/* Of csv.c. */
	FILE *file;
	enum csv_dialect dialect;
	int separator; /* the first comma, semicolon or tab of the header; 0: not yet known */
	int64_t next_line;
	size_t length, field_begin;
	bool is_quoted, is_escaped_n, has_nul, is_too_long;
	size_t input_at, input_count;
	char text[CSV_RECORD_MAX];
	unsigned char input[8192];
};

/* `file` is read to its end, and not closed. NULL when out of memory. */
struct csv *csv_new(TALLOC_CTX *ctx, FILE *file, enum csv_dialect dialect);

enum csv_result {
	CSV_RECORD,   /* fields, at least one */
	CSV_LEFT_OUT, /* csv->problem says why; the next record can be read */
	CSV_FAULT,    /* csv->problem says why; where the next record begins cannot be known */
	CSV_END,      /* or the file cannot be read: ferror(3) */
};

/* The next record, without empty lines. */
enum csv_result csv_read(struct csv *csv);

#endif

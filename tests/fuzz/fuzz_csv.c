/*
 * A file of comma-separated values, of either dialect, and what its header is. What was read is whole, and read again,
 * with each field in quotation marks, is the same.
 */
#include "fuzz.h"

#include "ctl/csv.h"
#include "ctl/import_columns.h"

#include <string.h>

#define RECORDS_MAX 64

static struct csv *open_text(TALLOC_CTX *ctx, FILE **file, const void *text, size_t size, enum csv_dialect dialect)
{
	struct csv *csv;

	*file = tmpfile();
	MUST(*file != NULL);
	MUST(fwrite(text, 1, size, *file) == size);
	rewind(*file);
	csv = csv_new(ctx, *file, dialect);
	MUST(csv != NULL);
	return csv;
}

static char *write_quoted(TALLOC_CTX *ctx, const struct csv *csv)
{
	char *text = talloc_strdup(ctx, "");

	for (size_t i = 0; i < csv->field_count; i++) {
		text = talloc_strdup_append_buffer(text, i > 0 ? ",\"" : "\"");
		for (const char *at = csv->fields[i].text; *at != '\0'; at++)
			text = talloc_asprintf_append_buffer(text, *at == '"' ? "\"\"" : "%c", *at);
		text = talloc_strdup_append_buffer(text, "\"");
	}
	return text;
}

static void read_again(TALLOC_CTX *ctx, const struct csv *csv)
{
	const char *text = write_quoted(ctx, csv);
	FILE *file;
	struct csv *again = open_text(ctx, &file, text, strlen(text), CSV_RFC4180);

	/* Quotation marks that were not there may make it too long. */
	if (strlen(text) < CSV_RECORD_MAX) {
		MUST(csv_read(again) == CSV_RECORD);
		MUST(again->field_count == csv->field_count);
		for (size_t i = 0; i < csv->field_count; i++)
			MUST(strcmp(again->fields[i].text, csv->fields[i].text) == 0);
		MUST(csv_read(again) == CSV_END);
	}
	(void)fclose(file);
}

static void find_columns(TALLOC_CTX *ctx, const struct csv *header, const char *map, const char *ignore)
{
	struct import_columns columns;
	size_t names = 0;

	if (import_columns_find(ctx, header, map, ignore, &columns) != NULL)
		return;
	MUST(columns.count == header->field_count);
	for (size_t i = 0; i < columns.count; i++)
		names += columns.of[i] == COLUMN_USERNAME;
	MUST(names == 1);
}

/* The first two lines are --map and --ignore; a third that begins with m stands for --dialect mysql. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	const char *map = fuzz_line(ctx, &data, &size), *ignore = fuzz_line(ctx, &data, &size);
	enum csv_dialect dialect = fuzz_line(ctx, &data, &size)[0] == 'm' ? CSV_MYSQL : CSV_RFC4180;
	FILE *file;
	struct csv *csv = open_text(ctx, &file, data, size, dialect);
	enum csv_result read = csv_read(csv);
	int64_t line = 0;

	if (read == CSV_RECORD)
		find_columns(ctx, csv, map, ignore);
	for (int records = 0; records < RECORDS_MAX && read != CSV_END && read != CSV_FAULT; records++) {
		MUST(csv->line > line);
		line = csv->line;
		MUST((read == CSV_RECORD) == (csv->problem == NULL));
		MUST(csv->field_count <= CSV_FIELDS_MAX);
		if (read == CSV_RECORD) {
			MUST(csv->field_count > 0);
			read_again(ctx, csv);
		}
		read = csv_read(csv);
	}
	MUST(read != CSV_FAULT || csv->problem != NULL);
	(void)fclose(file);
	talloc_free(ctx);
	return 0;
}

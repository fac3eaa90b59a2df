/* What the programs of the comparison of platforms share: they all answer GET /catalogue/titles/ID. */
#ifndef BENCH_CATALOGUE_H
#define BENCH_CATALOGUE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CATALOGUE_PATH "/catalogue/titles/"

/* The columns in this order, all as text. */
enum { CATALOGUE_TITLE, CATALOGUE_YEAR, CATALOGUE_SUMMARY };

#define CATALOGUE_SQL "SELECT title, year, summary FROM catalogue.titles WHERE id = "

/* A number of digits alone, which fits. */
static inline bool catalogue_id(const char *text, int64_t *id)
{
	errno = 0;
	*id = strtoll(text, NULL, 10);
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0' && errno == 0;
}

/* The same from a path that begins with CATALOGUE_PATH. */
static inline bool catalogue_id_of_path(const char *path, int64_t *id)
{
	size_t length = sizeof CATALOGUE_PATH - 1;

	return path != NULL && strncmp(path, CATALOGUE_PATH, length) == 0 && catalogue_id(path + length, id);
}

#endif

/* Functions that fuzz targets share. Each target is a file fuzz_NAME.c; libFuzzer or replay.c calls it with one input
 * at a time. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A condition that has to hold for every input. The input is kept when it does not. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* The input as a string up to its first NUL, on `ctx`, so that sanitizers see reads past its end. */
char *fuzz_text(TALLOC_CTX *ctx, const uint8_t *data, size_t size);

/* Remove the text up to the next '\n' from the rest of an input; "" at its end. On `ctx`. */
char *fuzz_line(TALLOC_CTX *ctx, const uint8_t **data, size_t *size);

#endif

/* Durations ("30s 5m 2h 14d"), sizes ("64KiB") and whole numbers as configuration and command lines write them. */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Each returns 0 and stores the value, or -1 and leaves it when `text` is anything but what is described.
 * No sign, no white space, no fraction; what does not fit an int64_t is refused.
 */

/* A number with ms, s, m, h or d, or 0 alone: milliseconds. */
int units_parse_duration(const char *text, int64_t *milliseconds);

/* A number alone or with B, KiB, MiB or GiB: bytes. */
int units_parse_size(const char *text, int64_t *bytes);

/* Decimal digits. */
int units_parse_number(const char *text, int64_t *number);

/* The shortest exact form ("90s", "14d", "0"), written to buffer[size]; 24 bytes are enough. Returns buffer. */
char *units_format_duration(int64_t milliseconds, char *buffer, size_t size);
char *units_format_size(int64_t bytes, char *buffer, size_t size);

#endif

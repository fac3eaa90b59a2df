/* Moments as text: RFC 3339, in UTC. */
#ifndef BASE_RFC3339_H
#define BASE_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

/* Room for every moment, with six digits behind the second. */
#define RFC3339_SIZE 40

/*
 * Write microseconds since 1970 as "2026-01-31T10:32:05Z", with `digits` (0 to 6) of the second's fraction. False when
 * it is no moment: 0, which stands for "not known", and the two infinities (INT64_MIN, INT64_MAX).
 */
bool rfc3339_write(int64_t us, int digits, char text[RFC3339_SIZE]);

#endif

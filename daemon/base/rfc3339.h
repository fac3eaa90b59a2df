/* Moments as text: RFC 3339, in UTC. */
#ifndef BASE_RFC3339_H
#define BASE_RFC3339_H

#include <stdbool.h>
#include <stdint.h>

/* Room for every moment, with six digits behind the second. */
#define RFC3339_SIZE 40

/*
 * The moments that can be written, of the years 1 to 294246: from FIRST on, before END, in microseconds. Before them
 * there are no years of RFC 3339, behind them 64 bits end.
 */
#define RFC3339_FIRST (INT64_C(-62135596800) * 1000000)
#define RFC3339_END   (INT64_C(9223371244800) * 1000000)

/*
 * Write microseconds since 1970 as "2026-01-31T10:32:05Z", with `digits` (0 to 6) of the second's fraction; of years
 * after 9999, which RFC 3339 has not, with more digits. False when it is no moment that can be written: 0, which stands
 * for "not known", and the two infinities (INT64_MIN, INT64_MAX) among them.
 */
bool rfc3339_write(int64_t us, int digits, char text[RFC3339_SIZE]);

/*
 * Read a moment as RFC 3339 has it, with any offset: "2026-01-31T10:32:05Z". False when it is none, or not of the years
 * 1 to 9999. A fraction beyond microseconds is left out.
 */
bool rfc3339_read(const char *text, int64_t *us);

#endif

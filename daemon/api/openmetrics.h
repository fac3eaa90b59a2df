/* Text in the formats of OpenMetrics 1.0.0 and Prometheus. */
#ifndef API_OPENMETRICS_H
#define API_OPENMETRICS_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/*
 * OpenMetrics and Prometheus' text format differ in how counters' families are named: in the latter as their samples
 * are. A client that asks for neither gets text that is right in both, for it leaves the type of counters out.
 */
enum openmetrics_format { FORMAT_EITHER, FORMAT_OPENMETRICS, FORMAT_PROMETHEUS };

/* The text so far. */
struct openmetrics {
	char *text; /* NULL once memory has run out */
	enum openmetrics_format format;
};

/* None yet, on `ctx`, in the format that the field Accept asks for. */
struct openmetrics openmetrics_new(TALLOC_CTX *ctx, const char *accept);

__attribute__((format(printf, 2, 3))) void openmetrics_put(struct openmetrics *metrics, const char *format, ...);

/* What comes before a family's samples; they have `suffix` behind its name: "_total", "_info" or nothing. */
void openmetrics_family(struct openmetrics *metrics, const char *name, const char *suffix, const char *type,
                        const char *help);

/* A family of one sample. */
void openmetrics_gauge(struct openmetrics *metrics, const char *name, int64_t value, const char *help);

/* A label's value: what would end it, or the line, is escaped. It is cut where `out` ends. */
void openmetrics_escape(const char *text, char *out, size_t size);

#endif

/* Text in the formats of OpenMetrics 1.0.0 and Prometheus. */
#include "api/openmetrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static enum openmetrics_format format_for(const char *accept)
{
	if (accept != NULL && strstr(accept, "application/openmetrics-text") != NULL)
		return FORMAT_OPENMETRICS;
	return accept != NULL && strstr(accept, "text/plain") != NULL ? FORMAT_PROMETHEUS : FORMAT_EITHER;
}

struct openmetrics openmetrics_new(TALLOC_CTX *ctx, const char *accept)
{
	return (struct openmetrics){.text = talloc_strdup(ctx, ""), .format = format_for(accept)};
}

void openmetrics_put(struct openmetrics *metrics, const char *format, ...)
{
	va_list arguments;

	if (metrics->text == NULL)
		return;
	va_start(arguments, format);
	metrics->text = talloc_vasprintf_append_buffer(metrics->text, format, arguments);
	va_end(arguments);
}

void openmetrics_family(struct openmetrics *metrics, const char *name, const char *suffix, const char *type,
                        const char *help)
{
	bool is_openmetrics = metrics->format == FORMAT_OPENMETRICS;
	const char *shown = is_openmetrics ? "" : suffix;

	/* Prometheus' text format has no type info. */
	if (!is_openmetrics && strcmp(type, "info") == 0)
		type = "gauge";
	if (metrics->format != FORMAT_EITHER || strcmp(type, "counter") != 0)
		openmetrics_put(metrics, "# TYPE onesession_%s%s %s\n", name, shown, type);
	if (is_openmetrics && strstr(name, "_seconds") != NULL)
		openmetrics_put(metrics, "# UNIT onesession_%s seconds\n", name);
	openmetrics_put(metrics, "# HELP onesession_%s%s %s\n", name, shown, help);
}

void openmetrics_gauge(struct openmetrics *metrics, const char *name, int64_t value, const char *help)
{
	openmetrics_family(metrics, name, "", "gauge", help);
	openmetrics_put(metrics, "onesession_%s %" PRId64 "\n", name, value);
}

void openmetrics_escape(const char *text, char *out, size_t size)
{
	size_t used = 0;

	for (; *text != '\0' && used + 2 < size; text++) {
		if (*text == '"' || *text == '\\')
			out[used++] = '\\';
		out[used++] = *text;
	}
	out[used] = '\0';
}

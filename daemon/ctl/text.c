/* Text for a terminal: cleaning, measuring and cutting by columns, times. */
#include "ctl/text.h"

#include "base/rfc3339.h"
#include "base/utf8.h"

#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

void text_init(void)
{
	/* Where there is no such locale, what is not ASCII is written out. */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* The next character and its size; false at what is not UTF-8, which is one byte then. */
static bool next(const char *text, wchar_t *character, size_t *size)
{
	mbstate_t state = {0};

	*size = mbrtowc(character, text, strlen(text), &state);
	if (*size != (size_t)-1 && *size != (size_t)-2)
		return true;
	*character = (unsigned char)*text;
	*size = 1;
	return false;
}

/* Characters without a width of their own are accents then. */
static bool is_shown(wchar_t c)
{
	return wcwidth(c) >= 0 && c != 0x2028 && c != 0x2029 && !utf8_is_invisible((uint32_t)c);
}

char *text_clean(TALLOC_CTX *ctx, const char *text)
{
	char *clean = talloc_strdup(ctx, "");
	wchar_t character;
	size_t size;

	for (; *text != '\0' && clean != NULL; text += size) {
		bool is_valid = next(text, &character, &size);

		if (is_valid && is_shown(character))
			clean = talloc_strndup_append_buffer(clean, text, size);
		else if (character <= 0xff)
			clean = talloc_asprintf_append_buffer(clean, "\\x%02x", (unsigned)character);
		else
			clean = talloc_asprintf_append_buffer(clean, character <= 0xffff ? "\\u%04x" : "\\U%08x",
			                                      (unsigned)character);
	}
	return clean;
}

static size_t measure(const char *text, size_t columns, size_t *bytes)
{
	const char *start = text;
	size_t used = 0;
	wchar_t character;
	size_t size;

	for (; *text != '\0'; text += size) {
		int width = next(text, &character, &size) ? wcwidth(character) : 1;

		if (width > 0 && (size_t)width > columns - used)
			break;
		if (width > 0)
			used += (size_t)width;
	}
	*bytes = (size_t)(text - start);
	return used;
}

size_t text_width(const char *text)
{
	size_t bytes;

	return measure(text, SIZE_MAX, &bytes);
}

size_t text_fit(const char *text, size_t columns)
{
	size_t bytes;

	(void)measure(text, columns, &bytes);
	return bytes;
}

size_t text_fit_width(const char *text, size_t columns)
{
	size_t bytes;

	return measure(text, columns, &bytes);
}

/* Infinity is the end of the range, see db_time(). */
static bool is_moment(int64_t us, time_t *seconds)
{
	*seconds = (time_t)(us / 1000000);
	return us > 0 && us < INT64_MAX;
}

static char *format_time(TALLOC_CTX *ctx, int64_t us, bool with_seconds)
{
	struct tm broken_down;
	time_t seconds;
	char text[64];

	if (!is_moment(us, &seconds) || localtime_r(&seconds, &broken_down) == NULL)
		return talloc_strdup(ctx, "never");
	return talloc_strndup(
		ctx, text,
		strftime(text, sizeof text, with_seconds ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%d %H:%M", &broken_down));
}

char *text_time(TALLOC_CTX *ctx, int64_t us)
{
	return format_time(ctx, us, false);
}

char *text_time_exact(TALLOC_CTX *ctx, int64_t us)
{
	return format_time(ctx, us, true);
}

char *text_time_utc(TALLOC_CTX *ctx, int64_t us)
{
	char text[RFC3339_SIZE];
	time_t seconds;

	return is_moment(us, &seconds) && rfc3339_write(us, 0, text) ? talloc_strdup(ctx, text) : NULL;
}

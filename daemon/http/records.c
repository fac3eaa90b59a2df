/* FastCGI's records and pairs, as bytes. */
#include "http/records.h"

#include <string.h>

struct record record_read(const uint8_t *at)
{
	return (struct record){
		.version = at[0],
		.type = at[1],
		.request_id = (unsigned int)at[2] << 8 | at[3],
		.content_size = (size_t)at[4] << 8 | at[5],
		.padding_size = at[6],
		.content = at + RECORD_HEADER_SIZE,
	};
}

size_t record_read_length(const uint8_t *at, size_t left, size_t *length)
{
	if (left >= 1 && at[0] < 0x80) {
		*length = at[0];
		return 1;
	}
	if (left < 4)
		return 0;
	*length = (size_t)(at[0] & 0x7f) << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	return 4;
}

const char *record_params_defect(const uint8_t *params, size_t size)
{
	size_t at = 0;

	while (at < size) {
		size_t name_length, value_length, used;

		used = record_read_length(params + at, size - at, &name_length);
		if (used == 0)
			return "a parameter's length is cut short";
		at += used;
		used = record_read_length(params + at, size - at, &value_length);
		if (used == 0)
			return "a parameter's length is cut short";
		at += used;
		if (name_length > size - at || value_length > size - at - name_length)
			return "a parameter is cut short";
		if (name_length == 0 || memchr(params + at, '=', name_length) != NULL)
			return "a parameter's name is empty or holds '='";
		if (memchr(params + at, '\0', name_length + value_length) != NULL)
			return "a parameter holds a NUL";
		at += name_length + value_length;
	}
	return NULL;
}

/* Parameters of a statement as PostgreSQL's wire protocol has them. */
#include "session/db_private.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct db_value db_text_value(const char *string)
{
	if (string == NULL)
		return DB_NULL;
	return (struct db_value){.type = DB_VALUE_TEXT, .data = string, .length = strlen(string)};
}

static size_t put_word(uint8_t *to, size_t value)
{
	const uint32_t word = htobe32((uint32_t)value);

	memcpy(to, &word, sizeof word);
	return sizeof word;
}

/* As array_recv() of PostgreSQL reads it. Returns its size. */
static size_t encode_list(uint8_t list[], const struct db_value *value)
{
	size_t count = (size_t)value->number;
	const uint8_t *member = value->data;
	size_t used = 0;

	if (count * (value->length + sizeof(uint32_t)) > DB_LIST_SIZE)
		abort();
	used += put_word(list + used, 1);
	used += put_word(list + used, 0);
	used += put_word(list + used, OID_BYTEA);
	used += put_word(list + used, count);
	used += put_word(list + used, 1);
	for (size_t i = 0; i < count; i++) {
		used += put_word(list + used, value->length);
		memcpy(list + used, member + i * value->length, value->length);
		used += value->length;
	}
	return used;
}

void db_params_encode(struct db_params *params, const struct db_value values[], size_t count)
{
	if (count > DB_PARAMS_MAX)
		abort();
	params->count = (int)count;
	for (size_t i = 0; i < count; i++) {
		const struct db_value *value = &values[i];

		params->formats[i] = 1;
		params->values[i] = value->data;
		params->lengths[i] = (int)value->length;
		switch (value->type) {
		case DB_VALUE_NULL: params->values[i] = NULL; break;
		case DB_VALUE_INT:
			params->integers[i] = htobe64((uint64_t)value->number);
			params->values[i] = (const char *)&params->integers[i];
			params->lengths[i] = (int)sizeof params->integers[i];
			break;
		case DB_VALUE_BOOL:
			params->booleans[i] = (char)value->number;
			params->values[i] = &params->booleans[i];
			params->lengths[i] = 1;
			break;
		case DB_VALUE_TEXT: params->formats[i] = 0; break;
		case DB_VALUE_BYTES: break;
		case DB_VALUE_BYTES_LIST:
			params->lengths[i] = (int)encode_list(params->list, value);
			params->values[i] = (const char *)params->list;
			break;
		}
	}
}

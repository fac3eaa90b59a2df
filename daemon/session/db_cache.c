/* Which of modules' statements are prepared on a connection: by their text, the least recently used goes first. */
#include "session/db_cache.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cached {
	char *sql;
	uint64_t hash; /* so that nearly all others are passed over without a look at their text */
	uint64_t used; /* the higher, the later */
	char name[DB_CACHE_NAME_SIZE];
};

struct db_cache {
	size_t count;
	uint64_t uses;
	uint64_t names;
	struct cached all[DB_CACHE_MAX];
};

/* FNV-1a. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash;
}

struct db_cache *db_cache_new(TALLOC_CTX *ctx)
{
	return talloc_zero(ctx, struct db_cache);
}

const char *db_cache_find(struct db_cache *cache, const char *sql)
{
	uint64_t hash = hash_of(sql);

	for (size_t i = 0; i < cache->count; i++) {
		struct cached *cached = &cache->all[i];

		if (cached->hash == hash && strcmp(cached->sql, sql) == 0) {
			cached->used = ++cache->uses;
			return cached->name;
		}
	}
	return NULL;
}

bool db_cache_evict(struct db_cache *cache, char name[DB_CACHE_NAME_SIZE])
{
	size_t oldest = 0;

	if (cache->count < DB_CACHE_MAX)
		return false;
	for (size_t i = 1; i < cache->count; i++) {
		if (cache->all[i].used < cache->all[oldest].used)
			oldest = i;
	}
	memcpy(name, cache->all[oldest].name, DB_CACHE_NAME_SIZE);
	talloc_free(cache->all[oldest].sql);
	cache->all[oldest] = cache->all[--cache->count];
	return true;
}

void db_cache_new_name(struct db_cache *cache, char name[DB_CACHE_NAME_SIZE])
{
	(void)snprintf(name, DB_CACHE_NAME_SIZE, "module_%llu", (unsigned long long)(cache->names++ % UINT32_MAX));
}

bool db_cache_add(struct db_cache *cache, const char *sql, const char name[DB_CACHE_NAME_SIZE])
{
	struct cached *cached = &cache->all[cache->count];

	if (cache->count == DB_CACHE_MAX)
		abort();
	*cached = (struct cached){.sql = talloc_strdup(cache, sql), .hash = hash_of(sql), .used = ++cache->uses};
	if (cached->sql == NULL)
		return false;
	memcpy(cached->name, name, DB_CACHE_NAME_SIZE);
	cache->count++;
	return true;
}

void db_cache_clear(struct db_cache *cache)
{
	while (cache->count > 0)
		talloc_free(cache->all[--cache->count].sql);
}

/* Which of modules' statements are prepared on a connection: by their text, the least recently used goes first. */
#ifndef SESSION_DB_CACHE_H
#define SESSION_DB_CACHE_H

#include <stdbool.h>
#include <talloc.h>

/* As many as all handlers of a large application have. Each costs the server some tens of kilobytes. */
#define DB_CACHE_MAX 200
/* "module_" and a number. The daemon's own statements have no such name. */
#define DB_CACHE_NAME_SIZE 24

struct db_cache;

/* Empty, on `ctx`. NULL when out of memory. */
struct db_cache *db_cache_new(TALLOC_CTX *ctx);

/* The name under which it is prepared, which is the most recently used one now; NULL: it is not. Belongs to the cache.
 */
const char *db_cache_find(struct db_cache *cache, const char *sql);

/* When there is no room for another one, forget the least recently used: true, and its name is in `name`. */
bool db_cache_evict(struct db_cache *cache, char name[DB_CACHE_NAME_SIZE]);

/* A name that none has had since the cache was made. */
void db_cache_new_name(struct db_cache *cache, char name[DB_CACHE_NAME_SIZE]);

/* It has been prepared under that name, and there is room for it. False when out of memory. */
bool db_cache_add(struct db_cache *cache, const char *sql, const char name[DB_CACHE_NAME_SIZE]);

/* The connection is gone, and all that was prepared on it. */
void db_cache_clear(struct db_cache *cache);

#endif

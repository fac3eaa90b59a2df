/*
 * Session data, which an application keeps: JSON values by name, in sessions.data, or in anonymous_sessions for
 * browsers without a session. It is read whole and written name by name.
 */
#ifndef SESSION_DATA_H
#define SESSION_DATA_H

#include "session/db.h"
#include "session/token.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

/* As onesession.h promises. */
#define DATA_NAME_MAX  200   /* bytes */
#define DATA_MAX       65536 /* bytes of JSON, all values and names together */
#define DATA_DEPTH_MAX 32    /* arrays and objects in each other */
/* jsonb writes 1e17 as an integer, and one beyond 64 bits could not be read again. */
#define DATA_REAL_LIMIT 1e17

struct session_data;

/* Nothing is kept as yet. On `ctx`; NULL when out of memory. */
struct session_data *session_data_new(TALLOC_CTX *ctx);

/*
 * Read what is kept with the session, or for that anonymous key; *found is whether there is one. DB_ERROR also when
 * it was not written by this program.
 */
enum db_status session_data_read(struct session_data *data, struct db *db, const struct session_key *key);
enum db_status session_data_read_anonymous(struct session_data *data, struct db *db, const struct session_key *key,
                                           bool *found);

/* Values that were given out are there as long as `data` is, whatever happens to them. */
const json_t *session_data_get(const struct session_data *data, const char *name);

/* Keeps a copy and takes the reference over. False, and nothing has changed, when the value cannot be kept. */
bool session_data_set(struct session_data *data, const char *name, json_t *value);

/* False only when out of memory. */
bool session_data_remove(struct session_data *data, const char *name);

/* Remove all values. False when out of memory: then it is left as it was. */
bool session_data_clear(struct session_data *data);

/* What is to be written: the names whose values are others than what was read. */
struct session_data_change {
	char *set;     /* a JSON object; NULL: there are none */
	char *removed; /* a JSON array of names; NULL likewise */
};

/* Texts on `ctx`. False when out of memory. */
bool session_data_change(const struct session_data *data, TALLOC_CTX *ctx, struct session_data_change *change);

/* Neither brings back what has ended meanwhile: then nothing is written, which is DB_OK too. */
enum db_status session_data_write(struct db *db, const struct session_key *key,
                                  const struct session_data_change *change);
enum db_status session_data_write_anonymous(struct db *db, const struct session_key *key,
                                            const struct session_data_change *change);

/* Begin to keep something for a browser, under a key that is new. */
enum db_status session_data_begin_anonymous(struct db *db, const struct session_key *key, int64_t lifetime_ms,
                                            const struct session_data_change *change);

#endif

/* Session data: JSON values by name, in memory and in the database. */
#include "session/session_data.h"

#include "base/log.h"
#include "session/sql.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct session_data {
	json_t *stored;  /* as it was read */
	json_t *current; /* as the handler sees it */
	json_t *former;  /* an array of what was replaced or removed: the handler may still hold it */
};

static int data_destroy(struct session_data *data)
{
	json_decref(data->stored);
	json_decref(data->current);
	json_decref(data->former);
	return 0;
}

struct session_data *session_data_new(TALLOC_CTX *ctx)
{
	struct session_data *data = talloc(ctx, struct session_data);

	if (data == NULL)
		return NULL;
	*data = (struct session_data){.stored = json_object(), .current = json_object(), .former = json_array()};
	talloc_set_destructor(data, data_destroy);
	if (data->stored == NULL || data->current == NULL || data->former == NULL) {
		talloc_free(data);
		return NULL;
	}
	return data;
}

/* ---- What can be kept --------------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= DATA_NAME_MAX;
}

/* jsonb has no U+0000. */
static bool has_nul(const char *text, size_t length)
{
	return memchr(text, '\0', length) != NULL;
}

/* `depth` is how many arrays and objects may be in each other. */
static bool can_be_kept(json_t *value, int depth)
{
	json_t *member;
	const char *name;
	size_t i, length;

	switch (json_typeof(value)) {
	case JSON_STRING: return !has_nul(json_string_value(value), json_string_length(value));
	case JSON_REAL: return fabs(json_real_value(value)) < DATA_REAL_LIMIT;
	case JSON_ARRAY:
		if (depth == 0)
			return false;
		json_array_foreach(value, i, member)
		{
			if (!can_be_kept(member, depth - 1))
				return false;
		}
		return true;
	case JSON_OBJECT:
		if (depth == 0)
			return false;
		json_object_keylen_foreach(value, name, length, member)
		{
			if (has_nul(name, length) || !can_be_kept(member, depth - 1))
				return false;
		}
		return true;
	default: return true;
	}
}

/* ---- In memory ---------------------------------------------------------------------------------------------- */

const json_t *session_data_get(const struct session_data *data, const char *name)
{
	return json_object_get(data->current, name);
}

bool session_data_set(struct session_data *data, const char *name, json_t *value)
{
	bool can_be = value != NULL && name != NULL && is_name(name) && can_be_kept(value, DATA_DEPTH_MAX);
	json_t *copy = can_be ? json_deep_copy(value) : NULL;
	json_t *old = json_object_get(data->current, name);
	size_t size;

	json_decref(value);
	if (copy == NULL || (old != NULL && json_array_append(data->former, old) != 0)) {
		json_decref(copy);
		return false;
	}
	if (json_object_set_new(data->current, name, copy) != 0)
		return false;
	size = json_dumpb(data->current, NULL, 0, JSON_COMPACT);
	if (size > 0 && size <= DATA_MAX)
		return true;
	if (old != NULL)
		(void)json_object_set(data->current, name, old);
	else
		(void)json_object_del(data->current, name);
	return false;
}

bool session_data_remove(struct session_data *data, const char *name)
{
	json_t *old = json_object_get(data->current, name);

	if (old == NULL)
		return true;
	return json_array_append(data->former, old) == 0 && json_object_del(data->current, name) == 0;
}

/* Takes over the reference to what is read, an object. */
static bool start_from(struct session_data *data, json_t *stored)
{
	json_t *current = json_copy(stored);

	if (current == NULL || json_array_append(data->former, data->current) != 0 ||
	    json_array_append(data->former, data->stored) != 0) {
		json_decref(current);
		json_decref(stored);
		return false;
	}
	json_decref(data->stored);
	json_decref(data->current);
	data->stored = stored;
	data->current = current;
	return true;
}

bool session_data_clear(struct session_data *data)
{
	return start_from(data, json_object());
}

static char *dump(TALLOC_CTX *ctx, const json_t *value)
{
	char *dumped = json_dumps(value, JSON_COMPACT);
	char *text = dumped != NULL ? talloc_strdup(ctx, dumped) : NULL;

	free(dumped);
	return text;
}

static bool compare(const struct session_data *data, json_t *set, json_t *removed)
{
	const char *name;
	json_t *value;

	json_object_foreach(data->current, name, value)
	{
		if (!json_equal(value, json_object_get(data->stored, name)) && json_object_set(set, name, value) != 0)
			return false;
	}
	json_object_foreach(data->stored, name, value)
	{
		if (json_object_get(data->current, name) == NULL &&
		    json_array_append_new(removed, json_string(name)) != 0)
			return false;
	}
	return true;
}

bool session_data_change(const struct session_data *data, TALLOC_CTX *ctx, struct session_data_change *change)
{
	json_t *removed = json_array();
	json_t *set = json_object();
	bool done = removed != NULL && set != NULL && compare(data, set, removed);

	*change = (struct session_data_change){0};
	if (done && json_object_size(set) > 0) {
		change->set = dump(ctx, set);
		done = change->set != NULL;
	}
	if (done && json_array_size(removed) > 0) {
		change->removed = dump(ctx, removed);
		done = change->removed != NULL;
	}
	json_decref(removed);
	json_decref(set);
	return done;
}

/* ---- In the database ---------------------------------------------------------------------------------------- */

static enum db_status load(struct session_data *data, const char *text)
{
	json_error_t error;
	json_t *stored = json_loads(text, 0, &error);

	if (json_is_object(stored))
		return start_from(data, stored) ? DB_OK : DB_ERROR;
	/* Another program wrote it. Not the text of the error: it can hold a part of the data. */
	log_error("session_data_unreadable", LOG_INT("position", stored != NULL ? 0 : error.position));
	json_decref(stored);
	return DB_ERROR;
}

static enum db_status read_by(struct session_data *data, struct db *db, const struct db_statement *statement,
                              const struct session_key *key, bool *found)
{
	const struct db_value values[] = {DB_KEY(key)};
	struct db_result *row;
	enum db_status status = db_query(db, data, statement, values, 1, &row);

	*found = false;
	if (status != DB_OK)
		return status;
	*found = db_rows(row) > 0;
	if (*found)
		status = load(data, db_text(row, 0, 0));
	talloc_free(row);
	return status;
}

enum db_status session_data_read(struct session_data *data, struct db *db, const struct session_key *key)
{
	bool found;

	return read_by(data, db, &sql_read_data, key, &found);
}

enum db_status session_data_read_anonymous(struct session_data *data, struct db *db, const struct session_key *key,
                                           bool *found)
{
	return read_by(data, db, &sql_read_anonymous_data, key, found);
}

static enum db_status write_by(struct db *db, const struct db_statement *statement, const struct session_key *key,
                               const struct session_data_change *change)
{
	const struct db_value values[] = {
		DB_KEY(key),
		DB_TEXT(change->removed != NULL ? change->removed : "[]"),
		DB_TEXT(change->set != NULL ? change->set : "{}"),
	};

	return db_query(db, NULL, statement, values, 3, NULL);
}

enum db_status session_data_write(struct db *db, const struct session_key *key,
                                  const struct session_data_change *change)
{
	return write_by(db, &sql_write_data, key, change);
}

enum db_status session_data_write_anonymous(struct db *db, const struct session_key *key,
                                            const struct session_data_change *change)
{
	return write_by(db, &sql_write_anonymous_data, key, change);
}

enum db_status session_data_begin_anonymous(struct db *db, const struct session_key *key, int64_t lifetime_ms,
                                            const struct session_data_change *change)
{
	const struct db_value values[] = {
		DB_KEY(key),
		DB_TEXT(change->set != NULL ? change->set : "{}"),
		DB_INT(lifetime_ms),
	};

	return db_query(db, NULL, &sql_begin_anonymous_data, values, 3, NULL);
}

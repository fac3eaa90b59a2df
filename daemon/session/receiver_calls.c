/* What receivers call: ones_execute(), ones_refuse(), ones_emit(). */
#include "base/config_sections.h"
#include "base/log.h"
#include "base/utf8.h"
#include "session/emission.h"
#include "session/events.h"

#include <string.h>

#define SENTENCE_SIZE_MAX 500

bool ones_execute(struct ones_transaction *transaction, const char *sql, size_t count, const char *const values[])
{
	return module_sql_run(transaction->sql, NULL, sql, values, count) == ONES_RESULT_OK;
}

/* A mistake of the module's. */
static void log_fault(const char *signal, const char *problem)
{
	log_error("signal_fault", LOG_STR("signal", signal), LOG_STR("problem", problem));
}

/* ---- Refusing ------------------------------------------------------------------------------------------------ */

static bool is_sentence(const char *text)
{
	return text[0] != '\0' && strlen(text) <= SENTENCE_SIZE_MAX && utf8_is_printable(text);
}

/* NULL, or what stands against it. */
static const char *refusal_problem(const struct ones_event *event, const char *code, const char *sentence)
{
	if (event->db == NULL)
		return "ones_refuse() after the commit: it is too late, and has no effect";
	if (!event->db->emission->can_refuse)
		return "ones_refuse() where nothing was asked for";
	if (code == NULL || !config_section_can_be(code))
		return "ones_refuse() with a code that is not a letter and then letters, digits and _, all of them "
		       "small, up to 31";
	if (sentence == NULL || !is_sentence(sentence))
		return "ones_refuse() with a sentence that is not 1 to 500 bytes of UTF-8 without control characters";
	return NULL;
}

void ones_refuse(const struct ones_event *event, const char *code, const char *sentence)
{
	const char *problem = refusal_problem(event, code, sentence);
	struct emission *emission;
	struct ones_refusal refusal;

	/* Also by mistake, it was meant to keep it from being done. */
	if (event->db != NULL)
		event->db->emission->has_failed = true;
	if (problem != NULL) {
		log_fault(event->name, problem);
		return;
	}
	emission = event->db->emission;
	refusal = (struct ones_refusal){.code = talloc_strdup(emission->ctx, code),
	                                .sentence = talloc_strdup(emission->ctx, sentence)};
	if (refusal.code != NULL && refusal.sentence != NULL)
		emission->refusal = refusal;
}

/* ---- Emitting ------------------------------------------------------------------------------------------------ */

/* NULL, or what stands against it. */
static const char *emission_problem(const struct ones_db *db, const char *signal, const json_t *data)
{
	if (db == NULL || db->emission == NULL)
		return "ones_emit() outside of a transaction";
	if (signals_declared(db->signals, signal) == NULL)
		return "ones_emit() of a signal that no module declares";
	if (db->emission->depth == EMISSION_DEPTH_MAX)
		return "receivers emit more than 8 deep";
	return data == NULL ? "ones_emit() with data that are NULL: json_pack(3) has failed, or memory has run out"
	                    : NULL;
}

struct held {
	json_t *data;
};

static int let_go(struct held *held)
{
	json_decref(held->data);
	return 0;
}

/* Have the reference last as long as `ctx`. False: no memory, and it is gone. */
static bool hold(TALLOC_CTX *ctx, json_t *data)
{
	struct held *held = talloc(ctx, struct held);

	if (held == NULL) {
		json_decref(data);
		return false;
	}
	held->data = data;
	talloc_set_destructor(held, let_go);
	return true;
}

enum ones_result ones_emit(struct ones_db *db, const char *signal, json_t *data)
{
	const char *problem = emission_problem(db, signal, data);
	struct ones_event event = {
		.signal = ONES_SIGNAL_OWN,
		.username = "",
		.session_id = "",
		.by_session_id = "",
		.ip = "",
		.user_agent = "",
		.language = "",
		.was_ip = "",
		.was_user_agent = "",
		.data = data,
	};
	enum db_status status;

	if (problem == NULL && !hold(db->emission->ctx, data)) {
		data = NULL;
		problem = "out of memory for the data of ones_emit()";
	}
	if (problem != NULL) {
		log_fault(signal, problem);
		json_decref(data);
		if (db != NULL && db->emission != NULL)
			db->emission->has_failed = true;
		return ONES_RESULT_FAILED;
	}
	event.name = signals_declared(db->signals, signal);
	status = emission_emit(db, NULL, &event);
	if (status == DB_OK)
		status = events_tell_own(db->db, event.name, data);
	return module_sql_result(status);
}

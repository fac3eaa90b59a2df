/* What a place needs, as ONESESSION_REQUIRE says it, and whether a session has it: the text is judged where it stands.
 */
#include "shared.h"

#include <string.h>

#define SECOND_MS INT64_C(1000)
#define YEAR_MS   (365 * 24 * 3600 * SECOND_MS)
/* Names of plans and groups, as the database has them, and durations. */
#define NAME_MAX_LENGTH 63
#define DURATION_SIZE   24

/* A piece of the text. */
struct piece {
	const char *at;
	size_t length;
};

static bool is_piece(struct piece piece, const char *word)
{
	return piece.length == strlen(word) && memcmp(piece.at, word, piece.length) == 0;
}

/* Does it begin with that word? *rest is what follows. */
static bool begins_with(struct piece piece, const char *word, struct piece *rest)
{
	size_t length = strlen(word);

	if (piece.length < length || memcmp(piece.at, word, length) != 0)
		return false;
	*rest = (struct piece){piece.at + length, piece.length - length};
	return true;
}

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

static bool is_name(struct piece piece)
{
	if (piece.length == 0 || piece.length > NAME_MAX_LENGTH || !is_alphanumeric(piece.at[0]))
		return false;
	for (size_t i = 1; i < piece.length; i++) {
		char c = piece.at[i];

		if (!is_alphanumeric(c) && c != '.' && c != '_' && c != ':' && c != '-')
			return false;
	}
	return true;
}

/* The piece up to the next separator, which is taken out of *rest with it; false: there is none left. */
static bool next_piece(struct piece *rest, char separator, struct piece *piece)
{
	const char *end;

	if (rest->at == NULL)
		return false;
	end = memchr(rest->at, separator, rest->length);
	*piece = (struct piece){rest->at, end != NULL ? (size_t)(end - rest->at) : rest->length};
	*rest = end != NULL ? (struct piece){end + 1, rest->length - piece->length - 1} : (struct piece){NULL, 0};
	return true;
}

static bool is_in_list(struct piece name, struct piece list)
{
	struct piece owned;

	while (next_piece(&list, ',', &owned)) {
		if (owned.length == name.length && memcmp(owned.at, name.at, name.length) == 0)
			return true;
	}
	return false;
}

/* Is one of the alternatives in the list? *is_right: all of them are names. */
static bool has_one_of(struct piece alternatives, const char *text, bool *is_right)
{
	const struct piece list = {text, text != NULL ? strlen(text) : 0};
	struct piece one;
	bool is_found = false;

	*is_right = true;
	while (next_piece(&alternatives, '|', &one)) {
		*is_right = *is_right && is_name(one);
		is_found = is_found || is_in_list(one, list);
	}
	return is_found;
}

static enum requirement_result judge_plan(struct piece plans, const struct ones_session *session, ones_time now)
{
	bool is_right;
	bool has_plan = has_one_of(plans, session != NULL ? session->plan : NULL, &is_right);

	if (!is_right)
		return REQUIREMENT_NOT_UNDERSTOOD;
	if (session == NULL)
		return REQUIREMENT_NO_SESSION;
	if (!has_plan)
		return REQUIREMENT_PLAN;
	return session->valid_until != 0 && session->valid_until <= now ? REQUIREMENT_ENDED : REQUIREMENT_HOLDS;
}

static enum requirement_result judge_group(struct piece groups, const struct ones_session *session)
{
	bool is_right;
	bool has_group = has_one_of(groups, session != NULL ? session->groups : NULL, &is_right);

	if (!is_right)
		return REQUIREMENT_NOT_UNDERSTOOD;
	if (session == NULL)
		return REQUIREMENT_NO_SESSION;
	return has_group ? REQUIREMENT_HOLDS : REQUIREMENT_GROUP;
}

static enum requirement_result judge_fresh(struct piece text, const struct ones_session *session, ones_time now)
{
	char duration[DURATION_SIZE];
	int64_t ms;

	if (text.length >= sizeof duration)
		return REQUIREMENT_NOT_UNDERSTOOD;
	memcpy(duration, text.at, text.length);
	duration[text.length] = '\0';
	if (!ones_duration(duration, &ms) || ms < SECOND_MS || ms > YEAR_MS)
		return REQUIREMENT_NOT_UNDERSTOOD;
	if (session == NULL)
		return REQUIREMENT_NO_SESSION;
	return session->proved_at > now - 1000 * ms ? REQUIREMENT_HOLDS : REQUIREMENT_STALE;
}

/* One term; *needed is set to what it asks for. */
static enum requirement_result judge_term(struct piece term, const struct ones_session *session, ones_time now,
                                          struct piece *needed)
{
	*needed = (struct piece){"", 0};
	if (begins_with(term, "plan=", needed))
		return judge_plan(*needed, session, now);
	if (begins_with(term, "group=", needed))
		return judge_group(*needed, session);
	if (begins_with(term, "fresh=", needed))
		return judge_fresh(*needed, session, now);
	if (!is_piece(term, "live") && !is_piece(term, "verified"))
		return REQUIREMENT_NOT_UNDERSTOOD;
	if (session == NULL)
		return REQUIREMENT_NO_SESSION;
	return is_piece(term, "live") || session->email != NULL ? REQUIREMENT_HOLDS : REQUIREMENT_UNVERIFIED;
}

static const struct requirement not_understood = {.result = REQUIREMENT_NOT_UNDERSTOOD, .needed = ""};

struct requirement requirement_judge(const char *text, const struct ones_session *session, ones_time now)
{
	struct requirement judged = {.result = REQUIREMENT_HOLDS, .needed = ""};
	struct piece rest = {text, text != NULL ? strlen(text) : 0};
	struct piece term, needed;
	size_t count = 0;

	if (rest.length > REQUIREMENT_MAX)
		return not_understood;
	while (next_piece(&rest, ' ', &term)) {
		enum requirement_result result;

		if (term.length == 0)
			continue;
		count++;
		if (is_piece(term, "optional")) {
			judged.is_optional = true;
			continue;
		}
		result = judge_term(term, session, now, &needed);
		if (result == REQUIREMENT_NOT_UNDERSTOOD)
			return not_understood;
		if (judged.result == REQUIREMENT_HOLDS && result != REQUIREMENT_HOLDS) {
			judged.result = result;
			judged.needed = needed.at;
			judged.length = needed.length;
		}
	}
	if (judged.is_optional)
		return count == 1 ? judged : not_understood;
	if (session == NULL)
		judged.result = REQUIREMENT_NO_SESSION;
	return judged;
}

const char *requirement_code(enum requirement_result result)
{
	static const char *const codes[] = {
		[REQUIREMENT_HOLDS] = "",
		[REQUIREMENT_NOT_UNDERSTOOD] = "",
		[REQUIREMENT_NO_SESSION] = "",
		[REQUIREMENT_PLAN] = "plan_required",
		[REQUIREMENT_ENDED] = "subscription_ended",
		[REQUIREMENT_GROUP] = "group_required",
		[REQUIREMENT_UNVERIFIED] = "verification_required",
		[REQUIREMENT_STALE] = "stale",
	};

	return codes[result];
}

const char *requirement_sentence(enum requirement_result result)
{
	static const char *const sentences[] = {
		[REQUIREMENT_HOLDS] = "",
		[REQUIREMENT_NOT_UNDERSTOOD] =
			"What this place needs is not understood. The operators can find out why.",
		[REQUIREMENT_NO_SESSION] = "You are not signed in.",
		[REQUIREMENT_PLAN] = "This is not part of what your account is subscribed to.",
		[REQUIREMENT_ENDED] = "The subscription of your account has ended.",
		[REQUIREMENT_GROUP] = "This is for the members of a group that your account is not in.",
		[REQUIREMENT_UNVERIFIED] = "This is for accounts whose e-mail address was verified.",
		[REQUIREMENT_STALE] = "Please prove first that it is still you.",
	};

	return sentences[result];
}

int requirement_status(enum requirement_result result)
{
	return result == REQUIREMENT_STALE || result == REQUIREMENT_NO_SESSION ? 401 : 403;
}

/* {"plan": ["gold", "platinum"]} */
static json_t *alternatives_json(const char *name, struct piece alternatives)
{
	json_t *list = json_array();
	struct piece one;

	while (next_piece(&alternatives, '|', &one)) {
		if (json_array_append_new(list, json_stringn(one.at, one.length)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o}", name, list);
}

json_t *requirement_needed_json(const struct requirement *requirement)
{
	const struct piece needed = {requirement->needed, requirement->length};

	switch (requirement->result) {
	case REQUIREMENT_PLAN:
	case REQUIREMENT_ENDED: return alternatives_json("plan", needed);
	case REQUIREMENT_GROUP: return alternatives_json("group", needed);
	case REQUIREMENT_UNVERIFIED: return json_pack("{s:b}", "verified", 1);
	case REQUIREMENT_STALE: return json_pack("{s:s%}", "fresh", needed.at, needed.length);
	default: return json_object();
	}
}

/* ---- Of a request ------------------------------------------------------------------------------------------------ */

#define PARAMETER "ONESESSION_REQUIRE"
/* Apache's ErrorDocument goes by the address of the document, and keeps what the refused request needed in this one. */
#define PARAMETER_BEFORE_APACHE "REDIRECT_" PARAMETER

static struct requirement judge_by_param(struct ones_request *req, const char *name)
{
	const char *text = ones_param(req, name);
	bool is_lost = text == NULL || text[strspn(text, " ")] == '\0';
	struct requirement judged;

	if (is_lost && ones_option_number(ones_app(req), "access.require_parameter") != 0) {
		ones_log_problem(ones_app(req), "requirement_missing",
		                 "the web server sends no " PARAMETER ", and access.require_parameter is on");
		return not_understood;
	}
	if (ones_param_count(req, name) > 1) {
		ones_log_problem(ones_app(req), "requirement_not_understood",
		                 "the web server sends " PARAMETER " twice; the second is: %s", text);
		return not_understood;
	}
	judged = requirement_judge(text, ones_session(req), ones_found_at(req));
	if (judged.result == REQUIREMENT_NOT_UNDERSTOOD)
		ones_log_problem(ones_app(req), "requirement_not_understood", "%s", text);
	return judged;
}

struct requirement requirement_at_guard(struct ones_request *req)
{
	return judge_by_param(req, PARAMETER);
}

struct requirement requirement_of_refused(struct ones_request *req)
{
	bool is_kept = ones_param(req, PARAMETER_BEFORE_APACHE) != NULL;

	return judge_by_param(req, is_kept ? PARAMETER_BEFORE_APACHE : PARAMETER);
}

void reply_not_understood(struct ones_request *req)
{
	ones_reply_problem(req, 503, "unavailable", requirement_sentence(REQUIREMENT_NOT_UNDERSTOOD));
}

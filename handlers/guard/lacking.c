/* What somebody is answered who is signed in, and lacks what a place requires. */
#include "guard.h"

#include <string.h>

const char *reason_code(const struct ones_request *req, const struct requirement *requirement)
{
	const char *code = requirement_code(requirement->result);

	return code[0] != '\0' ? code : ones_reason_code(ones_ending(req)->reason);
}

/* `next` NULL: the address alone. */
static const char *way_with(struct ones_request *req, const struct requirement *requirement, const char *next)
{
	const char *upgrade_url = ones_option_text(ones_app(req), "access.upgrade_url");

	switch (requirement->result) {
	case REQUIREMENT_PLAN:
	case REQUIREMENT_ENDED: return upgrade_url[0] != '\0' ? ones_url_with_next(req, upgrade_url, next) : NULL;
	case REQUIREMENT_UNVERIFIED:
		return ones_can_mail(ones_app(req)) && has_login(ones_app(req))
		               ? ones_url_with_next(req, ones_url(req, "/verify"), next)
		               : NULL;
	case REQUIREMENT_STALE:
		return ones_can_confirm(ones_app(req)) ? ones_confirm_url(req, next, next != NULL && is_lost(req))
		                                       : NULL;
	default: return NULL;
	}
}

const char *way_to(struct ones_request *req, const struct requirement *requirement)
{
	const char *next = return_address(req);

	/* To verify needs a place to come back to: without one the page is that of a mail's code. */
	return way_with(req, requirement, next != NULL ? next : ones_url(req, "/account"));
}

static const char *name_of_way(enum requirement_result result)
{
	switch (result) {
	case REQUIREMENT_UNVERIFIED: return "verify";
	case REQUIREMENT_STALE: return "confirm";
	default: return "upgrade";
	}
}

static void reply_to_program(struct ones_request *req, const struct requirement *requirement)
{
	ones_reply_problem_with(req, requirement_status(requirement->result), requirement_code(requirement->result),
	                        requirement_sentence(requirement->result),
	                        json_pack("{s:o, s:s*}", "required", requirement_needed_json(requirement),
	                                  name_of_way(requirement->result), way_with(req, requirement, NULL)));
}

void reply_lacking(struct ones_request *req, const struct requirement *requirement)
{
	if (ones_is_program(req)) {
		reply_to_program(req, requirement);
		return;
	}
	ones_reply_page(req, requirement_status(requirement->result), "lacking.html",
	                json_pack("{s:s, s:b, s:s*, s:b}", "username", ones_session(req)->user.username,
	                          requirement_code(requirement->result), 1, "way", way_to(req, requirement), "lost",
	                          (int)is_lost(req)));
}

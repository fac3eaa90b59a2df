/* POST /language: the language of the pages, as its person has chosen it in the menu at their foot. */
#include "assets.h"

static void choose(struct ones_request *req)
{
	const char *language = ones_field(req, "language");
	const char *back = ones_field(req, "back");

	if (language == NULL || !ones_choose_language(req, language))
		ones_reply_problem(req, 400, "bad_request", "There is no such language.");
	else if (ones_is_program(req))
		ones_reply_empty(req, 204);
	else
		ones_reply_redirect(req,
		                    ones_next(req, back != NULL && back[0] != '\0' ? back : ones_page_before(req)));
}

void language_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/language", .post = choose, .needs = ONES_NEEDS_NOTHING});
}

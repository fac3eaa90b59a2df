/* onesessionctl user verify: addresses that are taken as verified. */
#include "base/email.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Which ones. Returns the exit code. */
static int choose(struct ctl *ctl, char email[EMAIL_SIZE], struct unverified *which)
{
	const char *typed = ctl->domain != NULL ? talloc_asprintf(ctl->ctx, "x@%s", ctl->domain) : NULL;
	const struct user *user;

	*which = (struct unverified){0};
	if (ctl->operand != NULL) {
		user = ctl_find_user(ctl, ctl->operand);
		if (user == NULL)
			return EXIT_FAILURE;
		if (user->email == NULL)
			return fail("the account %s has no address", user->username);
		which->user_id = user->id;
	}
	if (typed != NULL) {
		if (email_parse(typed, email) != NULL)
			return fail("there cannot be a domain %s", ctl->domain);
		which->domain = strchr(email, '@') + 1;
	}
	return EXIT_SUCCESS;
}

static bool is_answered_with_yes(int64_t count, const char *first)
{
	char *clean = text_clean(NULL, first);
	char answer[16];

	(void)fprintf(stderr, "Take %lld %s as verified, such as %s? People get in by mail then. [y/N] ",
	              (long long)count, count == 1 ? "address" : "addresses", clean != NULL ? clean : "?");
	talloc_free(clean);
	return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* What is said of one account has no need of a question. Returns the exit code. */
static int ask(const struct ctl *ctl, int64_t count, const char *first)
{
	char shown[EMAIL_SHOWN_SIZE];

	if (ctl->operand != NULL || ctl->agrees || count == 0)
		return EXIT_SUCCESS;
	if (!isatty(STDIN_FILENO))
		return fail("there is nobody to be asked about %lld addresses: --yes takes them as verified",
		            (long long)count);
	return is_answered_with_yes(count, email_show(first, shown)) ? EXIT_SUCCESS : fail("nothing was changed");
}

int command_user_verify(struct ctl *ctl)
{
	const char *detail = ctl_operator_detail(ctl->ctx, json_pack("{s:b}", "verified", 1));
	char email[EMAIL_SIZE];
	struct unverified which;
	const char *first;
	int64_t count;
	enum db_status status;

	if (detail == NULL)
		return fail("out of memory");
	if (choose(ctl, email, &which) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	status = users_count_unverified(ctl->db, ctl->ctx, &which, &count, &first);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ask(ctl, count, first) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	status = users_verify(ctl->db, &which, detail, &count);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:I}", "verified", (json_int_t)count));
	return output_line("%lld %s now verified.", (long long)count, count == 1 ? "address is" : "addresses are");
}

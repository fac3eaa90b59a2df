/* onesessionctl user add, and what the commands on accounts share. */
#include "ctl/user.h"

#include "ctl/output.h"
#include "ctl/prompt.h"
#include "session/events.h"
#include "session/transaction.h"

#include <sodium.h>
#include <stdlib.h>

struct user *ctl_find_user(struct ctl *ctl, const char *name)
{
	struct user *user = NULL;
	enum db_status status = users_find_typed(ctl->db, ctl->ctx, name, &user);

	if (status != DB_OK)
		(void)fail_database(ctl, status);
	else if (user == NULL)
		(void)fail("no such account: %s", name);
	return user;
}

enum db_status user_record(struct db *db, const char *event, int64_t user_id, const char *username, json_t *more)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	enum db_status status =
		events_record_operator(db, event, user_id, username, ctl_operator_detail(scratch, more));

	talloc_free(scratch);
	return status;
}

int user_ask_for_hash(const struct ctl *ctl, const char *username, char hash[PASSWORD_HASH_SIZE])
{
	const struct password_cost cost = {.memory = ctl->settings.login.memory, .passes = ctl->settings.login.passes};
	char password[PASSWORD_MAX + 1];
	int result = prompt_new_password(username, password);

	if (result == 0) {
		result = password_hash(password, &cost, hash);
		if (result != 0)
			(void)fail("there is not enough memory for login.memory");
	}
	sodium_memzero(password, sizeof password);
	return result;
}

struct addition {
	const struct ctl *ctl;
	const char *hash;
	int64_t id;
	bool is_taken; /* the name */
};

static enum db_status add(struct db *db, void *context)
{
	struct addition *addition = context;
	const struct ctl *ctl = addition->ctl;
	enum db_status status = users_add(db, ctl->operand, addition->hash, ctl->is_admin, ctl->limit, &addition->id);

	addition->is_taken = status == DB_OK && addition->id == 0;
	if (status != DB_OK)
		return status;
	return addition->is_taken ? DB_DUPLICATE : user_record(db, "user_added", addition->id, ctl->operand, NULL);
}

int command_user_add(struct ctl *ctl)
{
	const char *name = ctl->operand;
	const char *problem = users_name_problem(name);
	char hash[PASSWORD_HASH_SIZE];
	struct addition addition = {.ctl = ctl, .hash = hash};
	struct user *user;
	enum db_status status;

	if (problem != NULL)
		return fail("the name %s", problem);
	status = users_find(ctl->db, ctl->ctx, name, &user);
	if (status != DB_OK)
		return fail_database(ctl, status);
	/* Only to spare the operator typing a password in vain: what counts is the answer to the INSERT. */
	if (user != NULL)
		return fail("account exists: %s", user->username);
	if (user_ask_for_hash(ctl, name, hash) != 0)
		return EXIT_FAILURE;
	status = transaction_run(ctl->db, TRANSACTION_ONCE, add, &addition);
	if (addition.is_taken)
		return fail("account exists: %s", name);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s}", "id", (json_int_t)addition.id, "username", name));
	return output_line("Account %s added.", name);
}

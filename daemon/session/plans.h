/* Plans: what accounts can be subscribed to, as operators keep them. */
#ifndef SESSION_PLANS_H
#define SESSION_PLANS_H

#include "session/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plan {
	const char *name;
	int64_t session_limit; /* -1: session.max_sessions; 0: any number */
	int64_t created_at;
	int64_t accounts; /* how many have it */
};

/* Why that cannot be the name of a plan ("is empty"...), or NULL when it can. Those of groups are like it. */
const char *plans_name_problem(const char *name);

/* All of them on `ctx`, by name. */
enum db_status plans_list(struct db *db, TALLOC_CTX *ctx, struct plan **plans, size_t *count);

/* Within a transaction of the caller's: hold the plan. *plan, on `ctx`, is NULL when there is none of that name. */
enum db_status plans_lock(struct db *db, TALLOC_CTX *ctx, const char *name, struct plan **plan);

/* Make it, or give it another limit. */
enum db_status plans_set(struct db *db, const char *name, int64_t session_limit);

/* After plans_lock(): it is to have no accounts. */
enum db_status plans_delete(struct db *db, const char *name);

#endif

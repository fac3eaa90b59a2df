/*
 * Checking a password: throttle, rank and the job that the hasher does, between two runs of the handler that wants it
 * checked.
 */
#ifndef API_PASSWORD_CHECK_H
#define API_PASSWORD_CHECK_H

#include "api/exchange.h"
#include "session/password_job.h"
#include "session/users.h"

#include <stdint.h>

/*
 * ONES_RESULT_OK when the password is that of the account that `username` means (users_find_login()), which is *user
 * then; ONES_RESULT_PENDING when the handler is to be run again for that. `new_password` (may be NULL) is hashed as
 * well.
 */
enum ones_result check_password(struct ones_request *req, const char *username, const char *password,
                                const char *new_password, struct user **user, struct ones_login *login);

/*
 * The password is right; when its hash is of another form or cost than new ones are, replace it. When another request
 * has replaced it at this moment, that hash is checked: ONES_RESULT_PENDING.
 */
enum ones_result upgrade_hash(struct ones_request *req, const char *username, const char *password, struct user *user,
                              struct ones_login *login);

/*
 * ONES_RESULT_OK when a new password was hashed, no other one being checked; ONES_RESULT_PENDING when the handler is to
 * be run again for that.
 */
enum ones_result hash_password(struct ones_request *req, const char *password);

/* After ONES_RESULT_OK of either: the hash of new_password, NULL when it could not be made. */
const char *checked_new_hash(const struct ones_request *req);

/* After that of check_password(): the device cookie that the browser presented; NULL: none. */
const struct session_key *checked_device(const struct ones_request *req);

/* The job of APP_HASH (dispatch.h), and the rank of the login (login_rank.h). NULL: there is none. */
const struct password_job *app_job(const struct ones_request *req, uint32_t *rank);

/* The job is done. */
void password_check_answered(struct ones_request *req, const struct password_answer *answer);

#endif

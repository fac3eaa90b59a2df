/* The module "account": what people see of their account and its sessions, and change there. */
#ifndef HANDLERS_ACCOUNT_H
#define HANDLERS_ACCOUNT_H

#include "../shared/shared.h"

void account_setup(struct ones_app *app);
void confirm_setup(struct ones_app *app);
void password_setup(struct ones_app *app);
void sessions_setup(struct ones_app *app);

/* The account page with one more value, true: "changed", "wrong"...; NULL: none. `wait_s` is for "throttled", else 0.
 */
void account_show(struct ones_request *req, int status, const char *notice, int64_t wait_s);

#endif

/* Passwords that people choose: whether they will do. */
#ifndef API_NEW_PASSWORD_H
#define API_NEW_PASSWORD_H

#include "api/exchange.h"

#include <stdbool.h>

/* Whether it will do for a person with that name and address (NULL: not known); else ones_password_problem() says why.
 */
bool new_password_will_do(struct ones_request *req, const char *password, const char *username, const char *email);

#endif

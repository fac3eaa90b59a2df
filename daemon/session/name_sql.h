/* What is the same in many statements: what accounts are looked up by, and lengths of time. */
#ifndef SESSION_NAME_SQL_H
#define SESSION_NAME_SQL_H

/*
 * The expression is that of users.username_key and users.email_key in schema/. The last COLLATE is the columns' own:
 * without it their indexes would not serve.
 */
#define SQL_NAME_KEY(name) "lower(normalize(" name ", NFKC) COLLATE \"und-x-icu\") COLLATE \"C\""

/* login_failures.subject and code_tries.subject of a name or address, by the key that it is looked up by. */
#define SQL_LOGIN_SUBJECT(key) "encode(sha256(convert_to(" key ", 'UTF8')), 'hex')"

#define SQL_MILLISECONDS(number) number "::bigint * interval '1 millisecond'"

/*
 * The id of the account that signs in by what was typed: its name, or its verified address. NULL when there is none.
 * Both are looked up, whatever the first one finds: it takes the same time.
 */
#define SQL_ACCOUNT_OF(login)                                                                                          \
	"(SELECT id FROM (SELECT id, 1 AS rank FROM users WHERE username_key = " SQL_NAME_KEY(                         \
		login) " UNION ALL SELECT id, 2 FROM users WHERE email_key = " SQL_NAME_KEY(login) " AND "             \
												   "email_verified_"   \
												   "at IS NOT NULL) "  \
												   "AS found ORDER "   \
												   "BY rank LIMIT 1)"

#endif

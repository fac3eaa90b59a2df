/*
 * Passwords: Argon2id by libsodium (RFC 9106; OWASP Password Storage). Hashes that were made elsewhere are verified
 * too: Django's, crypt(5)'s and htpasswd's, those of applications in PHP and of LDAP servers; password_forms.h has them
 * one by one.
 */
#ifndef SESSION_PASSWORD_H
#define SESSION_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>

#define PASSWORD_MAX 1024 /* bytes */
#define PASSWORD_MIN 8    /* characters */

struct password_cost {
	int64_t memory; /* bytes */
	int64_t passes;
};

#define PASSWORD_HASH_SIZE 128 /* crypto_pwhash_STRBYTES */

/*
 * The password in Unicode's form NFC, by which it does not matter how a keyboard has put its accents together; in
 * memory of its own. NULL when it is in that form already, is not UTF-8, or there is not enough memory.
 */
char *password_composed(const char *password);

/* Wipe and free what password_composed() gave, which may be NULL. */
void password_forget_composed(char *composed);

/* Hash `password`, in NFC, into `hash`, with a NUL. Returns 0, or -1 when there is not enough memory. */
int password_hash(const char *password, const struct password_cost *cost, char hash[PASSWORD_HASH_SIZE]);

enum password_match {
	PASSWORD_WRONG,
	PASSWORD_RIGHT,
	PASSWORD_NOT_LOOKED_AT, /* there was not enough memory */
};

/* Is `password`, just as it is, the one that `hash` was made of? A hash of a form not known is never right. */
enum password_match password_verify(const char *hash, const char *password);

/* True when `hash` is not what password_hash() would make at this cost: of another form, or with other parameters. */
bool password_needs_rehash(const char *hash, const struct password_cost *cost);

/* Why password_verify() cannot work with `hash` ("is of the form md5, which is not supported"...), or NULL. */
const char *password_hash_problem(const char *hash);

/*
 * The same of a hash that comes from elsewhere: also one that looks like ours, when it would cost more to verify than
 * other programs' may and ours do at this cost.
 */
const char *password_import_problem(const char *hash, const struct password_cost *cost);

/*
 * Is it of a form that is computed in no time, so that whoever gets hold of it has the password soon (MD5, a single
 * SHA)? False of one with a problem that is of no form.
 */
bool password_hash_is_quick(const char *hash);

/* Why `password` cannot be a new one ("is shorter than 8 characters"...), or NULL when it can. */
const char *password_problem(const char *password);

#endif

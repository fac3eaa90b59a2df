/* Passwords: Argon2id by libsodium (RFC 9106; OWASP Password Storage). */
#ifndef SESSION_PASSWORD_H
#define SESSION_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>

#define PASSWORD_MAX 1024 /* bytes */
#define PASSWORD_MIN 8

struct password_cost {
	int64_t memory; /* bytes */
	int64_t passes;
};

#define PASSWORD_HASH_SIZE 128 /* crypto_pwhash_STRBYTES */

/* Hash `password` into `hash`, with a NUL. Returns 0, or -1 when there is not enough memory. */
int password_hash(const char *password, const struct password_cost *cost, char hash[PASSWORD_HASH_SIZE]);

/* True when `password` is the one that `hash` was made of. A hash of a form not known is never right. */
bool password_verify(const char *hash, const char *password);

#endif

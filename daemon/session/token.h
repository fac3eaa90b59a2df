/* Session keys: what a cookie holds, and what the database holds in its place. */
#ifndef SESSION_TOKEN_H
#define SESSION_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#define TOKEN_LENGTH 43 /* 256 bits in base64url without padding (RFC 4648, 5) */

/* The SHA-256 of a token's 43 characters: sessions.session_key. */
struct session_key {
	uint8_t bytes[32];
};

/* A new token of 256 random bits, and a NUL. */
void token_generate(char token[TOKEN_LENGTH + 1]);

/* True when `text` is 43 characters of base64url: only then is the database asked. */
bool token_is_well_formed(const char *text);

struct session_key token_key(const char token[TOKEN_LENGTH + 1]);

/* The same of a text of any length. */
struct session_key token_key_of_any(const char *text);

/* That of a token which is valid only together with another. */
struct session_key token_key_with(const char token[TOKEN_LENGTH + 1], const struct session_key *other);

/* The random name under which something is claimed in the database: 32 hexadecimal digits, and a NUL. */
#define CLAIM_SIZE 33

void claim_generate(char claim[CLAIM_SIZE]);

/* True when `text` is a UUID (RFC 9562, 4), as sessions' public ids are. */
bool session_id_is_well_formed(const char *text);

#endif

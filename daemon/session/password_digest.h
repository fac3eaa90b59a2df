/* Digests of libcrypto, for forms of hashes that take many of them one after the other. */
#ifndef SESSION_PASSWORD_DIGEST_H
#define SESSION_PASSWORD_DIGEST_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest {
	EVP_MD *kind;
	EVP_MD_CTX *ctx;
	bool has_failed; /* what was computed is none */
};

/* `name` as libcrypto has it: "MD5". False, and nothing to be closed, when it cannot be had. */
bool digest_open(struct digest *digest, const char *name);

void digest_begin(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t length);

/* `bytes` has room for EVP_MAX_MD_SIZE. */
void digest_end(struct digest *digest, uint8_t *bytes);

/* Returns whether all went well. */
bool digest_close(struct digest *digest);

#endif

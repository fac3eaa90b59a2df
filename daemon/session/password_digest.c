/* Digests of libcrypto: looked up once, for that takes longer than a digest itself. */
#include "session/password_digest.h"

bool digest_open(struct digest *digest, const char *name)
{
	*digest = (struct digest){.kind = EVP_MD_fetch(NULL, name, NULL), .ctx = EVP_MD_CTX_new()};
	if (digest->kind != NULL && digest->ctx != NULL)
		return true;
	(void)digest_close(digest);
	return false;
}

void digest_begin(struct digest *digest)
{
	if (EVP_DigestInit_ex2(digest->ctx, digest->kind, NULL) != 1)
		digest->has_failed = true;
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
	if (EVP_DigestUpdate(digest->ctx, bytes, length) != 1)
		digest->has_failed = true;
}

void digest_end(struct digest *digest, uint8_t *bytes)
{
	if (EVP_DigestFinal_ex(digest->ctx, bytes, NULL) != 1)
		digest->has_failed = true;
}

bool digest_close(struct digest *digest)
{
	EVP_MD_CTX_free(digest->ctx);
	EVP_MD_free(digest->kind);
	digest->ctx = NULL;
	digest->kind = NULL;
	return !digest->has_failed;
}

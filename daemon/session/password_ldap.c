/* Hashes as LDAP servers have them (RFC 2307): a digest of the password and a salt, if there is one, in Base64. */
#include "session/password_digest.h"
#include "session/password_forms.h"

#include <sodium.h>
#include <string.h>

#define SALT_MAX 64

static const struct kind {
	const char *prefix;
	const char *digest;
	size_t digest_size;
	bool has_salt;
} kinds[] = {
	{"{SHA}", "SHA1", 20, false},      {"{SSHA}", "SHA1", 20, true},      {"{SHA256}", "SHA256", 32, false},
	{"{SSHA256}", "SHA256", 32, true}, {"{SHA512}", "SHA512", 64, false}, {"{SSHA512}", "SHA512", 64, true},
};

/* The digest with the salt behind it. */
struct ldap {
	const struct kind *kind;
	uint8_t bytes[EVP_MAX_MD_SIZE + SALT_MAX];
	size_t salt_length;
};

static bool parse(const char *hash, struct ldap *ldap)
{
	size_t length = 0, prefix_length;

	ldap->kind = NULL;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strncmp(hash, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			ldap->kind = &kinds[i];
	}
	if (ldap->kind == NULL)
		return false;
	prefix_length = strlen(ldap->kind->prefix);
	if (sodium_base642bin(ldap->bytes, ldap->kind->digest_size + SALT_MAX, hash + prefix_length,
	                      strlen(hash + prefix_length), NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    length < ldap->kind->digest_size)
		return false;
	ldap->salt_length = length - ldap->kind->digest_size;
	return ldap->kind->has_salt == (ldap->salt_length > 0);
}

const char *password_ldap_problem(const char *hash)
{
	struct ldap ldap;

	return parse(hash, &ldap) ? NULL : PASSWORD_IS_MALFORMED;
}

bool password_ldap_verify(const char *hash, const char *password)
{
	struct ldap ldap;
	struct digest digest;
	uint8_t bytes[EVP_MAX_MD_SIZE];
	bool right;

	if (!parse(hash, &ldap) || !digest_open(&digest, ldap.kind->digest))
		return false;
	digest_begin(&digest);
	digest_add(&digest, password, strlen(password));
	digest_add(&digest, ldap.bytes + ldap.kind->digest_size, ldap.salt_length);
	digest_end(&digest, bytes);
	right = digest_close(&digest) && sodium_memcmp(bytes, ldap.bytes, ldap.kind->digest_size) == 0;
	sodium_memzero(bytes, sizeof bytes);
	return right;
}

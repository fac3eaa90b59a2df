/* Session keys and ids: made, checked, hashed. */
#include "session/token.h"

#include "base/key_from.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(sizeof(struct session_key) == crypto_hash_sha256_BYTES, "a session key is a SHA-256");

enum { TOKEN_RANDOM_BYTES = 32 };

void token_generate(char token[TOKEN_LENGTH + 1])
{
	uint8_t random[TOKEN_RANDOM_BYTES];

	static_assert(sodium_base64_ENCODED_LEN(TOKEN_RANDOM_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) ==
	                      TOKEN_LENGTH + 1,
	              "a token's random bytes fill its characters");
	/* One that could be taken for a token of the API would not be looked up. */
	do {
		randombytes_buf(random, sizeof random);
		(void)sodium_bin2base64(token, TOKEN_LENGTH + 1, random, sizeof random,
		                        sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	} while (key_is_of_api(token));
	sodium_memzero(random, sizeof random);
}

/* Not isalnum(3), which depends on the locale. */
static bool is_base64url(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool token_is_well_formed(const char *text)
{
	for (int i = 0; i < TOKEN_LENGTH; i++) {
		if (!is_base64url(text[i]))
			return false;
	}
	return text[TOKEN_LENGTH] == '\0';
}

struct session_key token_key(const char token[TOKEN_LENGTH + 1])
{
	struct session_key key;

	(void)crypto_hash_sha256(key.bytes, (const unsigned char *)token, TOKEN_LENGTH);
	return key;
}

struct session_key token_key_of_any(const char *text)
{
	struct session_key key;

	(void)crypto_hash_sha256(key.bytes, (const unsigned char *)text, strlen(text));
	return key;
}

struct session_key token_key_with(const char token[TOKEN_LENGTH + 1], const struct session_key *other)
{
	crypto_hash_sha256_state state;
	struct session_key key;

	(void)crypto_hash_sha256_init(&state);
	(void)crypto_hash_sha256_update(&state, (const unsigned char *)token, TOKEN_LENGTH);
	(void)crypto_hash_sha256_update(&state, other->bytes, sizeof other->bytes);
	(void)crypto_hash_sha256_final(&state, key.bytes);
	return key;
}

void claim_generate(char claim[CLAIM_SIZE])
{
	unsigned char random[(CLAIM_SIZE - 1) / 2];

	randombytes_buf(random, sizeof random);
	(void)sodium_bin2hex(claim, CLAIM_SIZE, random, sizeof random);
}

bool session_id_is_well_formed(const char *text)
{
	static const char pattern[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < sizeof pattern - 1; i++) {
		bool is_digit = text[i] != '\0' && strchr("0123456789abcdefABCDEF", text[i]) != NULL;

		if (pattern[i] == '-' ? text[i] != '-' : !is_digit)
			return false;
	}
	return text[sizeof pattern - 1] == '\0';
}

/* Hashes of a thousand rounds of MD5: md5-crypt, and Apache's variant of it. */
#include "session/password_digest.h"
#include "session/password_forms.h"

#include <sodium.h>
#include <string.h>

#define ROUNDS      1000
#define SALT_MAX    8
#define HASH_LENGTH 22
#define DIGEST_SIZE 16

/* "$1$SALT$HASH" or "$apr1$SALT$HASH", taken apart. */
struct md5_crypt {
	size_t magic_length; /* of what is before the salt */
	const char *salt;
	size_t salt_length;
	const char *hash;
};

static bool parse(const char *text, struct md5_crypt *parsed)
{
	parsed->magic_length = 2 + strcspn(text + 1, "$");
	parsed->salt = text + parsed->magic_length;
	parsed->salt_length = strcspn(parsed->salt, "$");
	if (parsed->salt_length > SALT_MAX || parsed->salt[parsed->salt_length] != '$')
		return false;
	parsed->hash = parsed->salt + parsed->salt_length + 1;
	return strlen(parsed->hash) == HASH_LENGTH && strspn(parsed->hash, PASSWORD_CRYPT64) == HASH_LENGTH;
}

const char *password_md5_crypt_problem(const char *hash)
{
	struct md5_crypt parsed;

	return parse(hash, &parsed) ? NULL : PASSWORD_IS_MALFORMED;
}

/* The digest that the rounds begin with. */
static void begin(struct digest *digest, const struct md5_crypt *parsed, const char *magic, const char *password,
                  uint8_t bytes[EVP_MAX_MD_SIZE])
{
	size_t length = strlen(password);

	digest_begin(digest);
	digest_add(digest, password, length);
	digest_add(digest, parsed->salt, parsed->salt_length);
	digest_add(digest, password, length);
	digest_end(digest, bytes);
	digest_begin(digest);
	digest_add(digest, password, length);
	digest_add(digest, magic, parsed->magic_length);
	digest_add(digest, parsed->salt, parsed->salt_length);
	for (size_t left = length; left > 0; left -= left < DIGEST_SIZE ? left : DIGEST_SIZE)
		digest_add(digest, bytes, left < DIGEST_SIZE ? left : DIGEST_SIZE);
	/* Odd, and part of the form: for a bit that is set a NUL, for another one the first character. */
	for (size_t bits = length; bits > 0; bits >>= 1)
		digest_add(digest, (bits & 1) != 0 ? "" : password, 1);
	digest_end(digest, bytes);
}

static void go_round(struct digest *digest, const struct md5_crypt *parsed, const char *password, size_t length,
                     unsigned round, uint8_t bytes[EVP_MAX_MD_SIZE])
{
	bool is_odd = (round & 1) != 0;

	digest_begin(digest);
	digest_add(digest, is_odd ? (const void *)password : bytes, is_odd ? length : DIGEST_SIZE);
	if (round % 3 != 0)
		digest_add(digest, parsed->salt, parsed->salt_length);
	if (round % 7 != 0)
		digest_add(digest, password, length);
	digest_add(digest, is_odd ? bytes : (const void *)password, is_odd ? DIGEST_SIZE : length);
	digest_end(digest, bytes);
}

/* The digest's bytes are written in an order of their own. */
static void write_hash(const uint8_t bytes[EVP_MAX_MD_SIZE], char hash[HASH_LENGTH])
{
	static const uint8_t order[][3] = {{12, 6, 0}, {13, 7, 1}, {14, 8, 2}, {15, 9, 3}, {5, 10, 4}};
	size_t groups = sizeof order / sizeof order[0];

	for (size_t i = 0; i < groups; i++)
		password_write_crypt64(hash + 4 * i, 4,
		                       bytes[order[i][0]] | (uint32_t)bytes[order[i][1]] << 8 |
		                               (uint32_t)bytes[order[i][2]] << 16);
	password_write_crypt64(hash + 4 * groups, 2, bytes[11]);
}

bool password_md5_crypt_verify(const char *hash, const char *password)
{
	struct md5_crypt parsed;
	struct digest digest;
	uint8_t bytes[EVP_MAX_MD_SIZE];
	char made[HASH_LENGTH];
	bool right;

	if (!parse(hash, &parsed) || !digest_open(&digest, "MD5"))
		return false;
	begin(&digest, &parsed, hash, password, bytes);
	for (unsigned round = 0; round < ROUNDS; round++)
		go_round(&digest, &parsed, password, strlen(password), round, bytes);
	write_hash(bytes, made);
	right = digest_close(&digest) && sodium_memcmp(made, parsed.hash, sizeof made) == 0;
	sodium_memzero(bytes, sizeof bytes);
	sodium_memzero(made, sizeof made);
	return right;
}

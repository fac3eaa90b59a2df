/* Passwords: Argon2id, and a verification of each form of hash. */
#include "session/password.h"

#include "base/utf8.h"
#include "session/password_forms.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uninorm.h>

static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "a hash of libsodium's fits");

#define TEXT(number)  LITERAL(number)
#define LITERAL(text) #text

/* What login.memory and login.passes may be set to: hashes of this program's own go no further. */
#define OWN_MEMORY_MAX_KIB (UINT32_C(4) * 1024 * 1024)
#define OWN_PASSES_MAX     64
/*
 * Of hashes made elsewhere, see password_forms.h. Memory times passes is what takes time: libsodium fills the lanes one
 * after the other, so that more of them make it no faster than one.
 */
#define ARGON2_MEMORY_MAX_KIB (UINT32_C(128) * 1024)
#define ARGON2_WORK_MAX_KIB   (UINT64_C(8) * ARGON2_MEMORY_MAX_KIB)
#define ARGON2_LANES_MAX      64
#define ARGON2_IS_COSTLY                                                                                               \
	PASSWORD_IS_COSTLY("Argon2 with 128 MiB, 8 passes over them or as many more over less, and 64 lanes")
/* What libsodium itself takes. */
#define ARGON2_SALT_MIN 11 /* 8 bytes in Base64 */
#define ARGON2_HASH_MIN 22 /* 16 bytes */
#define OWN_SALT        22
#define OWN_HASH        43

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool skip(const char **at, const char *prefix)
{
	if (!begins_with(*at, prefix))
		return false;
	*at += strlen(prefix);
	return true;
}

bool password_number(const char **at, char end, uint32_t *number)
{
	size_t digits = strspn(*at, "0123456789");
	uint32_t value = 0;

	/* Nine are always within an uint32_t. */
	if (digits == 0 || digits > 9 || (digits > 1 && **at == '0') || (*at)[digits] != end)
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint32_t)((*at)[i] - '0');
	*at += digits + (end != '\0' ? 1 : 0);
	*number = value;
	return true;
}

/* ---- Argon2: ours, and Django's with a word before it ------------------------------------------------------- */

/* "$argon2id$v=19$m=65536,t=3,p=1$SALT$HASH" (PHC string format), taken apart. */
struct argon2 {
	bool is_id;
	uint32_t memory_kib, passes, lanes;
	size_t salt_length, hash_length; /* in Base64 */
};

static bool parse_argon2(const char *at, struct argon2 *argon2)
{
	static const char base64[] = PASSWORD_BASE64 "+/";

	/* libsodium is given a buffer of this size. */
	if (strlen(at) >= PASSWORD_HASH_SIZE)
		return false;
	argon2->is_id = begins_with(at, crypto_pwhash_argon2id_STRPREFIX);
	if (!skip(&at, argon2->is_id ? crypto_pwhash_argon2id_STRPREFIX : crypto_pwhash_argon2i_STRPREFIX) ||
	    !skip(&at, "v=19$m=") || !password_number(&at, ',', &argon2->memory_kib) || !skip(&at, "t=") ||
	    !password_number(&at, ',', &argon2->passes) || !skip(&at, "p=") ||
	    !password_number(&at, '$', &argon2->lanes))
		return false;
	argon2->salt_length = strspn(at, base64);
	if (argon2->salt_length < ARGON2_SALT_MIN || at[argon2->salt_length] != '$')
		return false;
	at += argon2->salt_length + 1;
	argon2->hash_length = strspn(at, base64);
	return argon2->hash_length >= ARGON2_HASH_MIN && at[argon2->hash_length] == '\0' && argon2->passes > 0 &&
	       argon2->lanes > 0;
}

/* As password_hash() makes them. */
static bool is_own(const struct argon2 *argon2)
{
	return argon2->is_id && argon2->lanes == 1 && argon2->salt_length == OWN_SALT &&
	       argon2->hash_length == OWN_HASH;
}

static bool is_costly(const struct argon2 *argon2)
{
	return argon2->memory_kib > ARGON2_MEMORY_MAX_KIB ||
	       (uint64_t)argon2->memory_kib * argon2->passes > ARGON2_WORK_MAX_KIB || argon2->lanes > ARGON2_LANES_MAX;
}

static const char *problem_of_argon2(const char *hash, bool may_be_own)
{
	struct argon2 argon2;

	if (!parse_argon2(hash, &argon2))
		return PASSWORD_IS_MALFORMED;
	if (may_be_own && is_own(&argon2) ? argon2.memory_kib > OWN_MEMORY_MAX_KIB || argon2.passes > OWN_PASSES_MAX
	                                  : is_costly(&argon2))
		return ARGON2_IS_COSTLY;
	return argon2.memory_kib < 8 * argon2.lanes ? PASSWORD_IS_MALFORMED : NULL;
}

static const char *argon2_problem(const char *hash)
{
	return problem_of_argon2(hash, true);
}

/* libsodium calls it a mismatch when it gets no memory. */
static bool is_short_of(size_t memory)
{
	void *room = mmap(NULL, memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return room == MAP_FAILED || munmap(room, memory) != 0;
}

static bool argon2_verify(const char *hash, const char *password)
{
	/* libsodium is promised a buffer of this size, not just a string. */
	char padded[PASSWORD_HASH_SIZE] = {0};
	size_t length = strlen(hash);
	struct argon2 argon2;

	if (length >= sizeof padded)
		return false;
	memcpy(padded, hash, length);
	if (crypto_pwhash_str_verify(padded, password, strlen(password)) == 0)
		return true;
	errno = parse_argon2(hash, &argon2) && is_short_of((size_t)argon2.memory_kib * 1024) ? ENOMEM : EINVAL;
	return false;
}

/* Django writes "argon2$argon2id$v=19...": what is behind its own word is the PHC string but for its first character.
 */
#define DJANGO_ARGON2 "argon2"

static const char *django_argon2_problem(const char *hash)
{
	return problem_of_argon2(hash + strlen(DJANGO_ARGON2), false);
}

static bool django_argon2_verify(const char *hash, const char *password)
{
	return argon2_verify(hash + strlen(DJANGO_ARGON2), password);
}

char *password_composed(const char *password)
{
	size_t composed_length = 0;
	uint8_t *composed;

	/* Of what is not, libunistring would make replacement characters: another password, and the same of many. */
	if (!utf8_is_valid(password))
		return NULL;
	composed = u8_normalize(UNINORM_NFC, (const uint8_t *)password, strlen(password) + 1, NULL, &composed_length);
	if (composed == NULL || strcmp((const char *)composed, password) != 0)
		return (char *)composed;
	sodium_memzero(composed, composed_length);
	free(composed);
	return NULL;
}

void password_forget_composed(char *composed)
{
	if (composed != NULL)
		sodium_memzero(composed, strlen(composed));
	free(composed);
}

int password_hash(const char *password, const struct password_cost *cost, char hash[PASSWORD_HASH_SIZE])
{
	char *composed;
	const char *hashed;
	int result;

	if (cost->passes < 0 || cost->memory < 0 || (uint64_t)cost->memory > SIZE_MAX)
		return -1;
	composed = password_composed(password);
	hashed = composed != NULL ? composed : password;
	result = crypto_pwhash_str_alg(hash, hashed, strlen(hashed), (unsigned long long)cost->passes,
	                               (size_t)cost->memory, crypto_pwhash_ALG_ARGON2ID13);
	password_forget_composed(composed);
	return result;
}

bool password_needs_rehash(const char *hash, const struct password_cost *cost)
{
	struct argon2 argon2;

	return !parse_argon2(hash, &argon2) || !is_own(&argon2) || argon2.passes != cost->passes ||
	       argon2.memory_kib != cost->memory / 1024;
}

/* ---- All forms ---------------------------------------------------------------------------------------------- */

struct hash_form {
	const char *prefix;
	const char *(*problem)(const char *hash);
	bool (*verify)(const char *hash, const char *password); /* only of a hash without a problem */
	bool is_quick; /* whoever gets such hashes guesses passwords by the million, for one takes no time to speak of
	                */
};

static const struct hash_form forms[] = {
	{crypto_pwhash_argon2id_STRPREFIX, argon2_problem, argon2_verify, false},
	{crypto_pwhash_argon2i_STRPREFIX, argon2_problem, argon2_verify, false},
	{DJANGO_ARGON2 "$argon2", django_argon2_problem, django_argon2_verify, false},
	{"pbkdf2_sha256$", password_pbkdf2_problem, password_pbkdf2_verify, false},
	{"pbkdf2_sha1$", password_pbkdf2_problem, password_pbkdf2_verify, false},
	{"bcrypt_sha256$", password_bcrypt_sha256_problem, password_bcrypt_sha256_verify, false},
	{"bcrypt$", password_django_bcrypt_problem, password_django_bcrypt_verify, false},
	{"scrypt$", password_django_scrypt_problem, password_django_scrypt_verify, false},
	{"$2y$", password_bcrypt_problem, password_crypt_verify, false},
	{"$2a$", password_bcrypt_problem, password_crypt_verify, false},
	{"$2b$", password_bcrypt_problem, password_crypt_verify, false},
	{"$6$", password_sha_crypt_problem, password_sha_crypt_verify, false},
	{"$5$", password_sha_crypt_problem, password_sha_crypt_verify, false},
	{"$y$", password_yescrypt_problem, password_crypt_verify, false},
	{"$7$", password_crypt_scrypt_problem, password_crypt_scrypt_verify, false},
	{"$scrypt$", password_scrypt_problem, password_scrypt_verify, false},
	{"$wp$", password_wordpress_problem, password_wordpress_verify, false},
	{"$S$", password_phpass_problem, password_phpass_verify, false},
	{"$P$", password_phpass_problem, password_phpass_verify, true},
	{"$H$", password_phpass_problem, password_phpass_verify, true},
	{"$1$", password_md5_crypt_problem, password_md5_crypt_verify, true},
	{"$apr1$", password_md5_crypt_problem, password_md5_crypt_verify, true},
	{"{SHA", password_ldap_problem, password_ldap_verify, true},
	{"{SSHA", password_ldap_problem, password_ldap_verify, true},
};

#define UNSUPPORTED(name) "is of the form " name ", which is not supported"

/* Those that other programs are likely to have made. */
static const struct {
	const char *prefix, *problem;
} unsupported[] = {
	{"$gy$", UNSUPPORTED("gost-yescrypt")},
	{"$2x$", UNSUPPORTED("bcrypt of a faulty program")},
	{"$argon2d$", UNSUPPORTED("Argon2d")},
	{"{CRYPT}", UNSUPPORTED("{CRYPT}; it may be supported without these characters")},
	{"{SMD5}", UNSUPPORTED("MD5 with salt")},
	{"{MD5}", UNSUPPORTED("MD5 without salt")},
	{"sha1$", UNSUPPORTED("sha1")},
	{"md5$", UNSUPPORTED("md5")},
	{"crypt$", UNSUPPORTED("crypt")},
	{"U$", UNSUPPORTED("MD5 in a hash of Drupal's")},
	{"!", "is locked"},
	{"*", "is locked"},
};

static const struct hash_form *find_form(const char *hash)
{
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (begins_with(hash, forms[i].prefix))
			return &forms[i];
	}
	return NULL;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

const char *password_hash_problem(const char *hash)
{
	const struct hash_form *form = find_form(hash);

	if (form != NULL)
		return is_printable(hash) ? form->problem(hash) : PASSWORD_IS_MALFORMED;
	if (hash[0] == '\0')
		return "is empty";
	for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
		if (begins_with(hash, unsupported[i].prefix))
			return unsupported[i].problem;
	}
	if (strlen(hash) == 32 && strspn(hash, "0123456789abcdef") == 32)
		return UNSUPPORTED("MD5 without salt");
	if (strlen(hash) == 13 && strspn(hash, PASSWORD_CRYPT64) == 13)
		return UNSUPPORTED("DES crypt");
	return "is of no known form, if it is not a password in plain text";
}

const char *password_import_problem(const char *hash, const struct password_cost *cost)
{
	const char *problem = password_hash_problem(hash);
	struct argon2 argon2;

	/* Other programs' hashes may look like ours. */
	if (problem == NULL && parse_argon2(hash, &argon2) && is_costly(&argon2) &&
	    (argon2.memory_kib > cost->memory / 1024 || argon2.passes > cost->passes))
		return ARGON2_IS_COSTLY;
	return problem;
}

bool password_hash_is_quick(const char *hash)
{
	const struct hash_form *form = find_form(hash);

	return form != NULL && form->is_quick;
}

enum password_match password_verify(const char *hash, const char *password)
{
	const struct hash_form *form = find_form(hash);

	if (form == NULL || password_hash_problem(hash) != NULL)
		return PASSWORD_WRONG;
	/* The libraries return the same for a wrong password and for a lack of memory. */
	errno = 0;
	if (form->verify(hash, password))
		return PASSWORD_RIGHT;
	return errno == ENOMEM ? PASSWORD_NOT_LOOKED_AT : PASSWORD_WRONG;
}

/* ---- New passwords ------------------------------------------------------------------------------------------ */

static bool is_long_enough(const char *password)
{
	size_t characters = 0;
	size_t size;

	/* What is no UTF-8 is taken as it is, too: a byte is a character then. */
	for (const char *at = password; *at != '\0' && characters < PASSWORD_MIN; at += size) {
		size = utf8_sequence(at);
		if (size == 0)
			size = 1;
		characters++;
	}
	return characters == PASSWORD_MIN;
}

const char *password_problem(const char *password)
{
	char *composed;
	bool is_acceptable;

	if (password[0] == '\0')
		return "is empty";
	if (strlen(password) > PASSWORD_MAX)
		return "is longer than " TEXT(PASSWORD_MAX) " bytes";
	composed = password_composed(password);
	is_acceptable = is_long_enough(composed != NULL ? composed : password);
	password_forget_composed(composed);
	return is_acceptable ? NULL : "is shorter than " TEXT(PASSWORD_MIN) " characters";
}

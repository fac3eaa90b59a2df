/*
 * Hashes that were made elsewhere. Of each form, _problem() says why its _verify() cannot work with `hash`, and is to
 * be asked first: it is what keeps a hash that is corrupt or meant to do harm from costing minutes or gigabytes.
 *
 * What is allowed takes about a second of a processor's time and 128 MiB at most, whatever the password. Measured with
 * each form at its bound, on a virtual machine of 2 GHz, where a hash of login.memory's and login.passes' defaults
 * takes 0.2 s:
 *
 *	Argon2          128 MiB, 8 passes, 1 or 64 lanes  0.8 to 0.9 s
 *	Argon2i         1 MiB, 1024 passes, 64 lanes      0.5 s
 *	pbkdf2_sha256   2000000 iterations                1.1 s
 *	bcrypt          cost 14                           1.0 s
 *	SHA-512 crypt   700000 rounds, 128 bytes          0.9 s
 *	SHA-256 crypt   likewise                          1.1 s
 *	yescrypt        128 MiB                           0.3 s
 *	pbkdf2_sha1     2000000 iterations                1.1 s
 *	scrypt          128 MiB, 2 passes                 0.8 s
 *	phpass, MD5     2^19 rounds, 128 bytes, 3 times   0.8 s
 *	phpass, SHA-512 2^19 rounds, 128 bytes            0.5 s
 *	WordPress       bcrypt with cost 13, twice        1.0 s
 *	md5-crypt       1024 bytes                        0.005 s
 */
#ifndef SESSION_PASSWORD_FORMS_H
#define SESSION_PASSWORD_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PASSWORD_IS_MALFORMED "is cut short or malformed"
/* `most` is the form's bound. */
#define PASSWORD_IS_COSTLY(most) "would cost more to check than is allowed, which is " most

/* What all of these forms write their bytes in, but for two more characters. */
#define PASSWORD_BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
/* What crypt(5) and its like write them in. */
#define PASSWORD_CRYPT64 "./" PASSWORD_BASE64

/* A decimal number without sign and leading zeros, and `end` behind it; *at is past both then. */
bool password_number(const char **at, char end, uint32_t *number);

/* The number that a character is in crypt(5); -1: another character. */
int password_crypt64_digit(char c);

/* `count` such characters, the lowest six bits first. */
void password_write_crypt64(char *to, size_t count, uint32_t value);

/* The first `count` characters of `size` bytes, three to four of them, the lowest byte first. */
void password_write_crypt64_bytes(char *to, size_t count, const uint8_t *bytes, size_t size);

/*
 * Django (django.contrib.auth.hashers): "pbkdf2_sha256$ITERATIONS$SALT$BASE64", "pbkdf2_sha1$..." likewise,
 * "bcrypt_sha256$$2b$...", "bcrypt$$2b$...".
 */
const char *password_pbkdf2_problem(const char *hash);
bool password_pbkdf2_verify(const char *hash, const char *password);
const char *password_bcrypt_sha256_problem(const char *hash);
bool password_bcrypt_sha256_verify(const char *hash, const char *password);
const char *password_django_bcrypt_problem(const char *hash);
bool password_django_bcrypt_verify(const char *hash, const char *password);

/* Of "$2y$..." and its like; 0: it is malformed. */
int password_bcrypt_cost(const char *hash);

/* crypt(5): "$2y$", "$2a$" and "$2b$"; "$6$" and "$5$"; "$y$". */
const char *password_bcrypt_problem(const char *hash);
const char *password_sha_crypt_problem(const char *hash);
bool password_sha_crypt_verify(const char *hash, const char *password);
const char *password_yescrypt_problem(const char *hash);
/* Of any of them: libcrypt knows them by their prefix. */
bool password_crypt_verify(const char *hash, const char *password);

/* "$1$SALT$HASH", and "$apr1$SALT$HASH" of Apache's htpasswd -m. */
const char *password_md5_crypt_problem(const char *hash);
bool password_md5_crypt_verify(const char *hash, const char *password);

/* scrypt: "$scrypt$ln=16,r=8,p=1$SALT$HASH"; Django's "scrypt$N$SALT$R$P$BASE64"; "$7$" of crypt(5) and libsodium. */
const char *password_scrypt_problem(const char *hash);
bool password_scrypt_verify(const char *hash, const char *password);
const char *password_django_scrypt_problem(const char *hash);
bool password_django_scrypt_verify(const char *hash, const char *password);
const char *password_crypt_scrypt_problem(const char *hash);
bool password_crypt_scrypt_verify(const char *hash, const char *password);

/* phpass: "$P$" of WordPress, "$H$" of phpBB, "$S$" of Drupal 7; and "$wp$2y$..." of WordPress from 6.8 on. */
const char *password_phpass_problem(const char *hash);
bool password_phpass_verify(const char *hash, const char *password);
const char *password_wordpress_problem(const char *hash);
bool password_wordpress_verify(const char *hash, const char *password);

/* LDAP servers: "{SSHA}BASE64", {SSHA256}, {SSHA512}, and the same without salt: "{SHA}BASE64" is htpasswd -s, too. */
const char *password_ldap_problem(const char *hash);
bool password_ldap_verify(const char *hash, const char *password);

#endif

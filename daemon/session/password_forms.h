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
 *	yescrypt        128 MiB                           0.3 s
 */
#ifndef SESSION_PASSWORD_FORMS_H
#define SESSION_PASSWORD_FORMS_H

#include <stdbool.h>
#include <stdint.h>

#define PASSWORD_IS_MALFORMED "is cut short or malformed"
/* `most` is the form's bound. */
#define PASSWORD_IS_COSTLY(most) "would cost more to check than is allowed, which is " most

/* What all of these forms write their bytes in, but for two more characters. */
#define PASSWORD_BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* A decimal number without sign and leading zeros, and `end` behind it; *at is past both then. */
bool password_number(const char **at, char end, uint32_t *number);

/* Django (django.contrib.auth.hashers): "pbkdf2_sha256$ITERATIONS$SALT$BASE64" and "bcrypt_sha256$$2b$...". */
const char *password_pbkdf2_problem(const char *hash);
bool password_pbkdf2_verify(const char *hash, const char *password);
const char *password_bcrypt_sha256_problem(const char *hash);
bool password_bcrypt_sha256_verify(const char *hash, const char *password);

/* crypt(5): "$2y$", "$2a$" and "$2b$"; "$6$"; "$y$". */
const char *password_bcrypt_problem(const char *hash);
const char *password_sha512_problem(const char *hash);
bool password_sha512_verify(const char *hash, const char *password);
const char *password_yescrypt_problem(const char *hash);
/* Of any of them: libcrypt knows them by their prefix. */
bool password_crypt_verify(const char *hash, const char *password);

#endif

/*
 * Hashes that were made elsewhere. Of each form, _problem() says why its _verify() cannot work with `hash`, and is to
 * be asked first: it is what keeps a hash that is corrupt or meant to do harm from costing minutes or gigabytes.
 */
#ifndef SESSION_PASSWORD_FORMS_H
#define SESSION_PASSWORD_FORMS_H

#include <stdbool.h>
#include <stdint.h>

#define PASSWORD_IS_MALFORMED "is cut short or malformed"
#define PASSWORD_IS_COSTLY    "would cost more to check than is allowed"

/* What all of these forms write their bytes in, but for two more characters. */
#define PASSWORD_BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* A decimal number without sign and leading zeros, and `end` behind it; *at is past both then. */
bool password_number(const char **at, char end, uint32_t *number);

/* Django (django.contrib.auth.hashers): "pbkdf2_sha256$ITERATIONS$SALT$BASE64" and "bcrypt_sha256$$2b$...". */
const char *password_pbkdf2_problem(const char *hash);
bool password_pbkdf2_verify(const char *hash, const char *password);
const char *password_bcrypt_sha256_problem(const char *hash);
bool password_bcrypt_sha256_verify(const char *hash, const char *password);

/* crypt(5): "$2y$", "$2a$" and "$2b$"; "$6$"; "$y$". libcrypt knows all of them by their prefix. */
const char *password_bcrypt_problem(const char *hash);
const char *password_sha512_problem(const char *hash);
const char *password_yescrypt_problem(const char *hash);
bool password_crypt_verify(const char *hash, const char *password);

#endif

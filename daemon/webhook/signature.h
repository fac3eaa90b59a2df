/* Secrets and signatures of webhooks, as Standard Webhooks 1.0.0 has them (https://www.standardwebhooks.com). */
#ifndef WEBHOOK_SIGNATURE_H
#define WEBHOOK_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "whsec_" and 32 bytes in base64. */
#define WEBHOOK_SECRET_SIZE 51
/* "v1," and HMAC-SHA256 in base64. */
#define WEBHOOK_SIGNATURE_SIZE 48

void webhook_secret_make(char secret[WEBHOOK_SECRET_SIZE]);

/* Sign "ID.TIMESTAMP.BODY". False when the secret is none. */
bool webhook_sign(const char *secret, const char *id, int64_t timestamp_s, const char *body, size_t size,
                  char signature[WEBHOOK_SIGNATURE_SIZE]);

#endif

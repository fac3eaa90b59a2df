/* Secrets and signatures of webhooks. */
#include "webhook/signature.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PREFIX       "whsec_"
#define SECRET_BYTES 32
/* As the specification bounds it. */
#define SECRET_BYTES_MIN 24
#define SECRET_BYTES_MAX 64

void webhook_secret_make(char secret[WEBHOOK_SECRET_SIZE])
{
	unsigned char bytes[SECRET_BYTES];
	const size_t length = strlen(PREFIX);

	randombytes_buf(bytes, sizeof bytes);
	memcpy(secret, PREFIX, length);
	(void)sodium_bin2base64(secret + length, WEBHOOK_SECRET_SIZE - length, bytes, sizeof bytes,
	                        sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(bytes, sizeof bytes);
}

/* Returns its length, 0 when it is none. */
static size_t decode(const char *secret, unsigned char bytes[SECRET_BYTES_MAX])
{
	const size_t length = strlen(PREFIX);
	size_t size;

	if (strncmp(secret, PREFIX, length) != 0 ||
	    sodium_base642bin(bytes, SECRET_BYTES_MAX, secret + length, strlen(secret + length), NULL, &size, NULL,
	                      sodium_base64_VARIANT_ORIGINAL) != 0)
		return 0;
	return size >= SECRET_BYTES_MIN ? size : 0;
}

bool webhook_sign(const char *secret, const char *id, int64_t timestamp_s, const char *body, size_t size,
                  char signature[WEBHOOK_SIGNATURE_SIZE])
{
	unsigned char key[SECRET_BYTES_MAX], mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;
	size_t key_size = decode(secret, key);
	char timestamp[24];

	if (key_size == 0)
		return false;
	(void)snprintf(timestamp, sizeof timestamp, ".%lld.", (long long)timestamp_s);
	(void)crypto_auth_hmacsha256_init(&state, key, key_size);
	(void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)id, strlen(id));
	(void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)timestamp, strlen(timestamp));
	(void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, size);
	(void)crypto_auth_hmacsha256_final(&state, mac);
	memcpy(signature, "v1,", 3);
	(void)sodium_bin2base64(signature + 3, WEBHOOK_SIGNATURE_SIZE - 3, mac, sizeof mac,
	                        sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(key, sizeof key);
	sodium_memzero(&state, sizeof state);
	return true;
}

/* The rank of a login among those that want their passwords hashed. */
#include "api/login_rank.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#define LEVELS 4
/* A network has the rank of one of its parts when it has made so many times the attempts. */
#define NETWORK_STEP 4

struct subject {
	char kind; /* 'a': an account's name; '4', '6': so many bits of an address */
	uint8_t bits;
	uint8_t bytes[16];
};

uint32_t login_rank_of_address(struct rates *rates, const char *ip, int64_t now_ms)
{
	static const uint8_t bits4[LEVELS] = {32, 24, 16, 8}, bits6[LEVELS] = {64, 56, 48, 32};
	struct subject subject = {.kind = '4'};
	uint32_t highest = 0, divisor = 1;
	bool is_v4 = inet_pton(AF_INET, ip, subject.bytes) == 1;

	if (!is_v4 && inet_pton(AF_INET6, ip, subject.bytes) != 1)
		return 0;
	if (!is_v4)
		subject.kind = '6';
	for (size_t level = 0; level < LEVELS; level++, divisor *= NETWORK_STEP) {
		uint32_t count;

		subject.bits = is_v4 ? bits4[level] : bits6[level];
		memset(subject.bytes + subject.bits / 8, 0, sizeof subject.bytes - subject.bits / 8);
		count = rates_count(rates, &subject, sizeof subject, now_ms) / divisor;
		if (count > highest)
			highest = count;
	}
	return highest;
}

/* Only ASCII is folded: names that the database takes for the same one may have ranks of their own. */
uint32_t login_rank_of_name(struct rates *rates, const char *username, int64_t now_ms)
{
	char name[257] = "a";
	size_t length = strlen(username);

	if (length > sizeof name - 1)
		length = sizeof name - 1;
	for (size_t i = 0; i < length; i++) {
		char byte = username[i];

		name[1 + i] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
	}
	return rates_count(rates, name, 1 + length, now_ms);
}

uint32_t login_rank_of_browser(struct rates *rates, const struct session_key *browser, int64_t now_ms)
{
	return rates_count(rates, browser->bytes, sizeof browser->bytes, now_ms);
}

#include "base/networks.h"

#include "base/units.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

struct network {
	struct in6_addr address;
	unsigned int prefix;
};

struct networks {
	struct network *all;
	unsigned int count;
};

struct in6_addr networks_map_v4(const struct in_addr *v4)
{
	struct in6_addr v6 = {0};

	v6.s6_addr[10] = v6.s6_addr[11] = 0xff;
	memcpy(&v6.s6_addr[12], v4, sizeof *v4);
	return v6;
}

static bool parse_address(const char *text, struct in6_addr *address, bool *is_v4)
{
	struct in_addr v4;

	*is_v4 = inet_pton(AF_INET, text, &v4) == 1;
	if (*is_v4)
		*address = networks_map_v4(&v4);
	return *is_v4 || inet_pton(AF_INET6, text, address) == 1;
}

static bool parse_network(char *text, struct network *network)
{
	char *slash = strchr(text, '/');
	int64_t prefix = -1;
	bool is_v4;

	if (slash != NULL) {
		*slash = '\0';
		if (units_parse_number(slash + 1, &prefix) != 0)
			return false;
	}
	if (!parse_address(text, &network->address, &is_v4) || prefix > (is_v4 ? 32 : 128))
		return false;
	network->prefix = prefix < 0 ? 128 : (unsigned int)prefix + (is_v4 ? 96 : 0);
	return true;
}

struct networks *networks_parse(TALLOC_CTX *ctx, const char *text, const char **wrong)
{
	struct networks *networks = talloc_zero(ctx, struct networks);
	char *list = talloc_strdup(networks, text);
	char *word;

	*wrong = NULL;
	if (networks == NULL || list == NULL)
		return NULL;
	while ((word = strsep(&list, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		networks->all = talloc_realloc(networks, networks->all, struct network, networks->count + 1);
		if (networks->all == NULL)
			return NULL;
		*wrong = talloc_strdup(ctx, word);
		if (*wrong == NULL || !parse_network(word, &networks->all[networks->count++]))
			return NULL;
	}
	*wrong = NULL;
	return networks;
}

static bool is_within(const struct in6_addr *address, const struct network *network)
{
	unsigned int whole = network->prefix / 8;
	unsigned int rest = network->prefix % 8;

	/* ::/0 means every IPv6 address, and no IPv4 address in the form that IPv6 has for it. */
	if (IN6_IS_ADDR_V4MAPPED(address) && network->prefix < 96)
		return false;
	if (memcmp(address, &network->address, whole) != 0)
		return false;
	return rest == 0 || (address->s6_addr[whole] ^ network->address.s6_addr[whole]) >> (8 - rest) == 0;
}

bool networks_have(const struct networks *networks, const struct in6_addr *address)
{
	for (unsigned int i = 0; i < networks->count; i++) {
		if (is_within(address, &networks->all[i]))
			return true;
	}
	return false;
}

bool networks_have_text(const struct networks *networks, const char *address)
{
	struct in6_addr parsed;
	bool is_v4;

	return parse_address(address, &parsed, &is_v4) && networks_have(networks, &parsed);
}

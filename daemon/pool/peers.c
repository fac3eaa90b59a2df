#include "pool/peers.h"

#include "base/units.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* IPv4 addresses are kept as ::ffff:a.b.c.d, the form in which an IPv6 socket reports them. */
struct network {
	struct in6_addr address;
	unsigned int prefix;
};

struct peer_rules {
	struct network *networks;
	unsigned int network_count;
	uid_t *users;
	unsigned int user_count;
};

static void map_v4(const struct in_addr *v4, struct in6_addr *v6)
{
	*v6 = (struct in6_addr){0};
	v6->s6_addr[10] = v6->s6_addr[11] = 0xff;
	memcpy(&v6->s6_addr[12], v4, sizeof *v4);
}

static bool parse_network(char *text, struct network *network)
{
	char *slash = strchr(text, '/');
	int64_t prefix = -1;
	struct in_addr v4;
	bool is_v4;

	if (slash != NULL) {
		*slash = '\0';
		if (units_parse_number(slash + 1, &prefix) != 0)
			return false;
	}
	is_v4 = inet_pton(AF_INET, text, &v4) == 1;
	if (is_v4)
		map_v4(&v4, &network->address);
	else if (inet_pton(AF_INET6, text, &network->address) != 1)
		return false;
	if (prefix > (is_v4 ? 32 : 128))
		return false;
	network->prefix = prefix < 0 ? 128 : (unsigned int)prefix + (is_v4 ? 96 : 0);
	return true;
}

static bool parse_user(const char *text, uid_t *user)
{
	const struct passwd *entry = getpwnam(text);
	int64_t number;

	if (entry != NULL) {
		*user = entry->pw_uid;
		return true;
	}
	if (units_parse_number(text, &number) != 0 || number > UINT32_MAX)
		return false;
	*user = (uid_t)number;
	return true;
}

struct peer_rules *peer_rules_new(TALLOC_CTX *ctx, const char *clients, const char *users, const char **problem)
{
	struct peer_rules *rules = talloc_zero(ctx, struct peer_rules);
	char *client_list = talloc_strdup(ctx, clients);
	char *user_list = talloc_strdup(ctx, users);
	char *word;

	*problem = "out of memory";
	if (rules == NULL || client_list == NULL || user_list == NULL)
		return NULL;
	while ((word = strsep(&client_list, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		rules->networks = talloc_realloc(rules, rules->networks, struct network, rules->network_count + 1);
		if (rules->networks == NULL)
			return NULL;
		*problem = talloc_asprintf(
			ctx, "server.allowed_clients: \"%s\" is no IP address with an optional /prefix", word);
		if (!parse_network(word, &rules->networks[rules->network_count++]))
			return NULL;
	}
	while ((word = strsep(&user_list, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		rules->users = talloc_realloc(rules, rules->users, uid_t, rules->user_count + 1);
		if (rules->users == NULL)
			return NULL;
		*problem = talloc_asprintf(ctx, "server.allowed_users: there is no user \"%s\"", word);
		if (!parse_user(word, &rules->users[rules->user_count++]))
			return NULL;
	}
	return rules;
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

static bool is_client_allowed(const struct peer_rules *rules, const struct in6_addr *address)
{
	for (unsigned int i = 0; i < rules->network_count; i++) {
		if (is_within(address, &rules->networks[i]))
			return true;
	}
	return false;
}

static bool is_user_allowed(const struct peer_rules *rules, int fd)
{
	struct ucred credentials;
	socklen_t size = sizeof credentials;

	if (rules->user_count == 0)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
		return false;
	for (unsigned int i = 0; i < rules->user_count; i++) {
		if (rules->users[i] == credentials.uid)
			return true;
	}
	return false;
}

bool peer_is_allowed(const struct peer_rules *rules, int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage room;
	} peer = {0};
	socklen_t size = sizeof peer;
	struct in6_addr address;

	if (getpeername(fd, &peer.any, &size) != 0)
		return false;
	switch (peer.any.sa_family) {
	case AF_UNIX: return is_user_allowed(rules, fd);
	case AF_INET: map_v4(&peer.v4.sin_addr, &address); return is_client_allowed(rules, &address);
	case AF_INET6: return is_client_allowed(rules, &peer.v6.sin6_addr);
	default: return false;
	}
}

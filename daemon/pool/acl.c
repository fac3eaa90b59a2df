/* Which peers may connect. */
#include "pool/acl.h"

#include "base/networks.h"
#include "base/units.h"

#include <netinet/in.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct acl {
	struct networks *clients;
	uid_t *users;
	unsigned int user_count;
};

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

static int parse_users(struct acl *rules, char *list, struct problem *problem)
{
	const char *word;

	while ((word = strsep(&list, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		rules->users = talloc_realloc(rules, rules->users, uid_t, rules->user_count + 1);
		if (rules->users == NULL)
			return problem_set(problem, "out of memory");
		if (!parse_user(word, &rules->users[rules->user_count++]))
			return problem_set(problem, "server.allowed_users: there is no user \"%s\"", word);
	}
	return 0;
}

struct acl *acl_new(TALLOC_CTX *ctx, const char *clients, const char *users, struct problem *problem)
{
	struct acl *rules = talloc_zero(ctx, struct acl);
	char *list = rules != NULL ? talloc_strdup(rules, users) : NULL;
	const char *wrong = NULL;

	if (rules == NULL || list == NULL) {
		(void)problem_set(problem, "out of memory");
		goto fail;
	}
	rules->clients = networks_parse(rules, clients, &wrong);
	if (rules->clients == NULL && wrong != NULL)
		(void)problem_set(problem, "server.allowed_clients: \"%s\" is no IP address with an optional /prefix",
		                  wrong);
	else if (rules->clients == NULL)
		(void)problem_set(problem, "out of memory");
	if (rules->clients == NULL || parse_users(rules, list, problem) != 0)
		goto fail;
	return rules;
fail:
	talloc_free(rules);
	return NULL;
}

static bool is_user_allowed(const struct acl *rules, int fd)
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

bool acl_allows(const struct acl *rules, int fd, const struct sockaddr_storage *address)
{
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;

	switch (address->ss_family) {
	case AF_UNIX: return is_user_allowed(rules, fd);
	case AF_INET:
		memcpy(&v4, address, sizeof v4);
		v6.sin6_addr = networks_map_v4(&v4.sin_addr);
		return networks_have(rules->clients, &v6.sin6_addr);
	case AF_INET6: memcpy(&v6, address, sizeof v6); return networks_have(rules->clients, &v6.sin6_addr);
	default: return false;
	}
}

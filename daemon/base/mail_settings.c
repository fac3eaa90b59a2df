/* The options of [mail] that are more than a word. */
#include "base/mail_settings.h"

#include "base/units.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- mail.server --------------------------------------------------------------------------------------------- */

#define PORT_SMTP  25
#define PORT_SMTPS 465

static bool is_host_name(const char *host)
{
	for (const char *at = host; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && strchr("-._", *at) == NULL)
			return false;
	}
	return host[0] != '\0' && host[0] != '.' && host[0] != '-';
}

static bool is_bracketed_address(const char *host)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[sizeof(struct in6_addr)];
	size_t length = strlen(host);

	if (length < 4 || length - 2 >= sizeof text || host[0] != '[' || host[length - 1] != ']')
		return false;
	memcpy(text, host + 1, length - 2);
	text[length - 2] = '\0';
	return inet_pton(AF_INET6, text, address) == 1;
}

/* An address, or the name that each machine has for its own; other names may lead anywhere. */
static bool is_loopback(const char *host)
{
	struct in_addr address;

	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

/* What is behind smtp:// or smtps://. */
static const char *parse_host(const char *text, struct mail_server *server)
{
	static const char form[] = "smtp://HOST[:PORT] or smtps://HOST[:PORT] with a host's name or address ([::1])";
	const char *end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":");
	int64_t port;
	size_t length;

	if (strchr(text, '@') != NULL)
		return "smtp://HOST[:PORT] without a user, who belongs into mail.user, with mail.password_file";
	if (end == NULL)
		return form;
	length = (size_t)(end - text) + (text[0] == '[' ? 1 : 0);
	if (length >= sizeof server->host)
		return form;
	memcpy(server->host, text, length);
	server->host[length] = '\0';
	if (!is_host_name(server->host) && !is_bracketed_address(server->host))
		return form;
	text += length;
	if (text[0] == ':') {
		if (units_parse_number(text + 1, &port) != 0 || port < 1 || port > 65535)
			return form;
		server->port = (int)port;
	} else if (text[0] != '\0') {
		return form;
	}
	server->is_loopback = is_loopback(server->host);
	return NULL;
}

const char *mail_server_parse(const char *text, struct mail_server *server)
{
	*server = (struct mail_server){.transport = MAIL_TRANSPORT_OFF};
	if (text[0] == '\0')
		return NULL;
	if (strncmp(text, "sendmail:", 9) == 0) {
		server->transport = MAIL_TRANSPORT_SENDMAIL;
		server->program = text + 9;
		return server->program[0] == '/' ? NULL : "sendmail: with the program's absolute path behind it";
	}
	if (strncmp(text, "smtps://", 8) == 0) {
		server->transport = MAIL_TRANSPORT_SMTPS;
		server->port = PORT_SMTPS;
		return parse_host(text + 8, server);
	}
	if (strncmp(text, "smtp://", 7) == 0) {
		server->transport = MAIL_TRANSPORT_SMTP;
		server->port = PORT_SMTP;
		return parse_host(text + 7, server);
	}
	return "smtp://HOST[:PORT], smtps://HOST[:PORT], sendmail:/PATH, or nothing: then no mail is sent";
}

/* ---- mail.from ----------------------------------------------------------------------------------------------- */

/* What goes into an envelope as it is: no quoting, no comments, ASCII. */
static bool is_plain_address(const char *address)
{
	const char *at = strrchr(address, '@');

	if (at == NULL || at == address || at - address > EMAIL_LOCAL_MAX || strchr(address, '@') != at ||
	    !is_host_name(at + 1))
		return false;
	for (const char *c = address; *c != '\0'; c++) {
		if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || strchr("()<>,;:\\\"[]", *c) != NULL)
			return false;
	}
	return true;
}

/* Copies what is between the two without the spaces around it. False: there is no room for it. */
static bool copy_trimmed(const char *begin, const char *end, char *to, size_t size)
{
	while (begin < end && *begin == ' ')
		begin++;
	while (end > begin && end[-1] == ' ')
		end--;
	if ((size_t)(end - begin) >= size)
		return false;
	memcpy(to, begin, (size_t)(end - begin));
	to[end - begin] = '\0';
	return true;
}

const char *mail_from_parse(const char *text, struct mail_from *from)
{
	static const char form[] = "an address such as noreply@example.org, or Example <noreply@example.org>";
	const char *open = strrchr(text, '<');
	size_t length = strlen(text);

	*from = (struct mail_from){.name = ""};
	if (text[0] == '\0')
		return NULL;
	if (open == NULL) {
		if (!copy_trimmed(text, text + length, from->address, sizeof from->address))
			return form;
	} else if (text[length - 1] != '>' ||
	           !copy_trimmed(open + 1, text + length - 1, from->address, sizeof from->address) ||
	           !copy_trimmed(text, open, from->name, sizeof from->name) || !utf8_is_printable(from->name)) {
		return form;
	}
	return is_plain_address(from->address) ? NULL : form;
}

/* ---- The others ---------------------------------------------------------------------------------------------- */

const char *mail_site_url_problem(const char *text)
{
	static const char form[] =
		"http://HOST[:PORT] or https://HOST[:PORT], without a slash or anything else behind it";
	struct mail_server host;

	if (text[0] == '\0')
		return NULL;
	if (strncmp(text, "https://", 8) == 0)
		text += 8;
	else if (strncmp(text, "http://", 7) == 0)
		text += 7;
	else
		return form;
	return parse_host(text, &host) == NULL ? NULL : form;
}

const char *mail_rate_parse(const char *text, int64_t *count, int64_t *window_ms)
{
	static const char form[] = "a number from 1 to 1000000 and s, m, h or d, such as 5/h, or 0 for no limit";
	const char *slash = strchr(text, '/');
	char number[8] = "", one[8] = "1";

	*count = *window_ms = 0;
	if (strcmp(text, "0") == 0)
		return NULL;
	if (slash == NULL || strlen(slash) != 2 || strchr("smhd", slash[1]) == NULL ||
	    (size_t)(slash - text) >= sizeof number)
		return form;
	memcpy(number, text, (size_t)(slash - text));
	one[1] = slash[1];
	if (units_parse_number(number, count) != 0 || *count < 1 || *count > 1000000 ||
	    units_parse_duration(one, window_ms) != 0)
		return form;
	return NULL;
}

/* The options of [mail] that are more than a word: where mail goes, whom it is from, where its links lead. */
#ifndef BASE_MAIL_SETTINGS_H
#define BASE_MAIL_SETTINGS_H

#include "base/email.h"

#include <stdbool.h>
#include <stdint.h>

enum mail_transport {
	MAIL_TRANSPORT_OFF,
	MAIL_TRANSPORT_SMTP,  /* RFC 5321, with STARTTLS (RFC 3207) as mail.tls says */
	MAIL_TRANSPORT_SMTPS, /* TLS from the beginning (RFC 8314, 3.3) */
	MAIL_TRANSPORT_SENDMAIL,
};

#define MAIL_HOST_SIZE 256

struct mail_server {
	enum mail_transport transport;
	char host[MAIL_HOST_SIZE]; /* a name or an address; an IPv6 one in brackets */
	int port;
	bool is_loopback;
	const char *program; /* of sendmail: its path, within the text that was read */
};

/* What is wrong with mail.server, as what would be right; NULL: nothing, and *server is filled in. */
const char *mail_server_parse(const char *text, struct mail_server *server);

#define MAIL_NAME_SIZE 128

struct mail_from {
	char name[MAIL_NAME_SIZE]; /* "": there is none */
	char address[EMAIL_SIZE];
};

/* The same for mail.from, ADDRESS or NAME <ADDRESS>. */
const char *mail_from_parse(const char *text, struct mail_from *from);

/* The same for mail.site_url: http or https, a host, perhaps a port, and nothing behind them. */
const char *mail_site_url_problem(const char *text);

/* The same for "5/h", a number for each s, m, h or d; 0: no limit, and *window_ms is 0. */
const char *mail_rate_parse(const char *text, int64_t *count, int64_t *window_ms);

#endif

/* Sending mails, by SMTP or by a program. */
#include "mail/sender.h"

#include "mail/program.h"
#include "mail/smtp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_SIZE 512

/* The first line of the file. NULL, or what is wrong. */
static const char *read_password(TALLOC_CTX *ctx, const char *path, const char **password)
{
	FILE *file = fopen(path, "re");
	char line[PASSWORD_SIZE];
	bool is_read;

	if (file == NULL)
		return talloc_asprintf(ctx, "mail.password_file: %s: %s", path, strerror(errno));
	/* No copy in a buffer of its own. */
	(void)setvbuf(file, NULL, _IONBF, 0);
	is_read = fgets(line, sizeof line, file) != NULL;
	(void)fclose(file);
	line[is_read ? strcspn(line, "\r\n") : 0] = '\0';
	if (line[0] == '\0' || strlen(line) == sizeof line - 1)
		return talloc_asprintf(ctx, "mail.password_file: %s: its first line is no password", path);
	*password = talloc_strdup(ctx, line);
	explicit_bzero(line, sizeof line);
	return *password != NULL ? NULL : "out of memory";
}

/* A host's name is wanted; a site at an address calls itself what mail is from. */
static const char *hello_of(TALLOC_CTX *ctx, const struct settings *settings, const struct mail_from *from)
{
	const char *host = strstr(settings->mail.site_url, "://");
	size_t length = host != NULL ? strcspn(host + 3, ":/") : 0;

	if (length == 0 || host[3] == '[' || strspn(host + 3, "0123456789.") == length)
		return talloc_strdup(ctx, strrchr(from->address, '@') + 1);
	return talloc_strndup(ctx, host + 3, length);
}

const char *mail_setup_load(TALLOC_CTX *ctx, const struct settings *settings, struct mail_setup *setup)
{
	const char *problem = NULL;

	*setup = (struct mail_setup){
		.tls = settings->mail.tls,
		.ca_file = settings->mail.ca_file,
		.user = settings->mail.user,
		.password = "",
		.program = -1,
		.timeout_ms = settings->mail.timeout,
	};
	/* They were looked at when they were read. */
	(void)mail_server_parse(settings->mail.server, &setup->server);
	(void)mail_from_parse(settings->mail.from, &setup->from);
	if (setup->server.transport == MAIL_TRANSPORT_OFF)
		return "mail.server is empty: no mail is sent";
	if (setup->server.transport == MAIL_TRANSPORT_SENDMAIL && access(setup->server.program, X_OK) != 0)
		return talloc_asprintf(ctx, "mail.server: %s: %s", setup->server.program, strerror(errno));
	if (setup->ca_file[0] != '\0' && access(setup->ca_file, R_OK) != 0)
		return talloc_asprintf(ctx, "mail.ca_file: %s: %s", setup->ca_file, strerror(errno));
	if (setup->from.name[0] == '\0')
		(void)snprintf(setup->from.name, sizeof setup->from.name, "%s", settings->login.site_name);
	if (setup->user[0] != '\0')
		problem = read_password(ctx, settings->mail.password_file, &setup->password);
	setup->hello = hello_of(ctx, settings, &setup->from);
	return problem == NULL && setup->hello == NULL ? "out of memory" : problem;
}

void mail_setup_forget(struct mail_setup *setup)
{
	/* It is a copy, and nobody else's. */
	explicit_bzero((char *)(uintptr_t)setup->password, strlen(setup->password));
	setup->password = "";
}

struct mail_sender {
	struct mail_smtp *smtp;       /* one of the two */
	struct mail_program *program; /* is there */
	size_t under_way;
};

struct mail_sender *mail_sender_new(TALLOC_CTX *ctx, const struct mail_setup *setup)
{
	struct mail_sender *sender = talloc_zero(ctx, struct mail_sender);

	if (sender == NULL)
		return NULL;
	if (setup->server.transport == MAIL_TRANSPORT_SENDMAIL)
		sender->program = mail_program_new(sender, setup);
	else
		sender->smtp = mail_smtp_new(sender, setup);
	if (sender->smtp == NULL && sender->program == NULL)
		TALLOC_FREE(sender);
	return sender;
}

size_t mail_sender_room(const struct mail_sender *sender)
{
	return MAIL_AT_ONCE - sender->under_way;
}

bool mail_sender_begin(struct mail_sender *sender, const struct mail_envelope *envelope)
{
	bool has_begun = sender->smtp != NULL ? mail_smtp_begin(sender->smtp, envelope)
	                                      : mail_program_begin(sender->program, envelope);

	sender->under_way += has_begun ? 1 : 0;
	return has_begun;
}

bool mail_sender_step(struct mail_sender *sender, int wait_ms, void **ended, struct mail_result *result)
{
	bool has_ended = sender->smtp != NULL ? mail_smtp_step(sender->smtp, wait_ms, ended, result)
	                                      : mail_program_step(sender->program, wait_ms, ended, result);

	sender->under_way -= has_ended ? 1 : 0;
	return has_ended;
}

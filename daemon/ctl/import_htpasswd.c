/* onesessionctl import htpasswd: the accounts of a web server's password file. */
#include "ctl/import.h"

#include "session/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name and a hash at their longest, with room to spare. */
#define LINE_SIZE 4096

enum line { LINE_READ, LINE_TOO_LONG, LINE_HAS_NUL, LINE_NONE };

/* One line without its end. Of one that is too long, the rest is passed over. */
static enum line read_line(FILE *file, char text[LINE_SIZE])
{
	enum line line = LINE_READ;
	size_t length = 0;
	int c;

	while ((c = getc(file)) != EOF && c != '\n') {
		if (length == LINE_SIZE - 1) {
			line = LINE_TOO_LONG;
			continue;
		}
		if (c == '\0')
			line = LINE_HAS_NUL;
		text[length++] = (char)c;
	}
	if (c == EOF && length == 0)
		return LINE_NONE;
	while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL && text[length - 1] != '\0')
		length--;
	text[length] = '\0';
	return line;
}

/* "NAME:HASH", and behind another colon whatever the file's owner likes, as web servers read it. */
static int take_htpasswd_line(struct import *import, TALLOC_CTX *scratch, const char *place, int64_t number,
                              const char *text)
{
	const char *colon = strchr(text, ':');
	struct users_import account = {.is_active = true};
	const char *where;

	if (colon == NULL) {
		import_refuse_line(import, place, "there is no colon behind the name");
		return EXIT_SUCCESS;
	}
	account.username = talloc_strndup(scratch, text, (size_t)(colon - text));
	account.password = talloc_strndup(scratch, colon + 1, strcspn(colon + 1, ":"));
	if (account.username == NULL || account.password == NULL)
		return fail("out of memory");
	/* What is no name may be anything else, a password even. */
	where = users_name_problem(account.username) == NULL
	                ? talloc_asprintf(scratch, "%s: %s", place, account.username)
	                : place;
	if (where == NULL)
		return fail("out of memory");
	return import_take(import, where, number, &account, import_hash_problem(import, account.password));
}

static int take_line(struct import *import, const char *name, int64_t number, enum line line, const char *text)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	TALLOC_CTX *scratch = talloc_new(import);
	const char *place = talloc_asprintf(scratch, "%s:%lld", name, (long long)number);
	int result = EXIT_SUCCESS;

	if (number == 1 && strncmp(text, byte_order_mark, strlen(byte_order_mark)) == 0)
		text += strlen(byte_order_mark);
	if (place == NULL)
		result = fail("out of memory");
	else if (line == LINE_TOO_LONG)
		import_refuse_line(import, place, "the line is too long");
	else if (line == LINE_HAS_NUL)
		import_refuse_line(import, place, "there is a NUL byte in the line");
	else if (text[0] != '\0' && text[0] != '#')
		result = take_htpasswd_line(import, scratch, place, number, text);
	talloc_free(scratch);
	return result;
}

static int read_htpasswd(struct import *import, FILE *file, const char *name)
{
	char text[LINE_SIZE];
	int result = EXIT_SUCCESS;
	enum line line;

	for (int64_t number = 1; result == EXIT_SUCCESS && (line = read_line(file, text)) != LINE_NONE; number++)
		result = take_line(import, name, number, line, text);
	if (result == EXIT_SUCCESS && ferror(file)) {
		import_clear_progress(import);
		result = fail("cannot read %s: %s", name, strerror(errno));
	}
	return result;
}

int command_import_htpasswd(struct ctl *ctl)
{
	bool is_stdin = strcmp(ctl->operand, "-") == 0;
	struct import *import = import_begin(ctl, "htpasswd", true);
	FILE *file;
	int result;

	if (import == NULL)
		return fail("out of memory");
	file = is_stdin ? stdin : fopen(ctl->operand, "re");
	if (file == NULL)
		return fail("cannot open %s: %s", ctl->operand, strerror(errno));
	result = import_end(import, read_htpasswd(import, file, is_stdin ? "standard input" : ctl->operand));
	if (!is_stdin)
		(void)fclose(file);
	return result;
}

#include "http/page.h"

#include <string.h>

/* One file, as the assembler includes it; the path is seen from the project's top folder, where the build runs. */
#define PAGE_FILE(symbol, path)                                                                                        \
	__asm__(".pushsection .rodata\n" #symbol ":\n.incbin \"" path "\"\n.byte 0\n.popsection\n");                   \
	extern const char symbol[]

PAGE_FILE(page_account, "handlers/pages/account.html");
PAGE_FILE(page_error, "handlers/pages/error.html");
PAGE_FILE(page_login, "handlers/pages/login.html");
PAGE_FILE(page_style, "handlers/pages/style.css");

const char *page_find(const char *name)
{
	static const struct ones_text files[] = {
		{"account.html", page_account},
		{"error.html", page_error},
		{"login.html", page_login},
		{"style.css", page_style},
	};

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (strcmp(files[i].name, name) == 0)
			return files[i].value;
	}
	return NULL;
}

struct output {
	char *text;
	size_t used;
	size_t size;
};

static bool put(struct output *output, const char *text, size_t size)
{
	if (output->used + size + 1 > output->size) {
		size_t grown_size = 2 * (output->used + size + 1);
		char *grown = talloc_realloc_size(NULL, output->text, grown_size);

		if (grown == NULL)
			return false;
		output->text = grown;
		output->size = grown_size;
	}
	memcpy(output->text + output->used, text, size);
	output->used += size;
	output->text[output->used] = '\0';
	return true;
}

static bool put_escaped(struct output *output, const char *text)
{
	for (; *text != '\0'; text++) {
		const char *entity = NULL;

		switch (*text) {
		case '&': entity = "&amp;"; break;
		case '<': entity = "&lt;"; break;
		case '>': entity = "&gt;"; break;
		case '"': entity = "&quot;"; break;
		case '\'': entity = "&#39;"; break;
		default: break;
		}
		if (!(entity != NULL ? put(output, entity, strlen(entity)) : put(output, text, 1)))
			return false;
	}
	return true;
}

static const char *value_of(const struct ones_text *texts, const char *name, size_t length)
{
	for (; texts->name != NULL; texts++) {
		if (strlen(texts->name) == length && strncmp(texts->name, name, length) == 0)
			return texts->value != NULL ? texts->value : "";
	}
	return "";
}

char *page_render(TALLOC_CTX *ctx, const char *page, const struct ones_text *texts, size_t *size)
{
	struct output output = {.text = talloc_size(ctx, strlen(page) + 1), .size = strlen(page) + 1};
	const char *at = page;
	const char *open, *close;

	if (output.text == NULL)
		return NULL;
	while ((open = strstr(at, "{{")) != NULL && (close = strstr(open, "}}")) != NULL) {
		if (!put(&output, at, (size_t)(open - at)) ||
		    !put_escaped(&output, value_of(texts, open + 2, (size_t)(close - open) - 2)))
			goto fail;
		at = close + 2;
	}
	if (!put(&output, at, strlen(at)))
		goto fail;
	*size = output.used;
	return output.text;
fail:
	talloc_free(output.text);
	return NULL;
}

#include "base/links.h"

#include "base/utf8.h"

#include <ctype.h>
#include <string.h>

#define BLANK " \t"

static const char form[] = "links separated by commas, each a label and then an address without spaces: "
			   "Privacy policy /privacy, Help https://help.example.org/";
static const char address_form[] =
	"a list whose addresses are paths of this site (such as /privacy), https://, http:// or "
	"mailto: addresses, in ASCII with all else percent-encoded";

/*
 * The host alone: what stands before an @ looks like one. What may follow it is a port, path, query or fragment.
 */
static bool is_authority(const char *text)
{
	size_t length = strcspn(text, "/?#");

	if (length == 0 || (!isalnum((unsigned char)text[0]) && text[0] != '['))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && strchr("-._:[]", text[i]) == NULL)
			return false;
	}
	return true;
}

/* Where a script could be, or another site in the disguise of a path, nothing is let through that is not named here. */
static bool is_address(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || strchr("\"'<>\\^`{|}", *at) != NULL)
			return false;
	}
	if (strncmp(text, "https://", 8) == 0)
		return is_authority(text + 8);
	if (strncmp(text, "http://", 7) == 0)
		return is_authority(text + 7);
	if (strncmp(text, "mailto:", 7) == 0)
		return text[7] != '@' && strchr(text + 7, '@') != NULL;
	return text[0] == '/' && text[1] != '/';
}

static bool add(struct links *links, const char *label, const char *address)
{
	struct link *grown = talloc_realloc(links, links->all, struct link, (unsigned)links->count + 1);

	if (grown == NULL)
		return false;
	links->all = grown;
	links->all[links->count++] = (struct link){label, address};
	return true;
}

/* Takes `item` apart, which lasts as long as the links. */
static bool read_link(struct links *links, char *item, const char **expected)
{
	size_t size = strlen(item);
	char *address;

	while (size > 0 && strchr(BLANK, item[size - 1]) != NULL)
		item[--size] = '\0';
	for (address = item + size; address > item && strchr(BLANK, address[-1]) == NULL;)
		address--;
	*expected = form;
	if (address == item)
		return false;
	for (char *end = address; end > item && strchr(BLANK, end[-1]) != NULL;)
		*--end = '\0';
	if (*item == '\0' || !utf8_is_valid(item))
		return false;
	*expected = address_form;
	if (!is_address(address))
		return false;
	*expected = NULL;
	return add(links, item, address);
}

struct links *links_parse(TALLOC_CTX *ctx, const char *text, const char **expected)
{
	struct links *links = talloc_zero(ctx, struct links);
	char *rest = links != NULL ? talloc_strdup(links, text + strspn(text, BLANK)) : NULL;
	char *item;

	*expected = NULL;
	if (rest == NULL)
		goto failed;
	if (*rest == '\0')
		return links;
	while ((item = strsep(&rest, ",")) != NULL) {
		if (!read_link(links, item + strspn(item, BLANK), expected))
			goto failed;
	}
	return links;
failed:
	talloc_free(links);
	return NULL;
}

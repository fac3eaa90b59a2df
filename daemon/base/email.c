/* E-mail addresses: parsing, the form that is stored, and the form that is shown. */
#include "base/email.h"

#include "base/utf8.h"

#include <idn2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>

#define DOMAIN_MAX 253 /* characters of a name in text (RFC 1035, 2.3.4: 255 octets on the wire) */
#define LABEL_MAX  63
/* Far more than any address has: libraries are not given text of any length. */
#define TYPED_MAX 1024

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"

/* What is neither a letter, a mark, a digit, punctuation nor a symbol is unseen, or has no meaning yet. */
static bool is_visible(ucs4_t character)
{
	static const uint32_t visible =
		UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N | UC_CATEGORY_MASK_P | UC_CATEGORY_MASK_S;

	return uc_is_general_category_withtable(character, visible);
}

/* atext of RFC 5322 (3.2.3), with what RFC 6531 (3.3) adds to it. */
static bool is_atext(ucs4_t character)
{
	if (character >= 0x80)
		return is_visible(character);
	return character > ' ' && character < 0x7f && strchr("()<>[]:;@\\,.\"", (int)character) == NULL;
}

/* The mapping of UTS #46 leaves characters out that cannot be seen: another domain than the one that was given. */
static bool has_visible_text(const char *text)
{
	ucs4_t character;
	size_t size;

	while ((size = utf8_character(text, &character)) > 0 && is_visible(character))
		text += size;
	return *text == '\0';
}

/* Dot-string (RFC 5321, 4.1.2). */
static bool is_local_part(const char *local)
{
	ucs4_t character, before = '.';
	size_t size;

	for (; (size = utf8_character(local, &character)) > 0; local += size) {
		if (character == '.' ? before == '.' : !is_atext(character))
			return false;
		before = character;
	}
	return *local == '\0' && before != '.';
}

static bool is_label(const char *label, size_t length)
{
	return length > 0 && length <= LABEL_MAX && label[0] != '-' && label[length - 1] != '-' &&
	       strspn(label, LETTERS_AND_DIGITS "-") >= length;
}

/* A name of at least two labels of letters, digits and hyphens, whose last is no number: that would be an address. */
static bool is_domain(const char *domain)
{
	const char *label = domain;
	size_t length = strlen(domain);

	if (length > DOMAIN_MAX)
		return false;
	if (strcmp(domain, "localhost") == 0)
		return true;
	for (const char *dot; (dot = strchr(label, '.')) != NULL; label = dot + 1) {
		if (!is_label(label, (size_t)(dot - label)))
			return false;
	}
	length = strlen(label);
	return label != domain && is_label(label, length) && strspn(label, "0123456789") < length;
}

static const char *write_local(const char *local, size_t length, char address[EMAIL_SIZE])
{
	uint8_t composed[EMAIL_LOCAL_MAX + 1];
	size_t size = EMAIL_LOCAL_MAX;
	uint8_t *made;

	if (length == 0)
		return "has nothing before the @";
	/* What does not fit is given in memory of its own. */
	made = u8_normalize(UNINORM_NFC, (const uint8_t *)local, length, composed, &size);
	if (made != composed) {
		free(made);
		return "has more than 64 bytes before the @";
	}
	memcpy(address, composed, size);
	address[size] = '\0';
	return is_local_part(address) ? NULL : "has characters before the @ that no address has there";
}

/* Behind what stands in `address`. */
static const char *write_domain(const char *domain, char address[EMAIL_SIZE])
{
	static const int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
	const char *problem = NULL;
	char *ascii = NULL;

	if (domain[0] == '\0')
		return "has nothing behind the @";
	if (!has_visible_text(domain) || idn2_to_ascii_8z(domain, &ascii, flags) != IDN2_OK || !is_domain(ascii))
		problem = "has a domain that there cannot be";
	else if (strlen(address) + 1 + strlen(ascii) > EMAIL_MAX)
		problem = "is longer than 254 bytes";
	else
		(void)stpcpy(stpcpy(address + strlen(address), "@"), ascii);
	idn2_free(ascii);
	return problem;
}

const char *email_parse(const char *typed, char address[EMAIL_SIZE])
{
	const char *at = strrchr(typed, '@');
	const char *problem = NULL;

	address[0] = '\0';
	if (typed[0] == '\0')
		problem = "is empty";
	else if (strlen(typed) > TYPED_MAX)
		problem = "is longer than 254 bytes";
	else if (!utf8_is_printable(typed))
		problem = "has a control character, or is not UTF-8";
	else if (at == NULL)
		problem = "has no @";
	if (problem == NULL)
		problem = write_local(typed, (size_t)(at - typed), address);
	if (problem == NULL)
		problem = write_domain(at + 1, address);
	if (problem != NULL)
		address[0] = '\0';
	return problem;
}

const char *email_show(const char *address, char shown[EMAIL_SHOWN_SIZE])
{
	const char *at = strrchr(address, '@');
	char *domain = NULL;
	int local = at != NULL ? (int)(at - address) : 0;

	if (at == NULL || idn2_to_unicode_8z8z(at + 1, &domain, 0) != IDN2_OK || !utf8_is_printable(domain))
		(void)snprintf(shown, EMAIL_SHOWN_SIZE, "%s", address);
	else
		(void)snprintf(shown, EMAIL_SHOWN_SIZE, "%.*s@%s", local, address, domain);
	idn2_free(domain);
	return shown;
}

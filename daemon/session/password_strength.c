/* How easily a new password is guessed. */
#include "session/password_strength.h"

#include "base/email.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <zxcvbn.h>

/*
 * The time that zxcvbn takes grows with the square of the length and more, for what repeats itself: 2 ms for 64 bytes,
 * 6 ms for 100, past which it does not look itself. What comes behind 64 bytes makes no password easier to guess.
 */
#define LOOKED_AT_MAX 64
/* Shorter ones are in every other password by chance. */
#define WORD_MIN  3
#define WORDS_MAX 8
#define WORD_SIZE 256

/* In bits, those that withstand 10^3, 10^6, 10^8 and 10^10 guesses: the scores 1 to 4 of zxcvbn's authors. */
static const double bits_of_strength[] = {0, 9.966, 19.932, 26.575, 33.219};
#define STRENGTH_MAX ((int64_t)(sizeof bits_of_strength / sizeof bits_of_strength[0]) - 1)

struct words {
	size_t count;
	char text[WORDS_MAX][WORD_SIZE];
	const char *all[WORDS_MAX + 1]; /* ends with NULL */
};

static void add_word(struct words *words, const char *word, size_t length)
{
	if (length < WORD_MIN || length >= WORD_SIZE || words->count == WORDS_MAX)
		return;
	memcpy(words->text[words->count], word, length);
	words->text[words->count][length] = '\0';
	words->all[words->count] = words->text[words->count];
	words->all[++words->count] = NULL;
}

/* A text, and what it has between its dots and spaces. */
static void add_words(struct words *words, const char *text)
{
	static const char between[] = " .@";

	if (text == NULL)
		return;
	add_word(words, text, strlen(text));
	if (text[strcspn(text, between)] == '\0')
		return;
	for (text += strspn(text, between); *text != '\0'; text += strspn(text, between)) {
		add_word(words, text, strcspn(text, between));
		text += strcspn(text, between);
	}
}

/* Most of it is of that kind. */
static ZxcTypeMatch_t main_kind(const ZxcMatch_t *matches)
{
	const ZxcMatch_t *longest = NULL;

	for (; matches != NULL; matches = matches->Next) {
		if (matches->Type != BRUTE_MATCH && (longest == NULL || matches->Length > longest->Length))
			longest = matches;
	}
	if (longest == NULL)
		return BRUTE_MATCH;
	/* What has no kind of its own, more than once. */
	if (longest->Type == BRUTE_MATCH + MULTIPLE_MATCH)
		return REPEATS_MATCH;
	return (ZxcTypeMatch_t)(longest->Type % MULTIPLE_MATCH);
}

static const char *sentence_of(ZxcTypeMatch_t kind)
{
	switch (kind) {
	case USER_MATCH:
	case USER_LEET_MATCH:
		return "This password is too easy to guess: it is made of your name, your address or the name of this "
		       "site.";
	case DICTIONARY_MATCH:
	case DICT_LEET_MATCH:
		return "This password is too easy to guess: many people have it, or it is a word or name with little "
		       "added.";
	case REPEATS_MATCH:
	case SEQUENCE_MATCH:
	case SPATIAL_MATCH:
		return "This password is too easy to guess: it repeats itself, or is a row of characters or keys.";
	case DATE_MATCH:
	case YEAR_MATCH: return "This password is too easy to guess: it is a date or a year with little added.";
	default:
		return "This password is too easy to guess. Several words that have nothing to do with each other are "
		       "better.";
	}
}

const char *password_strength_problem(const char *password, int64_t strength, const struct password_owner *owner)
{
	char looked_at[LOOKED_AT_MAX + 1];
	struct words words = {0};
	ZxcMatch_t *matches = NULL;
	const char *problem = NULL;
	size_t length = strnlen(password, LOOKED_AT_MAX);

	if (strength <= 0)
		return NULL;
	if (strength > STRENGTH_MAX)
		strength = STRENGTH_MAX;
	memcpy(looked_at, password, length);
	looked_at[length] = '\0';
	add_words(&words, owner->username);
	add_words(&words, owner->email);
	add_words(&words, owner->site);
	if (ZxcvbnMatch(looked_at, words.all, &matches) < bits_of_strength[strength])
		problem = sentence_of(main_kind(matches));
	ZxcvbnFreeInfo(matches);
	sodium_memzero(looked_at, sizeof looked_at);
	return problem;
}

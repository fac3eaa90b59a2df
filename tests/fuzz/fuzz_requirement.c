/* What a place requires: whatever the text is, more of a session never opens less, and nobody is let in by accident. */
#include "../../handlers/shared/shared.h"
#include "fuzz.h"

#include <string.h>

#define MINUTE INT64_C(60000000)
#define NOW    (1000000 * MINUTE)

static bool has_word(const char *text, const char *word)
{
	const char *rest = text;
	size_t length;

	for (;;) {
		rest += strspn(rest, " ");
		length = strcspn(rest, " ");
		if (length == 0)
			return false;
		if (length == strlen(word) && memcmp(rest, word, length) == 0)
			return true;
		rest += length;
	}
}

static void check_needed(const struct requirement *judged, const char *text, size_t length)
{
	json_t *needed;

	if (judged->length > 0)
		MUST(judged->needed >= text && judged->needed + judged->length <= text + length);
	if (judged->result < REQUIREMENT_PLAN)
		return;
	needed = requirement_needed_json(judged);
	/* Names of plans and groups are UTF-8 only where the text is. */
	MUST(needed == NULL || json_is_object(needed));
	json_decref(needed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ones_session poor = {.groups = "", .proved_at = INT64_MIN};
	static const struct ones_session rich = {
		.email = "a@example.org", .plan = "gold", .valid_until = NOW + 1, .groups = "staff", .proved_at = NOW};
	char *text = fuzz_text(NULL, data, size);
	size_t length = strlen(text);
	const struct requirement nobody = requirement_judge(text, NULL, NOW);
	const struct requirement of_poor = requirement_judge(text, &poor, NOW);
	const struct requirement of_rich = requirement_judge(text, &rich, NOW);

	/* It depends on the text alone whether it is understood. */
	MUST((nobody.result == REQUIREMENT_NOT_UNDERSTOOD) == (of_poor.result == REQUIREMENT_NOT_UNDERSTOOD));
	MUST((nobody.result == REQUIREMENT_NOT_UNDERSTOOD) == (of_rich.result == REQUIREMENT_NOT_UNDERSTOOD));
	MUST(length <= REQUIREMENT_MAX || nobody.result == REQUIREMENT_NOT_UNDERSTOOD);
	/* Nobody is let in where the text says so, and nowhere else. */
	MUST((nobody.result == REQUIREMENT_HOLDS) == nobody.is_optional);
	MUST(!nobody.is_optional || has_word(text, "optional"));
	MUST(nobody.result == REQUIREMENT_HOLDS || nobody.result == REQUIREMENT_NOT_UNDERSTOOD ||
	     nobody.result == REQUIREMENT_NO_SESSION);
	MUST(of_poor.result != REQUIREMENT_HOLDS || of_rich.result == REQUIREMENT_HOLDS);
	MUST(of_poor.result != REQUIREMENT_NO_SESSION && of_rich.result != REQUIREMENT_NO_SESSION);
	MUST(of_rich.result != REQUIREMENT_UNVERIFIED && of_rich.result != REQUIREMENT_STALE);
	check_needed(&nobody, text, length);
	check_needed(&of_poor, text, length);
	check_needed(&of_rich, text, length);
	talloc_free(text);
	return 0;
}

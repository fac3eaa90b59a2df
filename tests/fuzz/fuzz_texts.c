/*
 * Files of texts, of English and German, separated by a line of "%%"; in UTF-8, as they have been checked. What can be
 * read can be looked up, and no text is of two lines.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "http/texts.h"

#include <stdlib.h>
#include <string.h>

static void check_sections(const struct texts *texts, size_t count)
{
	static const char *const sections[] = {"a", "sentences", "language", ""};

	for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
		for (size_t language = 0; language < count; language++) {
			json_t *section = texts_section_json(texts, sections[i], language);
			const char *key;
			json_t *text;

			MUST(section != NULL);
			json_object_foreach(section, key, text)
			{
				const char *full = talloc_asprintf(texts, "%s.%s", sections[i], key);

				MUST(texts_find(texts, full, strlen(full)) != NULL);
				MUST(strchr(json_string_value(text), '\n') == NULL);
				MUST(strcmp(sections[i], "sentences") != 0 || language != texts_first(texts) ||
				     texts_sentence(texts, json_string_value(text), language) != NULL);
			}
			json_decref(section);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *english = fuzz_text(ctx, data, size);
	char *german = strstr(english, "\n%%\n");
	struct texts *texts = texts_new(ctx, TEXT_DAEMONS);
	const char *const *tags;
	char *complaints = NULL;
	size_t length;
	FILE *stream = open_memstream(&complaints, &length);
	int result;

	MUST(texts != NULL && stream != NULL);
	if (german != NULL) {
		*german = '\0';
		german += 4;
	}
	result = utf8_is_valid(english) ? texts_read(texts, "en", "en.ini", english, stream) : 0;
	if (german != NULL && utf8_is_valid(german) && texts_read(texts, "de", "de.ini", german, stream) != 0)
		result = -1;
	MUST(fclose(stream) == 0);
	MUST((result == 0) == (length == 0));
	if (result == 0) {
		texts_complete(texts);
		check_sections(texts, texts_languages(texts, &tags));
	}
	free(complaints);
	talloc_free(ctx);
	return 0;
}

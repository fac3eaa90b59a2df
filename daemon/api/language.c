/* The language of a request's answer, texts in it, and the choice of a person. */
#include "api/language.h"

#include "api/key_cookie.h"
#include "api/module.h"

static const struct language *choose(const struct ones_request *req, const struct languages *languages)
{
	char chosen[LANGUAGE_TAG_SIZE];

	return languages_choose(languages, language_cookie_read(req, chosen) ? chosen : NULL,
	                        fcgi_param(req->http->fcgi, "HTTP_ACCEPT_LANGUAGE"));
}

const struct language *language_of(struct ones_request *req, const struct pages *pages)
{
	const struct languages *languages = pages_languages(pages);

	if (languages_count(languages) == 1)
		return languages_choose(languages, NULL, NULL);
	req->depends_on_language = true;
	return choose(req, languages);
}

const char *language_for_mail(const struct ones_request *req)
{
	return choose(req, pages_languages(req->app->modules[0]->pages))->tag;
}

const char *language_sentence(const struct ones_request *req, const struct language *language, const char *sentence)
{
	const struct ones_app *app = req->app;
	const char *said = pages_sentence(exchange_module(req)->pages, language, sentence);

	/* A receiver's is one of its own module. */
	for (size_t i = 1; said == sentence && i < app->module_count; i++)
		said = pages_sentence(app->modules[i]->pages, language, sentence);
	return said;
}

const char *ones_sentence(struct ones_request *req, const char *sentence)
{
	if (sentence != NULL)
		return language_sentence(req, language_of(req, exchange_module(req)->pages), sentence);
	exchange_fail(req, "a sentence that is NULL");
	return "";
}

const char *ones_language(struct ones_request *req)
{
	return language_of(req, exchange_module(req)->pages)->tag;
}

const char *ones_say(struct ones_request *req, const char *key, json_t *values)
{
	const struct pages *pages = exchange_module(req)->pages;
	const char *said = key != NULL ? pages_say(req, pages, key, language_of(req, pages), values) : NULL;

	json_decref(values);
	if (said != NULL)
		return said;
	exchange_fail(req, key != NULL && pages_have_text(pages, key)
	                           ? "a text that would be too large, or memory has run out"
	                           : "a text of a key that there is not");
	return "";
}

json_t *ones_texts_json(struct ones_request *req, const char *section)
{
	const struct pages *pages = exchange_module(req)->pages;

	return section != NULL ? pages_section_json(pages, section, language_of(req, pages)) : json_object();
}

bool ones_choose_language(struct ones_request *req, const char *language)
{
	if (language == NULL || !language_is_tag(language))
		return false;
	language_cookie_write(req, language);
	return true;
}

/* The text of a mail. */
#include "api/mail_text.h"

#include "api/mail.h"
#include "api/module.h"
#include "base/clock.h"
#include "mail/message.h"

#include <sodium.h>
#include <string.h>

/* In the largest unit that it is a whole number of: {"hours": 7, "one": false}. */
static json_t *lifetime_json(int64_t lifetime_ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"days", 86400000}, {"hours", 3600000}, {"minutes", 60000}};
	size_t i = 0;
	int64_t number;

	while (i < 2 && lifetime_ms % units[i].ms != 0)
		i++;
	number = (lifetime_ms + units[i].ms - 1) / units[i].ms;
	return json_pack("{s:I, s:b}", units[i].name, (json_int_t)number, "one", number == 1);
}

/* NULL when out of memory. */
static const char *link_of(TALLOC_CTX *ctx, const struct ones_app *app, const struct module *module,
                           const struct mail_row *row, const struct mail_secrets *secrets)
{
	return talloc_asprintf(ctx, "%s%s%s?token=%s", app->settings->mail.site_url, module->prefix, row->path,
	                       secrets->token);
}

/* A new reference, NULL when out of memory. */
static json_t *values_of(TALLOC_CTX *ctx, const struct ones_app *app, const struct module *module,
                         const struct mail_row *row, const struct mail_secrets *secrets)
{
	json_t *values = json_loads(row->data, 0, NULL);
	const char *link = row->path[0] != '\0' ? link_of(ctx, app, module, row, secrets) : "";
	json_t *own = link == NULL
	                      ? NULL
	                      : json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "site_url", app->settings->mail.site_url,
	                                  "recipient", row->address, "username", row->username, "link", link, "code",
	                                  row->purpose[0] != '\0' ? secrets->code : "", "lifetime",
	                                  row->purpose[0] != '\0' ? lifetime_json(row->lifetime_ms) : json_null());

	if (own == NULL || json_object_update(values, own) != 0) {
		json_decref(values);
		values = NULL;
	}
	json_decref(own);
	return values;
}

struct filling {
	TALLOC_CTX *ctx;
	const struct pages *pages;
	const struct language *language;
	const json_t *values;
};

static char *page(const struct filling *filling, const char *name)
{
	bool has_script;
	size_t size;

	return name != NULL ? pages_render(filling->ctx, filling->pages, name, filling->language, filling->values,
	                                   &size, &has_script)
	                    : NULL;
}

/* A mail need not have a page in HTML. */
static bool has_html(const struct filling *filling, const char *name)
{
	size_t size;

	return name != NULL && pages_file(filling->pages, name, &size) != NULL;
}

/* False: a page is missing, or memory. */
static bool fill_in(const struct filling *filling, const char *kind, struct mail_message *message)
{
	const char *html = mail_page_html(filling->ctx, kind);
	const char *key = mail_subject_key(filling->ctx, kind);

	message->text = page(filling, mail_page_plain(filling->ctx, kind));
	message->html = has_html(filling, html) ? page(filling, html) : NULL;
	message->subject =
		key != NULL ? pages_say(filling->ctx, filling->pages, key, filling->language, filling->values) : NULL;
	message->language = filling->language->tag;
	return message->text != NULL && message->subject != NULL && (message->html != NULL || !has_html(filling, html));
}

char *mail_text_write(TALLOC_CTX *ctx, const struct ones_app *app, const struct mail_setup *setup,
                      const struct mail_row *row, const struct mail_secrets *secrets, size_t *size,
                      const char **problem)
{
	const struct module *module = module_find(app, row->module);
	TALLOC_CTX *scratch = talloc_new(ctx);
	struct mail_message message = {.from = setup->from,
	                               .to = row->address,
	                               .message_id = row->message_id,
	                               .date_s = clock_wall_us() / 1000000};
	struct filling filling = {.ctx = scratch};
	json_t *values = NULL;
	char *text = NULL;

	*problem = "out of memory";
	if (module == NULL) {
		*problem = "its module is not loaded here";
	} else if ((values = values_of(scratch, app, module, row, secrets)) != NULL) {
		filling.pages = module->pages;
		filling.language = languages_choose(pages_languages(module->pages), row->language, NULL);
		filling.values = values;
		*problem =
			"there is no page mail/KIND.txt or text mail.KIND_subject any more, or it would be too large";
		if (fill_in(&filling, row->kind, &message))
			text = mail_message_compose(ctx, &message, size);
	}
	json_decref(values);
	talloc_free(scratch);
	return text;
}

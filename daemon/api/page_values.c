/* The values that every page may show, made once. */
#include "api/page_values.h"

#include <string.h>

static json_t *links_json(const struct links *links)
{
	json_t *list = json_array();

	for (size_t i = 0; list != NULL && i < links->count; i++) {
		const struct link *link = &links->all[i];

		if (json_array_append_new(
			    list, json_pack("{s:s, s:s}", "label", link->label, "address", link->address)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* A new reference, NULL when out of memory. */
static json_t *common_values(const struct ones_app *app)
{
	const struct settings *settings = app->settings;
	const char *label = settings->login.name_label;
	bool has_own_label = strcmp(label, NAME_LABEL_DEFAULT) != 0;
	json_t *links = links_json(app->links);

	return json_pack("{s:s, s:s, s:s*, s:b, s:o, s:b, s:b, s:b, s:b, s:b}", "prefix", settings->server.prefix,
	                 "site_name", settings->login.site_name, "name_label", has_own_label ? label : NULL,
	                 "signs_in_by_email", !has_own_label && ones_can_mail(app), "links", links, "has_links",
	                 json_array_size(links) > 0, "displaces",
	                 settings->session.on_limit == ON_LIMIT_DISPLACE && settings->session.max_sessions > 0,
	                 "can_mail", (int)ones_can_mail(app), "can_sign_up",
	                 ones_can_mail(app) && settings->accounts.signup == SIGNUP_OPEN, "has_login",
	                 (int)settings->login.enabled);
}

int page_values_add(const struct ones_app *app, const struct pages *pages)
{
	json_t *values = common_values(app);
	int result = languages_add_values(pages_languages(pages), values);

	json_decref(values);
	return result;
}

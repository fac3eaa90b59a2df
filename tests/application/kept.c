/*
 * GET /kept?name=NAME: the value, JSON null when there is none. POST /kept with {"set": {NAME: VALUE...},
 * "remove": [NAME...], "status": N} changes values and answers with that status.
 */
#include "application.h"

json_t *keep_members(struct ones_request *req, const char *field)
{
	json_t *members = json_object_get(ones_json(req), field);
	json_t *refused = json_array();
	const char *name;
	json_t *value;

	json_object_foreach(members, name, value)
	{
		if (!ones_data_set(req, name, json_incref(value)))
			(void)json_array_append_new(refused, json_string(name));
	}
	return refused;
}

static void show(struct ones_request *req)
{
	const char *name = ones_query(req, "name");
	const json_t *value = name != NULL ? ones_data_get(req, name) : NULL;

	ones_reply_json(req, 200, json_pack("{s:o?}", "value", json_deep_copy(value)));
}

static void change(struct ones_request *req)
{
	const json_t *names = json_object_get(ones_json(req), "remove");
	const json_t *status = json_object_get(ones_json(req), "status");
	json_t *refused = keep_members(req, "set");
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		if (json_is_string(name))
			(void)ones_data_remove(req, json_string_value(name));
	}
	ones_header(req, "Application", "kept");
	ones_reply_json(req, status != NULL ? (int)json_integer_value(status) : 200,
	                json_pack("{s:o?}", "refused", refused));
}

void kept_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){
				.path = "/kept", .get = show, .post = change, .needs = ONES_NEEDS_SESSION_DATA});
	/* The same without .needs: every change is refused. */
	ones_route(app, &(struct ones_route){.path = "/forgotten", .get = show, .post = change});
}

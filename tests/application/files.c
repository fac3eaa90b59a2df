/*
 * Files: POST /uploads (a form, for those who are signed in), POST /open (a small form, for everybody), PUT /raw. They
 * answer with what came; ?sum=1 with a sum of each file's bytes, ?keep=NAME keeps the first file under that name,
 * ?field= shows a field. GET and DELETE /stored/:name are for what was kept. All that when the setting `covers` names a
 * folder for it.
 */
#include "application.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define GIB ((int64_t)1024 * 1024 * 1024)

/* FNV-1a, of 64 bits, in hexadecimal digits; "" when it cannot be read. */
static void sum_of(const struct ones_upload *upload, char text[17])
{
	static unsigned char buffer[65536];
	uint64_t sum = UINT64_C(14695981039346656037);
	int64_t left = upload->size;

	text[0] = '\0';
	while (left > 0) {
		ssize_t got = read(upload->fd, buffer, sizeof buffer);

		if (got <= 0)
			return;
		for (ssize_t i = 0; i < got; i++)
			sum = (sum ^ buffer[i]) * UINT64_C(1099511628211);
		left -= got;
	}
	(void)snprintf(text, 17, "%016" PRIx64, sum);
}

static json_t *files_json(struct ones_request *req)
{
	const struct ones_upload *all;
	size_t count = ones_uploads(req, &all);
	bool is_summed = ones_query(req, "sum") != NULL;
	json_t *files = json_array();

	for (size_t i = 0; i < count; i++) {
		char sum[17] = "";

		if (is_summed)
			sum_of(&all[i], sum);
		(void)json_array_append_new(files, json_pack("{s:s, s:s, s:s, s:I, s:s}", "field", all[i].field,
		                                             "filename", all[i].filename, "type", all[i].content_type,
		                                             "size", (json_int_t)all[i].size, "sum", sum));
	}
	return files;
}

static void receive(struct ones_request *req)
{
	const struct ones_upload *all;
	const char *name = ones_query(req, "keep"), *field = ones_query(req, "field");
	size_t count = ones_uploads(req, &all), size;
	enum ones_result result = ONES_RESULT_OK;

	if (name != NULL && count > 0)
		result = ones_keep_upload(req, &all[0], "covers", name);
	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else
		ones_reply_json(req, 200,
		                json_pack("{s:o, s:s?, s:b, s:b}", "files", files_json(req), "field",
		                          field != NULL ? ones_field(req, field) : NULL, "is_json",
		                          ones_json(req) != NULL, "in_memory", ones_body(req, &size) != NULL));
}

static void send_stored(struct ones_request *req)
{
	const char *folder = ones_query(req, "folder");

	ones_header(req, "Cache-Control", "private, max-age=60");
	ones_reply_stored(req, folder != NULL ? folder : "covers", ones_path(req, "name"), "image/jpeg");
}

static void remove_stored(struct ones_request *req)
{
	enum ones_result result = ones_remove_stored(req, "covers", ones_path(req, "name"));

	if (result == ONES_RESULT_OK)
		ones_reply_empty(req, 204);
	else
		ones_reply_failure(req, result, NULL);
}

/* A folder that was not declared is a mistake. */
static void keep_elsewhere(struct ones_request *req)
{
	const struct ones_upload *all;

	if (ones_uploads(req, &all) > 0)
		ones_reply_failure(req, ones_keep_upload(req, &all[0], "elsewhere", "a"), NULL);
	else
		ones_reply_empty(req, 204);
}

void files_setup(struct ones_app *app)
{
	if (ones_setting(app, "covers") == NULL)
		return;
	ones_folder(app, "covers", "covers");
	ones_route(app, &(struct ones_route){.path = "/uploads",
	                                     .post = receive,
	                                     .put = receive,
	                                     .bodies = ONES_BODY_MULTIPART | ONES_BODY_FORM | ONES_BODY_JSON,
	                                     .max_body = 16 * GIB,
	                                     .timeout_ms = 120000,
	                                     .signed_in = true});
	ones_route(app, &(struct ones_route){.path = "/open",
	                                     .post = receive,
	                                     .put = keep_elsewhere,
	                                     .needs = ONES_NEEDS_NOTHING,
	                                     .bodies = ONES_BODY_MULTIPART,
	                                     .max_body = 4 * 1024 * 1024});
	ones_route(app, &(struct ones_route){.path = "/raw",
	                                     .put = receive,
	                                     .needs = ONES_NEEDS_NOTHING,
	                                     .bodies = ONES_BODY_RAW | ONES_BODY_JSON,
	                                     .max_body = 16 * GIB});
	ones_route(app, &(struct ones_route){.path = "/stored/:name",
	                                     .get = send_stored,
	                                     .delete = remove_stored,
	                                     .needs = ONES_NEEDS_NOTHING});
}

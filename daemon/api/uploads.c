/* Uploads: the files and fields of a body that is streamed. */
#include "api/uploads.h"

#include "api/spool.h"
#include "base/file_name.h"
#include "base/log.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct field {
	const char *name;
	char *value;
};

struct uploads {
	struct ones_request *req;
	struct multipart *multipart; /* NULL: the whole body is one file */
	int64_t taken;               /* bytes of the body */
	struct http_problem problem;
	struct ones_upload all[MULTIPART_PARTS_MAX];
	size_t count;
	struct spool_file *file; /* of the part under way; NULL: it is a field */
	struct field fields[MULTIPART_PARTS_MAX];
	size_t field_count;
	size_t value_size, value_room; /* of the field under way, the last of them */
	size_t fields_size;            /* of all values before it */
};

/* ---- What can go wrong -------------------------------------------------------------------------------------- */

static bool refuse(struct uploads *uploads, int status, const char *code, const char *detail)
{
	uploads->problem = (struct http_problem){status, code, detail};
	return false;
}

static bool refuse_memory(struct uploads *uploads)
{
	return refuse(uploads, 500, "internal", "Out of memory.");
}

static bool refuse_form(struct uploads *uploads, const char *defect, bool is_too_much)
{
	const char *detail = talloc_asprintf(uploads, "The form cannot be read: %s.", defect);

	if (detail == NULL)
		return refuse_memory(uploads);
	return is_too_much ? refuse(uploads, 413, "too_large", detail) : refuse(uploads, 400, "bad_request", detail);
}

static bool refuse_room(struct uploads *uploads)
{
	return refuse(uploads, 507, "insufficient_storage", "There is no room left for this upload.");
}

/* What errno says of the spool. */
static bool refuse_file(struct uploads *uploads, const char *what)
{
	int error = errno;

	log_error("upload_failed", LOG_STR("what", what), LOG_STR("folder", uploads->req->app->settings->server.spool),
	          LOG_STR("problem", strerror(error)));
	if (spool_is_no_room(error))
		return refuse_room(uploads);
	if (error == EMFILE || error == ENFILE)
		return refuse(uploads, 503, "busy", "Too many uploads are under way. Please try again.");
	return refuse(uploads, 500, "internal", "The upload cannot be stored. It has been logged.");
}

static bool refuse_full(struct uploads *uploads)
{
	log_warning("spool_full", LOG_INT("max", uploads->req->app->settings->server.spool_max),
	            LOG_STR("hint", "see server.spool_max"));
	return refuse_room(uploads);
}

/* ---- Parts -------------------------------------------------------------------------------------------------- */

static bool begin_file(struct uploads *uploads, const char *field, const char *told, const char *type)
{
	struct ones_upload *upload = &uploads->all[uploads->count];
	char filename[FILE_NAME_MAX + 1];

	file_name_shown(told, filename);
	if (type == NULL || *type == '\0' || !response_field_can_hold(type) || !utf8_is_valid(type))
		type = "application/octet-stream";
	uploads->file = spool_open(uploads, uploads->req->app);
	if (uploads->file == NULL)
		return refuse_file(uploads, "open");
	*upload = (struct ones_upload){.field = talloc_strdup(uploads, field),
	                               .filename = talloc_strdup(uploads, filename),
	                               .content_type = talloc_strdup(uploads, type),
	                               .fd = uploads->file->fd};
	if (upload->field == NULL || upload->filename == NULL || upload->content_type == NULL)
		return refuse_memory(uploads);
	uploads->count++;
	return true;
}

static bool begin_field(struct uploads *uploads, const char *name)
{
	struct field *field = &uploads->fields[uploads->field_count];

	field->name = talloc_strdup(uploads, name);
	field->value = talloc_strdup(uploads, "");
	if (field->name == NULL || field->value == NULL)
		return refuse_memory(uploads);
	uploads->file = NULL;
	uploads->value_size = 0;
	uploads->value_room = 1;
	uploads->field_count++;
	return true;
}

static bool begin_part(void *context, const struct multipart_part *part)
{
	struct uploads *uploads = context;

	if (!utf8_is_valid(part->name))
		return refuse_form(uploads, "the name of a field is not valid UTF-8", false);
	return part->filename != NULL ? begin_file(uploads, part->name, part->filename, part->content_type)
	                              : begin_field(uploads, part->name);
}

static bool add_to_field(struct uploads *uploads, const void *data, size_t size)
{
	struct field *field = &uploads->fields[uploads->field_count - 1];
	size_t wanted = uploads->value_size + size + 1;

	if (wanted > UPLOAD_FIELD_MAX + 1)
		return refuse_form(uploads, "a field has more than 64 KiB", true);
	if (uploads->fields_size + wanted > UPLOAD_FIELDS_MAX + 1)
		return refuse_form(uploads, "its fields have more than 1 MiB", true);
	if (wanted > uploads->value_room) {
		char *grown = talloc_realloc_size(uploads, field->value, 2 * wanted);

		if (grown == NULL)
			return refuse_memory(uploads);
		field->value = grown;
		uploads->value_room = 2 * wanted;
	}
	memcpy(field->value + uploads->value_size, data, size);
	uploads->value_size += size;
	field->value[uploads->value_size] = '\0';
	return true;
}

static bool add_to_part(void *context, const void *data, size_t size)
{
	struct uploads *uploads = context;

	if (uploads->file == NULL)
		return add_to_field(uploads, data, size);
	if (!spool_reserve(uploads->file, size))
		return refuse_full(uploads);
	return spool_write(uploads->file, data, size) == 0 || refuse_file(uploads, "write");
}

static bool end_file(struct uploads *uploads)
{
	struct ones_upload *upload = &uploads->all[uploads->count - 1];

	upload->size = uploads->file->size;
	/* What browsers send where no file was chosen. */
	if (upload->size == 0 && upload->filename[0] == '\0' && uploads->multipart != NULL) {
		TALLOC_FREE(uploads->file);
		uploads->count--;
		return true;
	}
	return lseek(upload->fd, 0, SEEK_SET) == 0 || refuse_file(uploads, "rewind");
}

static bool end_part(void *context)
{
	struct uploads *uploads = context;
	const char *value;

	if (uploads->file != NULL)
		return end_file(uploads);
	value = uploads->fields[uploads->field_count - 1].value;
	uploads->fields_size += uploads->value_size;
	if (strlen(value) != uploads->value_size)
		return refuse_form(uploads, "a field holds a NUL", false);
	return utf8_is_valid(value) || refuse_form(uploads, "a field is not valid UTF-8", false);
}

/* ---- The body ----------------------------------------------------------------------------------------------- */

static bool begin_form(struct uploads *uploads, const char *type)
{
	static const struct multipart_sink sink = {begin_part, add_to_part, end_part};
	const char *defect;

	uploads->multipart = talloc(uploads, struct multipart);
	if (uploads->multipart == NULL)
		return refuse_memory(uploads);
	defect = multipart_init(uploads->multipart, type, &sink, uploads);
	return defect == NULL || refuse_form(uploads, defect, false);
}

struct uploads *uploads_begin(struct ones_request *req, struct http_problem *problem)
{
	struct uploads *uploads = talloc_zero(req, struct uploads);
	const char *type = fcgi_param(req->http->fcgi, "CONTENT_TYPE");
	bool has_begun;

	if (uploads == NULL) {
		*problem = (struct http_problem){500, "internal", "Out of memory."};
		return NULL;
	}
	uploads->req = req;
	if (!spool_has_room(req->app, req->http->content_length)) {
		(void)refuse_full(uploads);
		*problem = uploads->problem;
		return NULL;
	}
	has_begun = request_kind_among(req->http->body_kind, route_bodies(&req->route->declared)) == BODY_MULTIPART
	                    ? begin_form(uploads, type)
	                    : begin_file(uploads, "", "", type);
	*problem = uploads->problem;
	return has_begun ? uploads : NULL;
}

bool uploads_take(struct uploads *uploads, const void *data, size_t size)
{
	int64_t length = uploads->req->http->content_length;

	/* What comes after that is not of the body. */
	if (length > 0 && (int64_t)size > length - uploads->taken)
		size = (size_t)(length - uploads->taken);
	uploads->taken += (int64_t)size;
	if (size == 0)
		return true;
	if (uploads->multipart == NULL)
		return add_to_part(uploads, data, size);
	if (multipart_feed(uploads->multipart, data, size))
		return true;
	return uploads->multipart->defect == NULL
	               ? false
	               : refuse_form(uploads, uploads->multipart->defect, uploads->multipart->is_too_much);
}

bool uploads_finish(struct uploads *uploads)
{
	if (uploads->taken < uploads->req->http->content_length)
		return refuse(uploads, 400, "bad_request", "The body is shorter than Content-Length says.");
	if (uploads->multipart == NULL)
		return end_file(uploads);
	return multipart_finish(uploads->multipart) || refuse_form(uploads, uploads->multipart->defect, false);
}

int64_t uploads_taken(const struct uploads *uploads)
{
	return uploads->taken;
}

struct http_problem uploads_problem(const struct uploads *uploads)
{
	return uploads->problem;
}

/* ---- For handlers ------------------------------------------------------------------------------------------- */

size_t ones_uploads(const struct ones_request *req, const struct ones_upload **all)
{
	*all = req->uploads != NULL ? req->uploads->all : NULL;
	return req->uploads != NULL ? req->uploads->count : 0;
}

const char *uploads_field(const struct uploads *uploads, const char *name)
{
	for (size_t i = 0; i < uploads->field_count; i++) {
		if (strcmp(uploads->fields[i].name, name) == 0)
			return uploads->fields[i].value;
	}
	return NULL;
}

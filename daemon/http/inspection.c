/* FastCGI on the wire: inspecting a request, record by record, before libfcgi gets it. */
#include "http/inspection.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Parameters have to be within this much; those in very small records do not fit and are refused. */
#define SCRATCH_SIZE (FCGI_PARAMS_SIZE_MAX + 16 * 1024)
/* A collected body's buffer begins with this much and doubles. */
#define BODY_SIZE_MIN 4096
/* So often a body that is streamed is read before others have their turn. */
#define STREAM_READS 4

static const char *begin_defect(struct inspection *inspection, const struct record *record)
{
	unsigned int role = (unsigned int)record->content[0] << 8 | record->content[1];

	if (role != RECORD_ROLE_RESPONDER && role != RECORD_ROLE_AUTHORIZER)
		return "the role is neither responder nor authorizer";
	inspection->role = role == RECORD_ROLE_RESPONDER ? FCGI_ROLE_RESPONDER : FCGI_ROLE_AUTHORIZER;
	inspection->request_id = record->request_id;
	inspection->has_begun = true;
	return NULL;
}

/* One whole record that follows those seen; returns what is wrong with it. */
static const char *record_defect(struct inspection *inspection, const struct record *record)
{
	if (!inspection->has_begun)
		return begin_defect(inspection, record);
	if (record->type == RECORD_PARAMS && !inspection->has_params) {
		inspection->params_size += record->content_size;
		inspection->has_params = record->content_size == 0;
		inspection->are_params_padded = inspection->has_params && record->padding_size > 0;
		return inspection->params_size > FCGI_PARAMS_SIZE_MAX ? "more than 64 KiB of parameters" : NULL;
	}
	if (record->type == RECORD_STDIN && inspection->has_params && !inspection->has_body) {
		inspection->body_size += record->content_size;
		inspection->has_body = record->content_size == 0;
		return NULL;
	}
	return "a record that has no place there";
}

/* What is wrong with a record of which only the header may have arrived. */
static const char *header_defect(const struct inspection *inspection, const struct record *record)
{
	if (record->version != RECORD_VERSION_1)
		return "not FastCGI version 1";
	if (!inspection->has_begun && (record->type != RECORD_BEGIN_REQUEST || record->request_id == 0 ||
	                               record->content_size != RECORD_BEGIN_BODY_SIZE))
		return "does not begin with a request";
	if (inspection->has_begun && record->request_id != inspection->request_id)
		return "a record of another request";
	/* The library does not skip these paddings: it would take them for records, which have not been inspected. */
	if (!inspection->has_begun && record->padding_size > 0)
		return "padding behind the beginning, which libfcgi takes for a record";
	if (inspection->are_params_padded && record->type == RECORD_STDIN && record->content_size > 0)
		return "padding before a body, which libfcgi takes for a record";
	return NULL;
}

/* One request is inspected at a time, so all connections share the memory for that. */
static struct {
	uint8_t data[SCRATCH_SIZE];
	uint8_t params[FCGI_PARAMS_SIZE_MAX];
	size_t params_size;
	const struct inspection *owner; /* of the parameters */
} scratch;

/* Gather the parameters of a head that is whole at `data`. */
static void gather_params(const struct inspection *inspection, const uint8_t *data)
{
	scratch.params_size = 0;
	scratch.owner = inspection;
	for (;;) {
		struct record record = record_read(data);

		if (record.type == RECORD_PARAMS) {
			if (record.content_size == 0)
				return;
			memcpy(scratch.params + scratch.params_size, record.content, record.content_size);
			scratch.params_size += record.content_size;
		}
		data += RECORD_HEADER_SIZE + record.content_size + record.padding_size;
	}
}

static ssize_t receive(const struct inspection *inspection, void *data, size_t size, int flags)
{
	ssize_t received;

	do {
		received = recv(inspection->fd, data, size, flags | MSG_DONTWAIT);
	} while (received < 0 && errno == EINTR);
	return received;
}

static enum fcgi_progress broken(struct inspection *inspection, const char *defect)
{
	inspection->defect = defect;
	return FCGI_BROKEN;
}

/* What receive() returned when it was not data. */
static enum fcgi_progress progress_without_data(ssize_t received)
{
	return received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? FCGI_WAIT : FCGI_CLOSED;
}

/* The end of it is here; an authorizer may be sent none. */
bool inspection_has_ended(const struct inspection *inspection)
{
	return inspection->has_params && (inspection->has_body || inspection->role == FCGI_ROLE_AUTHORIZER);
}

/* Nothing that will be read of it is still to come. */
static bool is_whole(const struct inspection *inspection)
{
	return inspection_has_ended(inspection) ||
	       (inspection->has_params &&
	        (inspection->is_too_large || inspection->is_head_enough || inspection->plan.is_streamed));
}

bool inspection_param(const struct inspection *inspection, const char *name, struct fcgi_text *value)
{
	size_t at = 0, wanted = strlen(name);
	bool found = false;

	assert(scratch.owner == inspection);
	while (at < scratch.params_size) {
		size_t name_length = 0, value_length = 0;

		at += record_read_length(scratch.params + at, scratch.params_size - at, &name_length);
		at += record_read_length(scratch.params + at, scratch.params_size - at, &value_length);
		if (name_length == wanted && memcmp(scratch.params + at, name, wanted) == 0) {
			*value = (struct fcgi_text){.at = (const char *)scratch.params + at + name_length,
			                            .length = value_length};
			found = true;
		}
		at += name_length + value_length;
	}
	return found;
}

/* A body that is declared to be too large is not waited for. */
static bool declares_too_much(const struct inspection *inspection)
{
	struct fcgi_text length;
	uint64_t declared = 0;

	if (!inspection_param(inspection, "CONTENT_LENGTH", &length) || length.length == 0)
		return false;
	for (size_t i = 0; i < length.length; i++) {
		if (length.at[i] < '0' || length.at[i] > '9')
			return false;
		if (declared <= inspection->plan.max)
			declared = 10 * declared + (uint64_t)(length.at[i] - '0');
	}
	return declared > inspection->plan.max;
}

/* Take records into account that are whole in data[size]; returns what is wrong with one. */
static const char *take_records(struct inspection *inspection, const uint8_t *data, size_t size)
{
	while (!inspection_has_ended(inspection) && size - inspection->offset >= RECORD_HEADER_SIZE) {
		struct record record = record_read(data + inspection->offset);
		size_t left = size - inspection->offset - RECORD_HEADER_SIZE;
		bool had_params = inspection->has_params;
		const char *defect = header_defect(inspection, &record);

		if (defect == NULL && left < record.content_size + record.padding_size)
			return NULL;
		if (defect == NULL)
			defect = record_defect(inspection, &record);
		if (defect != NULL)
			return defect;
		inspection->offset += RECORD_HEADER_SIZE + record.content_size + record.padding_size;
		if (inspection->has_params && !had_params) {
			gather_params(inspection, data);
			defect = record_params_defect(scratch.params, scratch.params_size);
			if (defect != NULL)
				return defect;
		}
	}
	return NULL;
}

/* ---- A body that comes later -------------------------------------------------------------------------------- */

/* Where the records end that come before the body. */
static size_t head_size_of(const uint8_t *data)
{
	size_t size = 0;

	for (;;) {
		struct record record = record_read(data + size);

		size += RECORD_HEADER_SIZE + record.content_size + record.padding_size;
		if (record.type == RECORD_PARAMS && record.content_size == 0)
			return size;
	}
}

/* The head is whole in scratch.data, and the body, or some of it, may be: all that is still in the socket. */
static bool begin_to_collect(struct inspection *inspection)
{
	struct collected *collected = talloc_zero(inspection->ctx, struct collected);
	size_t taken = 0;

	if (collected == NULL)
		return false;
	collected->head_size = head_size_of(scratch.data);
	collected->head = talloc_size(collected, collected->head_size);
	while (collected->head != NULL && taken < collected->head_size) {
		ssize_t received = receive(inspection, collected->head + taken, collected->head_size - taken, 0);

		if (received <= 0)
			TALLOC_FREE(collected->head);
		else
			taken += (size_t)received;
	}
	if (collected->head == NULL) {
		talloc_free(collected);
		return false;
	}
	inspection->collected = collected;
	inspection->body_size = 0;
	inspection->has_body = false;
	return true;
}

static bool has_room(struct collected *collected, size_t size)
{
	size_t room = collected->room > 0 ? collected->room : BODY_SIZE_MIN;
	uint8_t *grown;

	if (size <= collected->room)
		return true;
	while (room < size)
		room *= 2;
	grown = talloc_realloc_size(collected, collected->body, room);
	if (grown == NULL)
		return false;
	collected->body = grown;
	collected->room = room;
	return true;
}

/* The header of a record of the body is whole; returns what is wrong with it. */
static const char *begin_record(struct inspection *inspection)
{
	struct collected *collected = inspection->collected;
	struct record record = record_read(collected->header);
	const char *defect = header_defect(inspection, &record);

	if (defect == NULL && record.type != RECORD_STDIN)
		defect = "a record that has no place there";
	if (defect != NULL)
		return defect;
	collected->header_size = 0;
	collected->content_left = record.content_size;
	collected->padding_left = record.padding_size;
	inspection->has_body = record.content_size == 0;
	inspection->is_too_large = inspection->body_size + record.content_size > inspection->plan.max;
	return inspection->is_too_large || inspection->plan.is_streamed ||
	                       has_room(collected, (size_t)inspection->body_size + record.content_size)
	               ? NULL
	               : "out of memory for its body";
}

/* Take in some of data[size]; *used is how much. Returns what is wrong with it. */
static const char *collect_some(struct inspection *inspection, const uint8_t *data, size_t size, size_t *used)
{
	struct collected *collected = inspection->collected;

	if (collected->content_left > 0) {
		*used = size < collected->content_left ? size : collected->content_left;
		if (inspection->plan.is_streamed)
			inspection->is_refused = !inspection->sink(inspection->sink_context, data, *used);
		else
			memcpy(collected->body + inspection->body_size, data, *used);
		inspection->body_size += *used;
		collected->content_left -= *used;
	} else if (collected->padding_left > 0) {
		*used = size < collected->padding_left ? size : collected->padding_left;
		collected->padding_left -= *used;
	} else {
		*used = RECORD_HEADER_SIZE - collected->header_size;
		if (*used > size)
			*used = size;
		memcpy(collected->header + collected->header_size, data, *used);
		collected->header_size += *used;
		if (collected->header_size == RECORD_HEADER_SIZE)
			return begin_record(inspection);
	}
	return NULL;
}

/* No more of it will be taken in. */
static bool is_collected(const struct inspection *inspection)
{
	return inspection_has_ended(inspection) || inspection->is_too_large || inspection->is_refused;
}

/* Read once, and take in what came. */
static enum fcgi_progress collect_once(struct inspection *inspection)
{
	ssize_t received = receive(inspection, scratch.data, sizeof scratch.data, 0);
	size_t size = received > 0 ? (size_t)received : 0;
	size_t used;

	if (received <= 0)
		return progress_without_data(received);
	for (size_t at = 0; at < size && !is_collected(inspection); at += used) {
		const char *defect = collect_some(inspection, scratch.data + at, size - at, &used);

		if (defect != NULL)
			return broken(inspection, defect);
	}
	return FCGI_READY;
}

static enum fcgi_progress collect(struct inspection *inspection)
{
	enum fcgi_progress progress = FCGI_READY;

	while (progress == FCGI_READY && !is_collected(inspection))
		progress = collect_once(inspection);
	if (progress == FCGI_READY)
		gather_params(inspection, inspection->collected->head);
	return progress;
}

bool inspection_take_head(struct inspection *inspection)
{
	scratch.owner = NULL;
	return receive(inspection, scratch.data, sizeof scratch.data, MSG_PEEK) > 0 && begin_to_collect(inspection);
}

enum fcgi_progress inspection_stream(struct inspection *inspection, body_sink *sink, void *context)
{
	enum fcgi_progress progress = FCGI_READY;

	inspection->sink = sink;
	inspection->sink_context = context;
	for (unsigned int i = 0; i < STREAM_READS && progress == FCGI_READY && !is_collected(inspection); i++)
		progress = collect_once(inspection);
	return progress == FCGI_READY && !is_collected(inspection) ? FCGI_WAIT : progress;
}

size_t inspection_held(const struct inspection *inspection)
{
	return inspection->collected != NULL ? inspection->collected->head_size + inspection->collected->room : 0;
}

/* The head is whole. */
static void plan_body(struct inspection *inspection)
{
	bool may_have_body = !inspection->has_body || inspection->body_size > 0;

	if (inspection->plan_body != NULL && may_have_body && !inspection->is_planned) {
		inspection->is_planned = true;
		inspection->plan = inspection->plan_body(inspection);
	}
}

enum fcgi_progress inspection_proceed(struct inspection *inspection)
{
	const char *defect;
	ssize_t received;

	if (inspection->collected != NULL)
		return collect(inspection);
	scratch.owner = NULL;
	received = receive(inspection, scratch.data, sizeof scratch.data, MSG_PEEK);
	if (received <= 0)
		return progress_without_data(received);
	defect = take_records(inspection, scratch.data, (size_t)received);
	if (defect != NULL)
		return broken(inspection, defect);
	if (!inspection->has_params)
		return (size_t)received == sizeof scratch.data ? broken(inspection, "too many small records")
		                                               : FCGI_WAIT;
	if (scratch.owner != inspection)
		gather_params(inspection, scratch.data);
	plan_body(inspection);
	inspection->is_too_large = inspection->body_size > inspection->plan.max ||
	                           (!inspection->has_body && declares_too_much(inspection));
	if (is_whole(inspection))
		return FCGI_READY;
	/* Some web servers send the end of an empty body by itself: what is whole by then need not be copied. */
	if (inspection->body_size == 0 && (size_t)received - inspection->offset < RECORD_HEADER_SIZE)
		return FCGI_WAIT;
	return begin_to_collect(inspection) ? collect(inspection) : broken(inspection, "out of memory for its body");
}

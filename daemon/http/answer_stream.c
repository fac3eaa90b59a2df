/* An answer that is written piece by piece, as its peer takes it. */
#include "http/answer_stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void put_header(struct answer_stream *stream, size_t at, uint8_t type, size_t size)
{
	const uint8_t header[RECORD_HEADER_SIZE] = {
		RECORD_VERSION_1,     type,         (uint8_t)(stream->request_id >> 8), (uint8_t)stream->request_id,
		(uint8_t)(size >> 8), (uint8_t)size};

	memcpy(stream->data + at, header, sizeof header);
}

void *answer_stream_room(struct answer_stream *stream)
{
	stream->at = stream->size = 0;
	return stream->data + RECORD_HEADER_SIZE;
}

void answer_stream_put(struct answer_stream *stream, size_t size)
{
	put_header(stream, 0, RECORD_STDOUT, size);
	stream->size = RECORD_HEADER_SIZE + size;
}

void answer_stream_end(struct answer_stream *stream)
{
	if (stream->at == stream->size)
		stream->at = stream->size = 0;
	put_header(stream, stream->size, RECORD_STDOUT, 0);
	put_header(stream, stream->size + RECORD_HEADER_SIZE, RECORD_END_REQUEST, RECORD_HEADER_SIZE);
	/* Application status 0, and FCGI_REQUEST_COMPLETE. */
	memset(stream->data + stream->size + RECORD_HEADER_SIZE + RECORD_HEADER_SIZE, 0, RECORD_HEADER_SIZE);
	stream->size += ANSWER_END_SIZE;
}

enum answer_progress answer_stream_send(struct answer_stream *stream)
{
	while (stream->at < stream->size) {
		ssize_t sent = send(stream->fd, stream->data + stream->at, stream->size - stream->at,
		                    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? ANSWER_WAIT : ANSWER_GONE;
		stream->at += (size_t)sent;
	}
	return ANSWER_TAKEN;
}

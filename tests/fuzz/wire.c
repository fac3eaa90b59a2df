#include "wire.h"

#include "fuzz.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VERSION_1 = 1, REQUEST_ID = 1 };
enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5 };
enum { RESPONDER = 1, AUTHORIZER = 2 };

void wire_put(struct wire *wire, const void *data, size_t size)
{
	if (size == 0 || size > sizeof wire->data - wire->size)
		return;
	memcpy(wire->data + wire->size, data, size);
	wire->size += size;
}

static void put_record(struct wire *wire, uint8_t type, const void *content, size_t size)
{
	const uint8_t header[] = {VERSION_1, type, 0, REQUEST_ID, (uint8_t)(size >> 8), (uint8_t)size, 0, 0};

	if (size > UINT16_MAX || sizeof header + size > sizeof wire->data - wire->size)
		return;
	wire_put(wire, header, sizeof header);
	wire_put(wire, content, size);
}

void wire_begin(struct wire *wire, bool is_authorizer)
{
	const uint8_t body[8] = {0, is_authorizer ? AUTHORIZER : RESPONDER};

	wire->size = 0;
	put_record(wire, BEGIN_REQUEST, body, sizeof body);
}

static size_t put_length(uint8_t *at, size_t length)
{
	if (length < 0x80) {
		at[0] = (uint8_t)length;
		return 1;
	}
	at[0] = (uint8_t)(length >> 24 | 0x80);
	at[1] = (uint8_t)(length >> 16);
	at[2] = (uint8_t)(length >> 8);
	at[3] = (uint8_t)length;
	return 4;
}

/* One parameter a record. */
void wire_param(struct wire *wire, const char *name, const char *value, size_t value_size)
{
	uint8_t content[8 + 256 + 16 * 1024];
	size_t name_size = strlen(name), size;

	if (name_size > 256 || value_size > sizeof content - 8 - 256)
		return;
	size = put_length(content, name_size);
	size += put_length(content + size, value_size);
	memcpy(content + size, name, name_size);
	size += name_size;
	if (value_size > 0)
		memcpy(content + size, value, value_size);
	put_record(wire, PARAMS, content, size + value_size);
}

void wire_end_params(struct wire *wire)
{
	put_record(wire, PARAMS, NULL, 0);
}

void wire_body(struct wire *wire, const void *body, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step)
		put_record(wire, STDIN, (const uint8_t *)body + at, size - at < step ? size - at : step);
	put_record(wire, STDIN, NULL, 0);
}

static void prepare(void)
{
	MUST(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	MUST(fcgi_init() == NULL);
}

struct fcgi *wire_connect(const struct wire *wire, int *peer)
{
	static bool is_ready;
	struct fcgi *fcgi;
	int pair[2];

	if (!is_ready)
		prepare();
	is_ready = true;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(send(pair[1], wire->data, wire->size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)wire->size);
	MUST(shutdown(pair[1], SHUT_WR) == 0);
	fcgi = fcgi_open(NULL, pair[0], 0, 64 * 1024);
	MUST(fcgi != NULL);
	*peer = pair[1];
	return fcgi;
}

size_t wire_hang_up(int peer)
{
	static char answer[64 * 1024];
	ssize_t received;
	size_t size = 0;

	while ((received = recv(peer, answer, sizeof answer, MSG_DONTWAIT)) > 0)
		size += (size_t)received;
	close(peer);
	return size;
}

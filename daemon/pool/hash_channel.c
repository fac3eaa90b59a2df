/* Between workers and the hasher. */
#include "pool/hash_channel.h"

#include "pool/handoff.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

int hash_channel_open(int registrations)
{
	struct handoff handoff = {0};
	bool is_sent;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
		return -1;
	handoff.fd = ends[1];
	is_sent = handoff_put(registrations, &handoff);
	close(ends[1]);
	if (is_sent)
		return ends[0];
	close(ends[0]);
	return -1;
}

static bool put(int channel, const struct hash_message *message, size_t size)
{
	return channel >= 0 && send(channel, message, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

bool hash_channel_send(int channel, const struct hash_message *message)
{
	return put(channel, message, sizeof *message);
}

bool hash_channel_cancel(int channel, uint64_t id)
{
	const struct hash_message message = {.kind = HASH_MESSAGE_CANCEL, .id = id};

	return put(channel, &message, offsetof(struct hash_message, job));
}

enum hash_channel_status hash_channel_receive(int channel, struct hash_result *result)
{
	ssize_t size = recv(channel, result, sizeof *result, MSG_DONTWAIT);

	if (size == (ssize_t)sizeof *result)
		return HASH_CHANNEL_RESULT;
	return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? HASH_CHANNEL_NOTHING
	                                                                               : HASH_CHANNEL_CLOSED;
}

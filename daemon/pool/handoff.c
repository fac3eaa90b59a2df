/* Queues of connections: descriptors that are sent over a socket. */
#include "pool/handoff.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* The message that a connection is sent with. The number of the descriptor in it means nothing to the receiver. */
struct envelope {
	struct iovec data;
	struct msghdr message;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
};

static void address(struct envelope *envelope, struct handoff *handoff)
{
	*envelope = (struct envelope){.data = {.iov_base = handoff, .iov_len = sizeof *handoff}};
	envelope->message = (struct msghdr){
		.msg_iov = &envelope->data,
		.msg_iovlen = 1,
		.msg_control = envelope->control.room,
		.msg_controllen = sizeof envelope->control.room,
	};
}

int handoff_open(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

bool handoff_put(int end, const struct handoff *handoff)
{
	struct handoff sent = *handoff;
	struct envelope envelope;
	struct cmsghdr *header;

	address(&envelope, &sent);
	header = CMSG_FIRSTHDR(&envelope.message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof sent.fd);
	memcpy(CMSG_DATA(header), &sent.fd, sizeof sent.fd);
	return sendmsg(end, &envelope.message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

bool handoff_take(int end, struct handoff *handoff)
{
	struct envelope envelope;
	const struct cmsghdr *header;

	address(&envelope, handoff);
	if (recvmsg(end, &envelope.message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof *handoff)
		return false;
	header = CMSG_FIRSTHDR(&envelope.message);
	if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof handoff->fd))
		return false;
	memcpy(&handoff->fd, CMSG_DATA(header), sizeof handoff->fd);
	return true;
}

bool handoff_peek(int end, struct handoff *handoff)
{
	bool is_there = recv(end, handoff, sizeof *handoff, MSG_DONTWAIT | MSG_PEEK) == (ssize_t)sizeof *handoff;

	handoff->fd = -1;
	return is_there;
}

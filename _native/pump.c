/* Between a stream of frames, each behind its length, and a socket whose packets are frames.
 *
 * 1. The stream is a program's, as passt's and qemu's: four bytes of length, the highest first, then the frame.
 * 2. Neither way holds up the other. What cannot be sent yet is kept, and no more is taken of that way meanwhile, so that
 *    whoever sends meets a full socket.
 * 3. A length that no frame has ends it: what follows cannot be read any more.
 */
#include "internal.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFIX 4                        /* bytes of a length */
#define BATCH 16                        /* packets that one call takes */
#define SLOT (PREFIX + VN_LARGE)        /* bytes that a frame may need, with its length */
#define ROOM (4 * SLOT)                 /* bytes of the stream that are read at once */

struct pump {
	int stream, packets;
	uint8_t read[ROOM];             /* of the stream: from `at` to `end` it is still to be sent */
	size_t at, end;
	uint8_t slots[BATCH][SLOT];     /* packets, each with its length before it */
	struct iovec rest[BATCH];       /* what of them is still to be written: from `next` to `count` */
	int next, count;
	uint64_t moved, dropped;        /* frames, both ways together */
};

/* The length of the frame that begins at `at`: 0 where it is not there whole, -EPROTO where it is none. */
static int whole(const struct pump *pump)
{
	const size_t there = pump->end - pump->at;
	if (there < PREFIX)
		return 0;
	const uint32_t length = vn_get32(pump->read + pump->at);
	if (!length || length > VN_LARGE)
		return -EPROTO;
	return there >= PREFIX + length ? (int)length : 0;
}

/* Send the frames that are there whole. Returns 0, -EAGAIN where the socket is full before the last of them, or -errno. */
static int send_frames(struct pump *pump)
{
	int length;
	while ((length = whole(pump)) > 0) {
		const uint8_t *frame = pump->read + pump->at + PREFIX;
		if (send(pump->packets, frame, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			pump->moved++;
		else if (errno == EMSGSIZE)
			pump->dropped++;
		else
			return errno == ENOBUFS ? -EAGAIN : -errno;
		pump->at += PREFIX + (size_t)length;
	}
	memmove(pump->read, pump->read + pump->at, pump->end - pump->at);
	pump->end -= pump->at;
	pump->at = 0;
	return length;
}

/* Returns 0, -EAGAIN, -EPIPE at the stream's end, or -errno. */
static int from_stream(struct pump *pump)
{
	const ssize_t more = recv(pump->stream, pump->read + pump->end, ROOM - pump->end, MSG_DONTWAIT);
	if (more <= 0)
		return more ? -errno : -EPIPE;
	pump->end += (size_t)more;
	return send_frames(pump);
}

/* Write what is kept. Returns 0 once all is written, or -errno. */
static int write_rest(struct pump *pump)
{
	while (pump->next < pump->count) {
		struct msghdr message = {.msg_iov = pump->rest + pump->next, .msg_iovlen = (size_t)(pump->count - pump->next)};
		ssize_t written = sendmsg(pump->stream, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (written < 0)
			return -errno;
		while (pump->next < pump->count && (size_t)written >= pump->rest[pump->next].iov_len)
			written -= (ssize_t)pump->rest[pump->next++].iov_len;
		if (pump->next < pump->count) {
			pump->rest[pump->next].iov_base = (uint8_t *)pump->rest[pump->next].iov_base + written;
			pump->rest[pump->next].iov_len -= (size_t)written;
		}
	}
	pump->next = pump->count = 0;
	return 0;
}

/* Returns 0, -EAGAIN, -EPIPE at the socket's end, or -errno. */
static int from_packets(struct pump *pump)
{
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){pump->slots[i] + PREFIX, VN_LARGE};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
	}
	const int came = recvmmsg(pump->packets, messages, BATCH, MSG_DONTWAIT, NULL);
	if (came <= 0)
		return came ? -errno : -EPIPE;
	for (int i = 0; i < came; i++) {
		const uint32_t length = messages[i].msg_len;
		if (!length)
			return -EPIPE; /* the end of a connection comes as a packet without a byte */
		if (messages[i].msg_hdr.msg_flags & MSG_TRUNC) {
			pump->dropped++;
			continue;
		}
		vn_put32(pump->slots[i], length);
		pump->moved++;
		pump->rest[pump->count++] = (struct iovec){pump->slots[i], PREFIX + length};
	}
	return write_rest(pump);
}

static bool ends(int result)
{
	return result < 0 && result != -EAGAIN && result != -EINTR;
}

static int pump_until_stopped(struct pump *pump, struct vn_loop *loop)
{
	bool held = false; /* frames of the stream wait for room */
	while (!vn_is_stopped(&loop->stop)) {
		const short stream = (short)((held ? 0 : POLLIN) | (pump->count ? POLLOUT : 0));
		const short packets = (short)((held ? POLLOUT : 0) | (pump->count ? 0 : POLLIN));
		struct pollfd wanted[] = {
			{stream ? pump->stream : -1, stream, 0}, /* of which nothing is wanted, the end is not told without end */
			{packets ? pump->packets : -1, packets, 0},
			{loop->stop.fd, POLLIN, 0},
		};
		if (poll(wanted, 3, -1) < 0 && errno != EINTR)
			return -errno;
		int out = 0, in = 0;
		if (held && wanted[1].revents)
			out = send_frames(pump);
		else if (!held && wanted[0].revents & (POLLIN | POLLHUP | POLLERR))
			out = from_stream(pump);
		held = whole(pump) > 0;
		if (pump->count && wanted[0].revents)
			in = write_rest(pump);
		else if (!pump->count && wanted[1].revents & (POLLIN | POLLHUP | POLLERR))
			in = from_packets(pump);
		if (ends(out) || ends(in))
			return ends(out) ? out : in;
		__atomic_store_n(&loop->counters[VN_LOOP_FRAMES], pump->moved, __ATOMIC_RELAXED);
		__atomic_store_n(&loop->counters[VN_LOOP_DROPPED], pump->dropped, __ATOMIC_RELAXED);
	}
	return 0;
}

int vn_pump(struct vn_loop *loop, int stream, int packets)
{
	struct pump *pump = calloc(1, sizeof(*pump));
	if (!pump)
		return -ENOMEM;
	pump->stream = stream;
	pump->packets = packets;
	const int result = pump_until_stopped(pump, loop);
	free(pump);
	return result;
}

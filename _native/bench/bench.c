/* Measuring what a batch costs, next to a bare loop on the same sockets.
 *
 * The bare loop is the floor: one sendmmsg or recvmmsg a batch, or one write or read a frame on a tap's descriptor, on
 * sockets that the same code has opened, with the same arrays. All that a port does beyond that is what is measured.
 *
 * One thread does both halves in turn. So neither half waits for the other, and no scheduler is in the figures.
 */
#include "../internal.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define PATIENCE 200 /* milliseconds for a frame that is on its way */

struct floor {
	struct mmsghdr *messages;
	struct iovec *vectors;
	uint8_t *packet;
	struct vn_frame *frames;  /* for a port's own half */
	uint8_t *memory;
	int count;
};

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void free_floor(struct floor *floor)
{
	free(floor->messages);
	free(floor->vectors);
	free(floor->packet);
	free(floor->frames);
	free(floor->memory);
}

/* What a bare end sends: `count` times one packet, its header the port's template. And frames for a port to send. */
static int make_floor(struct floor *floor, struct vn_port *port, uint32_t length, int count)
{
	memset(floor, 0, sizeof(*floor));
	if (port->listen_fd >= 0 && vn_accept(port)) /* a switch: a bare loop does not look for its guest */
		return -ENOTCONN;
	floor->count = count;
	floor->messages = calloc((size_t)count, sizeof(*floor->messages));
	floor->vectors = calloc((size_t)count, sizeof(*floor->vectors));
	floor->frames = calloc((size_t)count, sizeof(*floor->frames));
	floor->packet = calloc(1, port->tx_header + length);
	floor->memory = calloc((size_t)count, length);
	if (!floor->messages || !floor->vectors || !floor->frames || !floor->packet || !floor->memory)
		return -ENOMEM;
	memcpy(floor->packet, port->template, port->tx_header);
	for (uint32_t i = 0; i < length; i++)
		floor->packet[port->tx_header + i] = i < 12 ? 2 : i == 12 ? 0x88 : i == 13 ? 0xb5 : (uint8_t)i;
	for (int i = 0; i < count; i++) {
		floor->vectors[i] = (struct iovec){floor->packet, port->tx_header + length};
		floor->messages[i].msg_hdr.msg_iov = &floor->vectors[i];
		floor->messages[i].msg_hdr.msg_iovlen = 1;
		if (port->remote_size) {
			floor->messages[i].msg_hdr.msg_name = (void *)(uintptr_t)&port->remote;
			floor->messages[i].msg_hdr.msg_namelen = port->remote_size;
		}
		floor->frames[i] = (struct vn_frame){(uint32_t)i * length, length};
		memcpy(floor->memory + (size_t)i * length, floor->packet + port->tx_header, length);
	}
	return 0;
}

/* ---- the bare halves ---- */

static int bare_send(const struct vn_port *port, struct floor *floor, int count)
{
	int done = 0;
	while (done < count) {
		int batch = count - done < (int)port->batch ? count - done : (int)port->batch, sent = 0;
		if (port->tx_socket)
			sent = sendmmsg(port->tx_fd, floor->messages, (unsigned)batch, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			while (sent < batch && writev(port->tx_fd, floor->vectors, 1) > 0)
				sent++;
		if (sent <= 0)
			return -ENOBUFS;
		done += sent;
	}
	return 0;
}

/* Returns how many came, 0 where none did, or -errno. */
static int bare_receive_some(struct vn_port *port)
{
	int got = 0;
	if (port->rx_socket) {
		got = recvmmsg(port->rx_fd, port->rx.messages, port->batch, MSG_DONTWAIT, NULL);
		port->rx.used = port->depth; /* sizes that the port sets again in its turn */
		return got >= 0 ? got : errno == EAGAIN ? 0 : -errno;
	}
	while (got < (int)port->batch && readv(port->rx_fd, &port->rx.vectors[got], 1) > 0)
		got++;
	return got;
}

static int wait_for(const struct vn_port *port)
{
	struct pollfd fd = {.fd = port->rx_fd, .events = POLLIN};
	return poll(&fd, 1, PATIENCE) > 0 ? 0 : -ETIMEDOUT;
}

/* ---- either half ---- */

static int send_all(struct vn_bench_end end, struct floor *floor, int count)
{
	if (end.bare)
		return bare_send(end.port, floor, count);
	for (int done = 0; done < count;) {
		int sent = vn_transmit(end.port, floor->memory, floor->frames + done, count - done, false);
		if (sent <= 0)
			return sent ? sent : -ENOBUFS;
		done += sent;
	}
	return 0;
}

/* Frames land in `frames`, at most `most` of them; a bare end leaves them in its slots. */
static int receive_some(struct vn_bench_end end, struct vn_frame *frames, int most)
{
	int got = end.bare ? bare_receive_some(end.port) : vn_receive(end.port, frames, most, false);
	return got == -EAGAIN ? 0 : got;
}

static int receive_all(struct vn_bench_end end, struct floor *floor, int count)
{
	for (int done = 0; done < count;) {
		int got = receive_some(end, floor->frames, count - done);
		if (got < 0)
			return got;
		done += got;
		if (!got && wait_for(end.port))
			return -ETIMEDOUT;
	}
	return 0;
}

int vn_bench_one_way(struct vn_bench_end from, struct vn_bench_end to, uint32_t length, int count, int rounds,
		     int64_t *out, int64_t *in)
{
	struct floor sent, taken;
	int rc = make_floor(&sent, from.port, length, count);
	*out = *in = 0;
	memset(&taken, 0, sizeof(taken));
	rc = rc ? rc : make_floor(&taken, to.port, length, count);
	for (int round = 0; !rc && round < rounds; round++) {
		int64_t start = now(), middle;
		rc = send_all(from, &sent, count);
		middle = now();
		rc = rc ? rc : receive_all(to, &taken, count);
		*in += now() - middle;
		*out += middle - start;
	}
	free_floor(&sent);
	free_floor(&taken);
	return rc;
}

/* Send on what lies in the slots of a bare receiver: whole packets, headers and all, as they came. */
static int bare_forward(struct vn_port *from, struct vn_port *to, struct floor *floor, int count)
{
	for (int done = 0; done < count;) {
		int got = bare_receive_some(from), sent = 0;
		if (got < 0)
			return got;
		if (!got) {
			if (wait_for(from))
				return -ETIMEDOUT;
			continue;
		}
		for (int i = 0; i < got; i++) {
			floor->vectors[i].iov_base = (uint8_t *)from->rx.vectors[i].iov_base + from->rx_skip;
			floor->vectors[i].iov_len = from->rx.messages[i].msg_len - from->rx_skip;
		}
		while (sent < got) {
			int some = to->tx_socket ? sendmmsg(to->tx_fd, floor->messages + sent, (unsigned)(got - sent),
							    MSG_DONTWAIT | MSG_NOSIGNAL)
						 : writev(to->tx_fd, &floor->vectors[sent], 1) > 0;
			if (some <= 0)
				return -ENOBUFS;
			sent += some;
		}
		done += got;
	}
	return 0;
}

static int port_forward(struct vn_port *from, struct vn_port *to, struct floor *floor, int count)
{
	for (int done = 0; done < count;) {
		int got = vn_receive(from, floor->frames, floor->count, false), sent = 0;
		if (got == -EAGAIN || !got) {
			if (wait_for(from))
				return -ETIMEDOUT;
			continue;
		}
		if (got < 0)
			return got;
		while (sent < got) {
			int some = vn_transmit(to, from->memory, floor->frames + sent, got - sent, false);
			if (some <= 0)
				return some ? some : -ENOBUFS;
			sent += some;
		}
		done += got;
	}
	return 0;
}

int vn_bench_forward(struct vn_port *feeder, struct vn_port *from, struct vn_port *to, struct vn_port *sink, int bare,
		     uint32_t length, int count, int rounds, int64_t *spent)
{
	struct floor fed, moved;
	int rc = make_floor(&fed, feeder, length, count);
	*spent = 0;
	memset(&moved, 0, sizeof(moved));
	rc = rc ? rc : make_floor(&moved, to, length, count);
	rc = rc ? rc : sink->listen_fd >= 0 ? vn_accept(sink) : 0;
	for (int round = 0; !rc && round < rounds; round++) {
		rc = bare_send(feeder, &fed, count);
		int64_t start = now();
		rc = rc ? rc : bare ? bare_forward(from, to, &moved, count) : port_forward(from, to, &moved, count);
		*spent += now() - start;
		rc = rc ? rc : receive_all((struct vn_bench_end){sink, bare}, &fed, count);
	}
	free_floor(&fed);
	free_floor(&moved);
	return rc;
}

/* Take what the host's stack has said meanwhile: a frame more on its way, and each round would find the one before. */
static void empty(struct vn_port *port)
{
	struct vn_frame frames[64];
	while (vn_receive(port, frames, 64, false) >= 0)
		;
}

int vn_bench_echo(struct vn_bench_end here, struct vn_bench_end there, uint32_t length, int rounds, int64_t *times)
{
	struct floor ours, theirs;
	int rc = make_floor(&ours, here.port, length, 1);
	memset(&theirs, 0, sizeof(theirs));
	rc = rc ? rc : make_floor(&theirs, there.port, length, 1);
	empty(here.port);
	empty(there.port);
	for (int round = 0; !rc && round < rounds; round++) {
		int64_t start = now();
		rc = send_all(here, &ours, 1);
		rc = rc ? rc : receive_all(there, &theirs, 1);
		if (!rc && !there.bare) /* what came is what goes back */
			rc = vn_transmit(there.port, there.port->memory, theirs.frames, 1, false) == 1 ? 0 : -ENOBUFS;
		else
			rc = rc ? rc : bare_send(there.port, &theirs, 1);
		rc = rc ? rc : receive_all(here, &ours, 1);
		times[round] = now() - start;
		if (!here.bare) /* receiving has put other frames into the place of those to send */
			ours.frames[0] = (struct vn_frame){0, length};
	}
	free_floor(&ours);
	free_floor(&theirs);
	return rc;
}

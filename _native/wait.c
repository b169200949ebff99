/* Calls that wait, around the batches of receive.c and transmit.c: for frames, for room in a queue, for a time to end.
 *
 * Here, too, is the slow way of sending: a frame with a virtio-net header that goes out on a wire without one is cut
 * first, and its checksum filled in.
 */
#include "internal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define PAUSE 50000 /* nanoseconds between tries where the kernel is out of buffers, which poll does not tell */
#define TURN 20000000 /* nanoseconds until a sender looks again for the other end, which a receiving thread may accept */
#define ROUNDS 64   /* batches dropped whole that one call goes through before Python looks after its signals */

int64_t vn_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

/* Returns whether a descriptor was left for it. */
bool vn_stop_make(struct vn_stop *stop)
{
	stop->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return stop->fd >= 0;
}

void vn_stop_set(struct vn_stop *stop)
{
	const uint64_t one = 1;
	__atomic_store_n(&stop->stopped, 1, __ATOMIC_RELEASE);
	ssize_t written = write(stop->fd, &one, sizeof(one));
	(void)written; /* only a full counter fails, and then it is readable already */
}

/* Wait until the port may go on, one of those given is stopped, or the time is over: 0 after the time, or earlier.
 * Otherwise 1, -ECANCELED, or -EINTR after a signal, which Python wants to hear of. */
int vn_wait(struct vn_port *port, short events, int64_t timeout, const struct vn_loop *loop, const struct vn_port *other)
{
	struct pollfd fds[4] = {
		{.fd = events & POLLOUT ? port->tx.fd : port->wait_fd, .events = events},
		{.fd = port->stop.fd, .events = POLLIN},
		{.fd = loop ? loop->stop.fd : -1, .events = POLLIN},
		{.fd = other ? other->stop.fd : -1, .events = POLLIN},
	};
	if (!events)
		fds[0].fd = -1;
	if (port->transport.ready && events & POLLOUT) {
		if (vn_ready(port))
			fds[0].events = POLLIN;
		if (timeout < 0 || timeout > TURN)
			timeout = TURN;
	}
	const struct timespec limit = {timeout / SECOND, timeout % SECOND};
	int rc = ppoll(fds, 4, timeout < 0 ? NULL : &limit, NULL);
	if (rc < 0)
		return -errno;
	return fds[1].revents || fds[2].revents || fds[3].revents ? -ECANCELED : rc > 0;
}

/* Whether the other end has closed the connection. */
bool vn_is_hung_up(const struct vn_port *port)
{
	struct pollfd peer = {.fd = port->rx.fd, .events = POLLRDHUP};
	return poll(&peer, 1, 0) > 0;
}

int vn_recv(struct vn_port *port, struct vn_frame *frames, int most, int64_t timeout)
{
	const int64_t deadline = timeout > 0 ? vn_now() + timeout : timeout;
	if (most < 1)
		return -EINVAL;
	for (int round = 1;; round++) {
		if (vn_is_stopped(&port->stop))
			return -ECANCELED;
		int got = vn_receive(port, frames, most, port->flags & VN_RAW_OFFLOAD);
		if (got > 0 || (got < 0 && got != -EAGAIN))
			return got;
		if (timeout == 0 && (got == -EAGAIN || round == ROUNDS))
			return 0;
		if (round == ROUNDS)
			return -EINTR;
		int64_t left = timeout > 0 ? deadline - vn_now() : -1;
		if (timeout > 0 && left <= 0)
			return 0;
		if (got == -EAGAIN) {
			got = vn_wait(port, POLLIN, left, NULL, NULL);
			if (got < 0)
				return got;
		}
	}
}

/* Send frames, waiting while the queue is full, until the deadline (0: do not wait, negative: for ever).
 * Returns how many were taken; -errno where none was. */
int vn_transmit_all(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole,
		    int64_t deadline, const struct vn_loop *loop, const struct vn_port *other)
{
	int done = 0;
	while (done < count) {
		if (vn_is_stopped(&port->stop) || (loop && vn_is_stopped(&loop->stop)))
			return -ECANCELED;
		int sent = vn_transmit(port, base, frames + done, count - done, whole);
		if (sent < 0 && sent != -ENOBUFS)
			return done ? done : sent; /* what is wrong shows again with the next call */
		if (sent > 0) {
			done += sent;
			continue;
		}
		int64_t left = deadline > 0 ? deadline - vn_now() : deadline;
		if (deadline >= 0 && left <= 0)
			break;
		if (sent == -ENOBUFS && (left < 0 || left > PAUSE))
			left = PAUSE;
		sent = vn_wait(port, sent ? 0 : POLLOUT, left, loop, other);
		if (sent < 0 && !(sent == -EINTR && loop))
			return done ? done : sent;
	}
	return done;
}

/* Send a large frame's segments. Returns 1, or 0 or -errno where none was taken. Where some were, and time ran out, the
 * rest is dropped, as by a network card whose queue is full. */
static int send_segments(struct vn_port *port, struct vn_cutter *cutter, int64_t deadline)
{
	bool begun = false;
	while (cutter->count) {
		uint32_t at = 0;
		int ready = 0, sent;
		for (; cutter->count && ready < VN_CUT_FRAMES; ready++) {
			uint32_t length = vn_cut_next(cutter, port->tx.cut + at, VN_CUT - at);
			if (!length)
				break;
			port->tx.cut_frames[ready] = (struct vn_frame){at, length};
			at += length;
		}
		sent = vn_transmit_all(port, port->tx.cut, port->tx.cut_frames, ready, false, deadline, NULL, NULL);
		begun |= sent > 0;
		if (sent < ready) {
			if (begun)
				vn_count(port, VN_TX_DROP_QUEUE_FULL, cutter->count + (uint32_t)(ready - (sent > 0 ? sent : 0)));
			return begun ? 1 : sent;
		}
	}
	return 1;
}

/* Send a frame with its virtio-net header over a wire that has none. Returns 1, 0 or -errno. */
static int send_cut(struct vn_port *port, uint8_t *data, const struct vn_frame *frame, int64_t deadline)
{
	struct vn_frame plain = {frame->offset + VN_VNET, frame->length - VN_VNET};
	struct vn_offload wants;
	struct vn_cutter cutter;
	if (frame->length <= VN_VNET) {
		vn_count(port, VN_TX_DROP_INVALID, 1);
		return 1;
	}
	memcpy(&wants, data + frame->offset, VN_VNET);
	if (wants.type ? !vn_cut_begin(&cutter, &wants, data + plain.offset, plain.length, UINT32_MAX)
		       : wants.flags & VN_NEEDS_CHECKSUM && !vn_fill_checksum(&wants, data + plain.offset, plain.length)) {
		vn_count(port, VN_TX_DROP_INVALID, 1);
		return 1;
	}
	return wants.type ? send_segments(port, &cutter, deadline)
			  : vn_transmit_all(port, data, &plain, 1, false, deadline, NULL, NULL);
}

int vn_send(struct vn_port *port, uint8_t *data, const uint32_t *lengths, int count, int64_t timeout)
{
	const int64_t deadline = timeout > 0 ? vn_now() + timeout : timeout;
	const bool whole = port->flags & VN_RAW_OFFLOAD;
	struct vn_frame *frames = port->tx.frames;
	int done = 0;
	while (done < count) {
		uint32_t end = 0;
		int ready = 0, sent;
		for (; ready < (port->tx.cut ? 1 : (int)port->depth) && done + ready < count; end += lengths[done + ready], ready++)
			frames[ready] = (struct vn_frame){end, lengths[done + ready]};
		sent = port->tx.cut ? send_cut(port, data, frames, deadline)
				    : vn_transmit_all(port, data, frames, ready, whole, deadline, NULL, NULL);
		if (sent < 0)
			return done ? done : sent;
		done += sent;
		if (sent < ready)
			break;
		data += end;
	}
	return done;
}

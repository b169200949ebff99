/* The hot path out: packets, a batch to a system call. How its memory is laid out is in memory.c.
 *
 * A packet patches its number into a header that is there already, no more. Header and frame go out as two vectors, so
 * that frames are taken from where they lie.
 *
 * Trains. UDP takes many packets of one length as one message, and hands them over as one (UDP_SEGMENT, UDP_GRO, udp(7)).
 * Each packet in a train has its own header, so on the wire nothing is different, and a peer that knows of no trains gets
 * single packets. Where the kernel or the path does not take a train, its packets go one by one.
 *
 * There is no allocation here, no copy, and no log line: what is dropped is counted.
 */
#include "internal.h"

#include <netinet/udp.h>
#include <unistd.h>

#define TRAIN 64                 /* packets: UDP_MAX_SEGMENTS of the kernels that have fewest, linux/udp.h */
#define TRAIN_BYTES 65000        /* a UDP packet's most, RFC 768, less some headers */

/* Whether an error concerns one packet alone: then its counter, otherwise VN_COUNTERS. */
static enum vn_counter one_packet(int error)
{
	switch (error) {
	case EMSGSIZE:
		return VN_TX_DROP_TOO_LONG;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EADDRNOTAVAIL:
		return VN_TX_DROP_UNREACHABLE;
	case EPERM:
	case EACCES:
		return VN_TX_DROP_REFUSED;
	case EINVAL:
		return VN_TX_DROP_INVALID;
	case EFAULT:
	case ENOMEM:
	case EPROTO:
		return VN_TX_DROP_OTHER;
	default:
		return VN_COUNTERS;
	}
}

/* The counter of a write through the ring: VN_TX_FRAMES, or that of a drop. */
static enum vn_counter ring_verdict(int result)
{
	if (result > 0)
		return VN_TX_FRAMES;
	enum vn_counter cause = one_packet(-result);
	return cause == VN_COUNTERS ? VN_TX_DROP_QUEUE_FULL : cause;
}

/* What the kernel did with the packets at the front: `taken` of them are done with, `frames` of which went out, with so
 * many bytes of frames. Where none is taken, `error` says why. */
struct sent { int taken, error; uint64_t frames, bytes; };

static void went_out(const struct vn_tx *tx, struct sent *sent, int packet)
{
	sent->frames++;
	sent->bytes += tx->vectors[2 * packet + 1].iov_len;
}

/* One packet a write, many writes a call. What failed before the last one that went out is dropped: sent again, it would
 * come after those that were sent later. */
static struct sent write_ring(struct vn_port *port, int count)
{
	struct vn_tx *tx = &port->tx;
	struct sent sent = {0};
	sent.error = -vn_ring_write(tx->ring, tx->fd, tx->messages, count, tx->results);
	if (sent.error)
		return sent;
	for (int i = 0; i < count; i++) {
		if (tx->results[i] <= 0)
			continue;
		for (; sent.taken < i; sent.taken++)
			vn_count(port, ring_verdict(tx->results[sent.taken]), 1);
		sent.taken++;
		went_out(tx, &sent, i);
	}
	sent.error = -tx->results[0];
	return sent;
}

/* Couple packets of one length, the last of which may be shorter, into trains: a message each. Returns how many. */
static int couple(struct vn_port *port, int ready)
{
	struct vn_tx *tx = &port->tx;
	int trains = 0;
	for (int i = 0; i < ready; trains++) {
		struct msghdr *message = &tx->messages[trains].msg_hdr;
		const int first = i;
		const size_t size = port->header + tx->vectors[2 * first + 1].iov_len;
		size_t total = size, next = size;
		for (i++; i < ready && size <= port->tx.train_most && next == size && i - first < TRAIN; i++) {
			next = port->header + tx->vectors[2 * i + 1].iov_len;
			total += next;
			if (next > size || total > TRAIN_BYTES)
				break;
		}
		message->msg_iov = &tx->vectors[2 * first];
		message->msg_iovlen = 2 * (size_t)(i - first);
		message->msg_control = NULL;
		message->msg_controllen = 0;
		if (i - first > 1) {
			const uint16_t segment = (uint16_t)size;
			message->msg_control = tx->control + (size_t)trains * VN_TRAIN_CONTROL;
			message->msg_controllen = VN_TRAIN_CONTROL;
			struct cmsghdr *c = CMSG_FIRSTHDR(message);
			c->cmsg_level = SOL_UDP;
			c->cmsg_type = UDP_SEGMENT;
			c->cmsg_len = CMSG_LEN(sizeof(segment));
			memcpy(CMSG_DATA(c), &segment, sizeof(segment));
		}
		tx->ends[trains] = i;
	}
	return trains;
}

/* Hand packets to the kernel, by one call where it takes batches. */
static struct sent submit(struct vn_port *port, int count)
{
	struct vn_tx *tx = &port->tx;
	struct sent sent = {0};
	int done = 0;
	if (tx->ring && count > 1)
		return write_ring(port, count);
	if (tx->socket) {
		const int messages = tx->train_most ? couple(port, count) : count;
		done = sendmmsg(tx->fd, tx->messages, (unsigned)messages, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		while (done < count && writev(tx->fd, tx->messages[done].msg_hdr.msg_iov,
					      (int)tx->messages[done].msg_hdr.msg_iovlen) >= 0)
			done++;
	}
	sent.error = errno;
	if (done > 0)
		sent.taken = tx->train_most ? tx->ends[done - 1] : done;
	for (int i = 0; i < sent.taken; i++)
		went_out(tx, &sent, i);
	return sent;
}

/* Whether smaller trains, or none, may help where the path or the kernel did not take the first one. */
static bool shorten_trains(struct vn_port *port, int error)
{
	struct vn_tx *tx = &port->tx;
	const bool too_large = error == EINVAL || error == EMSGSIZE;
	if (!tx->train_most || tx->ends[0] == 1 ||
	    !(too_large || error == EIO || error == EOPNOTSUPP || error == ENOTSUP))
		return false;
	tx->train_most = too_large ? port->header + tx->vectors[1].iov_len - 1 : 1;
	return true;
}

/* Whether a frame's virtio-net header asks for segments that cannot be made of it. The kernel takes some of those and
 * drops them on their way with ENOBUFS, as if a queue were full. */
static bool cannot_be_cut(const uint8_t *frame, uint32_t length)
{
	struct vn_offload wants;
	struct vn_cutter cutter;
	if (length <= VN_VNET)
		return false;
	memcpy(&wants, frame, VN_VNET);
	return wants.type &&
	       !vn_cut_begin(&cutter, &wants, (uint8_t *)(uintptr_t)frame + VN_VNET, length - VN_VNET, UINT32_MAX);
}

/* Nothing was taken. Returns how many packets are dropped, 0 or -ENOBUFS where waiting helps, or -errno. */
static int refused(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, bool whole, int error)
{
	struct vn_tx *tx = &port->tx;
	if (error == ENOBUFS && whole && cannot_be_cut(base + frames[0].offset, frames[0].length))
		error = EINVAL;
	if (error == EAGAIN || error == ENOBUFS) {
		if (!tx->full)
			vn_count(port, VN_TX_QUEUE_FULL, 1);
		tx->full = true;
		return error == EAGAIN ? 0 : -ENOBUFS;
	}
	enum vn_counter cause = one_packet(error);
	if (cause != VN_COUNTERS) { /* a guest forms a number for it, too */
		const int dropped = tx->train_most ? tx->ends[0] : 1;
		if (port->recorder)
			vn_record_sent(port, base, frames, dropped, whole, cause);
		vn_count(port, cause, (uint64_t)dropped);
		tx->number += (uint32_t)dropped;
		return dropped;
	}
	if ((error == EPIPE || error == ECONNRESET || error == ENOTCONN) && port->transport.lost) {
		const int rc = port->transport.lost(port);
		return rc == -EAGAIN ? -ENOBUFS : rc;
	}
	return -error;
}

/* Send at most one batch without waiting. Returns how many were taken, dropped ones among them; 0 where the queue is full,
 * -ENOBUFS where it is and poll does not tell when it no longer is. */
int vn_transmit(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole)
{
	struct vn_tx *tx = &port->tx;
	const bool headed = port->header && !whole;
	struct sent sent;
	int ready = 0;

	count = count < (int)port->batch ? count : (int)port->batch;
	if (vn_ready(port))
		return 0;
	for (; ready < count && frames[ready].length; ready++) {
		struct iovec *vector = &tx->vectors[2 * ready];
		struct msghdr *message = &tx->messages[ready].msg_hdr;
		vector[1].iov_base = (void *)(uintptr_t)(base + frames[ready].offset);
		vector[1].iov_len = frames[ready].length;
		message->msg_iov = headed ? vector : vector + 1;
		message->msg_iovlen = headed ? 2 : 1;
		if (port->transport.form && headed)
			port->transport.form(port, vector[0].iov_base, tx->number + 1 + (uint32_t)ready);
	}
	if (!ready) { /* an empty frame is the first */
		vn_count(port, VN_TX_DROP_INVALID, count > 0);
		return count > 0;
	}
	do
		sent = submit(port, ready);
	while (!sent.taken && (sent.error == EINTR || shorten_trains(port, sent.error)));
	if (!sent.taken)
		return refused(port, base, frames, whole, sent.error);

	if (port->recorder && tx->ring && ready > 1)
		for (int i = 0; i < sent.taken; i++)
			vn_record_sent(port, base, frames + i, 1, whole, ring_verdict(tx->results[i]));
	else if (port->recorder)
		vn_record_sent(port, base, frames, sent.taken, whole, VN_TX_FRAMES);
	if (tx->full)
		vn_count(port, VN_TX_QUEUE_READY, 1);
	tx->full = false;
	tx->number += (uint32_t)sent.taken;
	vn_count(port, VN_TX_FRAMES, sent.frames);
	vn_count(port, VN_TX_BYTES, sent.bytes);
	vn_count_batch(port, VN_TX_CALLS, VN_TX_BATCH_MAX, VN_TX_BATCH_AVERAGE, (uint64_t)sent.taken);
	return sent.taken;
}

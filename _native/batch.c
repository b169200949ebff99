/* The hot path: packets in and out, a batch to a system call. How its memory is laid out is in memory.c.
 *
 * Receiving. One recvmmsg fills as many slots as there are packets; they are then judged and handed out where they lie,
 * and the next call to the kernel comes when all are handed out. A large frame is cut into segments behind the slots, as
 * many at a time as the caller takes; the rest waits for the next call.
 *
 * Sending. A packet patches its number into a header that is there already, no more. Header and frame go out as two
 * vectors, so that frames are taken from where they lie.
 *
 * Trains. UDP takes many packets of one length as one message, and hands them over as one (UDP_SEGMENT, UDP_GRO, udp(7)).
 * Each packet in a train has its own header, so on the wire nothing is different, and a peer that knows of no trains gets
 * single packets. Where the kernel or the path does not take a train, its packets go one by one.
 *
 * There is no allocation here, no copy but that of segments, and no log line: what is dropped is counted.
 */
#include "internal.h"

#include <linux/if_packet.h>
#include <netinet/udp.h>
#include <unistd.h>

#define TRAIN 64                 /* packets: UDP_MAX_SEGMENTS of the kernels that have fewest, linux/udp.h */
#define TRAIN_BYTES 65000        /* a UDP packet's most, RFC 768, less some headers */

static void count_batch(struct vn_port *port, enum vn_counter calls, enum vn_counter max, enum vn_counter average,
			uint64_t packets)
{
	uint64_t seen = __atomic_load_n(&port->counters[average], __ATOMIC_RELAXED);
	vn_count(port, calls, 1);
	__atomic_store_n(&port->counters[average], (seen + packets) / 2, __ATOMIC_RELAXED);
	if (packets > __atomic_load_n(&port->counters[max], __ATOMIC_RELAXED))
		__atomic_store_n(&port->counters[max], packets, __ATOMIC_RELAXED);
}

/* ---- receiving ---- */

/* One batch from a socket. Returns how many packets, or -errno. */
static int fill_from_socket(struct vn_port *port)
{
	struct vn_rx *rx = &port->rx;
	for (uint32_t i = 0; i < rx->used; i++) { /* the kernel wrote sizes over these, where it gave an answer */
		struct msghdr *header = &rx->messages[i].msg_hdr;
		header->msg_namelen = rx->names ? sizeof(*rx->names) : 0;
		header->msg_controllen = rx->control ? VN_CONTROL : 0;
	}
	rx->used = 0;
	int got = recvmmsg(port->rx.fd, rx->messages, port->batch, MSG_DONTWAIT, NULL);
	if (got < 0 && errno == ECONNRESET) /* it is reported before packets that are still queued */
		got = recvmmsg(port->rx.fd, rx->messages, port->batch, MSG_DONTWAIT, NULL);
	if (got < 0)
		return -errno;
	rx->used = (uint32_t)got;
	if (port->rx.hangs_up && rx->messages[got - 1].msg_len == 0 && vn_is_hung_up(port)) {
		while (got && rx->messages[got - 1].msg_len == 0) /* what comes after the last packet, recv(2) */
			got--;
		return got ? got : -ECONNRESET;
	}
	return got;
}

/* One packet a call, from a descriptor that is no socket. */
static int fill_from_file(struct vn_port *port)
{
	uint32_t got = 0;
	while (got < port->batch) {
		ssize_t size = readv(port->rx.fd, &port->rx.vectors[got], 1);
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return got ? (int)got : size ? -errno : -ECONNRESET;
		port->rx.messages[got++].msg_len = (unsigned)size;
	}
	return (int)got;
}

static int fill(struct vn_port *port)
{
	int rc = vn_ready(port);
	if (rc)
		return rc;
	int got = port->rx.socket ? fill_from_socket(port) : fill_from_file(port);
	if ((got == -ECONNRESET || got == -ENOTCONN) && port->transport.lost) { /* or the sender has hung up */
		rc = port->transport.lost(port);
		return rc ? rc : -EAGAIN;
	}
	if (got > 0)
		count_batch(port, VN_RX_CALLS, VN_RX_BATCH_MAX, VN_RX_BATCH_AVERAGE, (uint64_t)got);
	return got == -EINTR ? -EAGAIN : got;
}

static bool from_remote(const struct vn_port *port, const struct sockaddr_storage *name)
{
	const struct sockaddr_storage *remote = &port->remote;
	return name->ss_family == remote->ss_family && (!*vn_inet_port(remote) || *vn_inet_port(remote) == *vn_inet_port(name)) &&
	       !memcmp(vn_inet_address(remote), vn_inet_address(name), vn_inet_size(name));
}

/* Put back a VLAN tag that the kernel took out of the data: the addresses move to the left, packet(7) PACKET_AUXDATA. */
static uint32_t restore_vlan(struct vn_port *port, struct msghdr *message, uint8_t **frame, uint32_t length)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		struct tpacket_auxdata aux;
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || length < 12)
			return 0;
		*frame -= VN_VLAN;
		memmove(*frame, *frame + VN_VLAN, 12);
		vn_put16(*frame + 12, aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : 0x8100);
		vn_put16(*frame + 14, aux.tp_vlan_tci);
		vn_count(port, VN_RX_VLAN, 1);
		return VN_VLAN;
	}
	return 0;
}

static void put_frame(struct vn_port *port, struct vn_frame *out, const uint8_t *frame, uint32_t length)
{
	out->offset = (uint32_t)(frame - port->memory);
	out->length = length;
}

/* What a virtio-net header asks for. Returns VN_RX_FRAMES and a frame, VN_RX_LARGE with a frame to be cut, or a drop. */
static enum vn_counter offload(struct vn_port *port, uint32_t slot, uint8_t *frame, uint32_t length, bool whole,
			       struct vn_frame *out)
{
	struct vn_offload wants;
	uint32_t tag = 0;
	memcpy(&wants, frame - VN_VNET, VN_VNET);
	if (port->rx.control && !(port->flags & VN_VLAN_AS_GUEST)) {
		tag = restore_vlan(port, &port->rx.messages[slot].msg_hdr, &frame, length);
		length += tag;
		if (tag && wants.flags & VN_NEEDS_CHECKSUM)
			wants.start = (uint16_t)(wants.start + tag);
		if (tag && wants.header)
			wants.header = (uint16_t)(wants.header + tag);
	}
	if (wants.flags & VN_DATA_VALID)
		vn_count(port, VN_RX_DATA_VALID, 1);
	if (whole) {
		memcpy(frame - VN_VNET, &wants, VN_VNET);
		put_frame(port, out, frame - VN_VNET, length + VN_VNET);
		return VN_RX_FRAMES;
	}
	if (wants.type) {
		if (!vn_cut_begin(&port->rx.cutter, &wants, frame, length, port->most + VN_VLAN))
			return VN_RX_DROP_GSO;
		vn_count(port, VN_RX_LARGE, 1);
		return VN_RX_LARGE;
	}
	if (wants.flags & VN_NEEDS_CHECKSUM) {
		if (!vn_fill_checksum(&wants, frame, length))
			return VN_RX_DROP_CHECKSUM;
		vn_count(port, VN_RX_CHECKSUMS, 1);
	}
	put_frame(port, out, frame, length);
	return VN_RX_FRAMES;
}

static bool is_tagged(const uint8_t *frame)
{
	uint32_t type = vn_get16(frame + 12);
	return type == 0x8100 || type == 0x88a8; /* IEEE 802.1Q, 802.1ad */
}

/* Bytes of each packet in a message, the last of which may have fewer. */
static uint32_t train_size(struct msghdr *message, uint32_t length)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		int size;
		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
		return size > 0 ? (uint32_t)size : length;
	}
	return length;
}

/* Judge a packet by its header and its length. */
enum vn_counter vn_judge(const struct vn_port *port, const uint8_t *packet, uint32_t length)
{
	if (length <= port->rx.header) /* the one length check before a header is read */
		return VN_RX_DROP_SHORT;
	if (port->transport.verify) {
		enum vn_counter verdict = port->transport.verify(port, packet + port->rx.skip);
		if (verdict != VN_RX_FRAMES)
			return verdict;
	}
	length -= port->rx.header;
	if (length > port->most && !(length <= port->most + VN_VLAN && is_tagged(packet + port->rx.header)))
		return VN_RX_DROP_TRUNCATED;
	return VN_RX_FRAMES;
}

/* Judge a packet, which lies in a slot. */
static enum vn_counter judge(struct vn_port *port, uint32_t slot, uint8_t *packet, uint32_t length, bool whole,
			     struct vn_frame *out)
{
	if (port->flags & VN_STRICT_SOURCE && port->rx.names && length > port->rx.header &&
	    !from_remote(port, &port->rx.names[slot]))
		return VN_RX_DROP_SOURCE;
	const enum vn_counter verdict = vn_judge(port, packet, length);
	if (verdict != VN_RX_FRAMES && !(verdict == VN_RX_DROP_TRUNCATED && port->flags & VN_KEEP_TRUNCATED))
		return verdict;
	packet += port->rx.header;
	length -= port->rx.header;
	if (verdict == VN_RX_DROP_TRUNCATED) {
		vn_count(port, VN_RX_KEPT_TRUNCATED, 1);
		if (port->transport.vnet) /* what its header asks for cannot be done to half a frame */
			memset(packet - VN_VNET, 0, VN_VNET);
		length = port->most;
	}
	if (port->transport.vnet)
		return offload(port, slot, packet, length, whole, out);
	if (whole) { /* a frame that is complete; there is headroom, and our header was read */
		packet -= VN_VNET;
		length += VN_VNET;
		memset(packet, 0, VN_VNET);
	}
	put_frame(port, out, packet, length);
	return VN_RX_FRAMES;
}

/* Receive without waiting. Returns how many frames, 0 where all of a batch was dropped, -EAGAIN where nothing came. */
int vn_receive(struct vn_port *port, struct vn_frame *frames, int most, bool whole)
{
	uint8_t *cut = port->memory + (size_t)port->depth * port->rx.slot;
	uint8_t *const end = port->memory + port->memory_size;
	uint64_t bytes = 0;
	int count = 0;

	if (port->rx.next == port->rx.filled) {
		port->rx.next = port->rx.filled = 0;
		int got = fill(port);
		if (got <= 0)
			return got ? got : -EAGAIN;
		port->rx.filled = (uint32_t)got;
	}
	while (count < most && port->rx.next < port->rx.filled) {
		if (port->rx.cutter.count) {
			uint32_t length = vn_cut_next(&port->rx.cutter, cut, (uint32_t)(end - cut));
			if (!length)
				break; /* no room: the rest comes with the next call */
			put_frame(port, &frames[count], cut, length);
			if (port->recorder)
				vn_record_frame(port, cut, length, false);
			cut += length;
			bytes += length;
			count++;
			port->rx.next += !port->rx.cutter.count;
			continue;
		}
		struct mmsghdr *message = &port->rx.messages[port->rx.next];
		uint8_t *packet = (uint8_t *)port->rx.vectors[port->rx.next].iov_base + port->rx.at;
		uint32_t length = message->msg_len - port->rx.at;
		if (port->rx.trains) {
			if (!port->rx.at)
				port->rx.size = train_size(&message->msg_hdr, length);
			if (length > port->rx.size)
				length = port->rx.size;
		}
		if (port->recorder) /* before anything is written over */
			vn_record_arrival(port, port->rx.next, packet, length);
		enum vn_counter verdict = judge(port, port->rx.next, packet, length, whole, &frames[count]);
		if (port->recorder) {
			vn_record_verdict(port, verdict);
			if (verdict == VN_RX_FRAMES)
				vn_record_frame(port, port->memory + frames[count].offset, frames[count].length, whole);
		}
		if (verdict == VN_RX_LARGE)
			continue;
		if (verdict == VN_RX_FRAMES)
			bytes += frames[count++].length;
		else
			vn_count(port, verdict, 1);
		port->rx.at += length;
		if (port->rx.at >= message->msg_len) {
			port->rx.at = 0;
			port->rx.next++;
		}
	}
	vn_count(port, VN_RX_FRAMES, (uint64_t)count);
	vn_count(port, VN_RX_BYTES, bytes);
	return count;
}

/* ---- sending ---- */

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
	count_batch(port, VN_TX_CALLS, VN_TX_BATCH_MAX, VN_TX_BATCH_AVERAGE, (uint64_t)sent.taken);
	return sent.taken;
}

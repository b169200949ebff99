/* The hot path in: packets, a batch to a system call. How its memory is laid out is in memory.c.
 *
 * One recvmmsg fills as many slots as there are packets; they are then judged and handed out where they lie, and the next
 * call to the kernel comes when all are handed out. A large frame is cut into segments behind the slots, as many at a time
 * as the caller takes; the rest waits for the next call. What came as a train (transmit.c) is handed out packet by packet.
 *
 * There is no allocation here, no copy but that of segments, and no log line: what is dropped is counted.
 */
#include "internal.h"

#include <linux/if_packet.h>
#include <netinet/udp.h>
#include <unistd.h>

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
		vn_count_batch(port, VN_RX_CALLS, VN_RX_BATCH_MAX, VN_RX_BATCH_AVERAGE, (uint64_t)got);
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

/* What crosses a port is recorded, by pcapng.c.
 *
 * Each port has two interfaces there. The inner one has the Ethernet frames that its user sends and receives. The outer
 * one has the packets on the wire: an IP packet of a tunnel, as far as a socket shows it and the rest put together from
 * what is known, an Ethernet header without addresses among that; otherwise the Ethernet frame as it was before it was cut,
 * its virtio-net header told in a comment. What was dropped stands on the outer interface, with the counter's name as a
 * comment.
 *
 * Times are the kernel's where the socket has them, and otherwise those of the batch. The writer is the port's one slow
 * path: both directions take turns at it, and a failed write ends the recording.
 */
#include "internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define INBOUND 1u
#define OUTBOUND 2u
#define LINK_ETHERNET 1        /* tcpdump.org, LINKTYPE_ values; libpcap reads no file that has several */
#define PORTS 64               /* most ports in one file */
#define OUTER (VN_ETHERNET + 48) /* most bytes of Ethernet, IP and UDP header */
#define KEPT (OUTER + VN_LARGE + VN_IPV4 + VN_HEADER) /* most bytes of a packet, with what is put before it */

struct recorded {
	struct vn_port *port;          /* NULL once it is at its end */
	char name[80];                 /* the next port of that name goes on there */
	struct sockaddr_storage here;
	int protocol, udp;             /* of the tunnel; protocol 0 where there is none */
	bool ip_header;                /* received packets begin with it */
	/* the packet that is being judged */
	uint8_t *packet;
	uint32_t length;
	uint64_t time;
	char comment[96];
};

struct vn_recorder {
	pthread_mutex_t mutex;
	struct vn_pcapng file;
	uint32_t ports;
	struct recorded recorded[PORTS];
};

static uint64_t clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- a recorder's life ---- */

struct vn_recorder *vn_recorder_new(int fd)
{
	struct vn_recorder *recorder = calloc(1, sizeof(*recorder));
	if (!recorder)
		return NULL;
	recorder->file.fd = fd;
	pthread_mutex_init(&recorder->mutex, NULL);
	vn_pcapng_begin(&recorder->file);
	return recorder;
}

/* Ask the socket for what only a recording needs: who sent a packet, and when it came. */
static int prepare(struct vn_port *port, struct recorded *recorded)
{
	const int on = 1;
	int type = 0, protocol = 0;
	socklen_t size = sizeof(recorded->here), number = sizeof(int);
	if (!recorded->packet)
		recorded->packet = malloc(KEPT);
	if (!recorded->packet)
		return -ENOMEM;
	if (port->remote_size && !getsockname(port->rx.fd, (struct sockaddr *)&recorded->here, &size)) {
		getsockopt(port->rx.fd, SOL_SOCKET, SO_TYPE, &type, &number);
		getsockopt(port->rx.fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &number);
		recorded->protocol = protocol;
		recorded->udp = type == SOCK_DGRAM;
		recorded->ip_header = port->rx.skip != 0;
	}
	if (port->remote_size && !port->rx.names)
		port->rx.names = calloc(port->depth, sizeof(*port->rx.names));
	if (port->rx.socket && !port->rx.control)
		port->rx.control = calloc(port->depth, VN_CONTROL);
	if ((port->remote_size && !port->rx.names) || (port->rx.socket && !port->rx.control))
		return -ENOMEM;
	if (port->rx.socket)
		setsockopt(port->rx.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	return 0;
}

/* Where a port is noted: where one of that name was before, or at the end; NULL where there is no room. */
static struct recorded *place_for(struct vn_recorder *recorder, const char *name)
{
	for (uint32_t i = 0; i < recorder->ports; i++)
		if (!recorder->recorded[i].port && !strcmp(recorder->recorded[i].name, name))
			return &recorder->recorded[i];
	return recorder->ports < PORTS ? &recorder->recorded[recorder->ports] : NULL;
}

int vn_recorder_add(struct vn_recorder *recorder, struct vn_port *port, const char *name, const char *description)
{
	char outer[64];
	if (port->recorder == recorder)
		return -EEXIST;
	if (port->recorder)
		vn_recorder_remove(port->recorder, port);
	pthread_mutex_lock(&recorder->mutex);
	int rc = recorder->file.fd < 0 ? -EBADF : 0;
	if (strlen(name) > UINT16_MAX || strlen(description) > UINT16_MAX) /* an option's most */
		rc = -ENAMETOOLONG;
	struct recorded *recorded = rc ? NULL : place_for(recorder, name);
	rc = rc ? rc : recorded ? prepare(port, recorded) : -ENOSPC;
	if (!rc) {
		const uint32_t number = (uint32_t)(recorded - recorder->recorded);
		if (number == recorder->ports) {
			snprintf(outer, sizeof(outer), "%.48s outer", name);
			vn_pcapng_interface(&recorder->file, LINK_ETHERNET, name, description);
			vn_pcapng_interface(&recorder->file, LINK_ETHERNET, outer, description);
			snprintf(recorded->name, sizeof(recorded->name), "%s", name);
			recorder->ports++;
		}
		recorded->port = port;
		port->recorded = 2 * number;
		port->recorder = recorder;
	}
	pthread_mutex_unlock(&recorder->mutex);
	return rc;
}

static void summarize(struct vn_recorder *recorder, uint32_t interface, const struct vn_port *port)
{
	uint64_t values[3] = {vn_port_counter(port, VN_RX_FRAMES), 0, vn_port_counter(port, VN_RX_DROP_QUEUE_FULL)};
	for (int counter = VN_RX_DROP_SHORT; counter < VN_RX_DROP_QUEUE_FULL; counter++)
		values[1] += vn_port_counter(port, counter);
	vn_pcapng_statistics(&recorder->file, interface, clock_now(), values);
}

void vn_recorder_remove(struct vn_recorder *recorder, struct vn_port *port)
{
	pthread_mutex_lock(&recorder->mutex);
	if (recorder->file.fd >= 0)
		summarize(recorder, port->recorded, port);
	recorder->recorded[port->recorded / 2].port = NULL;
	port->recorder = NULL;
	pthread_mutex_unlock(&recorder->mutex);
}

int vn_recorder_flush(struct vn_recorder *recorder)
{
	pthread_mutex_lock(&recorder->mutex);
	vn_pcapng_flush(&recorder->file);
	int rc = -recorder->file.error;
	pthread_mutex_unlock(&recorder->mutex);
	return rc;
}

void vn_recorder_live(struct vn_recorder *recorder)
{
	recorder->file.never_waits = true;
}

uint64_t vn_recorder_lost(struct vn_recorder *recorder, int outer)
{
	pthread_mutex_lock(&recorder->mutex);
	const uint64_t lost = recorder->file.lost[outer];
	pthread_mutex_unlock(&recorder->mutex);
	return lost;
}

int vn_recorder_close(struct vn_recorder *recorder)
{
	pthread_mutex_lock(&recorder->mutex);
	for (uint32_t i = 0; i < recorder->ports && recorder->file.fd >= 0; i++)
		if (recorder->recorded[i].port)
			summarize(recorder, 2 * i, recorder->recorded[i].port);
	vn_pcapng_settle(&recorder->file);
	if (recorder->file.fd >= 0 && close(recorder->file.fd) && !recorder->file.error)
		recorder->file.error = errno;
	recorder->file.fd = -1;
	int rc = -recorder->file.error;
	recorder->file.error = EBADF; /* nothing is written any more */
	pthread_mutex_unlock(&recorder->mutex);
	return rc == -EBADF ? 0 : rc;
}

void vn_recorder_forked(struct vn_recorder *recorder)
{
	pthread_mutex_init(&recorder->mutex, NULL); /* a thread that the fork does not have may have held it */
	recorder->file.used = 0;
	recorder->file.error = EBADF;
	if (recorder->file.fd >= 0)
		close(recorder->file.fd);
	recorder->file.fd = -1;
}

/* The ports may be gone already. */
void vn_recorder_free(struct vn_recorder *recorder)
{
	vn_pcapng_flush(&recorder->file);
	if (recorder->file.fd >= 0)
		close(recorder->file.fd);
	for (uint32_t i = 0; i < PORTS; i++)
		free(recorder->recorded[i].packet);
	pthread_mutex_destroy(&recorder->mutex);
	free(recorder);
}

/* ---- outer headers ---- */

/* An Ethernet header, whose addresses no socket shows. Returns its size. */
static uint32_t put_ethernet(uint8_t *out, bool v4)
{
	memset(out, 0, VN_ETHERNET);
	vn_put16(out + 12, v4 ? 0x0800 : 0x86dd);
	return VN_ETHERNET;
}

/* The Ethernet, IP and UDP header that a tunnel's packet has on the wire. Returns their size. */
static uint32_t put_outer(const struct recorded *recorded, uint8_t *out, const struct sockaddr_storage *from,
			  const struct sockaddr_storage *to, const uint8_t *head, uint32_t head_size, const uint8_t *data,
			  uint32_t size)
{
	const bool v4 = from->ss_family == AF_INET;
	const uint32_t ip = v4 ? 20 : 40, udp = recorded->udp ? 8 : 0, payload = udp + head_size + size;
	const size_t address = vn_inet_size(from);
	out += put_ethernet(out, v4);
	uint8_t *addresses = out + ip - 2 * address;
	memset(out, 0, ip + udp);
	memcpy(addresses, vn_inet_address(from), address);
	memcpy(addresses + address, vn_inet_address(to), address);
	if (v4) {
		out[0] = 0x45;
		vn_put16(out + 2, ip + payload);
		out[8] = 64;
		out[9] = (uint8_t)recorded->protocol;
		const uint16_t sum = vn_fold(vn_sum(out, 20, 0));
		memcpy(out + 10, &sum, 2);
	} else {
		out[0] = 0x60;
		vn_put16(out + 4, payload);
		out[6] = (uint8_t)recorded->protocol;
		out[7] = 64;
	}
	if (udp) {
		const uint16_t ports[2] = {*vn_inet_port(from), *vn_inet_port(to)};
		memcpy(out + ip, ports, 4);
		vn_put16(out + ip + 4, payload);
		if (!v4) { /* RFC 8200 section 8.1: no packet without a checksum. Our headers are of even length. */
			const uint8_t pseudo[4] = {0, 17, (uint8_t)(payload >> 8), (uint8_t)payload};
			uint64_t total = vn_sum(addresses, 32, vn_sum(pseudo, 4, vn_sum(out + ip, 8, 0)));
			uint16_t sum = vn_fold(vn_sum(data, size, vn_sum(head, head_size, total)));
			sum = sum ? sum : 0xffff;
			memcpy(out + ip + 6, &sum, 2);
		}
	}
	return VN_ETHERNET + ip + udp;
}

static struct recorded *recorded_of(const struct vn_port *port)
{
	return &port->recorder->recorded[port->recorded / 2];
}

/* ---- what happens on a port ---- */

/* What a virtio-net header asks for, in words; nothing where it is empty. */
static void describe(const uint8_t *header, char *out, size_t room)
{
	struct vn_offload wants;
	memcpy(&wants, header, VN_VNET);
	*out = 0;
	if (wants.type || wants.flags)
		snprintf(out, room, "virtio-net: flags %u, gso type %u size %u, checksum from %u at +%u", wants.flags,
			 wants.type, wants.size, wants.start, wants.offset);
}

static uint64_t time_of(const struct vn_port *port, uint32_t slot)
{
	struct msghdr *message = &port->rx.messages[slot].msg_hdr;
	for (struct cmsghdr *c = port->rx.control ? CMSG_FIRSTHDR(message) : NULL; c; c = CMSG_NXTHDR(message, c)) {
		struct timespec time;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&time, CMSG_DATA(c), sizeof(time));
		return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
	}
	return clock_now();
}

/* Keep a packet as it arrived: judging it may write over it. */
void vn_record_arrival(struct vn_port *port, uint32_t slot, const uint8_t *packet, uint32_t length)
{
	struct recorded *recorded = recorded_of(port);
	const struct sockaddr_storage *from = &port->remote;
	uint8_t outer[OUTER];
	uint32_t head = 0;
	if (recorded->ip_header) {
		head = put_ethernet(outer, true);
	} else if (recorded->protocol) {
		if (port->rx.names[slot].ss_family == from->ss_family) /* not so if it came before the recording */
			from = &port->rx.names[slot];
		head = put_outer(recorded, outer, from, &recorded->here, packet, 0, packet, length);
	}
	const uint32_t room = KEPT - head;
	recorded->time = time_of(port, slot);
	*recorded->comment = 0;
	if (port->transport.vnet) {
		if (length >= VN_VNET)
			describe(packet, recorded->comment, sizeof(recorded->comment));
		packet += length < VN_VNET ? length : VN_VNET;
		length -= length < VN_VNET ? length : VN_VNET;
	}
	length = length < room ? length : room;
	memcpy(recorded->packet, outer, head);
	memcpy(recorded->packet + head, packet, length);
	recorded->length = head + length;
}

void vn_record_verdict(struct vn_port *port, enum vn_counter verdict)
{
	struct recorded *recorded = recorded_of(port);
	struct vn_recorder *recorder = port->recorder;
	char comment[160];
	if (verdict == VN_RX_FRAMES || verdict == VN_RX_LARGE) {
		if (recorder->file.never_waits && !recorded->protocol)
			return;
		snprintf(comment, sizeof(comment), "%s", recorded->comment);
	} else {
		snprintf(comment, sizeof(comment), "dropped: %s%s%s", vn_counter_name((int)verdict),
			 *recorded->comment ? "; " : "", recorded->comment);
	}
	pthread_mutex_lock(&recorder->mutex);
	vn_pcapng_packet(&recorder->file, port->recorded + 1, recorded->time, INBOUND, comment, NULL, 0, recorded->packet,
		   recorded->length);
	pthread_mutex_unlock(&recorder->mutex);
}

void vn_record_frame(struct vn_port *port, const uint8_t *frame, uint32_t length, bool whole)
{
	struct vn_recorder *recorder = port->recorder;
	char comment[96] = "";
	if (whole) {
		describe(frame, comment, sizeof(comment));
		frame += VN_VNET;
		length -= VN_VNET;
	}
	pthread_mutex_lock(&recorder->mutex);
	vn_pcapng_packet(&recorder->file, port->recorded, recorded_of(port)->time, INBOUND, comment, NULL, 0, frame, length);
	pthread_mutex_unlock(&recorder->mutex);
}

/* Frames that the kernel took, or refused for the cause of a drop. */
void vn_record_sent(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole,
		    enum vn_counter verdict)
{
	struct recorded *recorded = recorded_of(port);
	struct vn_recorder *recorder = port->recorder;
	const uint64_t time = clock_now();
	const bool vnet = port->transport.vnet;
	pthread_mutex_lock(&recorder->mutex);
	for (int i = 0; i < count; i++) {
		const uint8_t *frame = base + frames[i].offset;
		uint32_t length = frames[i].length, head = 0, outer = 0;
		uint8_t header[OUTER + VN_HEADER];
		char comment[160] = "";
		if (whole) {
			if (length >= VN_VNET)
				describe(frame, comment, sizeof(comment));
			frame += length < VN_VNET ? length : VN_VNET;
			length -= length < VN_VNET ? length : VN_VNET;
		}
		if (verdict != VN_TX_FRAMES)
			snprintf(comment, sizeof(comment), "dropped: %s", vn_counter_name((int)verdict));
		if (!vnet && port->header) {
			const uint8_t *own = port->tx.headers + (size_t)i * VN_HEADER;
			head = port->header;
			if (recorded->protocol)
				outer = put_outer(recorded, header, &recorded->here, &port->remote, own, head, frame, length);
			memcpy(header + outer, own, head);
		}
		vn_pcapng_packet(&recorder->file, port->recorded, time, OUTBOUND, comment, NULL, 0, frame, length);
		if (outer || !recorder->file.never_waits)
			vn_pcapng_packet(&recorder->file, port->recorded + 1, time, OUTBOUND, comment, header, outer + head,
					 frame, length);
	}
	pthread_mutex_unlock(&recorder->mutex);
}

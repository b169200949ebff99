/* What crosses an interface, as a packet socket hears it, is written by pcapng.c.
 *
 * Reference: packet(7); socket(7), SO_TIMESTAMPNS.
 *
 * The kernel takes a VLAN tag out of the data and tells it aside: it is put back. Large frames are as the host's stack or
 * its device has them: not cut yet, or joined.
 *
 * Where the interface carries a tunnel's packets, the frames in them are written instead, and on a second interface the
 * packets that an end drops, with the counter's name as a comment, as record.c does. A train of UDP packets that one
 * buffer of the kernel holds is cut first.
 */
#include "internal.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define INBOUND 1u
#define OUTBOUND 2u
#define LINK_ETHERNET 1          /* tcpdump.org, LINKTYPE_ values */
#define BATCH 64                 /* packets of one call */
#define ROOM (VN_LARGE + 64)     /* bytes of a packet */
#define CONTROL 128              /* bytes of what is told aside */
#define HEADERS 128              /* most bytes of a train's Ethernet, IP and UDP headers */
#define UDP_TRAIN 5              /* VIRTIO_NET_HDR_GSO_UDP_L4, linux/virtio_net.h since 6.2 */

struct vn_capture {
	struct vn_pcapng file;
	int socket;
	uint64_t received, fragments;
	struct vn_port **ends;         /* of the tunnel that it is about, and of others; NULL where it is about none */
	int count;
	bool all;                      /* outer packets are written, too, that nobody drops */
	uint64_t drops[VN_COUNTERS];
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	struct sockaddr_ll from[BATCH];
	uint8_t control[BATCH][CONTROL];
	uint8_t packets[BATCH][ROOM];
};

struct vn_capture *vn_capture_new(int socket, int out, const char *name, const char *description)
{
	struct vn_capture *capture = calloc(1, sizeof(*capture));
	if (!capture)
		return NULL;
	capture->socket = socket;
	capture->file.fd = out;
	vn_pcapng_begin(&capture->file);
	vn_pcapng_interface(&capture->file, LINK_ETHERNET, name, description);
	return capture;
}

static uint64_t nanoseconds(struct timespec time)
{
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int vn_capture_unwrap(struct vn_capture *capture, struct vn_port **ends, int count, int all, const char *outer)
{
	capture->ends = calloc((size_t)count, sizeof(*ends));
	if (!capture->ends)
		return -ENOMEM;
	memcpy(capture->ends, ends, (size_t)count * sizeof(*ends));
	capture->count = count;
	capture->all = all;
	vn_pcapng_interface(&capture->file, LINK_ETHERNET, outer, "");
	return 0;
}

uint64_t vn_capture_drops(const struct vn_capture *capture, int counter)
{
	return counter >= 0 && counter < VN_COUNTERS ? capture->drops[counter] : 0;
}

uint64_t vn_capture_fragments(const struct vn_capture *capture)
{
	return capture->fragments;
}

/* One packet of a tunnel, which lies in two pieces. */
static void unwrap_one(struct vn_capture *capture, const struct vn_outer *outer, bool large, uint64_t when,
		       const uint8_t *head, uint32_t head_size, const uint8_t *data, uint32_t size)
{
	enum vn_counter verdict = VN_RX_FRAMES;
	char comment[64] = "";
	const int end = vn_outer_end(outer, capture->ends, capture->count, &verdict);
	if (end < 0 || end > 1) /* nobody's, or another tunnel's */
		return;
	const uint32_t direction = end ? OUTBOUND : INBOUND;
	if (outer->fragment) {
		capture->fragments++;
		snprintf(comment, sizeof(comment), "a fragment, whose frame is not shown");
	} else if (verdict == VN_RX_FRAMES || (verdict == VN_RX_DROP_TRUNCATED && large)) {
		const uint32_t header = capture->ends[end]->rx.header;
		vn_pcapng_packet(&capture->file, 0, when, direction, "", NULL, 0, outer->payload + header,
				 outer->size - header);
	} else {
		capture->drops[verdict]++;
		snprintf(comment, sizeof(comment), "dropped: %s", vn_counter_name((int)verdict));
	}
	if (*comment || capture->all)
		vn_pcapng_packet(&capture->file, 1, when, direction, comment, head, head_size, data, size);
}

/* What the interface has carried, its virtio-net header told aside: packets of the tunnel among it, or not. */
static void unwrap(struct vn_capture *capture, const struct sockaddr_ll *from, const struct vn_offload *wants,
		   uint64_t when, const uint8_t *data, uint32_t length)
{
	uint8_t head[VN_ETHERNET + HEADERS] = {0};
	struct vn_outer outer;
	if (from->sll_hatype == ARPHRD_ETHER || from->sll_hatype == ARPHRD_LOOPBACK) { /* others have no Ethernet header */
		if (length < VN_ETHERNET)
			return;
		memcpy(head, data, VN_ETHERNET);
		data += VN_ETHERNET;
		length -= VN_ETHERNET;
	}
	if (!vn_outer_read(data, length, &outer))
		return;
	vn_put16(head + 12, outer.family == AF_INET ? 0x0800 : 0x86dd);
	if (wants->type != UDP_TRAIN || !wants->size || outer.protocol != IPPROTO_UDP || outer.fragment ||
	    outer.head > HEADERS) {
		unwrap_one(capture, &outer, wants->type, when, head, VN_ETHERNET, data, outer.head + outer.size);
		return;
	}
	struct vn_outer one = outer;
	for (uint32_t at = 0; at < outer.size; at += one.size) {
		one.payload = outer.payload + at;
		one.size = outer.size - at < wants->size ? outer.size - at : wants->size;
		const uint32_t size = VN_ETHERNET + vn_outer_shorten(&one, data, head + VN_ETHERNET);
		unwrap_one(capture, &one, false, when, head, size, one.payload, one.size);
	}
}

static void write_packet(struct vn_capture *capture, int slot)
{
	struct msghdr *message = &capture->messages[slot].msg_hdr;
	const uint32_t direction = capture->from[slot].sll_pkttype == PACKET_OUTGOING ? OUTBOUND : INBOUND;
	const uint8_t *data = capture->packets[slot];
	uint32_t length = capture->messages[slot].msg_len, head_size = 0;
	uint8_t head[12 + VN_VLAN];
	struct timespec time;
	struct tpacket_auxdata aside;
	uint64_t when = 0;
	bool tagged = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&time, CMSG_DATA(c), sizeof(time));
			when = nanoseconds(time);
		} else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			memcpy(&aside, CMSG_DATA(c), sizeof(aside));
			if (!(aside.tp_status & TP_STATUS_VLAN_VALID) || length < 12)
				continue;
			tagged = true;
			if (capture->ends)
				continue;
			memcpy(head, data, 12);
			vn_put16(head + 12, aside.tp_status & TP_STATUS_VLAN_TPID_VALID ? aside.tp_vlan_tpid : 0x8100);
			vn_put16(head + 14, aside.tp_vlan_tci);
			head_size = sizeof(head);
			data += 12;
			length -= 12;
		}
	}
	if (!when) {
		clock_gettime(CLOCK_REALTIME, &time);
		when = nanoseconds(time);
	}
	if (!capture->ends) {
		vn_pcapng_packet(&capture->file, 0, when, direction, "", head, head_size, data, length);
	} else if (!tagged && length >= VN_VNET) { /* a tagged packet is another interface's, which has it without */
		struct vn_offload wants;
		memcpy(&wants, data, VN_VNET);
		unwrap(capture, &capture->from[slot], &wants, when, data + VN_VNET, length - VN_VNET);
	}
}

int vn_capture_read(struct vn_capture *capture)
{
	for (int i = 0; i < BATCH; i++) {
		capture->pieces[i] = (struct iovec){capture->packets[i], ROOM};
		capture->messages[i].msg_hdr = (struct msghdr){
			.msg_name = &capture->from[i], .msg_namelen = sizeof(capture->from[i]),
			.msg_iov = &capture->pieces[i], .msg_iovlen = 1,
			.msg_control = capture->control[i], .msg_controllen = CONTROL,
		};
	}
	const int count = recvmmsg(capture->socket, capture->messages, BATCH, MSG_DONTWAIT, NULL);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++)
		write_packet(capture, i);
	capture->received += (uint64_t)count;
	return capture->file.error ? -capture->file.error : count;
}

int vn_capture_flush(struct vn_capture *capture)
{
	vn_pcapng_flush(&capture->file);
	return -capture->file.error;
}

int vn_capture_close(struct vn_capture *capture, uint64_t lost)
{
	uint64_t values[3] = {capture->received, 0, lost};
	struct timespec now;
	for (int counter = 0; counter < VN_COUNTERS; counter++)
		values[1] += capture->drops[counter];
	if (capture->file.fd < 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	vn_pcapng_statistics(&capture->file, 0, nanoseconds(now), values);
	vn_pcapng_flush(&capture->file);
	if (close(capture->file.fd) && !capture->file.error)
		capture->file.error = errno;
	capture->file.fd = -1;
	return -capture->file.error;
}

void vn_capture_free(struct vn_capture *capture)
{
	if (capture->file.fd >= 0)
		close(capture->file.fd);
	free(capture->ends);
	free(capture);
}

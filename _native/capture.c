/* What crosses an interface, as a packet socket hears it, is written by pcapng.c.
 *
 * Reference: packet(7); socket(7), SO_TIMESTAMPNS.
 *
 * The kernel takes a VLAN tag out of the data and tells it aside: it is put back. Large frames are as the host's stack or
 * its device has them: not cut yet, or joined.
 */
#include "internal.h"

#include <linux/if_packet.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define INBOUND 1u
#define OUTBOUND 2u
#define LINK_ETHERNET 1          /* tcpdump.org, LINKTYPE_ values */
#define BATCH 64                 /* packets of one call */
#define ROOM (VN_LARGE + 64)     /* bytes of a packet */
#define CONTROL 128              /* bytes of what is told aside */

struct vn_capture {
	struct vn_pcapng file;
	int socket;
	uint64_t received;
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
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&time, CMSG_DATA(c), sizeof(time));
			when = nanoseconds(time);
		} else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			memcpy(&aside, CMSG_DATA(c), sizeof(aside));
			if (!(aside.tp_status & TP_STATUS_VLAN_VALID) || length < 12)
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
	vn_pcapng_packet(&capture->file, 0, when, direction, "", head, head_size, data, length);
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
	const uint64_t values[3] = {capture->received, 0, lost};
	struct timespec now;
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
	free(capture);
}

/* What the C files share and Python does not see. */
#ifndef VECNET_INTERNAL_H
#define VECNET_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "vecnet.h"

#define VN_ETHERNET 14        /* bytes of Ethernet header */
#define VN_VLAN 4             /* bytes of an IEEE 802.1Q tag */
#define VN_VNET 10            /* bytes of struct virtio_net_hdr, linux/virtio_net.h */
#define VN_IPV4 20            /* bytes that an IPv4 raw socket hands out first: a guest knows of no IP options */
#define VN_LARGE 65550        /* largest frame with gro: the largest IP packet and its Ethernet header */
#define VN_HEADROOM 64        /* bytes free before each received packet, for a VLAN tag put back */
#define VN_HEADER 32          /* most bytes of a header that we form */
#define VN_STATE 64           /* bytes that a transport has for itself in a port */
#define VN_CUT (256 * 1024)   /* bytes for the segments of large frames that are cut at once */
#define VN_CUT_FRAMES 64      /* … and on sending, how many */
#define VN_NEEDS_CHECKSUM 1   /* VIRTIO_NET_HDR_F_NEEDS_CSUM, linux/virtio_net.h */
#define VN_DATA_VALID 2       /* VIRTIO_NET_HDR_F_DATA_VALID */
#define VN_RECEIVE_BUFFER (4 << 20) /* bytes asked of the kernel for a socket's queue */

struct vn_ring;
struct vn_options { const struct vn_option *list; int count; };

/* A transport: the layout of its header and how its descriptors are opened. Defined as vn_transport_NAME in
 * transports/NAME.c and found there by the build. */
struct vn_transport {
	const char *name;
	bool vnet;      /* a virtio-net header goes before each frame */
	bool listens;   /* has the switch's role */
	/* Open the descriptors, set the template and what is expected. Returns 0 or -errno, after vn_fail. */
	int (*open)(struct vn_port *port, const struct vn_options *options, struct vn_failure *failure);
	/* Patch what changes from packet to packet; NULL where nothing does. Packets count from 1. */
	void (*form)(const struct vn_port *port, uint8_t *header, uint32_t number);
	/* Judge a header, which is there whole: VN_RX_FRAMES, or the counter of the drop. NULL takes everything. */
	enum vn_counter (*verify)(const struct vn_port *port, const uint8_t *header);
};

/* Cuts a large frame into segments; see segment.c. */
struct vn_cutter {
	uint8_t *frame;
	uint32_t length, l3, l4, header, size, done, count;
	uint8_t version, kind;
};

/* The arrays of one direction, made at open. */
struct vn_batch {
	struct mmsghdr *messages;
	struct iovec *vectors;
	uint8_t *headers;                 /* sending: depth × VN_HEADER, each holding the template */
	struct vn_ring *ring;             /* sending on no socket; NULL where the kernel allows none */
	int *results;                     /* … : of each write, bytes or -errno */
	struct vn_frame *frames;          /* sending: where the frames of one batch lie */
	uint8_t *cut;                     /* sending frames with a virtio-net header on a wire without: VN_CUT bytes */
	int *ends;                        /* sending trains: the packet after each one's last */
	struct vn_frame *cut_frames;      /* … : the segments there */
	struct sockaddr_storage *names;   /* receiving, where the source is looked at */
	uint32_t used;                    /* receiving: messages whose sizes the kernel has written over */
	uint8_t *control;                 /* receiving, where auxiliary data is looked at: depth × VN_CONTROL; sending trains */
};

struct vn_port {
	const struct vn_transport *transport;
	void (*form)(const struct vn_port *, uint8_t *, uint32_t);
	enum vn_counter (*verify)(const struct vn_port *, const uint8_t *);
	uint32_t flags, depth, batch, mtu, most; /* most: the largest untagged frame taken, in bytes */
	bool vec, gro, rx_socket, tx_socket;
	bool hangs_up;                    /* a connection, which the other end may close */
	bool trains;                      /* receiving: a message may be many packets */
	size_t train_most;                /* sending: bytes of the largest packet that may be in a train; 0 for never any */
	int rx_fd, tx_fd;
	int listen_fd, epoll_fd;          /* the switch's role only: rx_fd is the listener's twin until a guest connects */
	int connected;                    /* the switch's role only */
	pthread_mutex_t accepting;
	int stop_fd;                      /* an eventfd, readable once the port is stopped */
	int restore_fd, restore_flags;    /* file status flags to put back on close: the descriptor is not ours alone */
	unsigned ifindex;
	char ifname[16];
	char bound_path[108];             /* to be unlinked on close */
	struct sockaddr_storage remote;
	socklen_t remote_size;            /* 0 where the socket is connected or bound to an interface */
	uint8_t template[VN_HEADER];      /* the header of a packet whose number is 0 */
	uint32_t tx_header, rx_header;    /* bytes before the frame; rx_header counts the IP header that is handed out */
	uint32_t rx_skip;                 /* bytes of IP header before ours */
	uint32_t number;                  /* packets formed so far */
	_Alignas(16) uint8_t state[VN_STATE];

	/* receiving */
	struct vn_batch rx;
	uint8_t *memory;                  /* depth slots, then VN_CUT bytes where frames may be large */
	size_t memory_size, slot, lead;   /* lead: bytes from a slot's start to the packet */
	uint32_t rx_filled, rx_next;      /* slots with packets, and the next one to hand out */
	uint32_t rx_at, rx_size;          /* … : where in it, and bytes of each packet in it, where it holds a train */
	struct vn_cutter cutter;          /* the large frame in progress; count 0 when there is none */
	struct vn_recorder *recorder;     /* NULL where nothing is recorded */
	uint32_t recorded;                /* the number of its interface there, of two */
	/* sending */
	struct vn_batch tx;
	bool tx_full;

	uint64_t counters[VN_COUNTERS];
	int stopped;
};

/* A loop's counters, and how to stop it. */
struct vn_loop {
	int stop_fd;  /* an eventfd, readable once the loop is stopped */
	int stopped;
	uint64_t counters[VN_LOOP_COUNTERS];
};

/* Counters have one writer each and readers in other threads. */
static inline void vn_count(struct vn_port *port, enum vn_counter counter, uint64_t more)
{
	uint64_t value = __atomic_load_n(&port->counters[counter], __ATOMIC_RELAXED);
	__atomic_store_n(&port->counters[counter], value + more, __ATOMIC_RELAXED);
}

static inline void vn_put32(uint8_t *at, uint32_t value)
{
	value = __builtin_bswap32(value); /* all our targets are little-endian; see the assertion below */
	memcpy(at, &value, 4);
}

static inline uint32_t vn_get32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, 4);
	return __builtin_bswap32(value);
}

static inline void vn_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t vn_get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vn_put32 and the virtio-net header want little-endian");

/* port.c */
int vn_fail(struct vn_failure *failure, enum vn_step step, const char *detail, int error);
const char *vn_text(const struct vn_options *options, const char *key);
int vn_number(const struct vn_options *options, const char *key, uint64_t otherwise, uint64_t *value,
	      struct vn_failure *failure);

/* sock.c */
int vn_open_inet(struct vn_port *port, const struct vn_options *options, int type, int protocol, uint16_t local,
		 uint16_t remote, struct vn_failure *failure);
int vn_open_packet(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure);
int vn_bind_packet(struct vn_port *port, int fd, bool receive, struct vn_failure *failure);
int vn_ignore_own(struct vn_port *port, struct vn_failure *failure);
int vn_open_tap(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure);
int vn_find_interface(struct vn_port *port, const char *ifname, struct vn_failure *failure);
int vn_open_unix(struct vn_port *port, const char *local, const char *remote, struct vn_failure *failure);
int vn_adopt(struct vn_port *port, int fd, struct vn_failure *failure);
int vn_accept(struct vn_port *port);
bool vn_is_hung_up(const struct vn_port *port);
int vn_hang_up(struct vn_port *port);

/* arrays.c */
#define VN_CONTROL 128 /* bytes of auxiliary data of one packet that comes */
#define VN_TRAIN_CONTROL CMSG_SPACE(sizeof(uint16_t)) /* … of one train that goes */
int vn_batch_make(struct vn_port *port);
void vn_batch_free(struct vn_port *port);

/* batch.c */
int vn_receive(struct vn_port *port, struct vn_frame *frames, int most, bool whole);
int vn_transmit(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole);

/* calls.c */
int vn_wait(const struct vn_port *port, short events, int64_t timeout, const struct vn_loop *loop,
	    const struct vn_port *other);
int vn_transmit_all(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole,
		    int64_t deadline, const struct vn_loop *loop, const struct vn_port *other);
int64_t vn_now(void);

static inline bool vn_is_stopped(const int *stopped)
{
	return __atomic_load_n(stopped, __ATOMIC_ACQUIRE);
}

/* record.c */
void vn_record_arrival(struct vn_port *port, uint32_t slot, const uint8_t *packet, uint32_t length);
void vn_record_verdict(struct vn_port *port, enum vn_counter verdict);
void vn_record_frame(struct vn_port *port, const uint8_t *frame, uint32_t length, bool whole);
void vn_record_sent(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole,
		    enum vn_counter verdict);

/* ring.c */
struct vn_ring *vn_ring_open(uint32_t depth);
void vn_ring_close(struct vn_ring *ring);
int vn_ring_write(struct vn_ring *ring, int fd, const struct mmsghdr *messages, int count, int *results);

/* segment.c */
uint64_t vn_sum(const uint8_t *data, uint32_t length, uint64_t sum);
uint16_t vn_fold(uint64_t sum);
struct vn_offload { uint8_t flags, type; uint16_t header, size, start, offset; }; /* struct virtio_net_hdr */
_Static_assert(sizeof(struct vn_offload) == VN_VNET, "the virtio-net header has no gaps");
bool vn_fill_checksum(const struct vn_offload *offload, uint8_t *frame, uint32_t length);
bool vn_cut_begin(struct vn_cutter *cutter, const struct vn_offload *offload, uint8_t *frame, uint32_t length,
		  uint32_t most);
uint32_t vn_cut_next(struct vn_cutter *cutter, uint8_t *out, uint32_t room);

#endif

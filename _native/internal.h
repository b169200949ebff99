/* What the C files share and Python does not see. */
#ifndef VECNET_INTERNAL_H
#define VECNET_INTERNAL_H

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vecnet.h"

#define VN_VLAN 4             /* bytes of an IEEE 802.1Q tag */
#define VN_IPV4 20            /* bytes that an IPv4 raw socket hands out first: a guest knows of no IP options */
#define VN_HEADROOM 64        /* bytes free before each received packet, for a VLAN tag put back */
#define VN_HEADER 32          /* most bytes of a header that we form */
#define VN_STATE 256          /* bytes that a transport has for itself in a port */
#define VN_CUT (256 * 1024)   /* bytes for the segments of large frames that are cut at once */
#define VN_CUT_FRAMES 64      /* segments that are sent at once */
#define VN_NUMBERED_SLOTS 64u /* numbers, after which the contents of numbered frames come again */
#define VN_NEEDS_CHECKSUM 1   /* VIRTIO_NET_HDR_F_NEEDS_CSUM, linux/virtio_net.h */
#define VN_DATA_VALID 2       /* VIRTIO_NET_HDR_F_DATA_VALID */
#define VN_RECEIVE_BUFFER (4 << 20) /* bytes asked of the kernel for a socket's queue */

struct vn_ring;
struct vn_stop { int fd, stopped; }; /* how another thread ends calls: fd, an eventfd, is readable from then on */
struct vn_options { const struct vn_option *list; int count; const char *unreadable; };

/* A transport: the layout of its header and how its descriptors are opened. Defined as vn_transport_NAME in
 * transports/NAME.c and found there by the build. A port has a copy: open takes away what its options do without. */
struct vn_transport {
	const char *name;
	bool vnet;      /* a virtio-net header goes before each frame */
	bool listens;   /* has the switch's role */
	/* Open the descriptors. Returns 0 or -errno, after vn_fail. It must set, in the port,
	 *   rx.fd, tx.fd           the descriptors; the port closes them, also where open failed
	 *   rx.socket, tx.socket   whether they are sockets, which take batches
	 *   header, tx.template    the size of our header, and a header whose number is 0; not where there is none, or vnet
	 *   rx.skip                bytes of IP header that come before ours, where the kernel hands them out
	 *   remote, remote_size    where packets go, unless the descriptor knows
	 * and may set rx.hangs_up, rx.trains, tx.train_most, wait_fd, ifname and ifindex, and what is in state. */
	int (*open)(struct vn_port *port, struct vn_options *options, struct vn_failure *failure);
	/* All below is optional. Patch what changes from packet to packet. Packets count from 1. */
	void (*form)(const struct vn_port *port, uint8_t *header, uint32_t number);
	/* Judge a header, which is there whole: VN_RX_FRAMES, or the counter of the drop. Without, everything is taken. */
	enum vn_counter (*verify)(const struct vn_port *port, const uint8_t *header);
	/* Take a guest that waits, for a port of its own: its connection, or -errno. wait_fd is readable once one waits. */
	int (*accept)(struct vn_port *port);
	/* Before each batch: 0, or -EAGAIN while nobody is at the other end; then tx.fd is readable once somebody comes. */
	int (*ready)(struct vn_port *port);
	/* The other end has closed the connection: 0 if the port goes on, -EAGAIN if it first has frames to receive, another
	 * -errno where it is at its end. Without, it is. */
	int (*lost)(struct vn_port *port);
	/* What a program at the other end has said so far: bytes of it, without a zero at its end, or -1. */
	ssize_t (*said)(const struct vn_port *port, uint8_t *text, size_t room);
	/* Nobody else is to find it: take away what it has put into a file system. */
	void (*withdraw)(struct vn_port *port);
	/* The port is being closed; its descriptors are still open. */
	void (*closed)(struct vn_port *port);
	/* In a fork: leave alone what is the parent's. */
	void (*forked)(struct vn_port *port);
};

/* Cuts a large frame into segments; see segment.c. */
struct vn_cutter {
	uint8_t *frame;
	uint32_t length, l3, l4, header, size, done, count;
	uint8_t version, kind;
};

/* Receiving: `depth` slots, filled by one call and handed out one after another. */
struct vn_rx {
	int fd;
	bool socket;
	bool hangs_up;                    /* a connection, which the other end may close */
	bool trains;                      /* a message may be many packets */
	uint32_t skip, header;            /* bytes before our header, and before the frame */
	size_t slot, lead;                /* bytes of a slot, and from its start to the packet */
	struct mmsghdr *messages;
	struct iovec *vectors;
	struct sockaddr_storage *names;   /* NULL unless the source is looked at */
	uint8_t *control;                 /* depth × VN_CONTROL; NULL unless auxiliary data is looked at */
	uint32_t used;                    /* messages whose sizes the kernel has written over */
	uint32_t filled, next;            /* slots with packets, and the next one to hand out */
	uint32_t at, size;                /* within a train: where the next packet begins, and the bytes of each */
	struct vn_cutter cutter;          /* the large frame in progress; count 0 when there is none */
};

/* Sending: `depth` headers, each holding the template, and for each packet two vectors: header and frame. */
struct vn_tx {
	int fd;
	bool socket;
	bool full;                        /* the last call found no room */
	uint32_t number;                  /* packets formed so far */
	uint8_t template[VN_HEADER];      /* the header of a packet whose number is 0 */
	struct mmsghdr *messages;
	struct iovec *vectors;
	uint8_t *headers;                 /* depth × VN_HEADER */
	struct vn_frame *frames;          /* where the frames of one batch lie */
	struct vn_ring *ring;             /* where fd is no socket; NULL where the kernel allows none */
	int *results;                     /* of each write through the ring: bytes or -errno */
	size_t train_most;                /* bytes of the largest packet that may be in a train; 0 for never any */
	int *ends;                        /* the packet after each train's last */
	uint8_t *control;                 /* depth × VN_TRAIN_CONTROL */
	uint8_t *cut;                     /* VN_CUT bytes for segments; NULL unless frames have a header that the wire lacks */
	struct vn_frame *cut_frames;      /* where they lie */
};

struct vn_port {
	struct vn_transport transport;
	uint32_t flags, depth, batch, mtu;
	uint32_t most;                    /* bytes of the largest untagged frame that is taken */
	bool vec, gro;
	uint32_t header;                  /* bytes of our header before each frame, both ways */
	struct sockaddr_storage remote;
	socklen_t remote_size;            /* 0 where the socket is connected or bound to an interface */
	struct sockaddr_storage local;    /* … and where they come to, by which IP protocol; of gre and l2tpv3 alone */
	int protocol;
	int wait_fd;                      /* readable when frames may be waiting: rx.fd, unless open sets another */
	struct vn_stop stop;
	unsigned ifindex;
	char ifname[16];
	struct vn_rx rx;
	struct vn_tx tx;
	uint8_t *memory;                  /* depth slots, then VN_CUT bytes where frames may be large */
	size_t memory_size;
	struct vn_recorder *recorder;     /* NULL where nothing is recorded */
	uint32_t recorded;                /* the number of its interface there, of two */
	uint64_t counters[VN_COUNTERS];
	_Alignas(16) uint8_t state[VN_STATE];
};

struct vn_loop {
	struct vn_stop stop;
	uint64_t counters[VN_LOOP_COUNTERS];
	uint64_t every;      /* of so many frames one has its moment kept, 0: of none */
	uint32_t kept;       /* moments that there is room for */
	int64_t *moments;    /* on vn_now's clock, 0 where there is none yet */
};

/* Counters have one writer each and readers in other threads. */
static inline void vn_count(struct vn_port *port, enum vn_counter counter, uint64_t more)
{
	uint64_t value = __atomic_load_n(&port->counters[counter], __ATOMIC_RELAXED);
	__atomic_store_n(&port->counters[counter], value + more, __ATOMIC_RELAXED);
}

/* A system call took or brought so many packets. */
static inline void vn_count_batch(struct vn_port *port, enum vn_counter calls, enum vn_counter max, enum vn_counter average,
				  uint64_t packets)
{
	uint64_t seen = __atomic_load_n(&port->counters[average], __ATOMIC_RELAXED);
	vn_count(port, calls, 1);
	__atomic_store_n(&port->counters[average], (seen + packets) / 2, __ATOMIC_RELAXED);
	if (packets > __atomic_load_n(&port->counters[max], __ATOMIC_RELAXED))
		__atomic_store_n(&port->counters[max], packets, __ATOMIC_RELAXED);
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

/* The port of an Internet address, in network order, and the address itself, which has so many bytes. */
static inline uint16_t *vn_inet_port(const struct sockaddr_storage *name)
{
	return (uint16_t *)(uintptr_t)&((const struct sockaddr_in *)name)->sin_port;
}

static inline const void *vn_inet_address(const struct sockaddr_storage *name)
{
	return name->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)name)->sin_addr
					  : (const void *)&((const struct sockaddr_in6 *)name)->sin6_addr;
}

static inline size_t vn_inet_size(const struct sockaddr_storage *name)
{
	return name->ss_family == AF_INET ? 4 : 16;
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "vn_inet_port");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vn_put32 and the virtio-net header want little-endian");

/* port.c */
int vn_fail(struct vn_failure *failure, enum vn_step step, const char *detail, int error);
const char *vn_text(const struct vn_options *options, const char *key);
uint64_t vn_number(struct vn_options *options, const char *key, uint64_t otherwise);

/* path.c */
struct vn_path { bool bound; int folder; dev_t device; ino_t inode; char leaf[108]; }; /* of a socket that we bound */
int vn_path_bind(struct vn_path *path, int fd, const char *name, struct vn_failure *failure);
void vn_path_forget(struct vn_path *path);
void vn_path_unlink(struct vn_path *path);

/* sock.c */
int vn_open_inet(struct vn_port *port, struct vn_options *options, int type, int protocol, uint16_t local,
		 uint16_t remote, struct vn_failure *failure);
int vn_open_packet(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure);
int vn_bind_packet(struct vn_port *port, int fd, bool receive, struct vn_failure *failure);
int vn_ignore_own(struct vn_port *port, struct vn_failure *failure);
int vn_open_tap(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure);
int vn_find_interface(struct vn_port *port, const char *ifname, struct vn_failure *failure);
int vn_open_unix(struct vn_port *port, struct vn_path *own, const char *local, const char *remote,
		 struct vn_failure *failure);
int vn_adopt(struct vn_port *port, int fd, struct vn_failure *failure);

/* memory.c */
#define VN_CONTROL 128 /* bytes of auxiliary data of one packet that comes */
#define VN_TRAIN_CONTROL CMSG_SPACE(sizeof(uint16_t)) /* bytes of auxiliary data of one train that goes */
int vn_memory_make(struct vn_port *port);
void vn_memory_free(struct vn_port *port);

/* receive.c. Where frames are `whole`, each has its virtio-net header before it, which counts to its length. */
int vn_receive(struct vn_port *port, struct vn_frame *frames, int most, bool whole);
enum vn_counter vn_judge(const struct vn_port *port, const uint8_t *packet, uint32_t length);

/* transmit.c, with `whole` frames likewise. */
int vn_transmit(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole);

static inline int vn_ready(struct vn_port *port)
{
	return port->transport.ready ? port->transport.ready(port) : 0;
}

/* wait.c */
int vn_wait(struct vn_port *port, short events, int64_t timeout, const struct vn_loop *loop, const struct vn_port *other);
int vn_transmit_all(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole,
		    int64_t deadline, const struct vn_loop *loop, const struct vn_port *other);
bool vn_is_hung_up(const struct vn_port *port);
int64_t vn_now(void);

bool vn_stop_make(struct vn_stop *stop);
void vn_stop_set(struct vn_stop *stop);

static inline bool vn_is_stopped(const struct vn_stop *stop)
{
	return __atomic_load_n(&stop->stopped, __ATOMIC_ACQUIRE);
}

/* numbered.c */
void vn_numbered_renumber(uint8_t *frame, uint64_t number, uint32_t length);

/* pcapng.c */
struct vn_pcapng {
	int fd, error;       /* error: the errno that ended it, or 0 */
	bool never_waits;    /* the descriptor does not block: packets that it has no room for are lost */
	uint64_t lost[2];    /* packets, of even interfaces and of odd ones */
	uint64_t full_at;    /* the time of the last one that found its reader slow */
	size_t used;
	uint8_t buffer[1 << 18];
};
void vn_pcapng_begin(struct vn_pcapng *file);
void vn_pcapng_interface(struct vn_pcapng *file, int link, const char *name, const char *description);
void vn_pcapng_packet(struct vn_pcapng *file, uint32_t interface, uint64_t time, uint32_t direction, const char *comment,
		      const uint8_t *head, uint32_t head_size, const uint8_t *data, uint32_t size);
void vn_pcapng_statistics(struct vn_pcapng *file, uint32_t interface, uint64_t time, const uint64_t values[3]);
void vn_pcapng_flush(struct vn_pcapng *file);
void vn_pcapng_settle(struct vn_pcapng *file);

/* record.c */
void vn_record_arrival(struct vn_port *port, uint32_t slot, const uint8_t *packet, uint32_t length);
void vn_record_verdict(struct vn_port *port, enum vn_counter verdict);
void vn_record_frame(struct vn_port *port, const uint8_t *frame, uint32_t length, bool whole);
void vn_record_sent(struct vn_port *port, const uint8_t *base, const struct vn_frame *frames, int count, bool whole,
		    enum vn_counter verdict);

/* outer.c */
struct vn_outer {
	const uint8_t *from, *to;   /* addresses, in the packet */
	const uint8_t *payload;     /* behind IP, and UDP: a tunnel's header and the frame */
	uint32_t head, size;        /* bytes before the payload, and of it; what stands behind the IP packet is left out */
	sa_family_t family;
	uint8_t protocol;
	bool fragment;              /* one of several: its payload is not looked into */
	uint16_t port;              /* it goes to, in network order; 0 unless it is UDP */
};
bool vn_outer_read(const uint8_t *data, uint32_t length, struct vn_outer *outer);
int vn_outer_end(const struct vn_outer *outer, struct vn_port *const *ends, int count, enum vn_counter *verdict);
uint32_t vn_outer_shorten(const struct vn_outer *outer, const uint8_t *data, uint8_t *out);

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

/* The whole C interface of vecnet's datapath. cffi reads this file verbatim, so it holds declarations alone.
 *
 * A port is an opened vec string. One thread may receive and another send at the same time; vn_port_stop and vn_loop_stop
 * may be called from any thread, and counters read. What can fail returns a negative errno. Times are nanoseconds; a negative timeout waits for ever.
 */

/* Bytes. */
#define VN_ETHERNET 14  /* of an Ethernet header */
#define VN_VNET 10      /* of struct virtio_net_hdr, linux/virtio_net.h */
#define VN_LARGE 65550  /* of the largest frame, with gro: the largest IP packet and its Ethernet header */
/* Packets that one call moves at the most: UIO_MAXIOV, sys/uio.h. */
#define VN_DEPTH 1024

/* One option of a vec string, as text; a number is decimal or 0x…, a flag 0 or 1. */
struct vn_option { const char *key; const char *value; };

/* A frame in the port's memory. */
struct vn_frame { uint32_t offset; uint32_t length; };

/* Where opening failed. */
enum vn_step {
	VN_STEP_NONE,
	VN_STEP_TRANSPORT,   /* no such transport, or it has no such role */
	VN_STEP_OPTION,      /* detail: the option that is missing or cannot be read */
	VN_STEP_MEMORY,
	VN_STEP_RESOLVE,     /* detail: the host name or address */
	VN_STEP_SOCKET,      /* detail: the kind of socket */
	VN_STEP_BIND,        /* detail: the local address or path */
	VN_STEP_ROUTE,       /* detail: the remote address */
	VN_STEP_CONNECT,     /* detail: the path */
	VN_STEP_INTERFACE,   /* detail: the interface */
	VN_STEP_DOWN,        /* detail: the interface, which is down */
	VN_STEP_TUN_OPEN,    /* detail: /dev/net/tun */
	VN_STEP_TUN_ATTACH,  /* detail: the interface */
	VN_STEP_TUN_HEADER,  /* detail: the interface, and what header its frames have */
	VN_STEP_FILTER,      /* detail: the filter's file, or what it is for */
	VN_STEP_DESCRIPTOR,  /* detail: the descriptor's number */
	VN_STEP_MISFIT,      /* detail: the descriptor's number, and what it is instead of one that carries frames */
	VN_STEP_PROGRAM      /* detail: the program, which cannot be started */
};
struct vn_failure { int step; char detail[128]; };

enum vn_flag {
	VN_SWITCH = 1,          /* bess: listen, as the switch does */
	VN_STRICT_SOURCE = 2,   /* drop what does not come from the remote address */
	VN_KEEP_TRUNCATED = 4,  /* hand out frames that were cut short, as a guest does */
	VN_VLAN_AS_GUEST = 8,   /* leave out VLAN tags that the kernel took out of the data */
	VN_RAW_OFFLOAD = 16,    /* frames have a virtio-net header, both ways; large ones stay whole on a wire that takes them */
	VN_UNOPENED = 32        /* gre, l2tpv3: open no socket; it tells what a packet that somebody else has received is to it */
};

/* Counters; vn_counter_name and vn_counter_meaning tell them. rx_drop_queue_full is the kernel's count. */
enum vn_counter {
	VN_RX_FRAMES, VN_RX_BYTES, VN_RX_CALLS,
	VN_RX_DROP_SHORT, VN_RX_DROP_FLAGS, VN_RX_DROP_KEY, VN_RX_DROP_COOKIE, VN_RX_DROP_SESSION, VN_RX_DROP_SOURCE,
	VN_RX_DROP_TRUNCATED, VN_RX_DROP_GSO, VN_RX_DROP_CHECKSUM, VN_RX_DROP_QUEUE_FULL,
	VN_RX_LARGE, VN_RX_CHECKSUMS, VN_RX_DATA_VALID, VN_RX_VLAN, VN_RX_KEPT_TRUNCATED,
	VN_RX_BATCH_MAX, VN_RX_BATCH_AVERAGE,
	VN_TX_FRAMES, VN_TX_BYTES, VN_TX_CALLS,
	VN_TX_DROP_TOO_LONG, VN_TX_DROP_UNREACHABLE, VN_TX_DROP_REFUSED, VN_TX_DROP_INVALID, VN_TX_DROP_QUEUE_FULL,
	VN_TX_DROP_OTHER,
	VN_TX_QUEUE_FULL, VN_TX_QUEUE_READY,
	VN_TX_BATCH_MAX, VN_TX_BATCH_AVERAGE,
	VN_COUNTERS
};

struct vn_port;

int vn_transport_count(void);
const char *vn_transport_name(int index);
const char *vn_counter_name(int counter);
const char *vn_counter_meaning(int counter);

/* Open a port as a guest opens its device. On failure *failure says at which step and on what. The options are those that
 * Python has judged; what would break C is judged here again on purpose, since harnesses come without Python. */
int vn_port_open(const char *transport, const struct vn_option *options, int count, uint32_t flags,
		 struct vn_port **port, struct vn_failure *failure);
/* Whether the port's interface, where it has one, is up: 0 or -ENETDOWN. */
int vn_port_ready(struct vn_port *port, struct vn_failure *failure);
/* Make every call in progress and all later ones return -ECANCELED. */
void vn_port_stop(struct vn_port *port);
/* Nobody else is to find it: take away the path that it is bound to. Connections stay. */
void vn_port_withdraw(struct vn_port *port);
/* Close the descriptors; no call may be in progress. The memory stays until vn_port_free. */
void vn_port_close(struct vn_port *port);
void vn_port_free(struct vn_port *port);
/* In a fork, before anything else: from now on what stops or closes this copy leaves the parent's alone. */
void vn_port_forked(struct vn_port *port);

/* Readable when frames may be waiting. */
int vn_port_fileno(const struct vn_port *port);
int vn_port_depth(const struct vn_port *port);
/* What the program at the other end has said, if there is one: the bytes written to `text`, which is no string. */
int vn_port_said(const struct vn_port *port, uint8_t *text, size_t room);
uint64_t vn_port_counter(const struct vn_port *port, int counter);
/* The memory that vn_frame's offsets point into. */
uint8_t *vn_port_memory(const struct vn_port *port);
size_t vn_port_memory_size(const struct vn_port *port);

/* Receive at most `most` frames, which stay where they are until the next call. Returns how many, 0 after the timeout,
 * -EINTR where a signal came, or may have come: call again. */
int vn_recv(struct vn_port *port, struct vn_frame *frames, int most, int64_t timeout);
/* Send frames that lie one after another in `data`, which is written to where checksums are filled in. Returns how many
 * were taken. */
int vn_send(struct vn_port *port, uint8_t *data, const uint32_t *lengths, int count, int64_t timeout);

/* A recorder writes what crosses ports to a pcapng file, until it is closed. It takes the descriptor over, and must stay as
 * long as its ports. vn_recorder_add wants no call in progress on the port; a port has one recorder, the last one. */
struct vn_recorder;
struct vn_recorder *vn_recorder_new(int fd);
int vn_recorder_add(struct vn_recorder *recorder, struct vn_port *port, const char *name, const char *description);
/* Write what is not written yet. Returns 0, or the -errno of the first write that failed, after which nothing was written. */
int vn_recorder_flush(struct vn_recorder *recorder);
int vn_recorder_close(struct vn_recorder *recorder);
/* Of a new recorder, whose descriptor does not block: nobody waits for its reader, and packets that it does not take are
 * lost. On the outer interface it leaves out what is the frame itself, and was not dropped. */
void vn_recorder_live(struct vn_recorder *recorder);
/* So far, of the inner interfaces or the outer ones. */
uint64_t vn_recorder_lost(struct vn_recorder *recorder, int outer);
void vn_recorder_free(struct vn_recorder *recorder);
/* A port is at its end: what is recorded of it ends here. */
void vn_recorder_remove(struct vn_recorder *recorder, struct vn_port *port);
/* In a fork: close this copy, unwritten. */
void vn_recorder_forked(struct vn_recorder *recorder);

/* A capture writes what crosses an interface, both ways, to a pcapng file. `socket` is a packet socket that is bound to it,
 * with PACKET_AUXDATA and SO_TIMESTAMPNS; the capture takes `out` over, and not the socket. */
struct vn_capture;
struct vn_capture *vn_capture_new(int socket, int out, const char *name, const char *description);
/* Of a new one, whose socket has PACKET_VNET_HDR: the interface carries a tunnel's packets, of which the frames are written,
 * and the packets that were dropped, or all of them, as an interface of their own. `ends` were opened with VN_UNOPENED, and
 * must stay as long: first the end that "in" and "out" are meant of, then the other end, then those of other tunnels,
 * whose packets are left out. */
int vn_capture_unwrap(struct vn_capture *capture, struct vn_port **ends, int count, int all, const char *outer);
/* Packets that the tunnel's ends dropped, for the cause of a counter; and fragments, which are not looked into. */
uint64_t vn_capture_drops(const struct vn_capture *capture, int counter);
uint64_t vn_capture_fragments(const struct vn_capture *capture);
/* Write the packets that wait there. Returns how many, or -errno; the last one that could not be written is among these. */
int vn_capture_read(struct vn_capture *capture);
int vn_capture_flush(struct vn_capture *capture);
/* End it; the kernel lost so many packets for want of room at the socket. */
int vn_capture_close(struct vn_capture *capture, uint64_t lost);
void vn_capture_free(struct vn_capture *capture);
/* How many bytes the packets' blocks of pcapng have that stand whole at the beginning, at most `most` bytes; `inner` is the
 * number of those whose interface has an even number. One that is no block, or too large, ends them. */
size_t vn_pcapng_packets(const uint8_t *data, size_t size, size_t most, uint64_t *inner);

/* Loops move frames until `count` of them (0: without end), for `duration` (negative: without end), until vn_loop_stop,
 * or until their port is stopped, which is -ECANCELED. A loop is used for one run. */
struct vn_loop;
struct vn_limit { uint64_t count; int64_t duration; };

/* Counters of a loop. All but the first two are the drain's, but for a generator's VN_LOOP_NEXT and a pump's last. */
enum vn_loop_counter {
	VN_LOOP_FRAMES, VN_LOOP_BYTES, VN_LOOP_NEXT, VN_LOOP_LOST, VN_LOOP_DOUBLED, VN_LOOP_REORDERED, VN_LOOP_CHANGED,
	VN_LOOP_FOREIGN, VN_LOOP_DROPPED, VN_LOOP_COUNTERS
};

/* Numbered frames, each of which can be judged by itself; see numbered.c. A stream tells generators apart. */
#define VN_NUMBERED_TYPE 0x88b5
#define VN_NUMBERED_HEADER 34
struct vn_label { uint8_t target[6], source[6]; uint32_t stream; uint64_t number; };
enum vn_numbered { VN_NUMBERED_WHOLE, VN_NUMBERED_CHANGED, VN_NUMBERED_FOREIGN };
/* Write a frame of `length` bytes, from VN_NUMBERED_HEADER to VN_LARGE. */
void vn_numbered_make(const struct vn_label *label, uint8_t *frame, uint32_t length);
/* Which of enum vn_numbered a frame is. Its label is read unless it is foreign. */
int vn_numbered_judge(const uint8_t *frame, uint32_t length, struct vn_label *label);

/* What a generator sends. Of each frame the size follows from its number, between smallest and largest. */
struct vn_pattern {
	struct vn_label label;         /* whose number begins at 0 */
	uint32_t smallest, largest;    /* bytes of whole frames, without checksum */
	uint64_t rate;                 /* frames a second, 0: as many as are taken */
	uint64_t window;               /* frames sent and not yet seen by the drain that is followed */
};

struct vn_loop *vn_loop_new(void);
void vn_loop_free(struct vn_loop *loop);
void vn_loop_stop(struct vn_loop *loop);
void vn_loop_forked(struct vn_loop *loop); /* as vn_port_forked */
/* Before a run: keep the moments, on the monotonic clock in nanoseconds, at which the generator hands out the frames with the
 * numbers 0, every, 2 * every, …, or the drain gets them: `kept` of them at the most. 0, -EINVAL or -ENOMEM. */
int vn_loop_clock(struct vn_loop *loop, uint64_t every, uint32_t kept);
/* Once the run has ended: as many as are kept, 0 where there is none. NULL without a clock. */
const int64_t *vn_loop_moments(const struct vn_loop *loop);
uint64_t vn_loop_counter(const struct vn_loop *loop, int counter);
const char *vn_loop_counter_name(int counter);

/* Send numbered frames. Where `followed`, a drain's loop, is given, never be more than the window ahead of it. */
int vn_generate(struct vn_loop *loop, struct vn_port *port, const struct vn_limit *limit,
		const struct vn_pattern *pattern, const struct vn_loop *followed);
/* Receive a generator's frames, and check their order and content. Other frames do not count. */
int vn_drain(struct vn_loop *loop, struct vn_port *port, const struct vn_limit *limit, uint32_t stream);
/* Send back whatever comes, with its Ethernet addresses swapped. */
int vn_reflect(struct vn_loop *loop, struct vn_port *port, const struct vn_limit *limit);
/* Send to one port what comes from another. Large frames stay whole where both ports have a virtio-net header. */
int vn_forward(struct vn_loop *loop, struct vn_port *from, struct vn_port *to, const struct vn_limit *limit);
/* Move frames both ways between a stream, where each has its length before it, and a socket whose packets they are.
 * Returns 0 once stopped, -EPIPE at either's end, -EPROTO where the stream holds what is no length, or -errno. */
int vn_pump(struct vn_loop *loop, int stream, int packets);

/* ---- a switch ----
 *
 * It learns which Ethernet address is at which port, and moves frames between ports. vn_switch_run does so, in one thread;
 * everything else may be called from any thread while it runs. Ports are known by a number that vn_switch_add gives, which is
 * never given again. */
#define VN_SWITCH_PORTS 4096     /* ports of one switch, at the most */
#define VN_SWITCH_NAME 80        /* bytes of a port's name, with the zero at its end */

/* What is asked of a port. */
struct vn_switch_settings {
	uint32_t isolated;       /* 1: nothing passes between it and another that is isolated */
	uint32_t addresses;      /* learnt at it, at the most */
	uint32_t storm;          /* frames a second that may be flooded from it, 0 without limit */
	uint32_t guests;         /* where it listens: how many may be connected at a time */
};

/* Counters of a port, besides its own; vn_switch_counter_name and _meaning tell what each one is. */
enum vn_switch_counter {
	VN_SWITCH_FLOODED,
	VN_SWITCH_LEARNT,
	VN_SWITCH_MOVED,
	VN_SWITCH_CROWDED,
	VN_SWITCH_CUT,
	VN_SWITCH_QUEUED,
	VN_SWITCH_CONNECTED,
	VN_SWITCH_REFUSED,
	VN_SWITCH_DOUBLED,
	VN_SWITCH_CORRUPTED,
	VN_SWITCH_OVERTAKING,
	VN_SWITCH_DROP_SHORT,
	VN_SWITCH_DROP_SENDER,
	VN_SWITCH_DROP_RESERVED,
	VN_SWITCH_DROP_HOME,
	VN_SWITCH_DROP_ISOLATED,
	VN_SWITCH_DROP_STORM,
	VN_SWITCH_DROP_MONITOR,
	VN_SWITCH_DROP_HEADER,
	VN_SWITCH_DROP_LONG,
	VN_SWITCH_DROP_FULL,
	VN_SWITCH_DROP_DOWN,
	VN_SWITCH_DROP_IMPAIRED,
	VN_SWITCH_COUNTERS
};
const char *vn_switch_counter_name(int counter);
const char *vn_switch_counter_meaning(int counter);

/* A port as it is now. `listener` is 0, or the number of the port at which its guests are accepted. */
struct vn_switch_port {
	uint32_t number, listener;
	uint32_t addresses;      /* learnt at it */
	int error;               /* why its wire is gone, or 0 */
	uint8_t connected, listens, monitor;
	char name[VN_SWITCH_NAME];
};
struct vn_switch_address { uint8_t address[6]; uint32_t number; uint32_t idle; /* milliseconds */ };

struct vn_switch;
/* Addresses are forgotten after `age` milliseconds; the table has at most `addresses`. NULL where memory or descriptors
 * are missing, after errno. */
struct vn_switch *vn_switch_new(uint32_t age, uint32_t addresses);
void vn_switch_free(struct vn_switch *sw);
/* In a fork: the copy can only be freed; the ports that were added to it are to be told as well. */
void vn_switch_forked(struct vn_switch *sw);

/* Move frames for `duration` nanoseconds (negative: without end), or until vn_switch_stop, which also ends the next run if
 * none is in progress. Returns 0, -EBUSY where it runs already, -EINTR after a signal: call again. */
int vn_switch_run(struct vn_switch *sw, int64_t duration);
void vn_switch_stop(struct vn_switch *sw);

/* Make a port a port of the switch, which must outlive it there; nobody else may receive or send with it. One in the
 * switch's role accepts guests, each of which becomes a port of its own. Returns its number, or -errno: -EEXIST the name is
 * taken, -EMFILE no room. */
int64_t vn_switch_add(struct vn_switch *sw, struct vn_port *port, const char *name,
		      const struct vn_switch_settings *settings);
/* Take a port away, its guests with it. -ENOENT where there is none. */
int vn_switch_remove(struct vn_switch *sw, uint32_t number);
/* Send a copy of what comes in or goes out at these ports to the monitor, which then takes part in nothing else. With no
 * number given: of all that comes in at any port; monitor 0: none. */
int vn_switch_mirror(struct vn_switch *sw, uint32_t monitor, const uint32_t *numbers, int count);
/* What frames that go out of a port suffer, in the terms of tc-netem(8): shares from 0 to 1, times in nanoseconds, the rate in
 * bits a second, 0 for no limit. */
struct vn_impairment { double loss, duplicate, corrupt, reorder, rate; int64_t delay, jitter; uint64_t seed; };
/* Impair a port and its guests, those to come as well; NULL ends it, and what waits goes out. */
int vn_switch_impair(struct vn_switch *sw, uint32_t number, const struct vn_impairment *impairment);
/* Record a port, 0 for all of them, and their guests to come. */
int vn_switch_record(struct vn_switch *sw, uint32_t number, struct vn_recorder *recorder);
void vn_switch_end_record(struct vn_switch *sw, struct vn_recorder *recorder);

/* Describe the ports, at most `room`. Returns how many there are. */
int vn_switch_list(struct vn_switch *sw, struct vn_switch_port *out, int room);
int vn_switch_table(struct vn_switch *sw, struct vn_switch_address *out, int room);
/* A port's counters: VN_SWITCH_COUNTERS of the switch's, VN_COUNTERS of the port's, those of past guests included. */
int vn_switch_counters(struct vn_switch *sw, uint32_t number, uint64_t *own, uint64_t *ports);

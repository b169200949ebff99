/* Measuring what a batch costs, next to a bare loop on the same sockets.
 *
 * The bare loop is the floor: one sendmmsg or recvmmsg a batch, or one write or read a frame on a tap's descriptor, on
 * sockets that the same code has opened, with the same arrays. All that a port does beyond that is what is measured.
 *
 * One thread does both halves in turn. So neither half waits for the other, and no scheduler is in the figures.
 */
#include "../internal.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define PATIENCE 200          /* milliseconds for a frame that is on its way */
#define REPEATED 256          /* bytes that headers add to a packet, at the most */
#define QUEUE (16 << 20)      /* bytes asked of the kernel for a sender's queue, so that a batch fits in */

/* What an end sends. A port's own half sends `count` frames, a bare one `packets` packets: more where frames are cut. */
struct floor {
	struct mmsghdr *messages;
	struct iovec *vectors;
	uint8_t *bare;            /* packets, headers and all */
	struct vn_frame *frames;  /* of a port */
	uint32_t *lengths;        /* … : of each frame */
	uint8_t *memory;          /* … : where they lie */
	int count, packets;
};

/* ---- clocks ---- */

static int64_t read_clock(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* The processor's clock takes a system call: it is read outside of what the wall's clock encloses. */
static struct vn_bench_cost started(void)
{
	int64_t processor = read_clock(CLOCK_THREAD_CPUTIME_ID);
	return (struct vn_bench_cost){read_clock(CLOCK_MONOTONIC), processor};
}

static void add_cost(struct vn_bench_cost *sum, struct vn_bench_cost since)
{
	sum->wall += read_clock(CLOCK_MONOTONIC) - since.wall;
	sum->processor += read_clock(CLOCK_THREAD_CPUTIME_ID) - since.processor;
}

/* ---- what is sent ---- */

static void free_floor(struct floor *floor)
{
	free(floor->messages);
	free(floor->vectors);
	free(floor->bare);
	free(floor->frames);
	free(floor->lengths);
	free(floor->memory);
}

/* The packets that a frame goes out as, one after another in `out`, their lengths in `sizes`. Returns how many. */
static int make_packets(const struct vn_port *port, const struct vn_bench_load *load, uint8_t *out, size_t *sizes)
{
	const bool whole = port->flags & VN_RAW_OFFLOAD;
	struct vn_offload wants;
	struct vn_cutter cutter;
	int count = 0;
	if (!port->tx.cut) {
		uint32_t header = whole ? 0 : port->header; /* a whole frame brings its virtio-net header along */
		memcpy(out, port->tx.template, header);
		memcpy(out + header, load->frame, load->length);
		sizes[0] = header + load->length;
		return 1;
	}
	memcpy(&wants, load->frame, VN_VNET);
	if (!vn_cut_begin(&cutter, &wants, (uint8_t *)(uintptr_t)load->frame + VN_VNET, load->length - VN_VNET, UINT32_MAX))
		return -EINVAL;
	if (cutter.count > VN_CUT_FRAMES)
		return -EMSGSIZE;
	for (; cutter.count; out += sizes[count++]) {
		memcpy(out, port->tx.template, port->header);
		sizes[count] = port->header + vn_cut_next(&cutter, out + port->header, load->length + REPEATED / 2);
	}
	return count;
}

/* Each packet and each frame lies in memory of its own, so that copying them costs either half the same. */
static int make_floor(struct floor *floor, struct vn_port *port, const struct vn_bench_load *load)
{
	const int queue = QUEUE;
	size_t sizes[VN_CUT_FRAMES];
	memset(floor, 0, sizeof(*floor));
	if (load->length <= VN_VNET || load->length > VN_LARGE + VN_VNET)
		return -EINVAL;
	if (vn_ready(port)) /* a bare loop does not look for its guest */
		return -ENOTCONN;
	if (port->tx.socket && setsockopt(port->tx.fd, SOL_SOCKET, SO_SNDBUFFORCE, &queue, sizeof(queue)))
		setsockopt(port->tx.fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof(queue)); /* as much as the kernel allows */

	const size_t room = load->length + (port->tx.cut ? VN_CUT_FRAMES : 1) * REPEATED;
	floor->bare = calloc((size_t)load->count, room);
	if (!floor->bare)
		return -ENOMEM;
	int kinds = make_packets(port, load, floor->bare, sizes);
	if (kinds < 0)
		return kinds;
	floor->count = load->count;
	floor->packets = load->count * kinds;
	floor->messages = calloc((size_t)floor->packets, sizeof(*floor->messages));
	floor->vectors = calloc((size_t)floor->packets, sizeof(*floor->vectors));
	floor->frames = calloc((size_t)floor->packets, sizeof(*floor->frames)); /* of packets, too, when it receives */
	floor->lengths = calloc((size_t)floor->count, sizeof(*floor->lengths));
	floor->memory = calloc((size_t)floor->count, load->length);
	if (!floor->messages || !floor->vectors || !floor->frames || !floor->lengths || !floor->memory)
		return -ENOMEM;
	for (int i = 0; i < floor->count; i++) {
		uint8_t *packet = floor->bare + (size_t)i * room;
		make_packets(port, load, packet, sizes);
		for (int k = 0; k < kinds; packet += sizes[k++])
			floor->vectors[i * kinds + k] = (struct iovec){packet, sizes[k]};
		floor->frames[i] = (struct vn_frame){(uint32_t)i * load->length, load->length};
		floor->lengths[i] = load->length;
		memcpy(floor->memory + (size_t)i * load->length, load->frame, load->length);
	}
	for (int i = 0; i < floor->packets; i++) {
		floor->messages[i].msg_hdr.msg_iov = &floor->vectors[i];
		floor->messages[i].msg_hdr.msg_iovlen = 1;
		if (port->remote_size) {
			floor->messages[i].msg_hdr.msg_name = (void *)(uintptr_t)&port->remote;
			floor->messages[i].msg_hdr.msg_namelen = port->remote_size;
		}
	}
	return 0;
}

/* ---- the bare halves ---- */

static int bare_send(const struct vn_port *port, struct floor *floor)
{
	int done = 0;
	while (done < floor->packets) {
		int left = floor->packets - done, batch = left < (int)port->batch ? left : (int)port->batch, sent = 0;
		if (port->tx.socket)
			sent = sendmmsg(port->tx.fd, floor->messages + done, (unsigned)batch, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			while (sent < batch && writev(port->tx.fd, &floor->vectors[done + sent], 1) > 0)
				sent++;
		if (sent <= 0)
			return -ENOBUFS;
		done += sent;
	}
	return 0;
}

/* Returns how many came, at most `most`, 0 where none did, or -errno. */
static int bare_receive_some(struct vn_port *port, int most)
{
	int got = 0, batch = most < (int)port->batch ? most : (int)port->batch;
	if (port->rx.socket) {
		got = recvmmsg(port->rx.fd, port->rx.messages, (unsigned)batch, MSG_DONTWAIT, NULL);
		port->rx.used = port->depth; /* sizes that the port sets again in its turn */
		return got >= 0 ? got : errno == EAGAIN ? 0 : -errno;
	}
	ssize_t size;
	while (got < batch && (size = readv(port->rx.fd, &port->rx.vectors[got], 1)) > 0)
		port->rx.messages[got++].msg_len = (unsigned)size;
	return got;
}

static int wait_for(const struct vn_port *port)
{
	struct pollfd fd = {.fd = port->rx.fd, .events = POLLIN};
	return poll(&fd, 1, PATIENCE) > 0 ? 0 : -ETIMEDOUT;
}

/* ---- either half ---- */

static int send_all(struct vn_bench_end end, struct floor *floor)
{
	const bool whole = end.port->flags & VN_RAW_OFFLOAD;
	if (end.bare)
		return bare_send(end.port, floor);
	if (end.port->tx.cut) /* large frames, which are cut on the way */
		return vn_send(end.port, floor->memory, floor->lengths, floor->count, 0) == floor->count ? 0 : -ENOBUFS;
	for (int done = 0; done < floor->count;) {
		int sent = vn_transmit(end.port, floor->memory, floor->frames + done, floor->count - done, whole);
		if (sent <= 0)
			return sent ? sent : -ENOBUFS;
		done += sent;
	}
	return 0;
}

/* Frames land in `frames`, at most `most` of them; a bare end leaves them in its slots. */
static int receive_some(struct vn_bench_end end, struct vn_frame *frames, int most)
{
	const bool whole = end.port->flags & VN_RAW_OFFLOAD;
	int got = end.bare ? bare_receive_some(end.port, (int)end.port->batch) : vn_receive(end.port, frames, most, whole);
	return got == -EAGAIN ? 0 : got;
}

static int receive_all(struct vn_bench_end end, struct vn_frame *frames, int count)
{
	for (int done = 0; done < count;) {
		int got = receive_some(end, frames, count - done);
		if (got < 0)
			return got;
		done += got;
		if (!got && wait_for(end.port))
			return -ETIMEDOUT;
	}
	return 0;
}

int vn_bench_one_way(struct vn_bench_end from, struct vn_bench_end to, const struct vn_bench_load *load,
		     struct vn_bench_cost *out, struct vn_bench_cost *in)
{
	struct floor sent;
	int rc = make_floor(&sent, from.port, load);
	struct vn_frame *taken = calloc((size_t)(sent.packets + 1), sizeof(*taken));
	*out = *in = (struct vn_bench_cost){0, 0};
	if (!rc && (!taken || vn_ready(to.port)))
		rc = taken ? -ENOTCONN : -ENOMEM;
	for (int round = 0; !rc && round < load->rounds; round++) {
		struct vn_bench_cost since = started();
		rc = send_all(from, &sent);
		add_cost(out, since);
		since = started();
		rc = rc ? rc : receive_all(to, taken, sent.packets);
		add_cost(in, since);
	}
	free_floor(&sent);
	free(taken);
	return rc;
}

/* Send on what lies in the slots of a bare receiver: whole packets, headers and all, as they came. */
static int bare_forward(struct vn_port *from, struct vn_port *to, struct floor *floor, int count)
{
	for (int done = 0; done < count;) {
		int got = bare_receive_some(from, floor->packets), sent = 0; /* the host's stack may have said more */
		if (got < 0)
			return got;
		if (!got) {
			if (wait_for(from))
				return -ETIMEDOUT;
			continue;
		}
		for (int i = 0; i < got; i++) {
			floor->vectors[i].iov_base = (uint8_t *)from->rx.vectors[i].iov_base + from->rx.skip;
			floor->vectors[i].iov_len = from->rx.messages[i].msg_len - from->rx.skip;
		}
		while (sent < got) {
			int some = to->tx.socket ? sendmmsg(to->tx.fd, floor->messages + sent, (unsigned)(got - sent),
							    MSG_DONTWAIT | MSG_NOSIGNAL)
						 : writev(to->tx.fd, &floor->vectors[sent], 1) > 0;
			if (some <= 0)
				return -ENOBUFS;
			sent += some;
		}
		done += got;
	}
	return 0;
}

static int port_forward(struct vn_port *from, struct vn_port *to, struct floor *floor, int count)
{
	const bool whole = from->flags & VN_RAW_OFFLOAD;
	for (int done = 0; done < count;) {
		int got = vn_receive(from, floor->frames, floor->count, whole), sent = 0;
		if (got == -EAGAIN || !got) {
			if (wait_for(from))
				return -ETIMEDOUT;
			continue;
		}
		if (got < 0)
			return got;
		while (sent < got) {
			int some = vn_transmit(to, from->memory, floor->frames + sent, got - sent, whole);
			if (some <= 0)
				return some ? some : -ENOBUFS;
			sent += some;
		}
		done += got;
	}
	return 0;
}

int vn_bench_forward(struct vn_port *feeder, struct vn_port *from, struct vn_port *to, struct vn_port *sink, int bare,
		     const struct vn_bench_load *load, struct vn_bench_cost *spent)
{
	struct floor fed, moved;
	int rc = make_floor(&fed, feeder, load);
	*spent = (struct vn_bench_cost){0, 0};
	memset(&moved, 0, sizeof(moved));
	rc = rc ? rc : make_floor(&moved, to, load);
	rc = rc ? rc : vn_ready(sink);
	for (int round = 0; !rc && round < load->rounds; round++) {
		rc = bare_send(feeder, &fed);
		struct vn_bench_cost since = started();
		rc = rc ? rc : bare ? bare_forward(from, to, &moved, fed.packets) : port_forward(from, to, &moved, fed.packets);
		add_cost(spent, since);
		rc = rc ? rc : receive_all((struct vn_bench_end){sink, bare}, fed.frames, fed.packets);
	}
	free_floor(&fed);
	free_floor(&moved);
	return rc;
}

/* Take what the host's stack has said meanwhile: a frame more on its way, and each round would find the one before. */
static void empty(struct vn_port *port)
{
	struct vn_frame frames[64];
	while (vn_receive(port, frames, 64, false) >= 0)
		;
}

int vn_bench_echo(struct vn_bench_end here, struct vn_bench_end there, const struct vn_bench_load *load, int64_t *times)
{
	struct floor ours, theirs;
	struct vn_frame back;
	int rc = make_floor(&ours, here.port, load);
	memset(&theirs, 0, sizeof(theirs));
	rc = rc ? rc : make_floor(&theirs, there.port, load);
	empty(here.port);
	empty(there.port);
	for (int round = 0; !rc && round < load->rounds; round++) {
		int64_t start = read_clock(CLOCK_MONOTONIC);
		rc = send_all(here, &ours);
		rc = rc ? rc : receive_all(there, theirs.frames, 1);
		if (!rc && !there.bare) /* what came is what goes back */
			rc = vn_transmit(there.port, there.port->memory, theirs.frames, 1, false) == 1 ? 0 : -ENOBUFS;
		else
			rc = rc ? rc : bare_send(there.port, &theirs);
		rc = rc ? rc : receive_all(here, &back, 1);
		times[round] = read_clock(CLOCK_MONOTONIC) - start;
	}
	free_floor(&ours);
	free_floor(&theirs);
	return rc;
}

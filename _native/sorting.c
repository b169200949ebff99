/* The switch's hot path: a batch comes in, is sorted by where its frames go, and goes out, a batch for each port.
 *
 * Nothing is copied. A frame stays where its port received it, until all that came in this round is sent; what is sorted is
 * where it lies. So frames from many ports to one go out by one call, and a frame for many ports lies there once.
 *
 * Large frames. A port with virtio-net headers hands frames out with theirs. Another such port that takes large frames gets
 * them as they are. For any other they are cut, and open checksums are filled in.
 *
 * A port that is full. Its frames are copied to its queue, and go out once it takes more; what does not fit there either is
 * dropped and counted. So nobody waits for anybody, except for the time that a call takes.
 */
#include "switch.h"

#define BATCH 128                    /* frames that one call receives or sends, at the most */
#define UDP_FRAGMENTS 3              /* VIRTIO_NET_HDR_GSO_UDP: cutting writes to the frame itself */
#define ECN 0x80                     /* VIRTIO_NET_HDR_GSO_ECN, which may be added to any */
#define GROUP UINT64_C(1)            /* the bit of an address that says many, IEEE 802 */
#define RESERVED UINT64_C(0x0000c28001)      /* 01:80:c2:00:00:0x, IEEE 802.1Q table 8-1 */
#define RESERVED_MASK UINT64_C(0xf0ffffffffff)
#define BURST 10                     /* a part of a second, whose share of the limit may be flooded at once */
#define SECOND INT64_C(1000000000)

static uint64_t address_at(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value)); /* two bytes more: after either address there are as many */
	return value & UINT64_C(0xffffffffffff);
}

static struct vn_place *place_of(const struct vn_address *entry)
{
	return (struct vn_place *)entry->owner;
}

/* ---- going out ---- */

/* Whether a port may move frames again after an error: its interface is down, say, or nobody is there yet. */
static bool may_come_back(int error)
{
	return error == ENETDOWN || error == ENXIO || error == ENODEV || error == EIO || error == ENOMEM ||
	       error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH;
}

/* The port's wire did not take anything. Where it was hung up, receiving will find out, once it has all that came before. */
static void fail(struct vn_switch *sw, struct vn_place *out, int error, int count)
{
	vn_place_count(out, VN_SWITCH_DROP_DOWN, (uint64_t)count);
	if (!may_come_back(error) && !out->port->rx.hangs_up)
		vn_place_lose(sw, out, error);
}

static void enqueue(struct vn_switch *sw, struct vn_place *out, const uint8_t *base, const struct vn_frame *frames, int count,
		    bool whole)
{
	int done = 0;
	while (done < count && vn_queue_put(&out->queue, base + frames[done].offset, frames[done].length, whole))
		done++;
	vn_place_count(out, VN_SWITCH_QUEUED, (uint64_t)done);
	vn_place_count(out, VN_SWITCH_DROP_FULL, (uint64_t)(count - done));
	vn_place_wait(sw, out, true);
}

/* Send frames, or let them wait, or drop them. */
static void deliver(struct vn_switch *sw, struct vn_place *out, const uint8_t *base, const struct vn_frame *frames, int count,
		    bool whole)
{
	int done = 0;
	if (out->spoil) {
		for (int i = 0; i < count; i++)
			vn_spoil_take(out, base + frames[i].offset, frames[i].length, sw->now);
		return;
	}
	while (done < count && !out->is_lost && !out->queue.frames) {
		const int sent = vn_transmit(out->port, base, frames + done, count - done, whole);
		if (sent > 0) {
			done += sent;
			continue;
		}
		if (sent < 0 && sent != -ENOBUFS) {
			fail(sw, out, -sent, count - done);
			return;
		}
		out->retries = sent;
		break;
	}
	if (done < count && !out->is_lost)
		enqueue(sw, out, base, frames + done, count - done, whole);
}

/* A port takes more again. */
void vn_drain_queue(struct vn_switch *sw, struct vn_place *out)
{
	struct vn_frame frames[BATCH];
	bool whole;
	while (out->queue.frames && !out->is_lost) {
		const int count = vn_queue_peek(&out->queue, frames, BATCH, &whole);
		const int sent = vn_transmit(out->port, out->queue.memory, frames, count, whole);
		if (sent < 0 && sent != -ENOBUFS)
			fail(sw, out, -sent, count);
		else if (sent <= 0) {
			out->retries = sent;
			break;
		}
		vn_queue_drop(&out->queue, sent > 0 ? sent : count);
	}
	vn_place_wait(sw, out, out->queue.frames != 0);
}

/* A large frame for a port that takes none: that it can be cut was seen before. */
static void cut(struct vn_switch *sw, struct vn_place *out, uint8_t *frame, uint32_t length)
{
	struct vn_frame frames[VN_CUT_FRAMES];
	struct vn_offload wants;
	struct vn_cutter cutter;
	memcpy(&wants, frame, VN_VNET);
	if ((wants.type & ~ECN) == UDP_FRAGMENTS) {
		memcpy(sw->scratch, frame, length);
		frame = sw->scratch;
	}
	if (!vn_cut_begin(&cutter, &wants, frame + VN_VNET, length - VN_VNET, out->port->most + VN_VLAN))
		return;
	vn_place_count(out, VN_SWITCH_CUT, 1);
	while (cutter.count) {
		uint32_t at = 0;
		int ready = 0;
		for (; cutter.count && ready < VN_CUT_FRAMES; ready++) {
			const uint32_t size = vn_cut_next(&cutter, sw->cut + at, VN_CUT - at);
			if (!size)
				break;
			frames[ready] = (struct vn_frame){at, size};
			at += size;
		}
		deliver(sw, out, sw->cut, frames, ready, false);
	}
}

/* Send what was sorted for a port. Frames of one shape go out together, wherever they lie: offsets count from the lowest. */
static void send_items(struct vn_switch *sw, struct vn_place *out)
{
	const struct vn_item *items = sw->items;
	struct vn_frame frames[BATCH];
	for (uint32_t at = out->first; at && !out->is_lost;) {
		const enum vn_shape shape = items[at].shape;
		if (shape == VN_TO_CUT) {
			cut(sw, out, items[at].frame, items[at].length);
			at = items[at].next;
			continue;
		}
		uintptr_t low = (uintptr_t)items[at].frame, high = low;
		int count = 0;
		uint32_t end = at;
		for (; end && count < BATCH && items[end].shape == shape; end = items[end].next, count++) {
			const uintptr_t lies = (uintptr_t)items[end].frame;
			if ((lies > low ? lies : high) - (lies < low ? lies : low) > UINT32_MAX)
				break;
			low = lies < low ? lies : low;
			high = lies > high ? lies : high;
		}
		for (int i = 0; i < count; i++, at = items[at].next)
			frames[i] = (struct vn_frame){(uint32_t)((uintptr_t)items[at].frame - low), items[at].length};
		deliver(sw, out, (const uint8_t *)low, frames, count, shape == VN_WHOLE);
	}
	out->first = out->last = 0;
}

/* Send all that was sorted. */
void vn_flush(struct vn_switch *sw)
{
	for (uint32_t i = 0; i < sw->actives; i++)
		send_items(sw, sw->active[i]);
	sw->actives = 0;
	sw->used = 1;
}

/* ---- sorting ---- */

static bool is_tagged(const uint8_t *frame)
{
	const uint32_t type = vn_get16(frame + 12);
	return type == 0x8100 || type == 0x88a8; /* IEEE 802.1Q, 802.1ad */
}

/* The shape in which a port takes a frame, `plain` whatever it could take; VN_SWITCH_COUNTERS, or the counter of a drop. The
 * frame may be at another place afterwards, without its header, where its checksum is filled in for good. */
static enum vn_switch_counter shape(const struct vn_port *out, uint8_t **frame, uint32_t *length, bool whole, bool plain,
				    enum vn_shape *how)
{
	struct vn_offload wants = {0};
	*how = VN_PLAIN;
	if (whole) {
		memcpy(&wants, *frame, VN_VNET);
		if (wants.type && (plain || !(out->transport.vnet && out->gro))) {
			struct vn_cutter cutter;
			*how = VN_TO_CUT;
			if (vn_cut_begin(&cutter, &wants, *frame + VN_VNET, *length - VN_VNET, out->most + VN_VLAN))
				return VN_SWITCH_COUNTERS;
			return vn_cut_begin(&cutter, &wants, *frame + VN_VNET, *length - VN_VNET, UINT32_MAX) ? VN_SWITCH_DROP_LONG
													      : VN_SWITCH_DROP_HEADER;
		}
		if (out->transport.vnet && !plain) {
			*how = VN_WHOLE;
		} else {
			if (wants.flags & VN_NEEDS_CHECKSUM) {
				if (!vn_fill_checksum(&wants, *frame + VN_VNET, *length - VN_VNET))
					return VN_SWITCH_DROP_HEADER;
				memset(*frame, 0, VN_VNET);
			}
			*frame += VN_VNET;
			*length -= VN_VNET;
		}
	}
	const uint32_t header = *how == VN_WHOLE ? VN_VNET : 0, size = *length - header;
	if (size > out->most && !(size <= out->most + VN_VLAN && is_tagged(*frame + header)))
		return VN_SWITCH_DROP_LONG;
	return VN_SWITCH_COUNTERS;
}

/* Note a frame for a port. */
static void put(struct vn_switch *sw, struct vn_place *in, struct vn_place *out, uint8_t *frame, uint32_t length, bool whole)
{
	enum vn_shape how = VN_PLAIN;
	if (whole || length > out->port->most) {
		const enum vn_switch_counter verdict = shape(out->port, &frame, &length, whole, out->spoil, &how);
		if (verdict != VN_SWITCH_COUNTERS) {
			vn_place_count(verdict == VN_SWITCH_DROP_HEADER ? in : out, verdict, 1);
			return;
		}
	}
	if (sw->used == VN_WAITING)
		vn_flush(sw);
	const uint32_t this = sw->used++;
	sw->items[this] = (struct vn_item){.frame = frame, .length = length, .shape = how};
	if (out->first)
		sw->items[out->last].next = this;
	else
		out->first = this, sw->active[sw->actives++] = out;
	out->last = this;
}

/* Whether one more frame may be flooded: as many as the limit allows in the time that has passed, and few at once. Where
 * there is but one other port, it costs no more than any frame. */
static bool may_flood(const struct vn_switch *sw, struct vn_place *in)
{
	const double limit = in->settings.storm, most = limit / BURST > 1 ? limit / BURST : 1;
	if (!in->settings.storm || sw->lives <= 2)
		return true;
	in->storm_left += (double)(sw->now - in->storm_at) / (double)SECOND * limit;
	in->storm_at = sw->now;
	if (in->storm_left > most)
		in->storm_left = most;
	if (in->storm_left < 1)
		return false;
	in->storm_left--;
	return true;
}

static bool are_apart(const struct vn_place *one, const struct vn_place *other)
{
	return one->settings.isolated && other->settings.isolated;
}

/* Where a frame goes: out of each of the ports that get it. */
static void sort(struct vn_switch *sw, struct vn_place *in, uint8_t *frame, uint32_t length, bool whole)
{
	const uint32_t header = whole ? VN_VNET : 0;
	if (length < header + VN_ETHERNET) {
		vn_place_count(in, VN_SWITCH_DROP_SHORT, 1);
		return;
	}
	const uint64_t to = address_at(frame + header), from = address_at(frame + header + 6);
	if (from & GROUP || !from) {
		vn_place_count(in, VN_SWITCH_DROP_SENDER, 1);
		return;
	}
	if (in == sw->monitor) {
		vn_place_count(in, VN_SWITCH_DROP_MONITOR, 1);
		return;
	}
	if (in->sender && in->sender->key == from && in->sender->owner == &in->owner) {
		in->sender->seen = sw->time;
		in->sender->again = 1;
	} else {
		bool crowded;
		const enum vn_learnt learnt = vn_table_learn(&sw->table, &in->owner, from, sw->time, &in->sender, &crowded);
		if (learnt != VN_LEARNT_KNOWN)
			vn_place_count(in, learnt == VN_LEARNT_NEW ? VN_SWITCH_LEARNT : VN_SWITCH_MOVED, 1);
		if (crowded)
			vn_place_count(in, VN_SWITCH_CROWDED, 1);
	}
	bool copied = !sw->monitor;
	if (!copied && (in->mirrored || sw->mirrors_all)) {
		put(sw, in, sw->monitor, frame, length, whole);
		copied = true;
	}

	if (!(to & GROUP)) {
		struct vn_address *entry = in->receiver;
		if (!entry || entry->key != to || sw->time - entry->seen > sw->table.age)
			entry = in->receiver = vn_table_find(&sw->table, to, sw->time);
		if (entry) {
			struct vn_place *out = place_of(entry);
			if (out == in || are_apart(in, out)) {
				vn_place_count(in, out == in ? VN_SWITCH_DROP_HOME : VN_SWITCH_DROP_ISOLATED, 1);
				return;
			}
			put(sw, in, out, frame, length, whole);
			if (!copied && out->mirrored)
				put(sw, in, sw->monitor, frame, length, whole);
			return;
		}
	} else if ((to & RESERVED_MASK) == RESERVED && to != RESERVED) { /* but …:00, spanning tree's, passes as it does a wire */
		vn_place_count(in, VN_SWITCH_DROP_RESERVED, 1);
		return;
	}
	if (!may_flood(sw, in)) {
		vn_place_count(in, VN_SWITCH_DROP_STORM, 1);
		return;
	}
	vn_place_count(in, VN_SWITCH_FLOODED, 1);
	for (uint32_t i = 0; i < sw->lives; i++) {
		struct vn_place *out = sw->live[i];
		if (out == in || are_apart(in, out))
			continue;
		put(sw, in, out, frame, length, whole);
		if (!copied && out->mirrored) {
			put(sw, in, sw->monitor, frame, length, whole);
			copied = true;
		}
	}
}

/* Receive a batch from a port, and sort it. Returns how many frames there were. */
int vn_sort(struct vn_switch *sw, struct vn_place *in)
{
	struct vn_port *port = in->port;
	struct vn_frame frames[BATCH];
	int count = 0;
	do {
		const int got = vn_receive(port, frames, BATCH, port->transport.vnet);
		if (got < 0) {
			if (got != -EAGAIN && !may_come_back(-got))
				vn_place_lose(sw, in, -got);
			return count;
		}
		for (int i = 0; i < got; i++)
			sort(sw, in, port->memory + frames[i].offset, frames[i].length, port->transport.vnet);
		count += got;
	} while (port->rx.next < port->rx.filled); /* what is left of the same batch lies where it lay */
	return count;
}

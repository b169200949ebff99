/* Anything, to a switch with ports of every kind: frames, ports that come and go, a monitor, time that passes, far ends
 * that read or do not.
 *
 *     | what: 1 byte | for a frame: its length, 1 byte, × 8, and its bytes |
 *
 * Addresses that are too far apart are never met twice, so half of the frames get theirs from a few. After each step all
 * lists must agree with each other, and nothing may be left over from the round.
 */
#include "../switch.h"
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#define PORTS 8
#define TABLE 16
#define QUEUE (1u << 20)

struct end { struct vn_port *port; int far; int64_t number; };
struct input { const uint8_t *data; size_t left; };

static const struct { const char *transport, *options; struct vn_switch_settings settings; } kinds[PORTS] = {
	{"tap", "ifname=a,gro=1", {.addresses = 4}},
	{"tap", "ifname=a", {.addresses = 1}},
	{"raw", "ifname=a,gro=1,mtu=9000", {.addresses = 9, .storm = 20}},
	{"fd", "fd=3", {.addresses = 4}},
	{"fd", "fd=3,mtu=600,depth=2", {.addresses = 4, .isolated = 1}},
	{"gre", "src=a,dst=b,v6=1,rx_key=1,tx_key=2", {.addresses = 4, .isolated = 1}},
	{"l2tpv3", "src=a,dst=b,udp=1,srcport=1,dstport=2,rx_session=1,tx_session=1,counter=1", {.addresses = 4}},
	{"bess", "dst=a,vec=0", {.addresses = 30, .storm = 1}},
};

static uint8_t next(struct input *in)
{
	return in->left ? in->left--, *in->data++ : 0;
}

static void plug(struct vn_switch *sw, struct end *end, int kind)
{
	char name[] = {(char)('a' + kind), 0};
	const int few = 1;
	end->port = fake_open(kinds[kind].transport, kinds[kind].options, 0);
	end->far = fake_far_end;
	fcntl(end->far, F_SETFL, O_NONBLOCK);
	vn_ring_close(end->port->tx.ring); /* it waits where a descriptor is full, which a tap's never is */
	end->port->tx.ring = NULL;
	if (kind != 3) /* the kernel's least, a frame or two */
		setsockopt(end->port->tx.fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few));
	end->number = vn_switch_add(sw, end->port, name, &kinds[kind].settings);
	require(end->number > 0);
}

static void pull(struct vn_switch *sw, struct end *end)
{
	require(!vn_switch_remove(sw, (uint32_t)end->number));
	vn_port_free(end->port);
	close(end->far);
	end->number = 0;
}

static void feed(struct input *in, const struct end *end, bool addressed, int times)
{
	uint8_t frame[VN_HEADER + 8 * 255];
	const uint32_t header = end->port->header, wanted = 8u * next(in);
	const uint32_t length = wanted < in->left ? wanted : (uint32_t)in->left;
	memcpy(frame, end->port->tx.template, header);
	memcpy(frame + header, in->data, length);
	if (end->port->transport.verify && header >= 8) /* what we send is not what we take */
		vn_put32(frame + 4, 1);
	if (end->port->transport.vnet && length > VN_VNET) /* the header comes from the input as well */
		memmove(frame, frame + VN_VNET, length);
	if (addressed && length > header + 12)
		for (uint32_t at = header; at < header + 12; at += 6) {
			const uint8_t who = (uint8_t)(frame[at] + in->left) % 24;
			memset(frame + at, 0, 6);
			frame[at] = who == 23 ? 0xff : 2;
			frame[at + 5] = who;
		}
	in->data += length;
	in->left -= length;
	for (int i = 0; i < times; i++) {
		const ssize_t written = write(end->far, frame, header + length);
		(void)written; /* its queue may be full */
	}
}

/* ---- what must hold ---- */

static void check_owner(const struct vn_table *table, const struct vn_owner *owner)
{
	uint32_t count = 0, before = 0;
	for (uint32_t at = owner->oldest; at; at = table->entries[at].newer, count++) {
		const struct vn_address *entry = &table->entries[at];
		require(entry->key && entry->owner == owner && entry->older == before && count < table->most);
		require(!(entry->key & 1)); /* no group has ever sent */
		uint32_t found = table->buckets[entry->key * table->seed >> table->shift];
		while (found && found != at)
			found = table->entries[found].chain;
		require(found);
		before = at;
	}
	require(owner->newest == before && owner->count == count && count <= owner->most);
}

static void check(const struct vn_switch *sw)
{
	uint32_t known = 0, plugged = 0, spoils = 0;
	require(sw->used == 1 && !sw->actives && !sw->has_losses && !sw->asking && !sw->running);
	for (uint32_t i = 0; i < sw->slots; i++) {
		const struct vn_place *place = sw->places[i];
		if (!place)
			continue;
		check_owner(&sw->table, &place->owner);
		known += place->owner.count;
		plugged += place->plugged && place != sw->monitor;
		spoils += place->spoil != NULL;
		require(!place->first && !place->last && place->queue.used <= QUEUE);
		require(place->waits == (place->queue.frames != 0));
	}
	require(known == sw->table.used && known <= TABLE);
	require(plugged == sw->lives && spoils == sw->spoils);
}

static void read_all(const struct end *end)
{
	uint8_t frame[VN_LARGE + VN_HEADER + VN_VNET];
	for (ssize_t got; (got = read(end->far, frame, sizeof(frame))) > 0;) {
		require((size_t)got >= end->port->header + VN_ETHERNET);
		touch(frame, (size_t)got);
	}
}

/* All that is to pass has passed. */
static void settle(struct vn_switch *sw)
{
	for (int i = 0; i < 4; i++) {
		require(!vn_switch_run(sw, 0));
		check(sw);
	}
}

static const struct vn_impairment SPOILS = {
	.loss = 0.1, .duplicate = 0.3, .corrupt = 0.3, .reorder = 0.3, .rate = 1e9, .delay = 20000, .jitter = 10000,
};

static void step(struct vn_switch *sw, struct end *ends, struct input *in)
{
	const uint8_t what = next(in);
	const int kind = what % PORTS;
	struct end *end = &ends[kind];
	uint64_t own[VN_SWITCH_COUNTERS], counters[VN_COUNTERS];
	uint32_t number = (uint32_t)end->number;
	struct vn_switch_address known[TABLE];
	switch (what / PORTS) {
	case 0: /* a port goes, or comes back */
		if (end->number)
			pull(sw, end);
		else
			plug(sw, end, kind);
		break;
	case 1: /* all copies, or those of one port, or none any more */
		if (what & 1)
			vn_switch_mirror(sw, number, NULL, 0);
		else
			vn_switch_mirror(sw, number, (const uint32_t[]){(uint32_t)ends[(kind + 1) % PORTS].number}, 1);
		break;
	case 2: /* time passes */
		sw->table.age = 10;
		for (uint32_t i = 1; i <= sw->table.made; i++)
			sw->table.entries[i].seen -= 5 * (uint32_t)kind;
		sw->swept = 0;
		break;
	case 3: /* somebody looks, and impairs a port, or no more */
		vn_switch_impair(sw, number, kind & 1 ? &SPOILS : NULL);
		vn_switch_counters(sw, number, own, counters);
		require(vn_switch_table(sw, known, TABLE) <= TABLE);
		break;
	case 4:
	case 5:
		if (end->number)
			read_all(end);
		break;
	case 6: /* its wire is gone */
		if (end->number) {
			close(end->far);
			end->far = open("/dev/null", O_RDWR);
		}
		break;
	default:
		if (end->number)
			feed(in, end, what & 0x80, what & 0x40 ? 40 : 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct end ends[PORTS];
	struct vn_switch *sw = vn_switch_new(1000000, TABLE);
	require(sw);
	for (int i = 0; i < PORTS; i++)
		plug(sw, &ends[i], i);
	while (in.left) {
		step(sw, ends, &in);
		settle(sw);
	}
	for (int i = 0; i < PORTS; i++)
		if (ends[i].number)
			pull(sw, &ends[i]);
	check(sw);
	require(!sw->table.used && !sw->lives);
	vn_switch_free(sw);
	return 0;
}

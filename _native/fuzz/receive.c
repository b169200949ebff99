/* Any packet, to a port of any header form: the first byte chooses the form, the rest is what the socket hands out.
 *
 * verify sees a copy of the header alone, so that a sanitizer notices one byte read too many. Then the packet goes
 * through the whole of vn_recv, which must come to the same verdict, count the packet exactly once, and hand out frames
 * that lie in the port's memory. All is recorded besides, to nowhere.
 *
 * The last form is no port: the packet is one that an interface carries, and is looked into as a capture does.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#define UDP 8       /* bytes of its header */
#define HEADERS 128 /* most bytes of headers that capture.c shortens */

struct form { const char *transport, *options; uint32_t flags; struct vn_port *port; int wire; };

static struct form forms[] = {
	{.transport = "gre", .options = "src=a,dst=b"},
	{.transport = "gre", .options = "src=a,dst=b,v6=1"},
	{.transport = "gre", .options = "src=a,dst=b,rx_key=1,tx_key=2"},
	{.transport = "gre", .options = "src=a,dst=b,sequence=1"},
	{.transport = "gre", .options = "src=a,dst=b,v6=1,rx_key=4294967295,tx_key=2,sequence=1,pin_sequence=1"},
	{.transport = "l2tpv3", .options = "src=a,dst=b,rx_session=1,tx_session=2"},
	{.transport = "l2tpv3", .options = "src=a,dst=b,v6=1,rx_session=1,tx_session=2,counter=1"},
	{.transport = "l2tpv3", .options = "src=a,dst=b,rx_session=1,tx_session=2,rx_cookie=3,tx_cookie=4"},
	{.transport = "l2tpv3",
	 .options = "src=a,dst=b,rx_session=1,tx_session=2,rx_cookie=3,tx_cookie=4,cookie64=1,counter=1"},
	{.transport = "l2tpv3", .options = "src=a,dst=b,udp=1,srcport=1,dstport=2,rx_session=1,tx_session=2"},
	{.transport = "l2tpv3",
	 .options = "src=a,dst=b,udp=1,srcport=1,dstport=2,rx_session=1,tx_session=2,rx_cookie=3,tx_cookie=4,counter=1"},
	{.transport = "l2tpv3",
	 .options = "src=a,dst=b,udp=1,srcport=1,dstport=2,rx_session=1,tx_session=2,rx_cookie=3,tx_cookie=4,cookie64=1"},
	{.transport = "raw", .options = "ifname=a"},
	{.transport = "raw", .options = "ifname=a,gro=1"},
	{.transport = "raw", .options = "ifname=a,gro=1", .flags = VN_RAW_OFFLOAD},
	{.transport = "raw", .options = "ifname=a,mtu=576", .flags = VN_KEEP_TRUNCATED},
	{.transport = "tap", .options = "ifname=a,gro=1"},
	{.transport = "tap", .options = "ifname=a", .flags = VN_KEEP_TRUNCATED | VN_RAW_OFFLOAD},
	{.transport = "bess", .options = "dst=a"},
	{.transport = "fd", .options = "fd=3", .flags = VN_RAW_OFFLOAD},
	{.transport = "fd", .options = "fd=3,gro=1,headroom=100", .flags = VN_KEEP_TRUNCATED},
};
#define FORMS (sizeof(forms) / sizeof(*forms))

static uint64_t counted(const struct vn_port *port, enum vn_counter first, enum vn_counter last)
{
	uint64_t sum = 0;
	for (int i = (int)first; i <= (int)last; i++)
		sum += port->counters[i];
	return sum;
}

/* What verify says to a copy of the header, VN_RX_DROP_SHORT where it is not there whole. */
static enum vn_counter verdict(const struct vn_port *port, const uint8_t *data, size_t size)
{
	enum vn_counter said = VN_RX_FRAMES;
	if (size <= port->rx.header)
		return VN_RX_DROP_SHORT;
	if (port->transport.verify) {
		const uint32_t length = port->rx.header - port->rx.skip;
		uint8_t *header = malloc(length);
		require(header);
		memcpy(header, data + port->rx.skip, length);
		said = port->transport.verify(port, header);
		free(header);
	}
	return said;
}

static const struct { const char *transport, *options; } carriers[] = {
	{"gre", "src=a,dst=b"},
	{"gre", "src=a,dst=b,v6=1,rx_key=1,tx_key=2,sequence=1"},
	{"l2tpv3", "src=a,dst=b,udp=1,srcport=1,dstport=2,rx_session=1,tx_session=2,rx_cookie=3,tx_cookie=4,counter=1"},
	{"l2tpv3", "src=a,dst=b,v6=1,udp=1,srcport=1,dstport=2,rx_session=1,tx_session=2,mtu=100"},
	{"l2tpv3", "src=a,dst=b,rx_session=1,tx_session=2,rx_cookie=3,tx_cookie=4,cookie64=1"},
};
#define ENDS (sizeof(carriers) / sizeof(*carriers))

/* As an interface that carries tunnels has it: it may be no IP packet, or its lengths lie. It lies in memory of its own. */
static int carried(const uint8_t *data, size_t size)
{
	static struct vn_port *ends[ENDS];
	struct vn_outer outer;
	enum vn_counter verdict = VN_COUNTERS;
	for (size_t i = 0; i < ENDS; i++)
		if (!ends[i])
			ends[i] = fake_open(carriers[i].transport, carriers[i].options, VN_UNOPENED);
	uint8_t *packet = malloc(size ? size : 1);
	require(packet);
	memcpy(packet, data, size);
	if (size <= UINT16_MAX && vn_outer_read(packet, (uint32_t)size, &outer)) {
		require(outer.payload == packet + outer.head && outer.head + outer.size <= size);
		touch(outer.from, outer.family == AF_INET ? 4 : 16);
		touch(outer.to, outer.family == AF_INET ? 4 : 16);
		const int end = vn_outer_end(&outer, ends, ENDS, &verdict);
		require(end >= -1 && end < (int)ENDS);
		if (end >= 0 && !outer.fragment) {
			require(verdict == VN_RX_FRAMES || (verdict >= VN_RX_DROP_SHORT && verdict <= VN_RX_DROP_TRUNCATED));
			require(verdict != VN_RX_FRAMES || outer.size > ends[end]->rx.header);
		}
		if (outer.protocol == IPPROTO_UDP && !outer.fragment && outer.head <= HEADERS) {
			uint8_t *head = malloc(outer.head);
			struct vn_outer again;
			require(head && outer.head >= UDP);
			require(vn_outer_shorten(&outer, packet, head) == outer.head);
			memcpy(packet, head, outer.head);
			require(vn_outer_read(packet, outer.head + outer.size, &again));
			require(again.size == outer.size && again.head == outer.head && again.port == outer.port);
			free(head);
		}
	}
	free(packet);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_frame frames[64];
	if (size < 2) /* a Unix socket's empty packet is no packet to readv */
		return 0;
	const uint32_t choice = *data++ % (FORMS + 1);
	size--;
	if (choice == FORMS)
		return carried(data, size);
	struct form *form = &forms[choice];
	if (!form->port) {
		form->port = fake_open(form->transport, form->options, form->flags);
		form->wire = fake_far_end;
		require(!vn_recorder_add(vn_recorder_new(open("/dev/null", O_WRONLY)), form->port, "vec0", form->options));
	}
	struct vn_port *port = form->port;
	const bool whole = port->flags & VN_RAW_OFFLOAD;
	const enum vn_counter said = verdict(port, data, size);
	memset(port->counters, 0, sizeof(port->counters));
	require(write(form->wire, data, size) == (ssize_t)size);

	uint64_t handed = 0, bytes = 0;
	for (int got; (got = vn_recv(port, frames, 1 + (int)(size % 64), 0)) != 0;) {
		require(got > 0);
		for (int i = 0; i < got; i++) {
			require((size_t)frames[i].offset + frames[i].length <= port->memory_size);
			require(frames[i].length <= port->most + VN_VLAN + (whole ? VN_VNET : 0));
			touch(port->memory + frames[i].offset, frames[i].length);
			bytes += frames[i].length;
		}
		handed += (uint64_t)got;
	}
	const uint64_t drops = counted(port, VN_RX_DROP_SHORT, VN_RX_DROP_CHECKSUM);
	require(handed == port->counters[VN_RX_FRAMES] && bytes == port->counters[VN_RX_BYTES]);
	require(drops + (port->counters[VN_RX_LARGE] ? 1 : handed) == 1); /* the packet, once */
	require(said == VN_RX_FRAMES || port->counters[said] == 1);
	require(!port->counters[VN_RX_LARGE] || handed >= 1);
	return 0;
}

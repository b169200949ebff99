/* Any packet, to a port of any header form: the first byte chooses the form, the rest is what the socket hands out.
 *
 * verify sees a copy of the header alone, so that a sanitizer notices one byte read too many. Then the packet goes
 * through the whole of vn_recv, which must come to the same verdict, count the packet exactly once, and hand out frames
 * that lie in the port's memory. All is recorded besides, to nowhere.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_frame frames[64];
	if (size < 2) /* a Unix socket's empty packet is no packet to readv */
		return 0;
	struct form *form = &forms[*data++ % FORMS];
	size--;
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

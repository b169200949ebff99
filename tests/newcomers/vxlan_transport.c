/* vxlan: Ethernet over VXLAN.
 *
 * Reference: RFC 7348, section 5.
 *
 *      0            4                       8
 *      | 08000000   | network, 24 bits | 00 |  frame …
 */
#include "../internal.h"

#include <netinet/in.h>

#define PORT 4789 /* IANA, service names and port numbers */
#define VALID 0x08000000u

struct vxlan { uint32_t network; };

static enum vn_counter verify(const struct vn_port *port, const uint8_t *header)
{
	const struct vxlan *vxlan = (const void *)port->state;
	if (!(vn_get32(header) & VALID))
		return VN_RX_DROP_FLAGS;
	return vn_get32(header + 4) == vxlan->network ? VN_RX_FRAMES : VN_RX_DROP_KEY;
}

static int open_vxlan(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	struct vxlan *vxlan = (void *)port->state;
	vxlan->network = (uint32_t)vn_number(options, "vni", 0) << 8;
	vn_put32(port->tx.template, VALID);
	vn_put32(port->tx.template + 4, vxlan->network);
	port->header = 8;
	return vn_open_inet(port, options, SOCK_DGRAM, IPPROTO_UDP, PORT, PORT, failure);
}

const struct vn_transport vn_transport_vxlan = {.name = "vxlan", .open = open_vxlan, .verify = verify};

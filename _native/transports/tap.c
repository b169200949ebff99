/* tap: a virtio-net header before each frame, on the descriptor alone.
 *
 * Reference: HOWTO, "tap transport"; virtio 1.2 section 5.1.6; linux/virtio_net.h, linux/if_tun.h.
 *
 *      0       1       2       4        6            8              10
 *      | flags | gso   | header| gso    | checksum   | checksum     |  frame …
 *      |       | type  | length| size   | start      | offset       |
 *
 * Form: all zero for a frame that is complete. Verify: segment.c, which reads no field before checking it.
 */
#include "../internal.h"

static int open_tap(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	int rc = vn_open_tap(port, vn_text(options, "ifname"), &port->rx.fd, failure);
	port->tx.fd = port->rx.fd;
	return rc;
}

const struct vn_transport vn_transport_tap = {.name = "tap", .vnet = true, .open = open_tap};

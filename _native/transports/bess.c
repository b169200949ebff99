/* bess: bare Ethernet frames on a sequenced-packet Unix socket.
 *
 * Reference: HOWTO, "BESS socket transport"; unix(7). There is no header, so nothing to form or to verify.
 *
 * The guest binds `src` where it is given and connects to `dst`, on which the switch must listen already.
 */
#include "../internal.h"

static int open_bess(struct vn_port *port, const struct vn_options *options, struct vn_failure *failure)
{
	return vn_open_unix(port, vn_text(options, "src"), vn_text(options, "dst"), failure);
}

const struct vn_transport vn_transport_bess = {.name = "bess", .listens = true, .open = open_bess};

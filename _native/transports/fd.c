/* fd: bare Ethernet frames on an inherited descriptor.
 *
 * Reference: HOWTO, "fd transport". There is no header, so nothing to form or to verify.
 *
 * A socket moves batches; a descriptor that is none, such as a tap's, one frame a call. Such a descriptor must not block
 * us. Others may hold it, too, so its file status flags are put back on close.
 */
#include "../internal.h"

#include <fcntl.h>

struct fd { bool changed; int flags; };

static int open_fd(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	struct fd *own = (void *)port->state;
	const uint64_t fd = vn_number(options, "fd", UINT64_MAX);
	if (fd > INT32_MAX)
		return vn_fail(failure, VN_STEP_OPTION, "fd", EINVAL);
	int rc = vn_adopt(port, (int)fd, failure);
	if (rc || port->rx.socket)
		return rc;
	own->flags = fcntl(port->rx.fd, F_GETFL);
	own->changed = !(own->flags & O_NONBLOCK);
	fcntl(port->rx.fd, F_SETFL, own->flags | O_NONBLOCK);
	return 0;
}

static void closed(struct vn_port *port)
{
	const struct fd *own = (const void *)port->state;
	if (own->changed)
		fcntl(port->rx.fd, F_SETFL, own->flags);
}

static void forked(struct vn_port *port)
{
	((struct fd *)(void *)port->state)->changed = false;
}

const struct vn_transport vn_transport_fd = {.name = "fd", .open = open_fd, .closed = closed, .forked = forked};

/* fd: bare Ethernet frames on an inherited descriptor.
 *
 * Reference: HOWTO, "fd transport". There is no header, so nothing to form or to verify.
 *
 * A socket moves batches; a descriptor that is none, such as a tap's, one frame a call.
 */
#include "../internal.h"

static int open_fd(struct vn_port *port, const struct vn_options *options, struct vn_failure *failure)
{
	uint64_t fd;
	int rc = vn_number(options, "fd", UINT64_MAX, &fd, failure);
	if (rc)
		return rc;
	if (fd > INT32_MAX)
		return vn_fail(failure, VN_STEP_OPTION, "fd", EINVAL);
	return vn_adopt(port, (int)fd, failure);
}

const struct vn_transport vn_transport_fd = {.name = "fd", .open = open_fd};

/* raw: two packet sockets on an interface, one to receive and one to send.
 *
 * Reference: HOWTO, "raw socket transport"; packet(7). The header is tap's, both ways, whatever gro says.
 *
 * The receiving socket would also hear what the sending one sends, so it is told not to.
 */
#include "../internal.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSTRUCTIONS 4096 /* BPF_MAXINSNS, linux/bpf_common.h */

/* Classic BPF from a file: an array of struct sock_filter, 8 bytes each. */
static int attach_file(int fd, const char *path, struct vn_failure *failure)
{
	static _Thread_local struct sock_filter code[INSTRUCTIONS + 1];
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe that nobody writes to would wait for ever */
	if (file < 0)
		return vn_fail(failure, VN_STEP_FILTER, path, errno);
	struct stat stat;
	ssize_t bytes = fstat(file, &stat) ? -1 : S_ISREG(stat.st_mode) ? read(file, code, sizeof(code)) : 0;
	int error = errno;
	close(file);
	if (bytes < 0)
		return vn_fail(failure, VN_STEP_FILTER, path, error);
	const struct sock_fprog program = {(unsigned short)((size_t)bytes / sizeof(*code)), code};
	if (!bytes || (size_t)bytes % sizeof(*code) || program.len > INSTRUCTIONS)
		return vn_fail(failure, VN_STEP_FILTER, path, EINVAL);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		return vn_fail(failure, VN_STEP_FILTER, path, errno);
	return 0;
}

static int open_raw(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	const char *ifname = vn_text(options, "ifname"), *filter = vn_text(options, "bpffile");
	int rc = vn_open_packet(port, ifname, &port->rx.fd, failure);
	rc = rc ? rc : vn_open_packet(port, ifname, &port->tx.fd, failure);
	if (rc)
		return rc;
	port->rx.socket = port->tx.socket = true;
	rc = vn_ignore_own(port, failure);
	rc = rc || !filter ? rc : attach_file(port->rx.fd, filter, failure);
	rc = rc ? rc : vn_bind_packet(port, port->tx.fd, false, failure);
	return rc ? rc : vn_bind_packet(port, port->rx.fd, true, failure);
}

const struct vn_transport vn_transport_raw = {.name = "raw", .vnet = true, .open = open_raw};

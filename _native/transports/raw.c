/* raw: two packet sockets on an interface, one to receive and one to send.
 *
 * Reference: HOWTO, "raw socket transport"; packet(7). The header is tap's, both ways, whatever gro says.
 *
 * The receiving socket would also hear what the sending one sends. PACKET_IGNORE_OUTGOING stops that and leaves the
 * queueing discipline in the path: a full device then makes the sender wait. PACKET_QDISC_BYPASS, which an older kernel
 * needs instead, drops at a full device.
 */
#include "../internal.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <stdio.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* since 4.20 */
#endif

#define INSTRUCTIONS 4096 /* BPF_MAXINSNS, linux/bpf_common.h */

/* Classic BPF from a file: an array of struct sock_filter, 8 bytes each. */
static int attach_file(int fd, const char *path, struct vn_failure *failure)
{
	static _Thread_local struct sock_filter code[INSTRUCTIONS + 1];
	FILE *file = fopen(path, "rbe");
	if (!file)
		return vn_fail(failure, VN_STEP_FILTER, path, errno);
	size_t bytes = fread(code, 1, sizeof(code), file);
	fclose(file);
	const struct sock_fprog program = {(unsigned short)(bytes / sizeof(*code)), code};
	if (!bytes || bytes % sizeof(*code) || program.len > INSTRUCTIONS)
		return vn_fail(failure, VN_STEP_FILTER, path, EINVAL);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		return vn_fail(failure, VN_STEP_FILTER, path, errno);
	return 0;
}

static int open_raw(struct vn_port *port, const struct vn_options *options, struct vn_failure *failure)
{
	const char *ifname = vn_text(options, "ifname"), *filter = vn_text(options, "bpffile");
	const int on = 1;
	int rc = vn_open_packet(port, ifname, &port->rx_fd, failure);
	rc = rc ? rc : vn_open_packet(port, ifname, &port->tx_fd, failure);
	if (rc)
		return rc;
	port->rx_socket = port->tx_socket = true;
	if (setsockopt(port->rx_fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) &&
	    setsockopt(port->tx_fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))
		return vn_fail(failure, VN_STEP_SOCKET, "packet, without its own frames", errno);
	rc = filter ? attach_file(port->rx_fd, filter, failure) : 0;
	rc = rc ? rc : vn_bind_packet(port, port->tx_fd, false, failure);
	return rc ? rc : vn_bind_packet(port, port->rx_fd, true, failure);
}

const struct vn_transport vn_transport_raw = {.name = "raw", .vnet = true, .open = open_raw};

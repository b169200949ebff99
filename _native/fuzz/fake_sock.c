/* The openers without a network: every descriptor is one half of a socket pair, and the harness holds the other.
 *
 * Linked in the place of sock.c, so that a harness opens real ports of every transport without a privilege, and hands
 * each packet over as the exact bytes that a socket would.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int fake_far_end = -1;

static int pair(struct vn_port *port)
{
	int fds[2];
	const int size = 4 << 20;
	if (port->rx.fd >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	port->rx.fd = port->tx.fd = fds[0];
	port->rx.socket = port->tx.socket = true;
	fake_far_end = fds[1];
	return 0;
}

int vn_open_inet(struct vn_port *port, struct vn_options *options, int type, int protocol, uint16_t local,
		 uint16_t remote, struct vn_failure *failure)
{
	const bool v6 = vn_number(options, "v6", 0);
	(void)failure;
	port->protocol = protocol;
	port->local.ss_family = port->remote.ss_family = v6 ? AF_INET6 : AF_INET; /* all addresses are 0 */
	*vn_inet_port(&port->local) = htons(local);
	*vn_inet_port(&port->remote) = htons(remote);
	if (port->flags & VN_UNOPENED) {
		port->rx.socket = port->tx.socket = true;
		return 0;
	}
	port->remote_size = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (type == SOCK_RAW && !v6)
		port->rx.skip = VN_IPV4;
	return pair(port);
}

int vn_open_packet(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure)
{
	(void)ifname, (void)failure;
	int rc = pair(port);
	*fd = port->rx.fd;
	return rc;
}

int vn_bind_packet(struct vn_port *port, int fd, bool receive, struct vn_failure *failure)
{
	(void)port, (void)fd, (void)receive, (void)failure;
	return 0;
}

int vn_ignore_own(struct vn_port *port, struct vn_failure *failure)
{
	(void)port, (void)failure;
	return 0;
}

int vn_open_tap(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure)
{
	int rc = vn_open_packet(port, ifname, fd, failure);
	port->rx.socket = port->tx.socket = false; /* a tap's descriptor takes readv and writev */
	fcntl(port->rx.fd, F_SETFL, O_NONBLOCK);
	return rc;
}

int vn_open_unix(struct vn_port *port, struct vn_path *own, const char *local, const char *remote,
		 struct vn_failure *failure)
{
	(void)own, (void)local, (void)remote, (void)failure;
	return pair(port);
}

int vn_adopt(struct vn_port *port, int fd, struct vn_failure *failure)
{
	(void)fd, (void)failure;
	return pair(port);
}

/* Open a port from the options of a vec string, or end. */
struct vn_port *fake_open(const char *transport, const char *options, uint32_t flags)
{
	struct vn_option list[20];
	char text[256];
	int count = 0;
	char *place = text;
	snprintf(text, sizeof(text), "%s", options);
	for (char *piece; (piece = strsep(&place, ",")) && *piece && count < 20; count++) {
		char *value = strchr(piece, '=');
		require(value);
		*value = 0;
		list[count] = (struct vn_option){piece, value + 1};
	}
	struct vn_port *port;
	struct vn_failure failure;
	require(!vn_port_open(transport, list, count, flags, &port, &failure));
	return port;
}

/* The openers: each kind of descriptor that a guest opens, with the step and the name that failed.
 *
 * Descriptors are left blocking where they can be shared with others; calls say MSG_DONTWAIT instead.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* linux/if_packet.h, since 4.20 */
#endif

static void widen(int fd)
{
	const int size = VN_RECEIVE_BUFFER;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)); /* as much as rmem_max allows */
}

/* ---- gre, l2tpv3 ---- */

static int resolve(const char *name, int family, uint16_t port, struct sockaddr_storage *out, socklen_t *size,
		   struct vn_failure *failure)
{
	const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *found;
	if (getaddrinfo(name, NULL, &hints, &found))
		return vn_fail(failure, VN_STEP_RESOLVE, name, EADDRNOTAVAIL);
	memcpy(out, found->ai_addr, found->ai_addrlen);
	*size = found->ai_addrlen;
	freeaddrinfo(found);
	*vn_inet_port(out) = htons(port);
	return 0;
}

/* Whether there is a route; connecting a UDP socket asks for one and sends nothing. */
static int probe_route(const struct vn_port *port, const char *name, struct vn_failure *failure)
{
	struct sockaddr_storage probe = port->remote;
	int fd = socket(probe.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vn_fail(failure, VN_STEP_SOCKET, "UDP", errno);
	*vn_inet_port(&probe) = htons(9); /* discard, RFC 863: any will do */
	int rc = connect(fd, (struct sockaddr *)&probe, port->remote_size) ? vn_fail(failure, VN_STEP_ROUTE, name, errno) : 0;
	close(fd);
	return rc;
}

/* Let UDP packets come and go in trains, where the kernel can; see transmit.c. */
static void accept_trains(struct vn_port *port)
{
	const int on = 1;
	int size;
	socklen_t length = sizeof(size);
	/* with a virtio-net header before each frame there is no room between the packets of a train */
	port->rx.trains = !(port->flags & VN_RAW_OFFLOAD) && !setsockopt(port->rx.fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	port->tx.train_most = port->vec && !getsockopt(port->tx.fd, SOL_UDP, UDP_SEGMENT, &size, &length) ? SIZE_MAX : 0;
}

/* One unconnected socket bound to `src`; every packet goes to `dst`. */
int vn_open_inet(struct vn_port *port, struct vn_options *options, int type, int protocol, uint16_t local,
		 uint16_t remote, struct vn_failure *failure)
{
	const char *src = vn_text(options, "src"), *dst = vn_text(options, "dst");
	socklen_t size;
	if (!src || !dst)
		return vn_fail(failure, VN_STEP_OPTION, src ? "dst" : "src", EINVAL);
	const int family = vn_number(options, "v6", 0) ? AF_INET6 : AF_INET;
	int rc = resolve(src, family, local, &port->local, &size, failure);
	rc = rc ? rc : resolve(dst, family, remote, &port->remote, &port->remote_size, failure);
	if (rc)
		return rc;
	port->protocol = protocol;
	port->rx.socket = port->tx.socket = true;
	if (port->flags & VN_UNOPENED)
		return 0;
	port->rx.fd = port->tx.fd = socket(family, type | SOCK_CLOEXEC, protocol);
	if (port->rx.fd < 0)
		return vn_fail(failure, VN_STEP_SOCKET, type == SOCK_RAW ? "raw IP" : "UDP", errno);
	widen(port->rx.fd);
	if (bind(port->rx.fd, (struct sockaddr *)&port->local, size))
		return vn_fail(failure, VN_STEP_BIND, src, errno);
	if (type == SOCK_DGRAM)
		accept_trains(port);
	if (type == SOCK_RAW && family == AF_INET)
		port->rx.skip = VN_IPV4;
	return probe_route(port, dst, failure);
}

/* ---- raw, hybrid, tap ---- */

int vn_find_interface(struct vn_port *port, const char *ifname, struct vn_failure *failure)
{
	if (!ifname || !*ifname || strlen(ifname) >= sizeof(port->ifname))
		return vn_fail(failure, VN_STEP_OPTION, "ifname", EINVAL);
	snprintf(port->ifname, sizeof(port->ifname), "%s", ifname);
	port->ifindex = if_nametoindex(ifname);
	return port->ifindex ? 0 : vn_fail(failure, VN_STEP_INTERFACE, ifname, ENODEV);
}

/* A packet socket that hears nothing until it is bound. */
int vn_open_packet(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure)
{
	const int on = 1;
	int rc = port->ifindex ? 0 : vn_find_interface(port, ifname, failure);
	if (rc)
		return rc;
	*fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return vn_fail(failure, VN_STEP_SOCKET, "packet", errno);
	if (setsockopt(*fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)))
		return vn_fail(failure, VN_STEP_SOCKET, "packet, with virtio-net headers", errno);
	return 0;
}

int vn_bind_packet(struct vn_port *port, int fd, bool receive, struct vn_failure *failure)
{
	const struct sockaddr_ll here = {
		.sll_family = AF_PACKET,
		.sll_protocol = receive ? htons(ETH_P_ALL) : 0,
		.sll_ifindex = (int)port->ifindex,
	};
	const int on = 1;
	if (receive) {
		widen(fd);
		setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on));
	}
	if (bind(fd, (const struct sockaddr *)&here, sizeof(here)))
		return vn_fail(failure, VN_STEP_INTERFACE, port->ifname, errno);
	return 0;
}

/* Let the receiving socket not hear what the sending one sends. PACKET_IGNORE_OUTGOING leaves the queueing discipline in
 * the path: a full device then makes the sender wait. PACKET_QDISC_BYPASS, which an older kernel needs instead, drops. */
int vn_ignore_own(struct vn_port *port, struct vn_failure *failure)
{
	const int on = 1;
	if (setsockopt(port->rx.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) &&
	    setsockopt(port->tx.fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))
		return vn_fail(failure, VN_STEP_SOCKET, "packet, without its own frames", errno);
	return 0;
}

int vn_open_tap(struct vn_port *port, const char *ifname, int *fd, struct vn_failure *failure)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = VN_VNET;
	int rc = vn_find_interface(port, ifname, failure); /* attaching to none would make one that dies with us */
	if (rc)
		return rc;
	*fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (*fd < 0)
		return vn_fail(failure, VN_STEP_TUN_OPEN, "/dev/net/tun", errno);
	memcpy(request.ifr_name, port->ifname, sizeof(port->ifname));
	if (ioctl(*fd, TUNSETIFF, &request))
		return vn_fail(failure, VN_STEP_TUN_ATTACH, ifname, errno);
	if (!ioctl(*fd, TUNGETVNETHDRSZ, &header) && header != VN_VNET) { /* whoever had the tap before may have set another */
		char what[64];
		snprintf(what, sizeof(what), "%s has a virtio-net header of %d bytes", port->ifname, header);
		return vn_fail(failure, VN_STEP_TUN_HEADER, what, EINVAL);
	}
	ioctl(*fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6); /* without it the host cuts by itself */
	return 0;
}

/* ---- fd ---- */

static int number_of(int fd, int level, int option)
{
	int value = 0;
	socklen_t size = sizeof(value);
	return getsockopt(fd, level, option, &value, &size) ? 0 : value;
}

/* What a socket is that does not carry bare Ethernet frames; NULL for one that may. */
static const char *wrong_socket(int fd)
{
	const int domain = number_of(fd, SOL_SOCKET, SO_DOMAIN), type = number_of(fd, SOL_SOCKET, SO_TYPE);
	if (type == SOCK_STREAM)
		return "is a stream socket";
	if (number_of(fd, SOL_SOCKET, SO_ACCEPTCONN))
		return "is a socket that listens";
	if (domain == AF_NETLINK)
		return "is a netlink socket";
	if (domain == AF_PACKET && type == SOCK_DGRAM)
		return "is a packet socket without Ethernet headers";
	return domain == AF_PACKET && number_of(fd, SOL_PACKET, PACKET_VNET_HDR) ? "is a packet socket with virtio-net headers"
										: NULL;
}

/* What a descriptor that is no socket is; NULL for a tap's that carries bare Ethernet frames. Whether IFF_NO_PI was set
 * is not told: its bit means IFF_NOFILTER there. */
static const char *wrong_file(int fd, mode_t mode, char *text, size_t room)
{
	struct ifreq interface;
	int header = 0;
	if (!S_ISCHR(mode))
		return S_ISREG(mode) ? "is a file" : S_ISFIFO(mode) ? "is a pipe" : "is neither a socket nor a tap";
	if (ioctl(fd, TUNGETIFF, &interface))
		return errno == EBADFD ? "is a tap that is attached to no interface" : "is a device that is no tap";
	if (!(interface.ifr_flags & IFF_TAP))
		return "is a tun, whose packets have no Ethernet header";
	if (!(interface.ifr_flags & IFF_VNET_HDR))
		return NULL;
	ioctl(fd, TUNGETVNETHDRSZ, &header);
	snprintf(text, room, "is a tap with a virtio-net header of %d bytes", header);
	return text;
}

/* A descriptor that somebody else opened. It is doubled, so that closing the port leaves the caller's open. */
int vn_adopt(struct vn_port *port, int fd, struct vn_failure *failure)
{
	char number[16], text[64], what[96];
	struct stat status;
	snprintf(number, sizeof(number), "%d", fd);
	port->rx.fd = port->tx.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (port->rx.fd < 0 || fstat(fd, &status))
		return vn_fail(failure, VN_STEP_DESCRIPTOR, number, errno);
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return vn_fail(failure, VN_STEP_DESCRIPTOR, number, EBADF);
	port->rx.socket = port->tx.socket = S_ISSOCK(status.st_mode);
	const char *wrong = port->rx.socket ? wrong_socket(fd) : wrong_file(fd, status.st_mode, text, sizeof(text));
	if (wrong) {
		snprintf(what, sizeof(what), "%d %s", fd, wrong);
		return vn_fail(failure, VN_STEP_MISFIT, what, EINVAL);
	}
	port->rx.hangs_up = port->rx.socket && number_of(fd, SOL_SOCKET, SO_TYPE) == SOCK_SEQPACKET;
	return 0;
}

/* ---- bess ---- */

/* A sequenced-packet socket, bound to `local` where it is given, and connected. */
int vn_open_unix(struct vn_port *port, struct vn_path *own, const char *local, const char *remote,
		 struct vn_failure *failure)
{
	struct sockaddr_un there = {.sun_family = AF_UNIX};
	if (strlen(remote) >= sizeof(there.sun_path))
		return vn_fail(failure, VN_STEP_CONNECT, remote, ENAMETOOLONG);
	memcpy(there.sun_path, remote, strlen(remote));
	port->rx.fd = port->tx.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (port->rx.fd < 0)
		return vn_fail(failure, VN_STEP_SOCKET, "Unix", errno);
	int rc = local ? vn_path_bind(own, port->rx.fd, local, failure) : 0;
	if (rc)
		return rc;
	fcntl(port->rx.fd, F_SETFL, O_NONBLOCK); /* a listener whose queue is full must not block us */
	if (connect(port->rx.fd, (struct sockaddr *)&there, sizeof(there)))
		return vn_fail(failure, VN_STEP_CONNECT, remote, errno);
	return 0;
}

/* A port from open to free: options, counters, stopping. No packet passes through this file. */
#include "internal.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/sock_diag.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

extern const struct vn_transport *const vn_transports[];

int vn_transport_count(void)
{
	int count = 0;
	while (vn_transports[count])
		count++;
	return count;
}

const char *vn_transport_name(int index)
{
	return index >= 0 && index < vn_transport_count() ? vn_transports[index]->name : NULL;
}

/* ---- options ---- */

int vn_fail(struct vn_failure *failure, enum vn_step step, const char *detail, int error)
{
	failure->step = (int)step;
	snprintf(failure->detail, sizeof(failure->detail), "%s", detail);
	return -error;
}

const char *vn_text(const struct vn_options *options, const char *key)
{
	for (int i = 0; i < options->count; i++)
		if (!strcmp(options->list[i].key, key))
			return options->list[i].value;
	return NULL;
}

/* The number of an option, or `otherwise` where it is not given. One that cannot be read ends the opening in time. */
uint64_t vn_number(struct vn_options *options, const char *key, uint64_t otherwise)
{
	const char *text = vn_text(options, key);
	char *end;
	if (!text)
		return otherwise;
	errno = 0;
	const uint64_t value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		options->unreadable = key;
	return value;
}

_Static_assert(VN_DEPTH == UIO_MAXIOV, "as many as the kernel takes at once");

static int common_options(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	const uint64_t depth = vn_number(options, "depth", 64), mtu = vn_number(options, "mtu", 1500);
	const uint64_t headroom = vn_number(options, "headroom", 32);
	if (depth < 1 || depth > VN_DEPTH)
		return vn_fail(failure, VN_STEP_OPTION, "depth", ERANGE);
	if (mtu < 1 || mtu > 65535)
		return vn_fail(failure, VN_STEP_OPTION, "mtu", ERANGE);
	if (headroom > 65535)
		return vn_fail(failure, VN_STEP_OPTION, "headroom", ERANGE);
	port->depth = (uint32_t)depth;
	port->mtu = (uint32_t)mtu;
	port->gro = vn_number(options, "gro", 0);
	port->vec = vn_number(options, "vec", 1);
	port->batch = port->vec ? port->depth : 1;
	port->most = port->gro ? VN_LARGE : port->mtu + VN_ETHERNET;
	port->rx.lead = VN_HEADROOM + (size_t)headroom;
	return 0;
}

/* ---- open and close ---- */

static int open_port(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	int rc = common_options(port, options, failure);
	if (rc)
		return rc;
	if (!vn_stop_make(&port->stop))
		return vn_fail(failure, VN_STEP_DESCRIPTOR, "eventfd", errno);
	if (port->transport.vnet)
		port->header = VN_VNET;
	rc = port->transport.open(port, options, failure);
	if (options->unreadable)
		return vn_fail(failure, VN_STEP_OPTION, options->unreadable, EINVAL);
	if (rc)
		return rc;
	port->rx.header = port->rx.skip + port->header;
	if (port->wait_fd < 0)
		port->wait_fd = port->rx.fd;
	if (vn_memory_make(port))
		return vn_fail(failure, VN_STEP_MEMORY, "the receive buffers", ENOMEM);
	return 0;
}

int vn_port_open(const char *transport, const struct vn_option *list, int count, uint32_t flags, struct vn_port **out,
		 struct vn_failure *failure)
{
	struct vn_options options = {list, count, NULL};
	const struct vn_transport *found = NULL;
	memset(failure, 0, sizeof(*failure));
	*out = NULL;
	for (int i = 0; vn_transports[i]; i++)
		if (!strcmp(vn_transports[i]->name, transport))
			found = vn_transports[i];
	if (!found || (flags & VN_SWITCH && !found->listens))
		return vn_fail(failure, VN_STEP_TRANSPORT, transport, EOPNOTSUPP);

	struct vn_port *port = calloc(1, sizeof(*port));
	if (!port)
		return vn_fail(failure, VN_STEP_MEMORY, "the port", ENOMEM);
	port->transport = *found;
	port->flags = flags;
	port->rx.fd = port->tx.fd = port->wait_fd = port->stop.fd = -1;
	int rc = open_port(port, &options, failure);
	if (rc) {
		vn_port_free(port);
		return rc;
	}
	*out = port;
	return 0;
}

int vn_port_ready(struct vn_port *port, struct vn_failure *failure)
{
	if (!port->ifindex)
		return 0;
	struct ifreq request = {0};
	memcpy(request.ifr_name, port->ifname, sizeof(port->ifname));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vn_fail(failure, VN_STEP_SOCKET, "UDP", errno);
	int rc = ioctl(fd, SIOCGIFFLAGS, &request) ? vn_fail(failure, VN_STEP_INTERFACE, port->ifname, errno) : 0;
	close(fd);
	if (!rc && !(request.ifr_flags & IFF_UP))
		rc = vn_fail(failure, VN_STEP_DOWN, port->ifname, ENETDOWN);
	return rc;
}

void vn_port_stop(struct vn_port *port)
{
	vn_stop_set(&port->stop);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vn_port_withdraw(struct vn_port *port)
{
	if (port->transport.withdraw)
		port->transport.withdraw(port);
}

void vn_port_close(struct vn_port *port)
{
	(void)vn_port_counter(port, VN_RX_DROP_QUEUE_FULL); /* the kernel's count ends with the socket */
	if (port->transport.closed)
		port->transport.closed(port);
	port->transport.closed = NULL;
	if (port->tx.fd != port->rx.fd)
		close_fd(&port->tx.fd);
	port->tx.fd = -1;
	if (port->wait_fd != port->rx.fd)
		close_fd(&port->wait_fd);
	port->wait_fd = -1;
	close_fd(&port->rx.fd);
	close_fd(&port->stop.fd);
}

void vn_port_free(struct vn_port *port)
{
	if (!port)
		return;
	vn_port_close(port);
	vn_memory_free(port);
	free(port);
}

void vn_port_forked(struct vn_port *port)
{
	close_fd(&port->stop.fd);
	vn_stop_make(&port->stop);
	if (port->transport.forked)
		port->transport.forked(port);
	vn_ring_close(port->tx.ring); /* its memory is the parent's, too */
	port->tx.ring = NULL;
}

/* ---- questions ---- */

int vn_port_fileno(const struct vn_port *port)
{
	return port->wait_fd;
}

int vn_port_depth(const struct vn_port *port)
{
	return (int)port->depth;
}

int vn_port_said(const struct vn_port *port, uint8_t *text, size_t room)
{
	const ssize_t size = port->transport.said ? port->transport.said(port, text, room) : -1;
	return size < 0 ? 0 : (int)size;
}

uint8_t *vn_port_memory(const struct vn_port *port)
{
	return port->memory;
}

size_t vn_port_memory_size(const struct vn_port *port)
{
	return port->memory_size;
}

/* What the kernel dropped since the socket was opened, net/core/sock_diag.c. */
static void ask_kernel(struct vn_port *port)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(info);
	if (port->rx.fd >= 0 && port->rx.socket && !getsockopt(port->rx.fd, SOL_SOCKET, SO_MEMINFO, info, &size))
		__atomic_store_n(&port->counters[VN_RX_DROP_QUEUE_FULL], info[SK_MEMINFO_DROPS], __ATOMIC_RELAXED);
}

uint64_t vn_port_counter(const struct vn_port *port, int counter)
{
	if (counter < 0 || counter >= VN_COUNTERS)
		return 0;
	if (counter == VN_RX_DROP_QUEUE_FULL)
		ask_kernel((struct vn_port *)(uintptr_t)port);
	return __atomic_load_n(&port->counters[counter], __ATOMIC_RELAXED);
}

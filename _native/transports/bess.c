/* bess: bare Ethernet frames on a sequenced-packet Unix socket.
 *
 * Reference: HOWTO, "BESS socket transport"; unix(7). There is no header, so nothing to form or to verify.
 *
 * The guest binds `src` where it is given and connects to `dst`, on which the switch must listen already.
 *
 * A port in the switch's role serves one guest at a time; switch.c rather accepts every guest, for a port of its own. The
 * former's rx.fd keeps its number for ever, since another thread may be in a call on it: it is the listener's twin until a
 * guest connects, and that guest's connection until it is hung up.
 */
#include "../internal.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct bess {
	struct vn_path own;
	bool listens;
	int listener, connected;
	pthread_mutex_t accepting;
};
_Static_assert(sizeof(struct bess) <= VN_STATE, "fits the port");

static struct bess *bess_of(struct vn_port *port)
{
	return (void *)port->state;
}

/* ---- the switch's role ---- */

static int listen_at(struct vn_port *port, const char *path, struct vn_failure *failure)
{
	struct bess *bess = bess_of(port);
	struct epoll_event event = {.events = EPOLLIN};
	bess->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bess->listener < 0)
		return vn_fail(failure, VN_STEP_SOCKET, "Unix", errno);
	bess->listens = true;
	int rc = vn_path_bind(&bess->own, bess->listener, path, failure);
	if (rc)
		return rc;
	if (listen(bess->listener, SOMAXCONN))
		return vn_fail(failure, VN_STEP_BIND, path, errno);
	port->rx.fd = port->tx.fd = fcntl(bess->listener, F_DUPFD_CLOEXEC, 3);
	port->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (port->rx.fd < 0 || port->wait_fd < 0 || epoll_ctl(port->wait_fd, EPOLL_CTL_ADD, bess->listener, &event))
		return vn_fail(failure, VN_STEP_DESCRIPTOR, "epoll", errno);
	return 0;
}

/* Take the guest that waits, if none is connected. */
static int ready(struct vn_port *port)
{
	struct bess *bess = bess_of(port);
	struct epoll_event event = {.events = EPOLLIN};
	int rc = 0;
	if (__atomic_load_n(&bess->connected, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&bess->accepting);
	if (!bess->connected) {
		int fd = accept4(bess->listener, NULL, NULL, SOCK_CLOEXEC);
		rc = fd < 0 ? -EAGAIN : 0;
		if (fd >= 0) {
			epoll_ctl(port->wait_fd, EPOLL_CTL_DEL, bess->listener, &event);
			epoll_ctl(port->wait_fd, EPOLL_CTL_ADD, fd, &event);
			dup3(fd, port->rx.fd, O_CLOEXEC);
			close(fd);
			__atomic_store_n(&bess->connected, 1, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&bess->accepting);
	return rc;
}

static int accept_guest(struct vn_port *port)
{
	int fd = accept4(bess_of(port)->listener, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Wait for the next guest, if the last one went away: another thread may have found out before. */
static int lost(struct vn_port *port)
{
	struct bess *bess = bess_of(port);
	struct epoll_event event = {.events = EPOLLIN};
	int unread = 0;
	pthread_mutex_lock(&bess->accepting);
	if (bess->connected && vn_is_hung_up(port) && !ioctl(port->rx.fd, FIONREAD, &unread) && !unread) {
		__atomic_store_n(&bess->connected, 0, __ATOMIC_RELEASE);
		dup3(bess->listener, port->rx.fd, O_CLOEXEC);
		epoll_ctl(port->wait_fd, EPOLL_CTL_ADD, bess->listener, &event);
	}
	pthread_mutex_unlock(&bess->accepting);
	return unread ? -EAGAIN : 0;
}

/* ---- either role ---- */

static void withdraw(struct vn_port *port)
{
	vn_path_unlink(&bess_of(port)->own);
}

static void closed(struct vn_port *port)
{
	struct bess *bess = bess_of(port);
	withdraw(port);
	if (bess->listens)
		close(bess->listener);
	bess->listens = false;
}

static void forked(struct vn_port *port)
{
	vn_path_forget(&bess_of(port)->own);
	pthread_mutex_init(&bess_of(port)->accepting, NULL); /* a thread that the fork does not have may have held it */
}

static int open_bess(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	const char *src = vn_text(options, "src"), *dst = vn_text(options, "dst");
	if (!dst)
		return vn_fail(failure, VN_STEP_OPTION, "dst", EINVAL);
	port->rx.socket = port->tx.socket = port->rx.hangs_up = true;
	pthread_mutex_init(&bess_of(port)->accepting, NULL);
	if (port->flags & VN_SWITCH)
		return listen_at(port, dst, failure);
	port->transport.ready = NULL;
	port->transport.lost = NULL;
	return vn_open_unix(port, &bess_of(port)->own, src, dst, failure);
}

const struct vn_transport vn_transport_bess = {
	.name = "bess", .listens = true, .open = open_bess, .accept = accept_guest,
	.ready = ready, .lost = lost, .withdraw = withdraw, .closed = closed, .forked = forked,
};

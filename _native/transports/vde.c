/* vde: bare Ethernet frames on a sequenced-packet pair, whose other end `vde_plug`, a child of ours, has.
 *
 * Reference: vde_plug(1), libvdeplug(3); arch/um/drivers/vector_user.c. There is no header, so nothing to form or to verify.
 *
 *     vde_plug --descr D [--port2 P] [--mod2 M] [--group2 G] seqpacket://3 VNL
 *
 * It ends when we hang up, and takes whatever may keep it from its network as a reason to end, too: then frames cannot be
 * moved, which is -ECHILD, and what it said is kept for whoever asks. It is waited for by a descriptor, since its number
 * may be another process's once somebody else has waited for it.
 */
#include "../internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "vde_plug"
#define PLUG 3                   /* the number of its end of the pair, in the child */
#define DESCRIPTION "UML"        /* what a guest says without descr */
#define PATIENCE 1000            /* milliseconds that the child has to end by itself */

extern char **environ;

struct vde {
	bool opened;
	int child;                  /* a pidfd, or -1 */
	int said;                   /* what the child says, its standard output and error; or -1 */
	pthread_mutex_t reaping;
};
_Static_assert(sizeof(struct vde) <= VN_STATE, "fits the port");

static struct vde *vde_of(struct vn_port *port)
{
	return (void *)port->state;
}

/* ---- the child ---- */

/* Wait for a child that ends, and end it where it does not. */
static void reap(struct vde *vde)
{
	pthread_mutex_lock(&vde->reaping);
	if (vde->child >= 0) {
		struct pollfd ended = {.fd = vde->child, .events = POLLIN};
		siginfo_t info;
		if (poll(&ended, 1, PATIENCE) != 1)
			syscall(SYS_pidfd_send_signal, vde->child, SIGKILL, NULL, 0);
		while (waitid(P_PIDFD, (id_t)vde->child, &info, WEXITED) && errno == EINTR)
			;
		close(vde->child);
		vde->child = -1;
	}
	pthread_mutex_unlock(&vde->reaping);
}

/* Start it with its end of the pair. It is in a process group of its own, so that a terminal's Ctrl-C leaves it to us, and
 * has the signals of a fresh process. Returns 0 or an errno. */
static int start(char *const *words, int plug, int speech, pid_t *child)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	int rc = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, speech, STDOUT_FILENO);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, speech, STDERR_FILENO);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, plug, PLUG);
	rc = rc ? rc : posix_spawnp(child, PROGRAM, &files, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* The words of its command line, in a guest's order. */
static void command(const struct vn_options *options, const char *vnl, char *words[12])
{
	static const char *const keys[][2] = {{"port", "--port2"}, {"mode", "--mod2"}, {"group", "--group2"}};
	static char seqpacket[] = "seqpacket://3";
	const char *descr = vn_text(options, "descr");
	int count = 0;
	words[count++] = (char *)(uintptr_t)PROGRAM;
	words[count++] = (char *)(uintptr_t)"--descr";
	words[count++] = (char *)(uintptr_t)(descr ? descr : DESCRIPTION);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *value = vn_text(options, keys[i][0]);
		if (value) {
			words[count++] = (char *)(uintptr_t)keys[i][1];
			words[count++] = (char *)(uintptr_t)value;
		}
	}
	words[count++] = seqpacket;
	words[count++] = (char *)(uintptr_t)vnl;
	words[count] = NULL;
}

/* ---- the port ---- */

/* A pair of sockets, of which `theirs` is above the numbers that the child gives a meaning. */
static int pair_of(int type, int *ours, int *theirs, struct vn_failure *failure)
{
	int pair[2];
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair))
		return vn_fail(failure, VN_STEP_SOCKET, "Unix", errno);
	*ours = pair[0];
	*theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, PLUG + 1);
	const int error = *theirs < 0 ? errno : 0;
	close(pair[1]);
	return error ? vn_fail(failure, VN_STEP_DESCRIPTOR, "a Unix socket", error) : 0;
}

static int open_vde(struct vn_port *port, struct vn_options *options, struct vn_failure *failure)
{
	struct vde *vde = vde_of(port);
	const char *vnl = vn_text(options, "vnl");
	char *words[12];
	int plug = -1, speech = -1;
	pid_t child;
	vde->child = vde->said = -1;
	vde->opened = true;
	pthread_mutex_init(&vde->reaping, NULL);
	if (!vnl)
		return vn_fail(failure, VN_STEP_OPTION, "vnl", EINVAL);
	port->rx.socket = port->tx.socket = port->rx.hangs_up = true;

	int rc = pair_of(SOCK_SEQPACKET, &port->rx.fd, &plug, failure);
	port->tx.fd = port->rx.fd;
	/* not a pipe: what nobody reads must neither stop the child nor grow */
	rc = rc ? rc : pair_of(SOCK_STREAM | SOCK_NONBLOCK, &vde->said, &speech, failure);
	if (!rc) {
		command(options, vnl, words);
		rc = start(words, plug, speech, &child);
		rc = rc ? vn_fail(failure, VN_STEP_PROGRAM, PROGRAM, rc) : 0;
	}
	if (!rc) {
		vde->child = (int)syscall(SYS_pidfd_open, child, 0);
		if (vde->child < 0 && errno != ESRCH) { /* which is not there any more where SIGCHLD is ignored */
			rc = vn_fail(failure, VN_STEP_DESCRIPTOR, "a process", errno);
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
		}
	}
	if (plug >= 0)
		close(plug);
	if (speech >= 0)
		close(speech);
	return rc;
}

static int lost(struct vn_port *port)
{
	reap(vde_of(port));
	return -ECHILD;
}

static ssize_t said(const struct vn_port *port, uint8_t *text, size_t room)
{
	const struct vde *vde = (const void *)port->state;
	return vde->opened ? recv(vde->said, text, room, MSG_PEEK | MSG_DONTWAIT) : -1;
}

static void closed(struct vn_port *port)
{
	struct vde *vde = vde_of(port);
	if (!vde->opened)
		return;
	if (vde->child >= 0)
		shutdown(port->rx.fd, SHUT_RDWR); /* a fork may have our end, too */
	reap(vde);
	if (vde->said >= 0)
		close(vde->said);
	vde->said = -1;
}

static void forked(struct vn_port *port)
{
	struct vde *vde = vde_of(port);
	pthread_mutex_init(&vde->reaping, NULL); /* a thread that the fork does not have may have held it */
	if (vde->child >= 0)
		close(vde->child);
	vde->child = -1;
}

const struct vn_transport vn_transport_vde = {
	.name = "vde", .open = open_vde, .lost = lost, .said = said, .closed = closed, .forked = forked,
};

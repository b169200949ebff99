/* Paths of Unix sockets: made by bind, and removed on close. */
#include "internal.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Bind to a path, in the place of a socket there that nobody listens on any more. */
int vn_path_bind(struct vn_path *path, int fd, const char *name, struct vn_failure *failure)
{
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	if (strlen(name) >= sizeof(here.sun_path))
		return vn_fail(failure, VN_STEP_BIND, name, ENAMETOOLONG);
	memcpy(here.sun_path, name, strlen(name));
	int rc = bind(fd, (struct sockaddr *)&here, sizeof(here));
	if (rc && errno == EADDRINUSE) {
		int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		struct stat status;
		bool stale = probe >= 0 && connect(probe, (struct sockaddr *)&here, sizeof(here)) &&
			     errno == ECONNREFUSED && !lstat(name, &status) && S_ISSOCK(status.st_mode);
		if (probe >= 0)
			close(probe);
		errno = EADDRINUSE;
		if (stale && !unlink(name))
			rc = bind(fd, (struct sockaddr *)&here, sizeof(here));
	}
	if (rc)
		return vn_fail(failure, VN_STEP_BIND, name, errno);
	snprintf(path->name, sizeof(path->name), "%s", name);
	return 0;
}

void vn_path_unlink(struct vn_path *path)
{
	if (path->name[0])
		unlink(path->name);
	path->name[0] = 0;
}

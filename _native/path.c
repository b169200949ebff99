/* Paths of Unix sockets: made by bind, and removed on close.
 *
 * Others may write to the folder, exchange it, or put something else in the path's place. So what is removed is not what a
 * name leads to, but the entry of the folder that was bound in, and only while that is the very socket. The socket must
 * still be open then, or another could have its inode by now.
 */
#include "internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* What an entry of a folder is; whether it is a socket. */
static bool is_socket(int folder, const char *leaf, struct stat *status)
{
	return !fstatat(folder, leaf, status, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(status->st_mode);
}

/* Whether no process holds the socket at a path. To connect by datagrams disturbs none: the kernel refuses it to sockets of
 * another type, as EPROTOTYPE, and says ECONNREFUSED where there is none any more. /proc/net/unix does not know those of
 * other network namespaces, which can be reached all the same. */
static bool is_abandoned(const struct sockaddr_un *name)
{
	int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return false;
	const bool abandoned = connect(probe, (const struct sockaddr *)name, sizeof(*name)) && errno == ECONNREFUSED;
	close(probe);
	return abandoned;
}

/* Bind to a path, in the place of a socket there that no process holds any more. */
int vn_path_bind(struct vn_path *path, int fd, const char *name, struct vn_failure *failure)
{
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	struct stat status;
	const char *slash = strrchr(name, '/');
	const int folder_size = slash ? (int)(slash - name) + 1 : 2;
	if (strlen(name) >= sizeof(here.sun_path))
		return vn_fail(failure, VN_STEP_BIND, name, ENAMETOOLONG);
	snprintf(here.sun_path, sizeof(here.sun_path), "%.*s", folder_size, slash ? name : "./");
	snprintf(path->leaf, sizeof(path->leaf), "%s", slash ? slash + 1 : name);
	path->folder = open(here.sun_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (path->folder < 0)
		return vn_fail(failure, VN_STEP_BIND, name, errno);
	snprintf(here.sun_path, sizeof(here.sun_path), "%s", name);
	int rc = bind(fd, (struct sockaddr *)&here, sizeof(here)) ? errno : 0;
	if (rc == EADDRINUSE && is_abandoned(&here) && is_socket(path->folder, path->leaf, &status) &&
	    !unlinkat(path->folder, path->leaf, 0))
		rc = bind(fd, (struct sockaddr *)&here, sizeof(here)) ? errno : 0;
	path->bound = !rc && is_socket(path->folder, path->leaf, &status);
	path->device = status.st_dev;
	path->inode = status.st_ino;
	if (!path->bound)
		close(path->folder);
	return rc ? vn_fail(failure, VN_STEP_BIND, name, rc) : 0;
}

/* Forget a path without removing it. */
void vn_path_forget(struct vn_path *path)
{
	if (path->bound)
		close(path->folder);
	path->bound = false;
}

void vn_path_unlink(struct vn_path *path)
{
	struct stat now;
	if (path->bound && is_socket(path->folder, path->leaf, &now) && now.st_dev == path->device &&
	    now.st_ino == path->inode)
		unlinkat(path->folder, path->leaf, 0);
	vn_path_forget(path);
}

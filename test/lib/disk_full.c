/*
 * disk_full.c
 *		A disk that is full, for a server that is started with this library in
 *		LD_PRELOAD: as long as $DISK_FULL_DIRECTORY.full exists, no file below
 *		that directory can grow.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Would writing there make a file grow that must not? */
static int
is_full(int fd, off_t end)
{
	const char *directory = getenv("DISK_FULL_DIRECTORY");
	char		name[PATH_MAX];
	char		link[64];
	struct stat status;
	ssize_t		length;
	int			saved_errno = errno;
	int			full = 0;

	if (directory != NULL)
	{
		snprintf(name, sizeof(name), "%s.full", directory);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (access(name, F_OK) == 0 && fstat(fd, &status) == 0 && end > status.st_size &&
			(length = readlink(link, name, sizeof(name) - 1)) > 0)
			full = strncmp(name, directory, strlen(directory)) == 0;
	}
	errno = saved_errno;
	return full;
}

#define REAL(function) ((__typeof__(&function)) dlsym(RTLD_NEXT, #function))

ssize_t
pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
	if (is_full(fd, offset + bytes))
		return errno = ENOSPC, -1;
	return REAL(pwrite)(fd, data, bytes, offset);
}

ssize_t
pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
	if (is_full(fd, offset + bytes))
		return errno = ENOSPC, -1;
	return REAL(pwrite64)(fd, data, bytes, offset);
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	if (is_full(fd, offset + 1))
		return errno = ENOSPC, -1;
	return REAL(pwritev)(fd, parts, count, offset);
}

int
posix_fallocate(int fd, off_t offset, off_t bytes)
{
	return is_full(fd, offset + bytes) ? ENOSPC : REAL(posix_fallocate)(fd, offset, bytes);
}

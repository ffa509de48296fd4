/* SPDX-License-Identifier: MIT */
#include "esp_stage.h"

#include "init.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LABEL "ESP"
#define ARG_BYTES 64
#define WORDS_BYTES 256

void esp_stage_clear(struct esp_stage *stage)
{
	for (size_t i = 0; i < stage->count; i++) {
		free(stage->files[i].path);
		if (stage->files[i].fd >= 0)
			(void)close(stage->files[i].fd);
	}
	stage->count = 0;
}

static struct esp_stage_file *find(struct esp_stage *stage, const char *path)
{
	for (size_t i = 0; i < stage->count; i++)
		if (strcmp(stage->files[i].path, path) == 0)
			return &stage->files[i];
	return NULL;
}

static int add(struct esp_stage *stage, const char *path, int fd)
{
	char *copy = stage->count < ESP_STAGE_MAX ? strdup(path) : NULL;

	if (!copy) {
		errno = ENOSPC;
		return -1;
	}
	stage->files[stage->count++] = (struct esp_stage_file){ copy, fd };
	return 0;
}

int esp_stage_open(struct esp_stage *stage, const char *path, enum disk_open how)
{
	struct esp_stage_file *file = find(stage, path);
	int fd;

	if (file && how == DISK_NEW) {
		errno = EEXIST;
		return -1;
	}
	if (!file && how != DISK_NEW && how != DISK_CREATE) {
		errno = ENOENT;
		return -1;
	}
	if (file)
		return fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
	fd = memfd_create("esp", MFD_CLOEXEC);
	if (fd < 0 || add(stage, path, fd) < 0) {
		cleanup_closep(&fd);
		return -1;
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int esp_stage_make_dir(struct esp_stage *stage, const char *path)
{
	if (find(stage, path)) {
		errno = EEXIST;
		return -1;
	}
	return add(stage, path, -1);
}

int esp_stage_remove(struct esp_stage *stage, const char *path)
{
	struct esp_stage_file *file = find(stage, path);

	if (!file) {
		errno = ENOENT;
		return -1;
	}
	free(file->path);
	cleanup_closep(&file->fd);
	stage->count--;
	memmove(file, file + 1, (size_t)(stage->files + stage->count - file) * sizeof *file);
	return 0;
}

int esp_stage_stat(struct esp_stage *stage, const char *path, struct disk_stat *ret_stat)
{
	struct esp_stage_file *file = find(stage, path);
	struct stat st;

	if (!file || file->fd < 0) {
		errno = ENOENT;
		return -1;
	}
	if (fstat(file->fd, &st) < 0)
		return -1;
	*ret_stat = (struct disk_stat){ .size = (uint64_t)st.st_size, .taken = (uint64_t)st.st_size };
	return 0;
}

uint64_t esp_stage_bytes(const struct esp_stage *stage)
{
	uint64_t sum = 0;
	struct stat st;

	for (size_t i = 0; i < stage->count; i++)
		if (stage->files[i].fd >= 0 && fstat(stage->files[i].fd, &st) == 0)
			sum += (uint64_t)st.st_size;
	return sum;
}

int esp_stage_put(struct esp_stage *stage, const char *path, const void *data, size_t len, struct err *err)
{
	_cleanup_free_ char *dir = strdup(path);
	_cleanup_close_ int fd = -1;

	for (char *p = dir; p && (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		if (esp_stage_make_dir(stage, dir) < 0 && errno != EEXIST)
			return err_errno(err, EX_SOFTWARE, errno, "failed to make %s of the ESP", path);
	}
	fd = dir ? esp_stage_open(stage, path, DISK_NEW) : -1;
	if (fd < 0 || pwrite_full(fd, data, len, 0) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make %s of the ESP", path);
	return 0;
}

/* --- the file system --- */

/* A fixed environment, so that the caller's cannot change the result: mtools would read
 * the caller's mtoolsrc, and complain about disks without tracks. */
static int spawn(const char *program, char *const argv[], uint64_t time, int words, pid_t *ret_pid)
{
	char epoch[ARG_BYTES];
	char *env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC0", "MTOOLSRC=/dev/null",
			"MTOOLS_SKIP_CHECK=1", time ? epoch : NULL, NULL };
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	(void)snprintf(epoch, sizeof epoch, "SOURCE_DATE_EPOCH=%llu", (unsigned long long)time);
	error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, words, STDERR_FILENO);
	if (!error)
		error = posix_spawn(ret_pid, program, &actions, NULL, argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* The last line that a program wrote to its standard error; "" if none. */
static void last_line(int words, char line[static WORDS_BYTES])
{
	char text[4096];
	off_t end = lseek(words, 0, SEEK_END), at = end < (off_t)sizeof text ? 0 : end - (off_t)sizeof text + 1;
	ssize_t n = end < 0 ? 0 : pread(words, text, sizeof text - 1, at);
	const char *begin;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	begin = strrchr(text, '\n');
	(void)snprintf(line, WORDS_BYTES, "%.*s", WORDS_BYTES - 1, begin ? begin + 1 : text);
}

static int run(char *const argv[], const char *package, uint64_t time, struct err *err)
{
	_cleanup_free_ char *program = init_program_find("", argv[0]);
	_cleanup_close_ int words = memfd_create("words", MFD_CLOEXEC);
	char line[WORDS_BYTES];
	int error, status;
	pid_t pid;

	if (!program)
		return err_set(err, EX_UNAVAILABLE, "failed to make the ESP: there is no %s; install the package %s",
			       argv[0], package);
	error = words < 0 ? errno : spawn(program, argv, time, words, &pid);
	if (error)
		return err_errno(err, EX_UNAVAILABLE, error, "failed to run %s", argv[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, EX_UNAVAILABLE, errno, "failed to wait for %s", argv[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	last_line(words, line);
	return err_set(err, EX_UNAVAILABLE, "failed to make the ESP: %s ended with status %d%s%s", argv[0],
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), line[0] ? ": " : "", line);
}

/* The path of a descriptor that the program inherits. */
static void fd_path(int fd, char path[static ARG_BYTES])
{
	(void)snprintf(path, ARG_BYTES, "/proc/self/fd/%d", fd);
}

static int format(int fd, const struct esp_make *make, struct err *err)
{
	char path[ARG_BYTES], type[ARG_BYTES], sector[ARG_BYTES], cluster[ARG_BYTES], reserved[ARG_BYTES],
		id[ARG_BYTES];
	char *argv[] = { "mkfs.fat", "--invariant", "-F", type, "-S", sector, "-s", cluster, "-R", reserved,
			 "-f", "2", "-i", id, "-n", LABEL, path, NULL };
	uint8_t boot[512];

	fd_path(fd, path);
	(void)snprintf(type, sizeof type, "%u", make->fat.type);
	(void)snprintf(sector, sizeof sector, "%u", make->fat.sector_bytes);
	(void)snprintf(cluster, sizeof cluster, "%u", make->fat.cluster_sectors);
	(void)snprintf(reserved, sizeof reserved, "%u", make->fat.reserved_sectors);
	(void)snprintf(id, sizeof id, "%08x", make->volume_id);
	if (run(argv, "dosfstools", make->time, err) < 0)
		return -1;
	if (pread_full(fd, boot, sizeof boot, 0) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the ESP");
	return fat_size_check(&make->fat, boot, err);
}

/* Parents come before what is in them. */
static int dirs_add(const struct esp_stage *stage, const char *image, uint64_t time, struct err *err)
{
	char *argv[ESP_STAGE_MAX + 4] = { "mmd", "-i", (char *)image };
	int n = 3, r = 0;

	for (size_t i = 0; i < stage->count && r == 0; i++)
		if (stage->files[i].fd < 0 && asprintf(&argv[n++], "::%s", stage->files[i].path) < 0) {
			argv[--n] = NULL;
			r = err_set(err, EX_SOFTWARE, "failed to make the ESP: out of memory");
		}
	if (r == 0)
		r = run(argv, "mtools", time, err);
	while (n > 3)
		free(argv[--n]);
	return r;
}

static int file_add(const struct esp_stage_file *file, const char *image, uint64_t time, struct err *err)
{
	_cleanup_free_ char *target = NULL;
	_cleanup_close_ int fd = -1;
	char source[ARG_BYTES];

	if (asprintf(&target, "::%s", file->path) < 0)
		return err_set(err, EX_SOFTWARE, "failed to make the ESP: out of memory");
	fd = dup(file->fd);
	fd_path(fd, source);
	char *argv[] = { "mcopy", "-i", (char *)image, source, target, NULL };

	return run(argv, "mtools", time, err);
}

int esp_stage_make(struct esp_stage *stage, const struct esp_make *make, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("esp", 0);	/* the programs inherit it */
	uint64_t room = make->fat.clusters * make->fat.cluster_sectors * make->fat.sector_bytes;
	char image[ARG_BYTES];

	/* With half a MiB for directories, and for rounding each file to a cluster. */
	if (esp_stage_bytes(stage) + (512 << 10) > room)
		return err_set(err, EX_DATAERR, "%llu bytes of files do not fit the ESP (%llu bytes)",
			       (unsigned long long)esp_stage_bytes(stage), (unsigned long long)room);
	if (fd < 0 || ftruncate(fd, (off_t)make->bytes) < 0)
		return err_errno(err, EX_SOFTWARE, errno, "failed to make the ESP in memory");
	if (format(fd, make, err) < 0)
		return -1;
	fd_path(fd, image);
	if (dirs_add(stage, image, make->time, err) < 0)
		return -1;
	for (size_t i = 0; i < stage->count; i++) {
		if (stage->files[i].fd < 0)
			continue;
		if (file_add(&stage->files[i], image, make->time, err) < 0)
			return -1;
		/* Its content is in the image now; so memory for two UKIs suffices. */
		cleanup_closep(&stage->files[i].fd);
		stage->files[i].fd = -1;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

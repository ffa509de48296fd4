/* SPDX-License-Identifier: MIT */
#include "urlfile.h"

#include "redact.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES (16 * 1024)
#define BLANKS " \t\r\n"

/* A pipe or a terminal cannot be read by others. */
static int mode_check(const char *name, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the URL from %s", name);
	if (S_ISREG(st.st_mode) && redact_check_mode(name, &st, err) < 0)
		return err_prefix(err, "failed to read the URL from %s", name);
	return 0;
}

/* Strip surrounding blanks; NULL: it is not a single word. */
static char *line_take(char *text)
{
	char *line = text + strspn(text, BLANKS);
	size_t len = strcspn(line, BLANKS);

	if (len == 0 || line[len + strspn(line + len, BLANKS)])
		return NULL;
	return strndup(line, len);
}

int urlfile_read(const char *path, char **ret_where, struct err *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	const char *name = is_stdin ? "standard input" : path;
	_cleanup_close_ int fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
					  : open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *text = NULL;
	size_t len = 0;

	if (fd < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the URL from %s", name);
	if (mode_check(name, fd, err) < 0)
		return -1;
	redact_keep();
	if (read_to_end(fd, MAX_BYTES, &text, &len) < 0)
		return err_errno(err, EX_NOINPUT, errno, "failed to read the URL from %s", name);
	*ret_where = strlen((char *)text) == len ? line_take((char *)text) : NULL;
	redact_wipe((char *)text);
	if (!*ret_where)
		return err_set(err, EX_NOINPUT, "failed to read the URL from %s: it is not one line "
			       "with one word", name);
	return 0;
}

int urlfile_or_operand(const char *verb, const char *path, char **operands, int count,
		       char **ret_where, struct err *err)
{
	if (count != (path ? 0 : 1))
		return err_set(err, EX_USAGE, "%s: one bundle must be named%s", verb,
			       path ? ", and --url-file does so" : "");
	if (path)
		return urlfile_read(path, ret_where, err);
	*ret_where = strdup(operands[0]);
	return *ret_where ? 0 : err_set(err, EX_SOFTWARE, "%s: out of memory", verb);
}

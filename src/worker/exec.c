/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/exec.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

static const char *path_of(char *const *envp) {
        for (; envp && *envp; envp++)
                if (strncmp(*envp, "PATH=", 5) == 0)
                        return *envp + 5;
        return PATH_DEFAULT;
}

static int exec_file(LaunchMap *m, char *path) {
        static char shell[] = "/bin/sh";

        execve(path, m->launch.argv, m->launch.envp);
        if (errno != ENOEXEC)
                return -errno;
        m->shell_argv[0] = shell;
        m->shell_argv[1] = path;
        execve(shell, m->shell_argv, m->launch.envp);
        return -errno;
}

/* Write "@dir/@name" to @buf; an empty element of PATH is the working directory ("./", so that a name with a leading
 * dash is no option of the shell). */
static bool join_path(char *buf, size_t size, const char *dir, size_t dir_len, const char *name) {
        size_t name_len = strlen(name);

        if (dir_len == 0) {
                dir = ".";
                dir_len = 1;
        }
        if (dir_len + 1 + name_len + 1 > size)
                return false;
        memcpy(buf, dir, dir_len);
        buf[dir_len] = '/';
        memcpy(buf + dir_len + 1, name, name_len + 1);
        return true;
}

int exec_launch(LaunchMap *m) {
        static char buf[PATH_MAX + NAME_MAX + 2];
        char *name = m->launch.argv[0];
        const char *path = path_of(m->launch.envp);
        bool denied = false;

        if (strchr(name, '/'))
                return exec_file(m, name);
        if (strlen(name) > NAME_MAX)
                return -ENAMETOOLONG;
        for (;;) {
                size_t len = strcspn(path, ":");

                if (join_path(buf, sizeof(buf), path, len, name)) {
                        int r = exec_file(m, buf);

                        if (r == -EACCES)
                                denied = true;
                        else if (r != -ENOENT && r != -ENOTDIR && r != -ESTALE && r != -ENODEV && r != -ETIMEDOUT)
                                return r;
                }
                if (path[len] == '\0')
                        return denied ? -EACCES : -ENOENT;
                path += len + 1;
        }
}

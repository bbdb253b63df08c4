/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libcgroup.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "host/cgroup_private.h"

static char *host_root;
static int host_fd = -1;

static void log_nothing(void *userdata, int level, const char *format, va_list ap) {
        (void) userdata, (void) level, (void) format, (void) ap;
}

static void log_to_stderr(void *userdata, int level, const char *format, va_list ap) {
        (void) userdata, (void) level;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* libcgroup's own formats */
        vfprintf(stderr, format, ap);
#pragma GCC diagnostic pop
}

/* True if @word is in the space-separated @list. */
static bool has_word(const char *list, const char *word) {
        size_t len = strlen(word);

        for (const char *p = list; (p = strstr(p, word)); p += len)
                if ((p == list || p[-1] == ' ') && (p[len] == '\0' || p[len] == ' ' || p[len] == '\n'))
                        return true;
        return false;
}

/* cgroup.kill came with kernel 5.14; the root group has none, so look at our own group. */
static int check_kill(int root_fd, Error *ret_error) {
        char text[GROUP_TEXT_MAX], *line, *end;
        int fd, r;

        fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = cgroup_read_text(fd, text, sizeof text);
        close(fd);
        if (r < 0)
                return r;
        line = strstr(text, "0::/");
        if (!line)
                return 0;
        line += strlen("0::/");
        end = strchrnul(line, '\n');
        if (end == line || (size_t) (text + sizeof text - end) < sizeof "/cgroup.kill")
                return 0;
        strcpy(end, "/cgroup.kill");
        if (faccessat(root_fd, line, F_OK, 0) < 0 && errno == ENOENT) {
                error_set(ret_error, ERROR_INTERNAL, "The kernel is too old: there is no cgroup.kill (Linux 5.14).");
                return -EOPNOTSUPP;
        }
        return 0;
}

static int check_hierarchy(const char *root, int *ret_fd, Error *ret_error) {
        char text[GROUP_TEXT_MAX];
        struct statfs fs;
        int fd, file, r;

        fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstatfs(fd, &fs) < 0) {
                r = -errno;
                error_set(ret_error, ERROR_INTERNAL, "Cannot open the cgroup hierarchy %s: %s.", root, strerror(-r));
                goto fail;
        }
        r = -EOPNOTSUPP;
        if (fs.f_type != CGROUP2_SUPER_MAGIC) {
                error_set(ret_error, ERROR_INTERNAL,
                          "The memory controller is in a cgroup v1 hierarchy (%s). Penstock needs cgroup v2 only: "
                          "boot "
                          "with systemd.unified_cgroup_hierarchy=1.",
                          root);
                goto fail;
        }
        file = openat(fd, "cgroup.controllers", O_RDONLY | O_CLOEXEC);
        r = file < 0 ? -errno : cgroup_read_text(file, text, sizeof text);
        if (file >= 0)
                close(file);
        if (r < 0)
                goto fail;
        if (!has_word(text, "memory") || !has_word(text, "pids")) {
                error_set(ret_error, ERROR_INTERNAL,
                          "%s/cgroup.controllers lacks memory or pids. Is cgroup_disable= on the kernel's command "
                          "line?",
                          root);
                r = -EOPNOTSUPP;
                goto fail;
        }
        r = check_kill(fd, ret_error);
        if (r < 0)
                goto fail;
        *ret_fd = fd;
        return 0;
fail:
        if (fd >= 0)
                close(fd);
        return r;
}

int cgroup_host_init(Error *ret_error) {
        char *root = NULL;
        int r, fd = -1;

        /* libcgroup's own logger writes to stdout. It keeps one that is set before cgroup_init(); -1 means the level
         * in CGROUP_LOGLEVEL. */
        cgroup_set_logger(getenv("CGROUP_LOGLEVEL") ? log_to_stderr : log_nothing, -1, NULL);

        r = cgroup_init();
        if (r == 0)
                r = cgroup_get_subsys_mount_point("memory", &root);
        if (r != 0) {
                error_set(ret_error, ERROR_INTERNAL,
                          "No cgroup hierarchy with the memory controller is mounted (libcgroup: %s). Penstock needs "
                          "cgroup "
                          "v2 at /sys/fs/cgroup.",
                          cgroup_strerror(r));
                return -EOPNOTSUPP;
        }
        r = check_hierarchy(root, &fd, ret_error);
        if (r < 0) {
                error_set(ret_error, ERROR_INTERNAL, "Cannot check the cgroup hierarchy %s: %s.", root, strerror(-r));
                free(root);
                return r;
        }
        if (host_fd >= 0)
                close(host_fd);
        free(host_root);
        host_root = root;
        host_fd = fd;
        return 0;
}

const char *cgroup_host_root(void) {
        return host_root;
}

int cgroup_host_fd(void) {
        return host_fd;
}

int cgroup_open_dir(const char *cgroup) {
        int fd;

        if (!path_is_clean(cgroup) || cgroup[1] == '\0')
                return -EINVAL;
        fd = openat(host_fd, cgroup + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int cgroup_read_text(int fd, char *buf, size_t size) {
        ssize_t n = pread(fd, buf, size - 1, 0);

        if (n < 0)
                return -errno;
        buf[n] = '\0';
        return 0;
}

int cgroup_write_text(int fd, const char *text) {
        size_t len = strlen(text);
        ssize_t n = pwrite(fd, text, len, 0);

        return n < 0 ? -errno : (size_t) n == len ? 0 : -EIO;
}

int cgroup_read_value_fd(int fd, uint64_t *ret) {
        char text[64];
        int r = cgroup_read_text(fd, text, sizeof text);

        return r < 0 ? r : sample_parse_value(text, ret);
}

const char *cgroup_value_text(uint64_t value, char buf[static 24]) {
        if (value == SIZE_INFINITY)
                return "max";
        snprintf(buf, 24, "%" PRIu64, value);
        return buf;
}

int cgroup_read_stat_at(int dir_fd, Sample *s) {
        char text[GROUP_TEXT_MAX];
        int fd = openat(dir_fd, "memory.stat", O_RDONLY | O_CLOEXEC), r;

        if (fd < 0)
                return -errno;
        r = cgroup_read_text(fd, text, sizeof text);
        close(fd);
        return r < 0 ? r : sample_parse_memory_stat(text, s);
}

int cgroup_read_value_at(int dir_fd, const char *file, uint64_t *ret) {
        int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC), r;

        if (fd < 0)
                return -errno;
        r = cgroup_read_value_fd(fd, ret);
        close(fd);
        return r;
}

int cgroup_read_value(const char *cgroup, const char *file, uint64_t *ret) {
        int fd = cgroup_open_dir(cgroup), r;

        if (fd < 0)
                return fd;
        r = cgroup_read_value_at(fd, file, ret);
        close(fd);
        return r;
}

bool cgroup_is_populated(int dir_fd) {
        char text[256];
        bool populated = false, frozen;
        int fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC), r;

        if (fd < 0)
                return errno != ENOENT && errno != ENODEV;
        r = cgroup_read_text(fd, text, sizeof text);
        close(fd);
        if (r == 0)
                r = sample_parse_cgroup_events(text, &populated, &frozen);
        return r == 0 ? populated : r != -ENODEV;
}

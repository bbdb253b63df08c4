/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/groups.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int write_text(int fd, const char *text) {
        ssize_t n;

        do
                n = pwrite(fd, text, strlen(text), 0);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

/* Returns the length or -errno; then @buf is empty. */
static ssize_t read_text(int fd, char *buf, size_t size) {
        ssize_t n;

        do
                n = pread(fd, buf, size - 1, 0);
        while (n < 0 && errno == EINTR);
        buf[n < 0 ? 0 : n] = '\0';
        return n < 0 ? -errno : n;
}

int group_join(int procs_fd) {
        return write_text(procs_fd, "0");
}

int group_kill(int kill_fd) {
        return write_text(kill_fd, "1");
}

bool group_is_populated(int events_fd) {
        char buf[256];

        ssize_t n = read_text(events_fd, buf, sizeof(buf));

        /* What can't be said now is asked again. */
        return n < 0 ? n != -ENODEV : strstr(buf, "populated 1") != NULL;
}

bool group_shall_be_frozen(int freeze_fd) {
        char buf[16];

        return read_text(freeze_fd, buf, sizeof(buf)) > 0 && buf[0] == '1';
}

int group_thaw(int freeze_fd) {
        return write_text(freeze_fd, "0");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRACE_PATH "/run/penstock/trace"

struct TraceFile {
        int fd, state;
        uint64_t room_bytes;
        size_t len;
        char buf[64 * KIB];
};

int trace_file_open(uint64_t max_bytes, TraceFile **ret) {
        TraceFile *t;

        if (rename(TRACE_PATH, TRACE_PATH ".old") < 0 && errno != ENOENT)
                return -errno;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->room_bytes = max_bytes;
        t->fd = open(TRACE_PATH, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (t->fd < 0) {
                free(t);
                return -errno;
        }
        *ret = t;
        return 0;
}

TraceFile *trace_file_close(TraceFile *t) {
        if (!t)
                return NULL;
        trace_file_flush(t);
        close(t->fd);
        free(t);
        return NULL;
}

void trace_file_flush(TraceFile *t) {
        size_t done = 0;

        while (done < t->len && t->state == 0) {
                ssize_t n = write(t->fd, t->buf + done, t->len - done);

                if (n < 0 && errno != EINTR)
                        t->state = -errno;
                else if (n > 0)
                        done += (size_t) n;
        }
        t->len = 0;
}

void trace_file_add(TraceFile *t, const char *line) {
        size_t len = strlen(line) + 1;

        if (t->state == 0 && len > t->room_bytes) {
                trace_file_flush(t);
                t->state = t->state ? t->state : -EFBIG;
        }
        if (t->state < 0)
                return;
        if (len > sizeof(t->buf) - t->len)
                trace_file_flush(t);
        memcpy(t->buf + t->len, line, len - 1);
        t->buf[t->len + len - 1] = '\n';
        t->len += len;
        t->room_bytes -= len;
}

int trace_file_state(const TraceFile *t) {
        return t->state;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_BYTES_MAX ((size_t) 1 << 20) /* fs.pipe-max-size as the kernel has it; ours have what is usual */

static char chunk[64 * 1024]; /* one for all: the worker has one thread and no heap */

static void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

int output_pipe(int *ret_read, int *ret_write) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        if (fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 || fchmod(fds[1], 0622) < 0) {
                r = -errno;
                close(fds[0]);
                close(fds[1]);
                return r;
        }
        *ret_read = fds[0];
        *ret_write = fds[1];
        return 0;
}

/* Returns bytes read into chunk; 0 for the end of the stream; -EAGAIN when there are none now; -errno. */
static ssize_t read_chunk(int fd, size_t max) {
        ssize_t n;

        do
                n = read(fd, chunk, max < sizeof(chunk) ? max : sizeof(chunk));
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

/* What lies in the pipe now; a bound for the last reads, so that a writer elsewhere can't keep the worker reading. */
static size_t bytes_in_pipe(int fd) {
        int n;

        return ioctl(fd, FIONREAD, &n) < 0 || n < 0 ? PIPE_BYTES_MAX : (size_t) n;
}

static bool is_end(ssize_t n) {
        return n <= 0 && n != -EAGAIN;
}

static void tail_add(Tail *t, const char *p, size_t n) {
        if (n > sizeof(t->ring)) {
                t->total += n - sizeof(t->ring);
                p += n - sizeof(t->ring);
                n = sizeof(t->ring);
        }
        while (n > 0) {
                size_t at = t->total % sizeof(t->ring), part = sizeof(t->ring) - at;

                if (part > n)
                        part = n;
                memcpy(t->ring + at, p, part);
                t->total += part;
                p += part;
                n -= part;
        }
}

static ssize_t tail_read_some(Tail *t, size_t max) {
        ssize_t n = read_chunk(t->fd, max);

        if (n > 0)
                tail_add(t, chunk, (size_t) n);
        return n;
}

void tail_read(Tail *t) {
        if (t->fd >= 0 && is_end(tail_read_some(t, sizeof(chunk))))
                close_fd(&t->fd);
}

void tail_finish(Tail *t) {
        if (t->fd < 0)
                return;
        for (size_t left = bytes_in_pipe(t->fd); left > 0;) {
                ssize_t n = tail_read_some(t, left);

                if (n <= 0)
                        break;
                left -= (size_t) n;
        }
        close_fd(&t->fd);
}

uint32_t tail_copy(const Tail *t, char buf[static WORKER_STDERR_TAIL_MAX]) {
        size_t at = t->total % sizeof(t->ring);

        if (t->total <= sizeof(t->ring)) {
                memcpy(buf, t->ring, (size_t) t->total);
                return (uint32_t) t->total;
        }
        memcpy(buf, t->ring + at, sizeof(t->ring) - at);
        memcpy(buf + sizeof(t->ring) - at, t->ring, at);
        return sizeof(t->ring);
}

static void mover_stop(Mover *m, int error) {
        m->truncated = true;
        m->error = error;
        close_fd(&m->fd);
}

static void write_out(Mover *m, size_t n) {
        for (size_t done = 0; done < n;) {
                ssize_t w = write(m->file_fd, chunk + done, n - done);

                if (w < 0 && errno == EINTR)
                        continue;
                if (w <= 0) {
                        mover_stop(m, w < 0 ? errno : EIO);
                        return;
                }
                done += (size_t) w;
                m->moved += (uint64_t) w;
        }
}

static ssize_t mover_read_some(Mover *m, size_t max) {
        uint64_t room = m->max - m->moved;
        ssize_t n = read_chunk(m->fd, max);

        if (n < 0 && n != -EAGAIN)
                mover_stop(m, (int) -n);
        if (n <= 0)
                return n;
        write_out(m, (uint64_t) n > room ? (size_t) room : (size_t) n);
        if (m->fd >= 0 && (uint64_t) n > room) /* exactly the cap is not cut; one byte more is */
                mover_stop(m, 0);
        return n;
}

void mover_read(Mover *m) {
        if (m->fd >= 0 && is_end(mover_read_some(m, sizeof(chunk))))
                close_fd(&m->fd);
}

void mover_finish(Mover *m) {
        if (m->fd >= 0)
                for (size_t left = bytes_in_pipe(m->fd); left > 0 && m->fd >= 0;) {
                        ssize_t n = mover_read_some(m, left);

                        if (n <= 0)
                                break;
                        left -= (size_t) n;
                }
        close_fd(&m->fd);
        close_fd(&m->file_fd);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SPLICE_BYTES ((size_t) 1 << 20)

void stream_init(Stream *s, int in, int out) {
        struct stat st;

        s->in = in;
        s->out = out;
        s->kind = STREAM_WRITE;
        s->error = 0;
        s->n = s->at = 0;
        s->bytes = 0;
        s->last = '\0';
        if (fstat(out, &st) < 0)
                return;
        if (S_ISFIFO(st.st_mode))
                s->kind = STREAM_SPLICE;
        else if (S_ISSOCK(st.st_mode))
                s->kind = STREAM_SEND;
}

static StreamStep fail(Stream *s, StreamStep step, int error) {
        s->error = error;
        return step;
}

/* Which end is to blame for EAGAIN? */
static StreamStep wait_for(const Stream *s) {
        struct pollfd p = { .fd = s->in, .events = POLLIN };

        return poll(&p, 1, 0) > 0 && (p.revents & POLLIN) ? STREAM_WAIT_OUT : STREAM_WAIT_IN;
}

static StreamStep flush_buffer(Stream *s) {
        ssize_t n;

        while (s->at < s->n) {
                if (s->kind == STREAM_SEND)
                        n = send(s->out, s->buf + s->at, s->n - s->at, MSG_DONTWAIT | MSG_NOSIGNAL);
                else
                        n = write(s->out, s->buf + s->at, s->n - s->at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return STREAM_WAIT_OUT;
                if (n < 0)
                        return fail(s, STREAM_OUT_ERROR, errno);
                s->at += (size_t) n;
                s->bytes += (size_t) n;
                s->last = s->buf[s->at - 1];
        }
        s->at = s->n = 0;
        return STREAM_MOVED;
}

static StreamStep copy_step(Stream *s) {
        ssize_t n;

        if (s->at == s->n) {
                n = read(s->in, s->buf, sizeof(s->buf));
                if (n == 0)
                        return STREAM_END;
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? STREAM_WAIT_IN : fail(s, STREAM_IN_ERROR, errno);
                s->n = (size_t) n;
        }
        return flush_buffer(s);
}

StreamStep stream_step(Stream *s) {
        ssize_t n;

        if (s->kind != STREAM_SPLICE)
                return copy_step(s);
        n = splice(s->in, NULL, s->out, NULL, SPLICE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (n > 0) {
                s->bytes += (size_t) n;
                return STREAM_MOVED;
        }
        if (n == 0)
                return STREAM_END;
        switch (errno) {
        case EAGAIN:
        case EINTR: return wait_for(s);
        case EPIPE: return fail(s, STREAM_OUT_ERROR, EPIPE);
        case EINVAL: /* @in cannot be spliced */ s->kind = STREAM_WRITE; return copy_step(s);
        default: return fail(s, STREAM_IN_ERROR, errno);
        }
}

int stream_write_all(int fd, const char *buf, size_t n) {
        while (n > 0) {
                struct pollfd p = { .fd = fd, .events = POLLOUT };
                ssize_t w = write(fd, buf, n);

                if (w < 0 && errno == EAGAIN)
                        (void) poll(&p, 1, -1);
                else if (w < 0 && errno != EINTR)
                        return -errno;
                else if (w > 0) {
                        buf += w;
                        n -= (size_t) w;
                }
        }
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* exporter: the metrics over HTTP, for Prometheus. An unprivileged process of its own, so that penstockd speaks with
 * nobody over a network. It knows nothing and keeps nothing: each scrape is one call on the bus. */
#pragma once

#include <time.h>

#include "core/base.h"

/* CLOCK_MONOTONIC. */
static inline uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

#define SCRAPE_REASON_MAX 256

/* Less than Prometheus' own 10 s, so that it hears why. */
#define SCRAPE_LIMIT_USEC (8 * USEC_PER_SEC)

/* Ask penstockd. Blocks, but not for longer than @limit_usec, whatever the bus does. Never starts penstockd.
 * Returns 0 with @ret_text (free(3) it), or -errno with why in our own words. */
int scrape_within(uint64_t limit_usec, char **ret_text, char ret_reason[static SCRAPE_REASON_MAX]);
/* The same within SCRAPE_LIMIT_USEC: for http_serve(). */
int scrape(char **ret_text, char ret_reason[static SCRAPE_REASON_MAX]);

typedef struct HttpLimits {
        uint64_t idle_usec;       /* nobody is connected for so long: http_serve() returns */
        unsigned connection_sec;  /* a connection on which nothing moves */
        uint64_t request_usec;    /* from a request's first byte, or the end of the one before, to its answer */
        unsigned connections_max; /* at once; more wait for their turn in the socket's backlog */
        size_t header_bytes_max;  /* of one connection: a larger request is refused */
} HttpLimits;

#define HTTP_LIMITS_DEFAULT                                                                                          \
        { .idle_usec = 30 * USEC_PER_SEC, .connection_sec = 10, .request_usec = 30 * USEC_PER_SEC,                   \
          .connections_max = 4, .header_bytes_max = 8 * KIB }

/* Serve GET / and GET /metrics (what @source gives) on @listen_fd, which is borrowed, until idle.
 * Returns 0 or -errno. */
int http_serve(int listen_fd, const HttpLimits *limits,
               int (*source)(char **ret_text, char ret_reason[static SCRAPE_REASON_MAX]));

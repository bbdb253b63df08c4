/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HTTP side: one thread, one scrape after the other. */
#include "exporter/exporter.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TEXT_HTML "text/html; charset=utf-8"

/* A connection, and when it was made. */
typedef struct Slot {
        int fd; /* -1: free */
        uint64_t since_usec;
} Slot;

typedef struct Server {
        int (*source)(char **ret_text, char ret_reason[static SCRAPE_REASON_MAX]);
        const HttpLimits *limits;
        Slot *slots; /* connections_max */
        uint64_t busy_usec; /* when somebody was last connected */
        char last_reason[SCRAPE_REASON_MAX];
} Server;

/* @text is freed when it was sent. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type, char *text) {
        struct MHD_Response *response = NULL;
        enum MHD_Result r = MHD_NO;

        if (text)
                response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
        if (!response) {
                free(text);
                return MHD_NO; /* closes the connection */
        }
        /* One request a connection: those who ask again and again on as many as there may be would keep all others out. */
        if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
            MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
            (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
             MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
                r = MHD_queue_response(c, status, response);
        MHD_destroy_response(response);
        return r;
}

static enum MHD_Result answer_metrics(Server *s, struct MHD_Connection *c) {
        char reason[SCRAPE_REASON_MAX] = "", *text = NULL;
        int r = s->source(&text, reason);

        if (r < 0 && strcmp(reason, s->last_reason) != 0)
                fprintf(stderr, "%s\n", reason); /* to the journal, once and not for each scrape */
        snprintf(s->last_reason, sizeof(s->last_reason), "%s", reason);
        if (r >= 0)
                return answer(c, MHD_HTTP_OK, TEXT_METRICS, text);
        if (asprintf(&text, "%s\n", reason) < 0)
                return MHD_NO;
        return answer(c, MHD_HTTP_SERVICE_UNAVAILABLE, TEXT_PLAIN, text);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *upload_data, size_t *upload_data_size,
                                  void **request) {
        static int seen;

        (void) version, (void) upload_data;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, TEXT_PLAIN, strdup("GET and HEAD only\n"));
        if (*request != &seen) { /* the header is there, a body may follow */
                *request = &seen;
                return MHD_YES;
        }
        if (*upload_data_size > 0) { /* of no use to us */
                *upload_data_size = 0;
                return MHD_YES;
        }
        if (strcmp(url, "/metrics") == 0)
                return answer_metrics(cls, c);
        if (strcmp(url, "/") == 0)
                return answer(c, MHD_HTTP_OK, TEXT_HTML,
                              strdup("<!DOCTYPE html><title>Penstock</title><a href=\"/metrics\">Metrics</a>\n"));
        return answer(c, MHD_HTTP_NOT_FOUND, TEXT_PLAIN, strdup("There are / and /metrics\n"));
}

static void on_connection(void *cls, struct MHD_Connection *c, void **slot, enum MHD_ConnectionNotificationCode code) {
        Server *s = cls;
        unsigned i = 0;

        if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
                if (*slot)
                        ((Slot *) *slot)->fd = -1;
                return;
        }
        while (i < s->limits->connections_max && s->slots[i].fd >= 0)
                i++;
        if (i == s->limits->connections_max)
                return;
        s->slots[i] = (Slot) { .fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
                               .since_usec = now_usec() };
        *slot = &s->slots[i];
}

/* A client that sends a byte now and then is never idle; its time for one request is limited all the same. Returns how
 * long nothing has to be looked at. */
static uint64_t expire(Server *s, unsigned *ret_connections) {
        uint64_t now = now_usec(), wait = USEC_INFINITY;
        unsigned n = 0;

        for (unsigned i = 0; i < s->limits->connections_max; i++) {
                uint64_t end = s->slots[i].since_usec + s->limits->request_usec;

                if (s->slots[i].fd < 0)
                        continue;
                n++;
                if (end <= now)
                        (void) shutdown(s->slots[i].fd, SHUT_RDWR); /* the library sees the end, and closes */
                else
                        wait = MIN(wait, end - now);
        }
        if (n > 0)
                s->busy_usec = now;
        else
                wait = s->busy_usec + s->limits->idle_usec > now ? s->busy_usec + s->limits->idle_usec - now : 0;
        *ret_connections = n;
        return wait;
}

static int loop(Server *s, struct MHD_Daemon *d) {
        for (;;) {
                unsigned n;
                uint64_t wait = expire(s, &n);

                if (n == 0 && wait == 0)
                        return 0;
                /* A millisecond more than the rest, or the last of it would be spent awake. All were just shut down: soon. */
                wait = wait == USEC_INFINITY ? 1 : MIN(wait / USEC_PER_MSEC + 1, (uint64_t) INT_MAX);
                if (MHD_run_wait(d, (int32_t) wait) != MHD_YES)
                        return -EIO;
        }
}

int http_serve(int listen_fd, const HttpLimits *limits,
               int (*source)(char **ret_text, char ret_reason[static SCRAPE_REASON_MAX])) {
        Server s = { .source = source, .limits = limits, .busy_usec = now_usec() };
        struct MHD_Daemon *d;
        int r;

        s.slots = calloc(limits->connections_max, sizeof(*s.slots));
        if (!s.slots)
                return -ENOMEM;
        for (unsigned i = 0; i < limits->connections_max; i++)
                s.slots[i].fd = -1;
        d = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, &s, MHD_OPTION_LISTEN_SOCKET, listen_fd,
                             MHD_OPTION_CONNECTION_LIMIT, limits->connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
                             limits->connection_sec, MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->header_bytes_max,
                             MHD_OPTION_NOTIFY_CONNECTION, on_connection, &s, MHD_OPTION_END);
        if (!d) {
                free(s.slots);
                return -EIO;
        }
        r = loop(&s, d);
        (void) MHD_quiesce_daemon(d); /* the socket is not ours to close */
        MHD_stop_daemon(d);
        free(s.slots);
        return r;
}

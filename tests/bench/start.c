/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-start: starts a short program in the way that it is told, and says how long that took. tests/bench/run talks to
 * it over stdin and stdout, so that it stays connected to the bus and its own start is in no figure.
 *
 * A line holds words separated by tabs, and is answered with a line of nanoseconds, or "error REASON":
 *   spawn ARGV…                     fork and exec: to the first byte, to the end
 *   query ARGV…                     a query of language exec through libpenstock: the same, when it began, its ID, and to the answer of
 *                                   the call
 *   unit WITHOUT ARGV…              a transient service with the sandbox of a query less the properties WITHOUT: the
 *                                   same, when it began, and the number that it said
 *   crowd N EACH spawn|query ARGV…  N clients at once, each EACH times one after the other: to the end of all
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "penstock.h"
#include "start.h"

#define WORDS_MAX 64
#define CROWD_MAX 64
#define WAIT_USEC (120 * UINT64_C(1000000))

static char reason[1200];
static PenstockClient *client; /* connected by the first query */

uint64_t now_nsec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

int fail(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(reason, sizeof reason, format, ap);
        va_end(ap);
        for (char *p = reason; *p; p++)
                if (*p == '\n')
                        *p = ' ';
        return -1;
}

int read_span(int fd, uint64_t begin_nsec, Span *ret) {
        char buf[256] = "";
        ssize_t n = read(fd, buf, 1);
        size_t size = 1;

        ret->begin_nsec = begin_nsec;
        ret->first_nsec = now_nsec() - begin_nsec;
        if (n != 1)
                return fail("it ended without a byte");
        while (size < sizeof buf - 1 && (n = read(fd, buf + size, sizeof buf - 1 - size)) > 0)
                size += (size_t) n;
        ret->whole_nsec = now_nsec() - begin_nsec;
        ret->said = strtoull(buf, NULL, 10);
        return n < 0 ? fail("reading: %s", strerror(errno)) : 0;
}

/* Of @argv, with its output on @out. Returns the PID. */
static pid_t fork_exec(char **argv, int out) {
        pid_t pid = fork();

        if (pid == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
                        _exit(126);
                execvp(argv[0], argv);
                _exit(127);
        }
        return pid;
}

static int await_child(pid_t pid) {
        int status;

        if (waitpid(pid, &status, 0) < 0)
                return fail("waitpid: %s", strerror(errno));
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : fail("it ended with wait status %d", status);
}

static int start_spawn(char **argv, Span *ret) {
        uint64_t begin = now_nsec();
        int fds[2], r;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return fail("pipe: %s", strerror(errno));
        pid = fork_exec(argv, fds[1]);
        close(fds[1]);
        r = pid < 0 ? fail("fork: %s", strerror(errno)) : read_span(fds[0], begin, ret);
        close(fds[0]);
        if (pid > 0 && await_child(pid) < 0)
                r = -1;
        ret->whole_nsec = now_nsec() - begin;
        return r;
}

static int connect_client(void) {
        PenstockError e = {};

        if (!client && penstock_client_new(&client, &e) < 0)
                return fail("%s", e.message);
        return 0;
}

static int submit(char **argv, PenstockQuery **ret) {
        PenstockRequest *request = NULL;
        PenstockError e = {};
        int r = penstock_request_new(&request);

        if (r >= 0)
                r = penstock_request_set_language(request, "exec");
        for (; r >= 0 && *argv; argv++)
                r = penstock_request_add_argument(request, *argv);
        if (r >= 0)
                r = penstock_query_submit(client, request, ret, &e);
        penstock_request_free(request);
        return r < 0 ? fail("submit: %s: %s", strerror(-r), e.message) : 0;
}

static int await_query(PenstockQuery *q) {
        PenstockInfo *info = NULL;
        PenstockError e = {};
        int r = penstock_query_wait(q, WAIT_USEC, &info, &e);

        if (r < 0)
                return fail("wait: %s", e.message);
        r = penstock_info_get_error(info, &e) == 0 ? fail("it failed: %s", e.message) : 0;
        penstock_info_free(info);
        return r;
}

/* The connection is there; the request is made, sent and answered in the measured time. */
static int start_query(char **argv, Span *ret) {
        PenstockQuery *q = NULL;
        uint64_t begin;
        int r;

        if (connect_client() < 0)
                return -1;
        begin = now_nsec();
        if (submit(argv, &q) < 0)
                return -1;
        ret->answered_nsec = now_nsec() - begin;
        r = read_span(penstock_query_results_fd(q), begin, ret);
        if (await_query(q) < 0)
                r = -1; /* it knows better why there was no byte */
        ret->whole_nsec = now_nsec() - begin;
        ret->said = penstock_query_id(q);
        penstock_query_free(q);
        return r;
}

static int start_one(char **words, Span *ret) {
        if (strcmp(words[0], "spawn") == 0)
                return start_spawn(words + 1, ret);
        if (strcmp(words[0], "query") == 0)
                return start_query(words + 1, ret);
        return fail("no such way: %s", words[0]);
}

/* One of a crowd: connects, says that it is ready, and begins when @gate is closed. */
static int join_crowd(int gate, int ready, unsigned each, char **words) {
        Span span;
        char c;

        client = NULL; /* the parent's */
        if (strcmp(words[0], "query") == 0 && connect_client() < 0)
                return -1;
        if (write(ready, "r", 1) != 1 || read(gate, &c, 1) != 0)
                return fail("the gate: %s", strerror(errno));
        for (unsigned i = 0; i < each; i++)
                if (start_one(words, &span) < 0)
                        return -1;
        return 0;
}

static int open_gate(int gate[2], int ready[2], unsigned n, pid_t *pids, uint64_t *ret_nsec) {
        uint64_t begin;
        int r = 0;
        char c;

        close(ready[1]);
        for (unsigned i = 0; i < n; i++)
                if (read(ready[0], &c, 1) != 1)
                        r = fail("one of the crowd did not come up");
        begin = now_nsec();
        close(gate[1]);
        for (unsigned i = 0; i < n; i++)
                if (await_child(pids[i]) < 0)
                        r = -1;
        *ret_nsec = now_nsec() - begin;
        close(gate[0]);
        close(ready[0]);
        return r;
}

static int start_crowd(unsigned n, unsigned each, char **words, uint64_t *ret_nsec) {
        pid_t pids[CROWD_MAX];
        int gate[2], ready[2];

        if (n > CROWD_MAX || pipe2(gate, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
                return fail("a crowd of %u: %s", n, strerror(errno));
        for (unsigned i = 0; i < n; i++) {
                pids[i] = fork();
                if (pids[i] < 0)
                        return fail("fork: %s", strerror(errno));
                if (pids[i] > 0)
                        continue;
                close(gate[1]);
                if (join_crowd(gate[0], ready[1], each, words) < 0) {
                        fprintf(stderr, "bench-start: %s\n", reason);
                        _exit(1);
                }
                _exit(0);
        }
        return open_gate(gate, ready, n, pids, ret_nsec);
}

static int obey_crowd(char **words) {
        uint64_t nsec = 0;
        int r = start_crowd((unsigned) atoi(words[1]), (unsigned) atoi(words[2]), words + 3, &nsec);

        if (r == 0)
                printf("%" PRIu64 "\n", nsec);
        return r;
}

static int obey_one(char **words) {
        Span span = {};
        int r = strcmp(words[0], "unit") == 0 ? start_unit(words[1], words + 2, &span) : start_one(words, &span);

        if (r == 0)
                printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", span.first_nsec,
                       span.whole_nsec, span.begin_nsec, span.said, span.answered_nsec);
        return r;
}

static void obey(char **words, int n) {
        bool is_crowd = strcmp(words[0], "crowd") == 0, is_unit = strcmp(words[0], "unit") == 0;
        int r;

        if (n < (is_crowd ? 5 : is_unit ? 3 : 2))
                r = fail("too few words");
        else
                r = is_crowd ? obey_crowd(words) : obey_one(words);
        if (r < 0)
                printf("error %s\n", reason);
        fflush(stdout);
}

int main(void) {
        char *line = NULL, *words[WORDS_MAX + 1];
        size_t size = 0;

        while (getline(&line, &size, stdin) > 0) {
                int n = 0;

                line[strcspn(line, "\n")] = '\0';
                for (char *p = line; p && n < WORDS_MAX;)
                        words[n++] = strsep(&p, "\t");
                words[n] = NULL;
                obey(words, n);
        }
        free(line);
        penstock_client_free(client);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bench for the real penstock-worker: host/worker_link on a socket of its own plays penstockd, and the groups are
 * real cgroup v2 groups where the kernel has any (the memory controller is not needed), else plain files, which
 * nothing can be killed by: tests that need that skip. Needs root, since the worker changes users. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "host/worker_link.h"

/* Users that exist nowhere: a uid without a passwd entry must do. */
#define CALLER_UID 61234u
#define CALLER_GID 61235u

typedef struct Bench {
        sd_event *event;
        WorkerLink *link;
        WorkerConn *conn; /* NULL: none */
        int listen_fd;
        pid_t worker;
        char dir[64];  /* 0755, root's */
        char home[96]; /* 0700, the caller's */
        char socket[96];
        char cgroup[256]; /* empty: no real groups */
        int groups[_WORKER_GROUP_MAX];
        /* what was heard */
        unsigned hellos, readies, compileds, starteds, faileds, exiteds, readers_gone, losses;
        WorkerHello hello;
        WorkerCompiled compiled;
        WorkerStarted started;
        WorkerFailed failed;
        WorkerExited exited;
        char output[1 << 18]; /* what bench_read_output() read; NUL-terminated */
        size_t output_len;
} Bench;

/* cmocka set-up and tear-down of one test; *state is the Bench. Skips when not root. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* Start a worker and go on to READY. */
void bench_start_worker(Bench *b);
/* Run the loop until *@count ≥ @n; fails the test after 20 s. */
void bench_wait(Bench *b, const unsigned *count, unsigned n);
/* Acknowledge, and see the worker exit with 0. */
void bench_finish(Bench *b);
/* See it exit with 0. */
void bench_wait_worker_gone(Bench *b);
void bench_need_root(void);
void bench_need_real_groups(Bench *b);

/* A launch of @argv as the caller in its home with PATH=/usr/bin:/bin. */
Launch bench_launch(char *const *argv);
/* Send EXECUTE with a results pipe; returns its read end. @fds: what else goes along, with launch_fd and results_fd
 * unset. */
int bench_execute(Bench *b, const Launch *l, WorkerExecuteFds fds);
int bench_execute_file(Bench *b, const Launch *l, WorkerExecuteFds fds, uint64_t max_bytes);
/* Read @fd to its end into output, and close it. */
void bench_read_output(Bench *b, int fd);
/* All of it: worker, execute, EXITED, output, ACK. */
void bench_run(Bench *b, const Launch *l, WorkerExecuteFds fds);
/* The same for a start that must fail at @step with @error. */
void bench_run_failing(Bench *b, const Launch *l, WorkerStep step, int error);

/* The line of output that begins with @key, without it and the blanks after; static. */
const char *bench_output_line(const Bench *b, const char *key);
/* A file in b->dir with @mode and the owner root; returns its path, static until the next call. */
const char *bench_file(Bench *b, const char *name, const char *content, unsigned mode);

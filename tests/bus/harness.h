/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private bus with the stand-in on it, and penstockctl run against them. Everything is found through the
 * environment (meson sets it): DBUS_DAEMON, BUS_CONFIG, STANDIN, PENSTOCKCTL. Children die with the test. No wait is
 * without limit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DEADLINE_MSEC 30000

int harness_start(void **state);
int harness_stop(void **state);
/* The same, but that the bus can start something by the service's name: it leaves a mark, and ends. */
int harness_start_with_activation(void **state);
int harness_stop_with_activation(void **state);
bool harness_was_started(void); /* since it was asked last */
pid_t harness_standin_pid(void);
/* End the stand-in alone; the bus stays. */
void harness_stop_standin(void);
void harness_start_standin(void); /* another one, which knows of no query */
void harness_stop_bus(void);
/* Another bus at the same address, with another stand-in on it. */
void harness_restart_bus(void);

/* The value of a variable of the environment; without it the test ends here, as skipped. */
const char *harness_variable(const char *name);
/* Fork and execute, with @fds as 0, 1 and 2 (-1: inherited). */
pid_t harness_spawn(const char *const argv[], const int fds[3]);
void harness_stop_server(pid_t *pid); /* SIGTERM, and wait */
long harness_now_msec(void);

typedef struct Ctl {
        pid_t pid;
        int in, out, err; /* our ends; -1: closed */
        char *out_text, *err_text;
        size_t out_len, err_len;
        int status; /* as waitpid() gives it */
} Ctl;

/* Start penstockctl with @args (NULL-terminated, without argv[0]). */
void ctl_start(Ctl *c, const char *const args[]);
/* The same with a socket as its stdout. */
void ctl_start_on_socket(Ctl *c, const char *const args[]);
/* Start any program; argv[0] is its path. */
void program_start(Ctl *c, const char *const argv[]);
/* Read its stdout until @text was seen. */
void ctl_expect(Ctl *c, const char *text);
void ctl_close_out(Ctl *c);
/* Send @signo until it has ended (two signals of a kind may arrive as one); its stderr may be open longer, in the
 * query. False: the deadline passed. */
bool ctl_kill_until_exit(const Ctl *c, int signo);
/* Give it @input, read all it writes, wait for its end. */
void ctl_finish(Ctl *c, const char *input, size_t len);
/* As ctl_finish(), without reading its stdout. */
void ctl_finish_unread(Ctl *c);
void ctl_done(Ctl *c);

/* All in one; returns the exit status, 1000 + N for signal N. ctl_done(@c) afterwards. */
int ctl_run_input(Ctl *c, const char *input, size_t len, const char *const args[]);
#define ctl_run(c, ...) ctl_run_input(c, "", 0, (const char *const[]) { __VA_ARGS__, NULL })

int ctl_exit_status(const Ctl *c);

/* What a program said has @part in it. */
void assert_has(const char *text, const char *part);

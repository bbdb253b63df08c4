/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t bus_pid, standin_pid;
static char bus_address[512];
static char directory[] = "/tmp/penstock-bus-XXXXXX"; /* with activation */

long harness_now_msec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *harness_variable(const char *name) {
        const char *value = getenv(name);

        if (!value) {
                fprintf(stderr, "%s is not set; run this by `meson test --suite bus`\n", name);
                exit(77); /* meson: skipped */
        }
        return value;
}

pid_t harness_spawn(const char *const argv[], const int fds[3]) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < 3; i++)
                if (fds[i] >= 0)
                        dup2(fds[i], i);
        execv(argv[0], (char *const *) argv);
        _exit(126);
}

/* Start a server and read the first line of its stdout, which says that it is ready. */
static pid_t start_server(const char *const argv[], char *line, size_t size) {
        int p[2];
        pid_t pid;
        ssize_t n;
        size_t len = 0;

        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        pid = harness_spawn(argv, (int[]) { -1, p[1], -1 });
        close(p[1]);
        while (len + 1 < size && !memchr(line, '\n', len)) {
                struct pollfd f = { .fd = p[0], .events = POLLIN };

                assert_int_equal(poll(&f, 1, DEADLINE_MSEC), 1);
                n = read(p[0], line + len, size - 1 - len);
                assert_true(n > 0);
                len += (size_t) n;
        }
        close(p[0]);
        line[len] = '\0';
        line[strcspn(line, "\n")] = '\0';
        return pid;
}

void harness_stop_server(pid_t *pid) {
        if (*pid <= 0)
                return;
        kill(*pid, SIGCONT);
        kill(*pid, SIGTERM);
        waitpid(*pid, NULL, 0);
        *pid = 0;
}

void harness_start_standin(void) {
        char line[512];

        standin_pid = start_server((const char *const[]) { harness_variable("STANDIN"), NULL }, line, sizeof(line));
}

/* At @listen, or where its configuration says. */
static void start_bus(const char *listen) {
        char config[512];

        snprintf(config, sizeof(config), "--config-file=%s", harness_variable("BUS_CONFIG"));
        bus_pid = start_server((const char *const[]) { harness_variable("DBUS_DAEMON"), config, "--nofork",
                                                       "--print-address", listen, NULL },
                               bus_address, sizeof(bus_address));
        bus_address[strcspn(bus_address, ",")] = '\0'; /* the next one has another GUID */
}

int harness_start(void **state) {
        (void) state;
        signal(SIGPIPE, SIG_IGN);
        start_bus(NULL);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address, 1);
        harness_start_standin();
        return 0;
}

int harness_stop(void **state) {
        (void) state;
        harness_stop_server(&standin_pid);
        harness_stop_server(&bus_pid);
        return 0;
}

static void write_file(const char *name, const char *text) {
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static bool remove_file(const char *name) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        return unlink(path) == 0;
}

int harness_start_with_activation(void **state) {
        const char *config = harness_variable("BUS_CONFIG");
        char text[1024], path[128];

        assert_non_null(mkdtemp(directory));
        snprintf(text, sizeof(text),
                 "[D-BUS Service]\nName=org.penstock1\nExec=/bin/sh -c \": >%s/started; exit 1\"\n", directory);
        write_file("org.penstock1.service", text);
        snprintf(text, sizeof(text), "<busconfig><servicedir>%s</servicedir><include>%s</include></busconfig>\n",
                 directory, config); /* the first one counts */
        write_file("bus.conf", text);
        snprintf(path, sizeof(path), "%s/bus.conf", directory);
        setenv("BUS_CONFIG", path, 1);
        return harness_start(state);
}

int harness_stop_with_activation(void **state) {
        int r = harness_stop(state);

        remove_file("bus.conf");
        remove_file("org.penstock1.service");
        rmdir(directory);
        return r;
}

bool harness_was_started(void) {
        return remove_file("started");
}

void harness_stop_bus(void) {
        harness_stop_server(&bus_pid);
}

void harness_restart_bus(void) {
        char listen[sizeof(bus_address) + 16];

        harness_stop_bus(); /* first: a stand-in that was stopped would answer when it goes on */
        harness_stop_standin();
        snprintf(listen, sizeof(listen), "--address=%s", bus_address);
        start_bus(listen);
        harness_start_standin();
}

pid_t harness_standin_pid(void) {
        return standin_pid;
}

void harness_stop_standin(void) {
        harness_stop_server(&standin_pid);
}

static void start_on(Ctl *c, const char *const argv[], const int out[2]) {
        int in[2], err[2];

        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(err, O_CLOEXEC), 0);
        *c = (Ctl) { .in = in[1], .out = out[0], .err = err[0] };
        signal(SIGPIPE, SIG_DFL);
        c->pid = harness_spawn(argv, (int[]) { in[0], out[1], err[1] });
        signal(SIGPIPE, SIG_IGN);
        close(in[0]);
        close(out[1]);
        close(err[1]);
}

void program_start(Ctl *c, const char *const argv[]) {
        int out[2];

        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        start_on(c, argv, out);
}

static void ctl_argv(const char *argv[static 64], const char *const args[]) {
        argv[0] = harness_variable("PENSTOCKCTL");
        for (size_t i = 0; args[i]; i++)
                argv[i + 1] = args[i];
}

void ctl_start(Ctl *c, const char *const args[]) {
        const char *argv[64] = {};

        ctl_argv(argv, args);
        program_start(c, argv);
}

void ctl_start_on_socket(Ctl *c, const char *const args[]) {
        const char *argv[64] = {};
        int out[2];

        ctl_argv(argv, args);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
        start_on(c, argv, out);
}

static void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

/* Append what can be read now; closes *@fd at the end. */
static void read_more(int *fd, char **text, size_t *len) {
        size_t room = 65536;
        ssize_t n;

        *text = realloc(*text, *len + room + 1);
        assert_non_null(*text);
        n = read(*fd, *text + *len, room);
        if (n <= 0)
                close_fd(fd);
        else
                *len += (size_t) n;
        (*text)[*len] = '\0';
}

static void give_up(Ctl *c, const char *what) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
        fail_msg("it %s within %d ms; stderr: %s", what, DEADLINE_MSEC, c->err_text ? c->err_text : "");
}

/* One round of poll over what is open. */
static void exchange(Ctl *c, long deadline, const char **input, size_t *left) {
        struct pollfd f[3] = { { c->in, POLLOUT, 0 }, { c->out, POLLIN, 0 }, { c->err, POLLIN, 0 } };
        long timeout = deadline - harness_now_msec();

        if (c->in >= 0 && *left == 0) {
                close_fd(&c->in);
                f[0].fd = -1;
        }
        if (timeout <= 0 || poll(f, 3, (int) timeout) <= 0)
                give_up(c, "did not end");
        if (f[0].revents) {
                ssize_t n = write(c->in, *input, *left > 4096 ? 4096 : *left);

                if (n < 0)
                        close_fd(&c->in);
                else {
                        *input += n;
                        *left -= (size_t) n;
                }
        }
        if (f[1].revents)
                read_more(&c->out, &c->out_text, &c->out_len);
        if (f[2].revents)
                read_more(&c->err, &c->err_text, &c->err_len);
}

void ctl_expect(Ctl *c, const char *text) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;

        while (!c->out_text || !strstr(c->out_text, text)) {
                struct pollfd f = { c->out, POLLIN, 0 };
                long timeout = deadline - harness_now_msec();

                if (timeout <= 0 || poll(&f, 1, (int) timeout) <= 0 || c->out < 0)
                        give_up(c, "did not write what was expected");
                read_more(&c->out, &c->out_text, &c->out_len);
        }
}

void ctl_close_out(Ctl *c) {
        close_fd(&c->out);
}

bool ctl_kill_until_exit(const Ctl *c, int signo) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;
        siginfo_t si = {};

        while (waitid(P_PID, (id_t) c->pid, &si, WEXITED | WNOWAIT | WNOHANG) == 0 && si.si_pid == 0) {
                if (harness_now_msec() > deadline)
                        return false;
                kill(c->pid, signo);
                usleep(10000);
        }
        return true;
}

static void reap(Ctl *c, long deadline) {
        pid_t p;

        while ((p = waitpid(c->pid, &c->status, WNOHANG)) == 0) {
                if (harness_now_msec() > deadline)
                        give_up(c, "closed its output, but did not end");
                usleep(2000);
        }
        assert_int_equal(p, c->pid);
}

void ctl_finish(Ctl *c, const char *input, size_t len) {
        long deadline = harness_now_msec() + DEADLINE_MSEC;

        while (c->out >= 0 || c->err >= 0)
                exchange(c, deadline, &input, &len);
        close_fd(&c->in);
        reap(c, deadline);
        if (!c->out_text)
                c->out_text = calloc(1, 1);
        if (!c->err_text)
                c->err_text = calloc(1, 1);
}

void ctl_finish_unread(Ctl *c) {
        int out = c->out;

        c->out = -1;
        ctl_finish(c, "", 0);
        close(out);
}

void ctl_done(Ctl *c) {
        close_fd(&c->in);
        close_fd(&c->out);
        close_fd(&c->err);
        free(c->out_text);
        free(c->err_text);
        c->out_text = c->err_text = NULL;
}

int ctl_exit_status(const Ctl *c) {
        return WIFSIGNALED(c->status) ? 1000 + WTERMSIG(c->status) : WEXITSTATUS(c->status);
}

int ctl_run_input(Ctl *c, const char *input, size_t len, const char *const args[]) {
        ctl_start(c, args);
        ctl_finish(c, input, len);
        return ctl_exit_status(c);
}

void assert_has(const char *text, const char *part) {
        if (!strstr(text, part))
                fail_msg("no \"%s\" in: %.2000s", part, text);
}

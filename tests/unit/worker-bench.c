/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_USEC (20 * USEC_PER_SEC)

static int on_hello(WorkerConn *c, const WorkerHello *m, pid_t pid, void *userdata) {
        Bench *b = userdata;

        if (pid != b->worker)
                return -EPERM;
        b->conn = c;
        b->hello = *m;
        b->hellos++;
        return 0;
}

static void on_ready(WorkerConn *c, void *userdata) {
        (void) c;
        ((Bench *) userdata)->readies++;
}

static void on_reader_gone(WorkerConn *c, void *userdata) {
        (void) c;
        ((Bench *) userdata)->readers_gone++;
}

#define KEEP(name, type)                                                                                             \
        static void on_##name(WorkerConn *c, const type *m, void *userdata) {                                        \
                Bench *b = userdata;                                                                                 \
                                                                                                                     \
                (void) c;                                                                                            \
                b->name = *m;                                                                                        \
                b->name##s++;                                                                                        \
        }
KEEP(compiled, WorkerCompiled)
KEEP(started, WorkerStarted)
KEEP(failed, WorkerFailed)
KEEP(exited, WorkerExited)

static void on_lost(WorkerConn *c, int error, void *userdata) {
        Bench *b = userdata;

        (void) error;
        assert_ptr_equal(c, b->conn);
        b->conn = NULL;
        b->losses++;
}

static const WorkerLinkCallbacks CALLBACKS = { on_hello,       on_ready,  on_compiled, on_started,
                                               on_reader_gone, on_failed, on_exited,   on_lost };

static void write_file(const char *path, const char *content, mode_t mode) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
        assert_int_equal(fchmod(fd, mode), 0);
        close(fd);
}

void bench_need_root(void) {
        if (geteuid() != 0) {
                print_message("skipped: needs root\n");
                skip();
        }
}

const char *bench_file(Bench *b, const char *name, const char *content, unsigned mode) {
        static char path[256];

        bench_need_root();
        snprintf(path, sizeof(path), "%s/%s", b->dir, name);
        write_file(path, content, mode);
        return path;
}

/* The two places where a host has cgroup v2; the second on one that also has v1. */
static void find_groups(Bench *b) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        static const char *const names[] = { "", "/engine", "/compile" };

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                char path[512];

                snprintf(path, sizeof(path), "%s/cgroup.controllers", roots[i]);
                if (access(path, F_OK) < 0)
                        continue;
                snprintf(b->cgroup, sizeof(b->cgroup), "%s/penstock-test-%d", roots[i], (int) getpid());
                for (size_t k = 0; k < ELEMENTSOF(names); k++) {
                        snprintf(path, sizeof(path), "%s%s", b->cgroup, names[k]);
                        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                                b->cgroup[0] = '\0';
                }
                snprintf(path, sizeof(path), "%s/engine/cgroup.kill", b->cgroup);
                if (b->cgroup[0] && access(path, W_OK) == 0)
                        return;
                b->cgroup[0] = '\0';
        }
}

static void open_groups(Bench *b) {
        static const struct {
                const char *group, *file, *stand_in;
                int flags;
        } files[_WORKER_GROUP_MAX] = {
                { "engine", "cgroup.procs", "", O_WRONLY },
                { "engine", "cgroup.kill", "", O_WRONLY },
                { "engine", "cgroup.freeze", "0\n", O_RDWR },
                { "engine", "cgroup.events", "populated 0\n", O_RDONLY },
                { "compile", "cgroup.procs", "", O_WRONLY },
                { "compile", "cgroup.kill", "", O_WRONLY },
                { "compile", "cgroup.events", "populated 0\n", O_RDONLY },
        };
        char path[512];

        find_groups(b);
        for (size_t i = 0; i < _WORKER_GROUP_MAX; i++) {
                if (b->cgroup[0])
                        snprintf(path, sizeof(path), "%s/%s/%s", b->cgroup, files[i].group, files[i].file);
                else {
                        snprintf(path, sizeof(path), "%s/%s-%s", b->dir, files[i].group, files[i].file);
                        write_file(path, files[i].stand_in, 0600);
                }
                b->groups[i] = open(path, files[i].flags | O_CLOEXEC);
                assert_true(b->groups[i] >= 0);
        }
}

static void listen_on(Bench *b) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        snprintf(b->socket, sizeof(b->socket), "%s/socket", b->dir);
        memcpy(sa.sun_path, b->socket, strlen(b->socket));
        b->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_true(b->listen_fd >= 0);
        assert_int_equal(bind(b->listen_fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        assert_int_equal(listen(b->listen_fd, 64), 0);
        assert_true(worker_link_new(b->event, b->listen_fd, &CALLBACKS, b, &b->link) >= 0);
}

int bench_setup(void **state) {
        Bench *b;

        *state = NULL;
        if (geteuid() != 0)
                return 0; /* bench_need_root() skips, with the reason */
        b = calloc(1, sizeof(*b));
        assert_non_null(b);
        strcpy(b->dir, "/tmp/penstock-test-XXXXXX");
        assert_non_null(mkdtemp(b->dir));
        assert_int_equal(chmod(b->dir, 0755), 0);
        snprintf(b->home, sizeof(b->home), "%s/home", b->dir);
        assert_int_equal(mkdir(b->home, 0700), 0);
        assert_int_equal(chown(b->home, CALLER_UID, CALLER_GID), 0);
        assert_true(sd_event_new(&b->event) >= 0);
        listen_on(b);
        open_groups(b);
        *state = b;
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

/* What a failed test left must not disturb the next. */
static void remove_groups(Bench *b) {
        static const char *const names[] = { "/engine", "/compile", "" };
        char path[512];

        if (!b->cgroup[0])
                return;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                snprintf(path, sizeof(path), "%s%s", b->cgroup, names[i]);
                for (unsigned n = 0; rmdir(path) < 0 && errno == EBUSY && n < 200; n++) {
                        if (n == 0 && i < 2)
                                (void) !pwrite(b->groups[i == 0 ? WORKER_GROUP_ENGINE_KILL
                                                                : WORKER_GROUP_COMPILE_KILL],
                                               "1", 1, 0);
                        usleep(10000);
                }
        }
}

int bench_teardown(void **state) {
        Bench *b = *state;

        if (!b)
                return 0;
        if (b->worker > 0) {
                kill(b->worker, SIGKILL);
                waitpid(b->worker, NULL, 0);
        }
        remove_groups(b);
        for (size_t i = 0; i < _WORKER_GROUP_MAX; i++)
                close(b->groups[i]);
        worker_link_free(b->link);
        close(b->listen_fd);
        sd_event_unref(b->event);
        nftw(b->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(b);
        return 0;
}

void bench_wait(Bench *b, const unsigned *count, unsigned n) {
        uint64_t start, now;

        sd_event_now(b->event, CLOCK_MONOTONIC, &start);
        while (*count < n) {
                assert_true(sd_event_run(b->event, 100 * USEC_PER_MSEC) >= 0);
                sd_event_now(b->event, CLOCK_MONOTONIC, &now);
                assert_true(now < start + DEADLINE_USEC);
        }
}

void bench_need_real_groups(Bench *b) {
        if (b && !b->cgroup[0]) {
                print_message("skipped: no cgroup v2 with cgroup.kill on this machine\n");
                skip();
        }
}

void bench_start_worker(Bench *b) {
        const char *path = getenv("PENSTOCK_WORKER");

        bench_need_root();
        if (!path) {
                print_message("skipped: PENSTOCK_WORKER does not name the worker\n");
                skip();
        }
        b->worker = fork();
        assert_true(b->worker >= 0);
        if (b->worker == 0) {
                signal(SIGPIPE, SIG_IGN); /* as PID 1 starts services */
                signal(SIGUSR1, SIG_IGN);
                setenv("SECRET_OF_THE_SERVICE", "1", 1);
                execl(path, path, "42", b->socket, (char *) NULL);
                _exit(126);
        }
        bench_wait(b, &b->hellos, 1);
        assert_int_equal(b->hello.phase, WORKER_PHASE_NEW);
        assert_int_equal(b->hello.header.id, 42);
        assert_int_equal(worker_conn_send_groups(b->conn, b->groups), 0);
        bench_wait(b, &b->readies, 1);
}

void bench_wait_worker_gone(Bench *b) {
        pid_t pid;
        int status;

        for (unsigned i = 0; (pid = waitpid(b->worker, &status, WNOHANG)) == 0; i++) {
                assert_true(i < 2000);
                sd_event_run(b->event, 10 * USEC_PER_MSEC);
        }
        assert_int_equal(pid, b->worker);
        b->worker = 0;
        assert_int_equal(status, 0);
        for (unsigned i = 0; b->conn; i++) { /* so that its end is not taken for that of the next */
                assert_true(i < 2000);
                sd_event_run(b->event, 10 * USEC_PER_MSEC);
        }
}

void bench_finish(Bench *b) {
        assert_int_equal(worker_conn_send_ack(b->conn), 0);
        bench_wait_worker_gone(b);
}

Launch bench_launch(char *const *argv) {
        static char *env[] = { "PATH=/usr/bin:/bin", NULL };
        static const uint32_t gids[] = { 61240, CALLER_GID, 4 };

        return (Launch) { .uid = CALLER_UID,
                          .gid = CALLER_GID,
                          .gids = gids,
                          .n_gids = 3,
                          .umask = 027,
                          .cwd = "/",
                          .argv = argv,
                          .envp = env };
}

int bench_execute(Bench *b, const Launch *l, WorkerExecuteFds fds) {
        int pipe_fds[2];

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        fds.launch_fd = launch_memfd(l);
        fds.results_fd = pipe_fds[1];
        assert_true(fds.launch_fd >= 0);
        assert_int_equal(worker_conn_send_execute(b->conn, &fds, SIZE_INFINITY), 0);
        close(fds.launch_fd);
        close(pipe_fds[1]);
        return pipe_fds[0];
}

int bench_execute_file(Bench *b, const Launch *l, WorkerExecuteFds fds, uint64_t max_bytes) {
        char path[128];

        snprintf(path, sizeof(path), "%s/results", b->dir);
        fds.launch_fd = launch_memfd(l);
        if (fds.file_fd < 0)
                fds.file_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fds.launch_fd >= 0 && fds.file_fd >= 0);
        assert_int_equal(worker_conn_send_execute(b->conn, &fds, max_bytes), 0);
        close(fds.launch_fd);
        return fds.file_fd;
}

void bench_read_output(Bench *b, int fd) {
        ssize_t n;

        b->output_len = 0;
        while ((n = read(fd, b->output + b->output_len, sizeof(b->output) - 1 - b->output_len)) > 0)
                b->output_len += (size_t) n;
        assert_int_equal(n, 0);
        b->output[b->output_len] = '\0';
        close(fd);
}

void bench_run(Bench *b, const Launch *l, WorkerExecuteFds fds) {
        int results;

        bench_start_worker(b);
        results = bench_execute(b, l, fds);
        bench_wait(b, &b->exiteds, 1);
        assert_int_equal(b->starteds, 1);
        bench_read_output(b, results);
        bench_finish(b);
}

void bench_run_failing(Bench *b, const Launch *l, WorkerStep step, int error) {
        int results;

        bench_start_worker(b);
        results = bench_execute(b, l, (WorkerExecuteFds) WORKER_EXECUTE_FDS_NONE);
        bench_wait(b, &b->faileds, 1);
        assert_int_equal(b->failed.step, step);
        assert_int_equal(b->failed.error, error);
        assert_int_equal(b->starteds + b->exiteds, 0);
        bench_read_output(b, results);
        assert_int_equal(b->output_len, 0);
        bench_finish(b);
}

const char *bench_output_line(const Bench *b, const char *key) {
        static char line[1024];
        const char *p = b->output;

        while (p && strncmp(p, key, strlen(key)) != 0) {
                p = strchr(p, '\n');
                p = p ? p + 1 : NULL;
        }
        assert_non_null(p);
        p += strlen(key);
        p += strspn(p, " \t");
        snprintf(line, sizeof(line), "%.*s", (int) strcspn(p, "\n"), p);
        for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
                line[n - 1] = '\0';
        return line;
}

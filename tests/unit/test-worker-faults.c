/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each call of penstock-worker and of the processes that it forks fails once, from each place that it is made from
 * (tests/fail): the worker says what came of it, or ends; nobody waits for ever, and no output is cut without a word. */
#include "worker-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fail/fail.h"

#define PATIENCE_USEC (180 * USEC_PER_SEC) /* a worker that hears nothing ends by itself after 60 s */
#define EXPECTED "first\nlast\n"

typedef enum Part { ATTACHED, DETACHED, COMPILED, STOPPED, RELEASED, _PART_MAX } Part;

static const char *const part_names[] = { "attached", "detached", "compiled", "stopped", "released" };

static FailShared *plan;
static char plan_path[] = "/tmp/penstock-test-fail.XXXXXX";

/* As penstockd would go on with its worker. */
typedef struct Play {
        Part part;
        bool compiled, handed, ended;
        unsigned hellos;
        int out_fd;
} Play;

static void start_worker(Bench *b) {
        const char *worker = getenv("PENSTOCK_WORKER"), *library = getenv("PENSTOCK_FAIL_LIBRARY");

        if (!worker || !library) {
                print_message("skipped: PENSTOCK_WORKER, PENSTOCK_FAIL_LIBRARY\n");
                skip();
        }
        b->worker = fork();
        assert_true(b->worker >= 0);
        if (b->worker == 0) {
                setenv("LD_PRELOAD", library, 1);
                setenv("PENSTOCK_FAIL", plan_path, 1);
                setenv("PENSTOCK_FAIL_PROGRAM", strrchr(worker, '/') + 1, 1);
                execl(worker, worker, "42", b->socket, (char *) NULL);
                _exit(126);
        }
}

static void compile(Bench *b) {
        char *argv[] = { "sh", "-c", "exit 0", NULL };
        Launch l = bench_launch(argv);
        int launch = launch_memfd(&l);

        (void) worker_conn_send_compile(b->conn, launch, -1);
        close(launch);
}

static void execute(Bench *b, Play *p) {
        static char secret[256];
        /* What is left in the background is the worker's to kill, if it has groups to do it by. */
        char *argv[] = { "sh", "-c",
                         p->part >= STOPPED ? "trap '' TERM; while :; do sleep 1; done"
                         : b->cgroup[0]     ? "sleep 1000 & echo first; echo aside >&2; cat \"$SECRET\""
                                            : "echo first; echo aside >&2; cat \"$SECRET\"",
                         NULL };
        char *env[] = { "PATH=/usr/bin:/bin", NULL, NULL };
        WorkerExecuteFds fds = WORKER_EXECUTE_FDS_NONE;
        LaunchCredential credential = { "SECRET", secret };
        RequestLimit files = { .resource = RLIMIT_NOFILE, .soft = 64, .hard = 128 };
        LaunchCheck check = { .path = b->home, .kind = LAUNCH_CHECK_DIRECTORY };
        Launch l = bench_launch(argv);
        char shown[300], directory[128];

        snprintf(secret, sizeof(secret), "%s", bench_file(b, "secret", "last\n", 0600));
        snprintf(directory, sizeof(directory), "%s/credentials", b->home);
        snprintf(shown, sizeof(shown), "SECRET=%s/SECRET", directory);
        env[1] = shown;
        l.envp = env;
        l.cwd = b->home;
        l.credentials_directory = directory;
        l.credentials = &credential;
        l.n_credentials = 1;
        l.checks = &check;
        l.n_checks = 1;
        l.limits = &files;
        l.n_limits = 1;
        p->out_fd = p->part == DETACHED ? bench_execute_file(b, &l, fds, SIZE_INFINITY) : bench_execute(b, &l, fds);
        p->handed = true;
}

static void go_on(Bench *b, Play *p) {
        if (!b->conn)
                return;
        if (b->hellos > p->hellos) {
                p->hellos = b->hellos;
                if (b->hello.phase == WORKER_PHASE_NEW)
                        (void) worker_conn_send_groups(b->conn, b->groups);
                if ((p->handed && b->hello.phase < WORKER_PHASE_EXECUTING) ||
                    (p->compiled && b->hello.phase < WORKER_PHASE_COMPILING))
                        (void) worker_conn_send_release(b->conn);
        }
        if (b->exiteds + b->faileds > 0 && !p->ended) {
                p->ended = true;
                (void) worker_conn_send_ack(b->conn);
        } else if (b->starteds > 0 && p->part >= STOPPED && !p->ended) {
                p->ended = p->part == RELEASED;
                if (p->part == RELEASED)
                        (void) worker_conn_send_release(b->conn);
                else
                        kill(b->worker, SIGTERM);
        } else if (b->readies > 0 && !p->handed) {
                if (p->part == COMPILED && !p->compiled) {
                        p->compiled = true;
                        compile(b);
                } else if (p->part != COMPILED || b->compileds > 0)
                        execute(b, p);
        }
}

static uint64_t now_usec(Bench *b) {
        uint64_t now;

        sd_event_now(b->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* Until the worker has ended; false when it does not. */
static bool play(Bench *b, Play *p, int *ret_status) {
        uint64_t begin = now_usec(b);
        pid_t pid;

        start_worker(b);
        while ((pid = waitpid(b->worker, ret_status, WNOHANG)) == 0) {
                if (now_usec(b) > begin + PATIENCE_USEC)
                        return false;
                assert_true(sd_event_run(b->event, 5 * USEC_PER_MSEC) >= 0);
                go_on(b, p);
        }
        assert_int_equal(pid, b->worker);
        b->worker = 0;
        for (unsigned i = 0; i < 20 && b->conn; i++)
                sd_event_run(b->event, 5 * USEC_PER_MSEC);
        return true;
}

/* PID 1 kills what an ended worker left in its unit. */
static bool sweep(Bench *b) {
        pid_t pid;

        if (b->cgroup[0]) {
                (void) !pwrite(b->groups[WORKER_GROUP_ENGINE_KILL], "1", 1, 0);
                (void) !pwrite(b->groups[WORKER_GROUP_COMPILE_KILL], "1", 1, 0);
        }
        for (unsigned i = 0; i < 4000; i++) {
                pid = waitpid(-1, NULL, WNOHANG);
                if (pid < 0)
                        return true;
                if (pid == 0)
                        usleep(5000);
        }
        return false;
}

/* Orphans that are dead are nobody's loss. */
static bool is_populated(const Bench *b, WorkerGroup events) {
        char text[256] = "";

        return b->cgroup[0] && pread(b->groups[events], text, sizeof(text) - 1, 0) > 0 && strstr(text, "populated 1");
}

static const char *judge(Bench *b, const Play *p, int status) {
        bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        bool left = is_populated(b, WORKER_GROUP_ENGINE_EVENTS) || is_populated(b, WORKER_GROUP_COMPILE_EVENTS);

        if (!sweep(b))
                return "a process is left that nobody can kill";
        if (clean && left)
                return "it ended well, and left processes behind";
        if (p->out_fd >= 0) {
                if (p->part == DETACHED)
                        lseek(p->out_fd, 0, SEEK_SET);
                bench_read_output(b, p->out_fd); /* to its end: nobody has the other one any more */
        }
        if (b->exiteds > 0 && b->exited.wait_status == 0 && !(b->exited.flags & WORKER_EXITED_RESULTS_TRUNCATED) &&
            strcmp(b->output, EXPECTED) != 0)
                return "its output was cut without a word";
        if (b->exiteds + b->faileds == 0 && clean && p->part != RELEASED && b->readies > 0 && !(p->compiled && !p->handed) &&
            b->losses < 2)
                return "it ended without a word";
        return NULL;
}

static const char *one(Part part, const char *name) {
        Play p = { .part = part, .out_fd = -1 };
        const char *wrong;
        void *state;
        int status;
        Bench *b;

        assert_int_equal(bench_setup(&state), 0);
        b = state;
        wrong = play(b, &p, &status) ? judge(b, &p, status) : "it neither ends nor says anything";
        if (wrong)
                print_message("%s: %s (status %#x, %u exited, %u failed, %u lost)\n", name, wrong, (unsigned) status,
                              b->exiteds, b->faileds, b->losses);
        bench_teardown(&state);
        return wrong;
}

static unsigned suffer_each(Part part) {
        static FailSite sites[FAIL_SITES_MAX];
        unsigned n, wrong = 0, struck = 0;

        plan->n_sites = 0;
        plan->recording = 1;
        assert_null(one(part, "no fault"));
        plan->recording = 0;
        n = plan->n_sites;
        memcpy(sites, plan->sites, n * sizeof(*sites));
        assert_true(n > 20);
        for (unsigned i = 0; i < n; i++) {
                char name[160];

                snprintf(name, sizeof(name), "%s: %s at %#x < %#x < %#x", part_names[part],
                         plan->names[sites[i].function], sites[i].frames[0], sites[i].frames[1], sites[i].frames[2]);
                plan->target = sites[i];
                plan->fired = plan->skip = 0;
                plan->armed = 1;
                wrong += one(part, name) != NULL;
                struck += plan->fired;
                plan->armed = 0;
        }
        print_message("%s: %u places, %u faults\n", part_names[part], n, struck);
        return wrong;
}

static void each_fault_is_told_or_ends_the_worker(void **state) {
        unsigned wrong = 0;
        int fd;

        (void) state;
        bench_need_root();
        fd = mkostemp(plan_path, O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, sizeof(*plan)), 0);
        plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        assert_true(plan != MAP_FAILED);
        plan->magic = FAIL_MAGIC;
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        for (Part part = 0; part < _PART_MAX; part++)
                wrong += suffer_each(part);
        unlink(plan_path);
        assert_int_equal(wrong, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(each_fault_is_told_or_ends_the_worker) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories that are made writable for a query, and what its process holds between the worker and the program. */
#include "worker-bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const WorkerExecuteFds NO_FDS = WORKER_EXECUTE_FDS_NONE;

static const char *in_dir(const Bench *b, const char *name) {
        static char path[8][128];
        static unsigned next;

        next = (next + 1) % ELEMENTSOF(path);
        snprintf(path[next], sizeof(path[next]), "%s/%s", b->dir, name);
        return path[next];
}

static void mount_tmpfs(const Bench *b, const char *name) {
        assert_return_code(mount("tmpfs", in_dir(b, name), "tmpfs", 0, "mode=755"), errno);
}

static void make_directory(const Bench *b, const char *name) {
        assert_return_code(mkdir(in_dir(b, name), 0755), errno);
        assert_return_code(chown(in_dir(b, name), CALLER_UID, CALLER_GID), errno);
}

static void make_read_only(const Bench *b, const char *name) {
        assert_return_code(mount(NULL, in_dir(b, name), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), errno);
}

/* As in a unit: "top" is read-only, and so is "top/work/below", which is mounted in it by itself. */
static int set_up_mounts(void **state) {
        Bench *b;

        bench_setup(state);
        b = *state;
        if (!b || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return 0;
        make_directory(b, "top");
        mount_tmpfs(b, "top");
        make_directory(b, "top/other");
        make_directory(b, "top/work");
        make_directory(b, "top/work/below");
        mount_tmpfs(b, "top/work/below");
        make_directory(b, "top/work/below/data");
        make_read_only(b, "top/work/below");
        make_read_only(b, "top");
        return 0;
}

static int take_down_mounts(void **state) {
        Bench *b = *state;

        if (b)
                umount2(in_dir(b, "top"), MNT_DETACH);
        return bench_teardown(state);
}

static Bench *bench_with_mounts(void **state) {
        Bench *b = *state;

        bench_need_root();
        if (access(in_dir(b, "top/work"), F_OK) < 0) {
                print_message("skipped: no mounts of its own\n");
                skip();
        }
        return b;
}

static LaunchCheck writable(const char *path) {
        LaunchCheck c = { .path = path, .kind = LAUNCH_CHECK_WRITABLE };
        struct statx st;

        assert_return_code(statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &st), errno);
        c.dev = makedev(st.stx_dev_major, st.stx_dev_minor);
        c.ino = st.stx_ino;
        if (st.stx_mask & STATX_BTIME)
                c.born_nsec = (uint64_t) st.stx_btime.tv_sec * UINT64_C(1000000000) + st.stx_btime.tv_nsec;
        return c;
}

/* Says which of the directories can be written to. */
static Launch launch_that_tries(const Bench *b, const LaunchCheck *checks, size_t n_checks) {
        static char *argv[] = { "sh", "-c", "for d in work work/below work/below/data other; do touch $d/x && echo $d; done 2>&-; true", NULL };
        Launch l = bench_launch(argv);

        l.cwd = in_dir(b, "top");
        l.checks = checks;
        l.n_checks = n_checks;
        return l;
}

static void what_was_looked_at_alone_becomes_writable(void **state) {
        Bench *b = bench_with_mounts(state);
        LaunchCheck check = writable(in_dir(b, "top/work"));
        Launch l = launch_that_tries(b, &check, 1);

        bench_run(b, &l, NO_FDS);
        assert_string_equal(b->output, "work\n");
}

/* In whatever order they come, and without propagation: one must not be hidden by the copy of what it lies in. */
static void one_in_a_mount_below_the_other_becomes_writable_too(void **state) {
        for (unsigned first = 0; first < 2; first++) {
                Bench *b = bench_with_mounts(state);
                LaunchCheck checks[2];
                Launch l;

                checks[first] = writable(in_dir(b, "top/work"));
                checks[!first] = writable(in_dir(b, "top/work/below/data"));
                l = launch_that_tries(b, checks, 2);
                bench_run(b, &l, NO_FDS);
                assert_string_equal(b->output, "work\nwork/below/data\n");
                take_down_mounts(state);
                set_up_mounts(state);
        }
}

static void another_one_is_refused(void **state) {
        Bench *b = bench_with_mounts(state);
        LaunchCheck checks[] = { writable(in_dir(b, "top/other")), writable(in_dir(b, "top/work")) };
        Launch l = launch_that_tries(b, checks, 2);

        checks[1].born_nsec++;
        bench_run_failing(b, &l, WORKER_STEP_CHECK, ESTALE);
        assert_int_equal(b->failed.detail, 1);
}

static void one_that_nobody_looked_at_is_refused(void **state) {
        Bench *b = bench_with_mounts(state);
        LaunchCheck check = { .path = in_dir(b, "top/work"), .kind = LAUNCH_CHECK_WRITABLE };
        Launch l = launch_that_tries(b, &check, 1);

        bench_run_failing(b, &l, WORKER_STEP_CHECK, ESTALE);
}

static void a_symbolic_link_on_the_way_is_refused(void **state) {
        Bench *b = bench_with_mounts(state);
        LaunchCheck check = writable(in_dir(b, "top/work/below"));
        Launch l = launch_that_tries(b, &check, 1);

        assert_return_code(symlink(in_dir(b, "top/work"), in_dir(b, "link")), errno);
        check.path = in_dir(b, "link/below");
        bench_run_failing(b, &l, WORKER_STEP_CHECK, ENOTDIR);
}

/* A name that leads elsewhere when it is followed again, without luck: from where the process has gone to meanwhile. */
static void the_directory_that_is_entered_is_the_one_that_is_compared(void **state) {
        char *argv[] = { "true", NULL }, command[512], named[160], found_later[256];
        Bench *b = *state;
        LaunchCheck check;
        Launch l;

        bench_need_root();
        snprintf(named, sizeof(named), "/proc/self/cwd%s/home", b->dir);
        snprintf(found_later, sizeof(found_later), "%s%s", b->home, b->home);
        snprintf(command, sizeof(command), "mkdir -p %s && chown -R %u %s", found_later, CALLER_UID, b->home);
        assert_int_equal(system(command), 0);
        assert_return_code(chdir("/"), errno); /* the worker's, too */
        check = writable(found_later);
        check.path = named;
        check.kind = LAUNCH_CHECK_DIRECTORY;
        l = bench_launch(argv);
        l.cwd = named;
        l.checks = &check;
        l.n_checks = 1;
        bench_run_failing(b, &l, WORKER_STEP_CHECK, ESTALE);
}

static void what_its_caller_may_not_enter_is_refused(void **state) {
        Bench *b = bench_with_mounts(state);
        LaunchCheck check = writable(in_dir(b, "top/work"));
        Launch l = launch_that_tries(b, &check, 1);

        assert_return_code(chmod(b->dir, 0700), errno);
        l.cwd = "/";
        bench_run_failing(b, &l, WORKER_STEP_CHECK, EACCES);
}

/* ---- */

/* Of this worker: other tests run beside this one, for the same caller. */
static bool is_the_callers(const Bench *b, const char *pid) {
        char path[64], text[1024] = "", parent[32];
        struct stat st;
        int fd;

        snprintf(path, sizeof(path), "/proc/%.32s/status", pid);
        snprintf(parent, sizeof(parent), "\nPPid:\t%d\n", (int) b->worker);
        fd = pid[0] >= '1' && pid[0] <= '9' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
                return false;
        (void) !read(fd, text, sizeof(text) - 1);
        close(fd);
        snprintf(path, sizeof(path), "/proc/%.32s", pid);
        return strstr(text, parent) && stat(path, &st) == 0 && st.st_uid == CALLER_UID;
}

static pid_t find_process(Bench *b) {
        pid_t pid = 0;

        for (unsigned i = 0; pid == 0 && i < 2000; i++) {
                DIR *d = opendir("/proc");

                assert_non_null(d);
                for (struct dirent *e; pid == 0 && (e = readdir(d));)
                        if (is_the_callers(b, e->d_name))
                                pid = (pid_t) strtol(e->d_name, NULL, 10);
                closedir(d);
                sd_event_run(b->event, 10 * USEC_PER_MSEC);
        }
        assert_int_not_equal(pid, 0);
        return pid;
}

/* Counts sockets and files of groups among its descriptors: the status socket is one, under two numbers. */
static void count_descriptors(pid_t pid, unsigned *ret_sockets, unsigned *ret_groups) {
        char path[64], target[512], socket[512] = "";
        struct dirent *e;
        DIR *d;

        *ret_sockets = *ret_groups = 0;
        snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
        d = opendir(path);
        assert_non_null(d);
        while ((e = readdir(d))) {
                ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);

                target[n < 0 ? 0 : n] = '\0';
                if (strncmp(target, "socket:", 7) == 0 && strcmp(target, socket) != 0) {
                        strcpy(socket, target);
                        ++*ret_sockets;
                }
                *ret_groups += strstr(target, "cgroup.") != NULL;
        }
        closedir(d);
}

/* A lease on the program holds its start up where it is the caller and not yet the program. */
static int hold_program(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        signal(SIGIO, SIG_IGN);
        if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
                return fd;
        close(fd);
        print_message("skipped: no leases here\n");
        skip();
        return -1;
}

/* Who may look into a process of its user's (fs.suid_dumpable=1) would find the worker's connection, and the engine's process waiting
 * as root. */
static void a_compile_steps_process_has_nothing_of_the_workers_once_it_is_the_caller(void **state) {
        Bench *b = *state;
        char path[128], *argv[] = { path, NULL };
        unsigned sockets, groups;
        int launch, lease;
        Launch l;

        bench_start_worker(b);
        snprintf(path, sizeof(path), "%s", bench_file(b, "tool", "#!/bin/sh\n", 0755));
        l = bench_launch(argv);
        launch = launch_memfd(&l);
        lease = hold_program(path);
        assert_int_equal(worker_conn_send_compile(b->conn, launch, -1), 0);
        close(launch);
        count_descriptors(find_process(b), &sockets, &groups);
        close(lease);
        assert_int_equal(sockets, 1);
        assert_int_equal(groups, 0);
        bench_wait(b, &b->compileds, 1);
        assert_int_equal(b->compiled.wait_status, 0);
        assert_int_equal(worker_conn_send_release(b->conn), 0);
        bench_wait_worker_gone(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
#define MOUNT_TEST(f) cmocka_unit_test_setup_teardown(f, set_up_mounts, take_down_mounts)

int main(void) {
        const struct CMUnitTest tests[] = {
                MOUNT_TEST(what_was_looked_at_alone_becomes_writable),
                MOUNT_TEST(one_in_a_mount_below_the_other_becomes_writable_too),
                MOUNT_TEST(another_one_is_refused),
                MOUNT_TEST(one_that_nobody_looked_at_is_refused),
                MOUNT_TEST(a_symbolic_link_on_the_way_is_refused),
                MOUNT_TEST(what_its_caller_may_not_enter_is_refused),
                TEST(the_directory_that_is_entered_is_the_one_that_is_compared),
                TEST(a_compile_steps_process_has_nothing_of_the_workers_once_it_is_the_caller),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As root: the child becomes nobody, and sees what nobody may see. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/pathcheck.h"

#define NOBODY 65534
#define FRIENDS 54321 /* a group that nobody's caller is in */

typedef struct Bench {
        sd_event *loop;
        char dir[64];
        bool done;
        int r;
        PathcheckResult *results;
        size_t n;
        Pathcheck *check;
} Bench;

static const char *in_dir(Bench *b, const char *name) {
        static char path[16][256];
        static unsigned next;

        next = (next + 1) % 16;
        snprintf(path[next], sizeof path[next], "%s/%s", b->dir, name);
        return path[next];
}

static void make_file(Bench *b, const char *name, mode_t mode) {
        int fd = open(in_dir(b, name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        assert_true(fd >= 0 && fchmod(fd, mode) == 0);
        close(fd);
}

static int bench_setup(void **state) {
        Bench *b;

        if (geteuid() != 0)
                return 0;
        b = calloc(1, sizeof *b);
        if (!b || sd_event_new(&b->loop) < 0)
                return -1;
        strcpy(b->dir, "/tmp/test-pathcheck.XXXXXX");
        if (!mkdtemp(b->dir) || chmod(b->dir, 0755) < 0)
                return -1;
        *state = b;
        make_file(b, "open", 0666);
        make_file(b, "read-only", 0444);
        make_file(b, "closed", 0600);
        make_file(b, "friends", 0640);
        assert_int_equal(chown(in_dir(b, "friends"), 0, FRIENDS), 0);
        assert_int_equal(mkdir(in_dir(b, "room"), 0777), 0);
        assert_int_equal(chmod(in_dir(b, "room"), 0777), 0); /* whatever the umask is */
        assert_int_equal(mkdir(in_dir(b, "locked"), 0700), 0);
        make_file(b, "locked/open", 0666);
        assert_int_equal(mkfifo(in_dir(b, "fifo"), 0666), 0);
        assert_int_equal(chmod(in_dir(b, "fifo"), 0666), 0);
        assert_int_equal(symlink("open", in_dir(b, "link")), 0);
        assert_int_equal(symlink("nowhere", in_dir(b, "dangling")), 0);
        assert_int_equal(symlink("loop", in_dir(b, "loop")), 0);
        return 0;
}

/* Until the loop has reaped every child. */
static void settle(Bench *b) {
        siginfo_t info;
        int i = 0;

        while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && i++ < 1000)
                assert_true(sd_event_run(b->loop, 10000) >= 0);
        assert_int_equal(errno, ECHILD);
}

static int bench_teardown(void **state) {
        Bench *b = *state;
        char command[128];

        if (!b)
                return 0;
        settle(b);
        pathcheck_results_free(b->results, b->n);
        snprintf(command, sizeof command, "rm -rf %s", b->dir);
        assert_int_equal(system(command), 0);
        sd_event_unref(b->loop);
        free(b);
        return 0;
}

static void on_done(int r, PathcheckResult *results, size_t n, void *userdata) {
        Bench *b = userdata;

        assert_false(b->done);
        b->done = true;
        b->r = r;
        b->results = results;
        b->n = n;
        b->check = pathcheck_free(b->check);
}

static void look(Bench *b, const PathcheckItem *items, size_t n, const uint32_t *gids, size_t n_gids) {
        PathcheckRequest request = {
                .uid = NOBODY, .gid = NOBODY, .gids = gids, .n_gids = n_gids, .items = items, .n_items = n
        };

        pathcheck_results_free(b->results, b->n);
        b->results = NULL;
        b->n = 0;
        b->done = false;
        assert_int_equal(pathcheck_start(b->loop, &request, on_done, b, &b->check), 0);
        while (!b->done)
                assert_true(sd_event_run(b->loop, UINT64_MAX) >= 0);
        assert_int_equal(b->r, 0);
        assert_int_equal(b->n, n);
}

static Bench *bench(void **state) {
        if (!*state)
                skip(); /* must be root to become somebody else */
        return *state;
}

static void what_the_caller_may_open_is_found(void **state) {
        Bench *b = bench(state);
        const PathcheckItem items[] = {
                { "file", in_dir(b, "open"), PATHCHECK_FILE },
                { "file", in_dir(b, "read-only"), PATHCHECK_FILE },
                { "database", in_dir(b, "link"), PATHCHECK_FILE },
                { "working_directory", in_dir(b, "room"), PATHCHECK_DIRECTORY },
                { "file", in_dir(b, "fifo"), PATHCHECK_FILE },
        };
        struct stat st;

        look(b, items, ELEMENTSOF(items), NULL, 0);
        for (size_t i = 0; i < b->n; i++) {
                assert_int_equal(b->results[i].error, 0);
                assert_string_equal(b->results[i].key, items[i].key);
                assert_string_equal(b->results[i].path, items[i].path);
                assert_int_equal(stat(items[i].path, &st), 0);
                assert_int_equal(b->results[i].self.ino, st.st_ino);
                assert_int_equal(b->results[i].self.dev, st.st_dev);
                assert_int_equal(b->results[i].is_directory, i == 3);
                assert_int_equal(b->results[i].is_writable, i != 1);
                assert_true(b->results[i].root_reaches);
        }
        assert_string_equal(b->results[2].resolved, in_dir(b, "open"));
}

static void what_he_may_not_is_refused_with_his_errno(void **state) {
        Bench *b = bench(state);
        const PathcheckItem items[] = {
                { "file", in_dir(b, "closed"), PATHCHECK_FILE },
                { "file", in_dir(b, "locked/open"), PATHCHECK_FILE },
                { "cwd", in_dir(b, "locked"), PATHCHECK_DIRECTORY },
                { "file", in_dir(b, "nowhere"), PATHCHECK_FILE },
                { "file", in_dir(b, "dangling"), PATHCHECK_FILE },
                { "file", in_dir(b, "loop"), PATHCHECK_FILE },
                { "file", in_dir(b, "room"), PATHCHECK_FILE },
                { "cwd", in_dir(b, "open"), PATHCHECK_DIRECTORY },
                { "file", in_dir(b, "friends"), PATHCHECK_FILE },
                { "file", in_dir(b, "open/x"), PATHCHECK_FILE },
        };
        const int errors[] = { EACCES, EACCES, EACCES, ENOENT, ENOENT, ELOOP, EISDIR, ENOTDIR, EACCES, ENOTDIR };

        look(b, items, ELEMENTSOF(items), NULL, 0);
        for (size_t i = 0; i < b->n; i++) {
                assert_int_equal(b->results[i].error, errors[i]);
                assert_null(b->results[i].resolved);
        }
}

static void his_groups_count(void **state) {
        Bench *b = bench(state);
        const PathcheckItem item = { "file", in_dir(b, "friends"), PATHCHECK_FILE };
        const uint32_t gids[] = { NOBODY, FRIENDS };

        look(b, &item, 1, gids, 2);
        assert_int_equal(b->results[0].error, 0);
        assert_false(b->results[0].is_writable);
}

static void freeing_it_early_ends_the_child_and_calls_nobody(void **state) {
        Bench *b = bench(state);
        const PathcheckItem item = { "file", in_dir(b, "open"), PATHCHECK_FILE };
        PathcheckRequest request = { .uid = NOBODY, .gid = NOBODY, .items = &item, .n_items = 1 };

        assert_int_equal(pathcheck_start(b->loop, &request, on_done, b, &b->check), 0);
        b->check = pathcheck_free(b->check);
        settle(b);
        assert_false(b->done);
}

static void no_child_and_no_descriptor_is_left(void **state) {
        Bench *b = bench(state);
        const PathcheckItem item = { "file", in_dir(b, "open"), PATHCHECK_FILE };
        int before, after;

        look(b, &item, 1, NULL, 0); /* what the loop itself opens once */
        settle(b);
        before = dup(0);
        close(before);
        for (int i = 0; i < 20; i++)
                look(b, &item, 1, NULL, 0);
        settle(b);
        after = dup(0);
        close(after);
        assert_int_equal(before, after);
}

static void nothing_and_too_much_are_refused(void **state) {
        Bench *b = bench(state);
        PathcheckRequest request = { .uid = NOBODY, .gid = NOBODY };

        assert_int_equal(pathcheck_start(b->loop, &request, on_done, b, &b->check), -EINVAL);
        request.n_items = PATHCHECK_ITEMS_MAX + 1;
        assert_int_equal(pathcheck_start(b->loop, &request, on_done, b, &b->check), -EINVAL);
        assert_false(b->done);
}

/* ---- what the host has read-only: the first process of a pid namespace of its own is PID 1 here, and sees other mounts ---- */

static bool mount_tmpfs(Bench *b, const char *name, unsigned long flags) {
        return (mkdir(in_dir(b, name), 0755) == 0 || errno == EEXIST) && mount("tmpfs", in_dir(b, name), "tmpfs", flags, "mode=755") == 0;
}

static bool make_directory(Bench *b, const char *name) {
        return mkdir(in_dir(b, name), 0755) == 0;
}

static bool make_mounts(Bench *b) {
        return mount("proc", "/proc", "proc", 0, NULL) == 0 && mount_tmpfs(b, "own", 0) && make_directory(b, "own/deep") &&
               mount_tmpfs(b, "closed-for-writing", MS_RDONLY) && mount_tmpfs(b, "over", 0) && mount_tmpfs(b, "over/below", MS_RDONLY) &&
               mount_tmpfs(b, "over", 0) && make_directory(b, "over/below") && mount_tmpfs(b, "shut", 0) && make_directory(b, "shut/below") &&
               mount_tmpfs(b, "shut/below", 0) && mount_tmpfs(b, "shut", 0) && make_directory(b, "shut/below") &&
               mount(NULL, in_dir(b, "shut"), NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

/* As for the service: all is read-only, and the others are not. */
static bool take_read_only_mounts(Bench *b) {
        static const char *const names[] = { "own", "over", "shut" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (mount(NULL, in_dir(b, names[i]), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
                        return false;
        return true;
}

#define N_PLACES 6u

/* Bit i: the place i is mounted read-only. -1: it could not be looked at. */
static int look_at_places(Bench *b, PathAccess access) {
        static const char *const places[N_PLACES] = { "own", "own/deep", "closed-for-writing", "over/below", "shut/below", "room" };
        PathcheckItem items[N_PLACES];
        PathcheckRequest request = { .uid = NOBODY, .gid = NOBODY, .items = items, .n_items = N_PLACES };
        int bits = 0;

        for (size_t i = 0; i < N_PLACES; i++)
                items[i] = (PathcheckItem) { "working_directory", in_dir(b, places[i]), PATHCHECK_DIRECTORY, access };
        b->done = false;
        if (sd_event_new(&b->loop) < 0 || pathcheck_start(b->loop, &request, on_done, b, &b->check) < 0)
                return -1;
        while (!b->done)
                if (sd_event_run(b->loop, UINT64_MAX) < 0)
                        return -1;
        for (size_t i = 0; i < N_PLACES; i++)
                if (!b->results || b->results[i].error != 0)
                        return -1;
                else
                        bits |= b->results[i].is_mounted_read_only << i;
        return bits;
}

enum { NO_MOUNTS = 254, NO_LOOK = 255 };

/* Runs @f in a process that it ends, in mounts of its own. Returns its exit status. */
static int in_own_mounts(Bench *b, int flags, int (*f)(Bench *, PathAccess), PathAccess access) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                if (unshare(CLONE_NEWNS | flags) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                        _exit(NO_MOUNTS);
                _exit(f(b, access));
        }
        return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : NO_LOOK;
}

static int as_service(Bench *b, PathAccess access) {
        return take_read_only_mounts(b) ? look_at_places(b, access) : NO_MOUNTS;
}

static int as_first_process(Bench *b, PathAccess access) {
        return make_mounts(b) ? in_own_mounts(b, 0, as_service, access) : NO_MOUNTS;
}

static int in_own_processes(Bench *b, PathAccess access) {
        return in_own_mounts(b, 0, as_first_process, access);
}

/* As look_at_places() says, of the service beside its PID 1. */
static int read_only_places(void **state, PathAccess access) {
        int bits = in_own_mounts(bench(state), CLONE_NEWPID, in_own_processes, access);

        if (bits == NO_MOUNTS) {
                print_message("skipped: who runs this may have no mounts of his own\n");
                skip();
        }
        return bits;
}

static void the_hosts_mounts_say_what_is_read_only_and_not_ours(void **state) {
        assert_int_equal(read_only_places(state, PATH_READ_WRITE), 1u << 2 | 1u << 4);
}

static void who_shall_not_write_is_told_nothing_of_it(void **state) {
        assert_int_equal(read_only_places(state, PATH_READ_ONLY), (1u << N_PLACES) - 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(what_the_caller_may_open_is_found),
                TEST(what_he_may_not_is_refused_with_his_errno),
                TEST(his_groups_count),
                TEST(freeing_it_early_ends_the_child_and_calls_nobody),
                TEST(no_child_and_no_descriptor_is_left),
                TEST(nothing_and_too_much_are_refused),
                TEST(the_hosts_mounts_say_what_is_read_only_and_not_ours),
                TEST(who_shall_not_write_is_told_nothing_of_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

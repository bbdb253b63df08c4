/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/launch.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static const uint32_t GIDS[] = { 27, 100, 65534 };
static const RequestLimit LIMITS[] = { { RLIMIT_NOFILE, 256, UINT64_MAX }, { RLIMIT_CPU, 7, 9 } };
static const LaunchCheck CHECKS[] = { { "/home/ann/sales.db", LAUNCH_CHECK_FILE, 8, 4711, 17 },
                                      { "/home/ann", LAUNCH_CHECK_DIRECTORY, 0, 0, 0 } };
static const LaunchCredential CREDENTIALS[] = { { "TOKEN", "/etc/token" }, { "KEY", "/etc/key" } };
static char *ARGV[] = { "sqlite3", "", "-bail", "a b\n'\"\xc3\xa4", NULL };
static char *ENVP[] = { "PATH=/usr/bin", "EMPTY=", "A=B=C", NULL };

static Launch example(void) {
        return (Launch) { .uid = 1000,
                          .gid = 1001,
                          .gids = GIDS,
                          .n_gids = 3,
                          .umask = 027,
                          .limits = LIMITS,
                          .n_limits = 2,
                          .cwd = "/home/ann",
                          .argv = ARGV,
                          .envp = ENVP,
                          .stdin_from = STDIN_CALLER,
                          .query_on_fd = true,
                          .thp_disable = true,
                          .checks = CHECKS,
                          .n_checks = 2,
                          .credentials_directory = "/dev/shm/c",
                          .credentials = CREDENTIALS,
                          .n_credentials = 2 };
}

static void assert_same_vector(char *const *a, char *const *b) {
        size_t i = 0;

        for (; a[i] && b[i]; i++)
                assert_string_equal(a[i], b[i]);
        assert_ptr_equal(a[i], b[i]);
}

/* A sealed memfd of any content, as a hostile or broken penstockd could send. */
static int memfd_of(const void *data, size_t size, int seals) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, size), size);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static size_t bytes_of_example(char *buf, size_t size) {
        Launch l = example();
        int fd = launch_memfd(&l);
        ssize_t n;

        assert_true(fd >= 0);
        n = pread(fd, buf, size, 0);
        assert_true(n > 0 && (size_t) n < size);
        close(fd);
        return (size_t) n;
}

static void what_is_packed_is_unpacked(void **state) {
        Launch l = example(), *d;
        LaunchMap m;
        int fd = launch_memfd(&l);

        (void) state;
        assert_true(fd >= 0);
        assert_int_equal(launch_map(fd, &m), 0);
        d = &m.launch;
        assert_int_equal(d->uid, 1000);
        assert_int_equal(d->gid, 1001);
        assert_int_equal(d->n_gids, 3);
        assert_memory_equal(d->gids, GIDS, sizeof(GIDS));
        assert_int_equal(d->umask, 027);
        assert_int_equal(d->n_limits, 2);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(d->limits[i].resource, LIMITS[i].resource);
                assert_true(d->limits[i].soft == LIMITS[i].soft && d->limits[i].hard == LIMITS[i].hard);
                assert_string_equal(d->credentials[i].name, CREDENTIALS[i].name);
                assert_string_equal(d->credentials[i].path, CREDENTIALS[i].path);
                assert_string_equal(d->checks[i].path, CHECKS[i].path);
                assert_int_equal(d->checks[i].kind, CHECKS[i].kind);
                assert_true(d->checks[i].dev == CHECKS[i].dev && d->checks[i].ino == CHECKS[i].ino);
                assert_int_equal(d->checks[i].born_nsec, CHECKS[i].born_nsec);
        }
        assert_int_equal(d->n_checks, 2);
        assert_int_equal(d->n_credentials, 2);
        assert_string_equal(d->credentials_directory, "/dev/shm/c");
        assert_string_equal(d->cwd, "/home/ann");
        assert_same_vector(d->argv, ARGV);
        assert_same_vector(d->envp, ENVP);
        assert_int_equal(d->stdin_from, STDIN_CALLER);
        assert_true(d->query_on_fd && d->thp_disable);
        assert_ptr_equal(m.shell_argv + 1, d->argv);
        launch_map_done(&m);
        close(fd);
}

static void the_least_launch_works(void **state) {
        char *argv[] = { "true", NULL };
        Launch l = { .cwd = "/", .argv = argv };
        LaunchMap m;
        int fd = launch_memfd(&l);

        (void) state;
        assert_int_equal(launch_map(fd, &m), 0);
        assert_same_vector(m.launch.argv, argv);
        assert_null(m.launch.envp[0]);
        assert_int_equal(m.launch.n_gids + m.launch.n_limits + m.launch.n_checks, 0);
        assert_false(m.launch.query_on_fd || m.launch.thp_disable);
        launch_map_done(&m);
        close(fd);
}

static void the_bounds_of_a_request_fit(void **state) {
        static uint32_t gids[REQUEST_GROUPS_MAX];
        static char *argv[REQUEST_ARGV_MAX + 1];
        char *big = calloc(1, REQUEST_ARG_BYTES_MAX);
        Launch l = example();
        LaunchMap m;
        int fd;

        (void) state;
        assert_non_null(big);
        memset(big, 'x', REQUEST_ARG_BYTES_MAX - 1);
        for (size_t i = 0; i < REQUEST_ARGV_MAX; i++)
                argv[i] = i < 8 ? big : "";
        argv[0] = "exec";
        l.argv = argv;
        l.gids = gids;
        l.n_gids = REQUEST_GROUPS_MAX;
        fd = launch_memfd(&l);
        assert_true(fd >= 0);
        assert_int_equal(launch_map(fd, &m), 0);
        assert_same_vector(m.launch.argv, argv);
        assert_int_equal(m.launch.n_gids, REQUEST_GROUPS_MAX);
        launch_map_done(&m);
        close(fd);
        free(big);
}

static void a_launch_that_must_not_run_is_not_packed(void **state) {
        const uint32_t bad_gids[] = { 1, UINT32_MAX };
        const RequestLimit bad_limit = { .resource = RLIM_NLIMITS };
        const LaunchCheck bad_check = { .path = "relative" };
        char *empty_argv[] = { NULL }, *empty_name[] = { "", NULL };
        char *no_value[] = { "PATH", NULL }, *no_name[] = { "=x", NULL };
        Launch l;
        const LaunchCredential up = { "..", "/etc/x" }, below = { "a/b", "/etc/x" }, relative = { "a", "etc/x" };

        (void) state;
#define REFUSED(error, ...)                                                                                          \
        do {                                                                                                         \
                l = example();                                                                                       \
                __VA_ARGS__;                                                                                         \
                assert_int_equal(launch_memfd(&l), error);                                                           \
        } while (0)
        REFUSED(-EINVAL, l.uid = UINT32_MAX); /* setresuid(-1) would leave root */
        REFUSED(-EINVAL, l.gid = UINT32_MAX);
        REFUSED(-EINVAL, l.gids = bad_gids; l.n_gids = 2);
        REFUSED(-EINVAL, l.umask = 01000);
        REFUSED(-EINVAL, l.cwd = NULL);
        REFUSED(-EINVAL, l.cwd = "home");
        REFUSED(-EINVAL, l.argv = NULL);
        REFUSED(-EINVAL, l.argv = empty_argv);
        REFUSED(-EINVAL, l.argv = empty_name);
        REFUSED(-EINVAL, l.envp = no_value);
        REFUSED(-EINVAL, l.envp = no_name);
        REFUSED(-EINVAL, l.limits = &bad_limit; l.n_limits = 1);
        REFUSED(-EINVAL, l.checks = &bad_check; l.n_checks = 1);
        REFUSED(-E2BIG, l.n_gids = REQUEST_GROUPS_MAX + 1);
        REFUSED(-E2BIG, l.n_limits = REQUEST_LIMITS_MAX + 1);
        REFUSED(-E2BIG, l.n_checks = LAUNCH_CHECKS_MAX + 1);
        REFUSED(-E2BIG, l.n_credentials = LAUNCH_CREDENTIALS_MAX + 1);
        REFUSED(-EINVAL, l.credentials_directory = NULL);
        REFUSED(-EINVAL, l.credentials_directory = "shm");
        REFUSED(-EINVAL, l.credentials = &up; l.n_credentials = 1);
        REFUSED(-EINVAL, l.credentials = &below; l.n_credentials = 1);
        REFUSED(-EINVAL, l.credentials = &relative; l.n_credentials = 1);
#undef REFUSED
}

static void too_many_arguments_are_refused(void **state) {
        static char *argv[LAUNCH_ARGV_MAX + 2];
        Launch l = example();
        int fd;

        (void) state;
        for (size_t i = 0; i < LAUNCH_ARGV_MAX; i++)
                argv[i] = "x";
        l.argv = argv;
        fd = launch_memfd(&l);
        assert_true(fd >= 0);
        close(fd);
        argv[LAUNCH_ARGV_MAX] = "x";
        assert_int_equal(launch_memfd(&l), -E2BIG);
}

static void nobody_can_change_what_was_sealed(void **state) {
        Launch l = example();
        int fds[] = { launch_memfd(&l), launch_query_memfd("select 1", 8) };
        struct stat st;

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                assert_true(fds[i] >= 0);
                assert_int_equal(fcntl(fds[i], F_GET_SEALS) & SEALS, SEALS);
                assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
                assert_int_equal(pwrite(fds[i], "x", 1, 0), -1);
                assert_int_equal(ftruncate(fds[i], 1), -1);
                assert_int_equal(fstat(fds[i], &st), 0);
                assert_int_equal(st.st_mode & 0777, i == 0 ? 0400 : 0444);
                close(fds[i]);
        }
}

static void query_bytes_are_exact_and_at_offset_zero(void **state) {
        size_t len = REQUEST_QUERY_BYTES_MAX;
        char *text = malloc(len), *back = malloc(len + 1);
        int fd;

        (void) state;
        assert_true(text && back);
        for (size_t i = 0; i < len; i++)
                text[i] = (char) (i * 7 % 255 + 1);
        fd = launch_query_memfd(text, len);
        assert_true(fd >= 0);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
        assert_int_equal(read(fd, back, len + 1), len);
        assert_memory_equal(text, back, len);
        close(fd);
        free(text);
        free(back);
}

static void a_memfd_without_all_seals_is_refused(void **state) {
        char bytes[4096];
        size_t n = bytes_of_example(bytes, sizeof(bytes));
        const int each[] = { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE };
        LaunchMap m;
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(each); i++) {
                int fd = memfd_of(bytes, n, SEALS & ~each[i]);

                assert_int_equal(launch_map(fd, &m), -EBADMSG);
                close(fd);
        }
        assert_int_equal(launch_map(null, &m), -EBADMSG);
        assert_int_equal(launch_map(-1, &m), -EBADMSG);
        close(null);
}

static void every_other_length_is_refused(void **state) {
        char bytes[4096] = { 0 };
        size_t n = bytes_of_example(bytes, sizeof(bytes));
        LaunchMap m;

        (void) state;
        for (size_t len = 0; len < n + 16; len++) {
                int fd = memfd_of(bytes, len, SEALS);

                assert_int_equal(launch_map(fd, &m), len == n ? 0 : -EBADMSG);
                if (len == n)
                        launch_map_done(&m);
                close(fd);
        }
}

/* Walk over everything, so that a sanitizer sees a pointer that leads out. */
static size_t weigh(const LaunchMap *m) {
        const Launch *l = &m->launch;
        size_t sum = strlen(l->cwd);

        for (size_t i = 0; l->argv[i]; i++)
                sum += strlen(l->argv[i]);
        for (size_t i = 0; l->envp[i]; i++)
                sum += strlen(l->envp[i]);
        for (size_t i = 0; i < l->n_checks; i++)
                sum += strlen(l->checks[i].path);
        for (size_t i = 0; i < l->n_credentials; i++)
                sum += strlen(l->credentials[i].name) + strlen(l->credentials[i].path) + strlen(l->credentials_directory);
        for (size_t i = 0; i < l->n_gids; i++)
                sum += l->gids[i] & 1;
        for (size_t i = 0; i < l->n_limits; i++)
                sum += (size_t) l->limits[i].resource;
        return sum;
}

/* What is taken is exactly what launch_memfd() writes: no byte of it says nothing. */
static void assert_written_alike(const Launch *l, const char *bytes, size_t n) {
        char again[4096];
        int fd = launch_memfd(l);

        assert_true(fd >= 0);
        assert_int_equal(pread(fd, again, sizeof(again), 0), n);
        assert_memory_equal(again, bytes, n);
        close(fd);
}

/* Any byte changed in any way is refused, or is another record within the rules; never more than its own bytes. */
static void a_changed_record_is_refused_or_within_bounds(void **state) {
        static const unsigned char values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
        char bytes[4096];
        size_t n = bytes_of_example(bytes, sizeof(bytes)), refused = 0;

        (void) state;
        for (size_t at = 0; at < n; at++)
                for (size_t v = 0; v < sizeof(values); v++) {
                        char changed[4096];
                        LaunchMap m;
                        int fd, r;

                        memcpy(changed, bytes, n);
                        changed[at] = (char) values[v];
                        fd = memfd_of(changed, n, SEALS);
                        r = launch_map(fd, &m);
                        close(fd);
                        if (r < 0) {
                                assert_int_equal(r, -EBADMSG);
                                refused++;
                                continue;
                        }
                        assert_true(weigh(&m) < n + 64);
                        assert_true(m.launch.uid != UINT32_MAX && m.launch.gid != UINT32_MAX);
                        assert_true(m.launch.argv[0][0] != '\0');
                        assert_written_alike(&m.launch, changed, n);
                        launch_map_done(&m);
                }
        assert_true(refused > n); /* most of the header, each NUL, … */
}

/* Every 32-bit word of the header, where all counts are, at the values that overflow. */
static void counts_that_overflow_are_refused(void **state) {
        static const uint32_t values[] = { 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0x20000000, 0x10001 };
        char bytes[4096];
        size_t n = bytes_of_example(bytes, sizeof(bytes));

        (void) state;
        for (size_t at = 24; at < 56; at += 4) /* umask, stdin_from, flags, counts */
                for (size_t v = 0; v < ELEMENTSOF(values); v++) {
                        char copy[4096];
                        LaunchMap m;
                        int fd;

                        memcpy(copy, bytes, n);
                        memcpy(copy + at, &values[v], 4);
                        fd = memfd_of(copy, n, SEALS);
                        assert_int_equal(launch_map(fd, &m), -EBADMSG);
                        close(fd);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_packed_is_unpacked),
                cmocka_unit_test(the_least_launch_works),
                cmocka_unit_test(the_bounds_of_a_request_fit),
                cmocka_unit_test(a_launch_that_must_not_run_is_not_packed),
                cmocka_unit_test(too_many_arguments_are_refused),
                cmocka_unit_test(nobody_can_change_what_was_sealed),
                cmocka_unit_test(query_bytes_are_exact_and_at_offset_zero),
                cmocka_unit_test(a_memfd_without_all_seals_is_refused),
                cmocka_unit_test(every_other_length_is_refused),
                cmocka_unit_test(a_changed_record_is_refused_or_within_bounds),
                cmocka_unit_test(counts_that_overflow_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

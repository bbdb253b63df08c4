/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/history where its disk or its file is no good. */
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "history-thread-kit.h"

static void an_unsound_one_is_set_aside(void **state) {
        char aside[128];

        (void) state;
        kit_write(kit_path, "this is no database at all, and long enough to be seen as none", 62);
        start(&plenty);
        wait_for(HISTORY_SET_ASIDE);
        assert_int_equal(heard[HISTORY_OPENED], 1);
        add(kit_row(1, 1, 1));
        assert_int_equal(ask(NULL).n, 1);
        stop();
        snprintf(aside, sizeof(aside), "%s.corrupt", kit_path);
        assert_int_equal(access(aside, F_OK), 0);
}

static void one_that_is_too_new_is_left_alone(void **state) {
        uint64_t written, lost;

        (void) state;
        kit_execute("PRAGMA user_version = 999");
        start(&plenty);
        wait_for(HISTORY_TOO_NEW);
        add(kit_row(1, 1, 1));
        assert_int_equal(ask(NULL).r, -ENOTSUP);
        history_counts(history, &written, &lost);
        assert_int_equal(written, 0);
        assert_int_equal(lost, 1);
        stop();
        kit_execute("PRAGMA user_version = 0");
        assert_int_equal(count_rows(), 0);
}

/* Root may write wherever the file system can. */
static void in_a_read_only_directory_it_says_so_and_goes_on(void **state) {
        uint64_t written, lost;

        (void) state;
        if (geteuid() == 0) {
                if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                    mount("tmpfs", kit_directory, "tmpfs", MS_RDONLY, NULL) < 0) {
                        print_message("no file system can be mounted here: %s\n", strerror(errno));
                        skip();
                }
        } else
                assert_return_code(chmod(kit_directory, 0500), errno);
        start(&plenty);
        wait_for(HISTORY_FAILED);
        assert_non_null(strstr(last_text, "it can't be opened: "));
        add(kit_row(1, 1, 1));
        assert_int_equal(ask(NULL).r, geteuid() == 0 ? -EROFS : -EACCES);
        history_counts(history, &written, &lost);
        assert_int_equal(lost, 1);
        assert_int_equal(heard[HISTORY_FAILED], 1); /* it is not tried again at once */
        stop();
        if (geteuid() == 0)
                assert_return_code(umount(kit_directory), errno);
        else
                assert_return_code(chmod(kit_directory, 0700), errno);
}

/* A disk without room: of files of penstockd's own it is as one that may not grow. */
static void a_full_disk_costs_rows_and_nothing_else(void **state) {
        struct rlimit old, none;
        uint64_t written, lost, id = 0;

        (void) state;
        start(&plenty);
        wait_for(HISTORY_OPENED);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        none = (struct rlimit) { .rlim_cur = 65536, .rlim_max = old.rlim_max };
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
        while (heard[HISTORY_FAILED] == 0) {
                HistoryRow row = kit_row(1, id + 1, id + 1);

                id++;
                if (history_add(history, &row) < 0)
                        break;
                assert_true(sd_event_run(loop, 0) >= 0);
        }
        wait_for(HISTORY_FAILED);
        assert_int_equal(ask(NULL).r, 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        add(kit_row(2, 4711, 1000000));
        assert_int_equal(ask(NULL).first_id, 4711);
        history_counts(history, &written, &lost);
        assert_true(lost > 0);
        stop();
        assert_int_equal(count_rows(), written);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                KIT_TEST(an_unsound_one_is_set_aside),
                KIT_TEST(one_that_is_too_new_is_left_alone),
                KIT_TEST(in_a_read_only_directory_it_says_so_and_goes_on),
                KIT_TEST(a_full_disk_costs_rows_and_nothing_else),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

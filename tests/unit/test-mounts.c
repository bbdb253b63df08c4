/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "host/mounts.h"

static void mount_at(const char *what, const char *path) {
        if (mkdir(path, 0700) < 0)
                assert_int_equal(errno, EEXIST);
        assert_return_code(mount(what, path, "tmpfs", 0, NULL), errno);
}

/* A /run of our own, that nobody else sees. False: who runs this may not have one. */
static bool take_run(void) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return false;
        mount_at("tmpfs", "/run");
        assert_return_code(mkdir("/run/user", 0755), errno);
        return true;
}

static void changed(Mounts *m, bool expected) {
        uint64_t before = m->n_changes;

        assert_true(mounts_look(m));
        assert_int_equal(m->n_changes, before + expected);
}

static void those_of_logins_are_left_out_by_where_they_are_and_not_by_their_name(void **state) {
        Mounts m = MOUNTS_INIT;

        (void) state;
        if (!take_run()) {
                if (errno == EPERM)
                        skip();
                fail_msg("no mounts of its own: errno %d", errno);
        }
        changed(&m, true); /* the first look */
        changed(&m, false);
        mount_at("tmpfs", "/run/user/1000");
        changed(&m, false);
        mount_at("tmpfs", "/run/other");
        changed(&m, true);
        mount_at("/run/user/1000/x", "/run/of-a-user");
        changed(&m, true);
        mounts_close(&m);
        changed(&m, false);
        mounts_close(&m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(those_of_logins_are_left_out_by_where_they_are_and_not_by_their_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

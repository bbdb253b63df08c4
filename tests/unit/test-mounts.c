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

static void what_a_user_mounted_for_himself_is_left_out(void **state) {
        (void) state;
        assert_true(mounts_line_is_left_out("90 29 0:50 / /home/u/m rw,nosuid - fuse.sshfs h:/ rw,user_id=1000,group_id=1000\n"));
        assert_true(mounts_line_is_left_out("90 29 0:50 / /home/u/m rw shared:5 - fuse x rw,user_id=1,group_id=1,max_read=9\n"));
        assert_false(mounts_line_is_left_out("90 29 0:50 / /home/u/m rw - fuse.x h:/ rw,user_id=1000,group_id=1000,allow_other\n"));
        assert_false(mounts_line_is_left_out("90 29 0:50 / /srv/m rw - fuse.x h:/ rw,user_id=0,group_id=0\n"));
        assert_false(mounts_line_is_left_out("90 29 0:50 / /srv/m rw - fuseblk /dev/sda rw,user_id=1000,group_id=0\n"));
        assert_false(mounts_line_is_left_out("90 29 0:50 / /srv/m rw - ext4 user_id=1000,group_id=0 rw\n"));
        assert_false(mounts_line_is_left_out("90 29 0:50 / /srv/m rw - fuse.x user_id=1000,group_id=0"));
        assert_false(mounts_line_is_left_out("90 29 0:50 / /srv/m rw"));
        assert_false(mounts_line_is_left_out(""));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_a_user_mounted_for_himself_is_left_out),
                cmocka_unit_test(those_of_logins_are_left_out_by_where_they_are_and_not_by_their_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

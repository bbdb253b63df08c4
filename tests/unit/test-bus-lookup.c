/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Against the user database of the host: root is in every one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/lookup.h"
#include "host/child.h"

typedef struct Seen {
        sd_event *event;
        Lookup *lookup;
        unsigned n;
        int r;
        uint32_t uid, gid;
        size_t n_gids;
} Seen;

static void on_found(int r, const Caller *found, void *userdata) {
        Seen *s = userdata;

        s->n++;
        s->r = r;
        assert_true(r < 0 ? !found : !!found);
        if (found) {
                s->uid = found->uid;
                s->gid = found->gid;
                s->n_gids = found->n_gids;
        }
        s->lookup = lookup_free(s->lookup);
        sd_event_exit(s->event, 0);
}

static Seen look(const char *name, int (*start)(sd_event *, const char *, LookupHandler, void *, Lookup **)) {
        Seen s = { .uid = UINT32_MAX, .gid = UINT32_MAX };

        assert_return_code(sd_event_new(&s.event), 0);
        assert_return_code(start(s.event, name, on_found, &s, &s.lookup), 0);
        assert_return_code(sd_event_loop(s.event), 0);
        sd_event_unref(s.event);
        assert_int_equal(s.n, 1);
        return s;
}

static void a_user_comes_with_all_its_groups(void **state) {
        Seen s = look("root", lookup_user);

        (void) state;
        assert_int_equal(s.r, 0);
        assert_int_equal(s.uid, 0);
        assert_int_equal(s.gid, 0);
        assert_true(s.n_gids >= 1);
}

static void a_number_with_an_entry_is_a_user_too(void **state) {
        Seen s = look("0", lookup_user);

        (void) state;
        assert_int_equal(s.r, 0);
        assert_int_equal(s.uid, 0);
}

static void an_unknown_name_is_esrch(void **state) {
        (void) state;
        assert_int_equal(look("no-such-user-here", lookup_user).r, -ESRCH);
        assert_int_equal(look("infinity", lookup_user).r, -ESRCH);
        assert_int_equal(look("no-such-group-here", lookup_group).r, -ESRCH);
}

static void a_group_has_a_number(void **state) {
        Seen s = look("root", lookup_group);
        uint32_t gid = UINT32_MAX;

        (void) state;
        assert_int_equal(s.r, 0);
        assert_int_equal(s.gid, 0);
        assert_int_equal(lookup_group_now("root", &gid), 0);
        assert_int_equal(gid, 0);
}

/* Dropped while it runs: no answer, and its child is reaped: at once if it is dead already, else by the loop. */
static void a_dropped_look_up_leaves_no_child(void **state) {
        Seen s = {};

        (void) state;
        assert_return_code(sd_event_new(&s.event), 0);
        assert_return_code(lookup_user(s.event, "root", on_found, &s, &s.lookup), 0);
        s.lookup = lookup_free(s.lookup);
        if (child_left(CHILD_FOR_US) > 0)
                assert_true(sd_event_run(s.event, 10 * USEC_PER_SEC) > 0);
        assert_int_equal(child_left(CHILD_FOR_US), 0);
        assert_int_equal(s.n, 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        sd_event_unref(s.event);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_dropped_look_up_leaves_no_child),
                cmocka_unit_test(a_user_comes_with_all_its_groups),
                cmocka_unit_test(a_number_with_an_entry_is_a_user_too),
                cmocka_unit_test(an_unknown_name_is_esrch),
                cmocka_unit_test(a_group_has_a_number),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

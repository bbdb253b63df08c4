/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk that stands still until the test lets it go on. */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/remover.h"

enum { N = 50 };

static sem_t begun, may_go_on, done;
static uint64_t removed[REMOVER_JOBS_MAX + N];
static unsigned n_removed;

static void note(uint64_t id) {
        removed[n_removed++] = id;
}

static int remove_at_once(uint64_t id) {
        note(id);
        sem_post(&done);
        return 0;
}

/* At the second try. */
static int remove_in_the_end(uint64_t id) {
        static unsigned n_tries;

        return n_tries++ % 2 == 0 ? -EIO : remove_at_once(id);
}

/* The first one waits. */
static int remove_slowly(uint64_t id) {
        if (id == 1) {
                sem_post(&begun);
                sem_wait(&may_go_on);
        }
        return remove_at_once(id);
}

static Remover *begin(sd_event **ret_loop, int (*remove)(uint64_t id)) {
        Remover *r = NULL;

        n_removed = 0;
        assert_int_equal(sem_init(&begun, 0, 0) + sem_init(&may_go_on, 0, 0) + sem_init(&done, 0, 0), 0);
        assert_true(sd_event_new(ret_loop) >= 0);
        assert_int_equal(remover_new(*ret_loop, remove, &r), 0);
        return r;
}

static void expect_all_removed(int (*remove)(uint64_t id)) {
        sd_event *loop;
        Remover *r = begin(&loop, remove);

        for (unsigned i = 0; i < N; i++)
                remover_submit(r, 100 + i);
        for (unsigned i = 0; i < N; i++)
                sem_wait(&done);
        assert_int_equal(n_removed, N);
        for (unsigned i = 0; i < N; i++)
                assert_int_equal(removed[i], 100 + i);
        assert_int_equal(sd_event_run(loop, 0), 0);
        remover_free(r);
        sd_event_unref(loop);
}

static void each_is_removed_once_and_in_order_and_the_loop_is_not_woken(void **state) {
        (void) state;
        expect_all_removed(remove_at_once);
}

static void one_that_fails_is_tried_once_more(void **state) {
        (void) state;
        expect_all_removed(remove_in_the_end);
}

static void who_submits_does_not_wait_for_the_disk(void **state) {
        sd_event *loop;
        Remover *r = begin(&loop, remove_slowly);

        (void) state;
        remover_submit(r, 1);
        sem_wait(&begun);
        for (unsigned i = 0; i < REMOVER_JOBS_MAX; i++)
                remover_submit(r, 2 + i); /* would hang here for ever */
        assert_int_equal(n_removed, 0);

        /* One more than may wait is removed by who asks for it. */
        remover_submit(r, 9999);
        assert_int_equal(n_removed, 1);
        assert_int_equal(removed[0], 9999);
        sem_post(&may_go_on);
        for (unsigned i = 0; i < REMOVER_JOBS_MAX + 2; i++)
                sem_wait(&done);
        assert_int_equal(n_removed, REMOVER_JOBS_MAX + 2);
        remover_free(r);
        sd_event_unref(loop);
}

/* Ten seconds for all of them. */
static int remove_in_10_ms(uint64_t id) {
        (void) usleep(10000);
        return remove_at_once(id);
}

static void what_waits_at_the_end_is_left(void **state) {
        sd_event *loop;
        Remover *r = begin(&loop, remove_in_10_ms);

        (void) state;
        for (uint64_t id = 1; id <= 1000; id++)
                remover_submit(r, id);
        sem_wait(&done);
        remover_free(r);
        assert_in_range(n_removed, 1, 999);
        sd_event_unref(loop);
        assert_null(remover_free(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_is_removed_once_and_in_order_and_the_loop_is_not_woken),
                cmocka_unit_test(one_that_fails_is_tried_once_more),
                cmocka_unit_test(who_submits_does_not_wait_for_the_disk),
                cmocka_unit_test(what_waits_at_the_end_is_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

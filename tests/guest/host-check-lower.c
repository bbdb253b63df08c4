/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quota is taken back without a kill, or not at all. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host-check.h"
#include "host/lower.h"

#define FILE_MIB 100
#define FILE_PATH "/var/lib/penstock-host-check" /* the unit has a /var/tmp of its own */

typedef struct Bench {
        Lower *lower;
        uint64_t told_id;
        int told_r;
        unsigned n_told;
} Bench;

static void on_lowered(uint64_t query_id, int r, void *userdata) {
        Bench *b = userdata;

        b->told_id = query_id;
        b->told_r = r;
        b->n_told++;
}

static bool was_told(Check *c, void *data) {
        (void) c;
        return ((Bench *) data)->n_told > 0;
}

/* Lower and wait for the answer. */
static int lower(Check *c, Bench *b, const Stage *s, uint64_t max_bytes, uint64_t high_bytes) {
        b->n_told = 0;
        if (lower_submit(b->lower, s->groups, s->unit->id, max_bytes, high_bytes) < 0 || !wait_for(c, was_told, b) ||
            b->told_id != s->unit->id)
                return 1;
        return b->told_r;
}

/* It lives, nothing was killed, nothing is frozen, and these are its limits. */
static bool is_well(const Stage *s, uint64_t max_bytes, uint64_t high_bytes) {
        uint64_t max = 0;
        Sample sample;

        if (query_groups_sample(s->groups, &sample) < 0 || query_groups_refresh(s->groups, &max) < 0)
                return false;
        if (sample.populated && !sample.frozen && sample.events_oom_kill == 0 && max == max_bytes &&
            sample.max_bytes == max_bytes && sample.high_bytes == high_bytes)
                return true;
        printf("# populated %d, frozen %d, oom_kill %" PRIu64 ", max %" PRIu64 ", high %" PRIu64 ", current %" PRIu64 "\n",
               sample.populated, sample.frozen, sample.events_oom_kill, sample.max_bytes, sample.high_bytes,
               sample.current_bytes);
        return false;
}

static void check_anonymous(Check *c, Bench *b) {
        Sample sample = {};
        uint64_t target;
        Stage s;
        int r;

        stage_new(c, "eat", "64", &s);
        stage_enter(c, &s, 128 * MIB, 100 * MIB);
        s.at_least = 64 * MIB;
        check(c, wait_for(c, engine_has_eaten, &s) && query_groups_sample(s.groups, &sample) == 0, "it holds 64M");
        target = sample.anon_bytes / MIB * MIB; /* a megabyte short */
        r = lower(c, b, &s, target, 50 * MIB);
        check(c, r == -EBUSY && is_well(&s, 128 * MIB, 100 * MIB), "what it can't give back is not taken: %d", r);
        r = lower(c, b, &s, target - 4096, SIZE_INFINITY);
        check(c, r == -EBUSY && is_well(&s, 128 * MIB, 100 * MIB), "nor with a page less: %d", r);
        r = lower(c, b, &s, 96 * MIB, 88 * MIB);
        check(c, r == 0 && is_well(&s, 96 * MIB, 88 * MIB), "what it has no use for is: %d", r);
        r = lower(c, b, &s, 96 * MIB, 88 * MIB);
        check(c, r == -EINVAL && is_well(&s, 96 * MIB, 88 * MIB), "the same again is not lower: %d", r);
        query_groups_freeze(s.groups, true);
        wait_for(c, engine_is_frozen, &s);
        r = lower(c, b, &s, 80 * MIB, SIZE_INFINITY);
        check(c, r == 0 && query_groups_sample(s.groups, &sample) == 0 && sample.frozen,
              "who was frozen before is afterwards: %d", r);
        query_groups_freeze(s.groups, false);
        stage_done(c, &s);
}

static void check_gone(Check *c, Bench *b) {
        Stage s;
        int r;

        stage_new(c, "eat", "8", &s);
        stage_enter(c, &s, 64 * MIB, SIZE_INFINITY);
        systemd_unit_stop(c->link, s.unit->id);
        check(c, wait_for(c, unit_is_gone, s.unit), "it goes");
        r = lower(c, b, &s, 32 * MIB, SIZE_INFINITY);
        check(c, r == -ENODEV, "lowering a group that is gone: %d", r);
        s.groups = query_groups_free(s.groups);
}

static void check_cache(Check *c, Bench *b) {
        Sample sample = {};
        Stage s;
        int r;

        run_command("head -c %dM /dev/zero >" FILE_PATH " && sync " FILE_PATH " && echo 1 >/proc/sys/vm/drop_caches", FILE_MIB);
        stage_new(c, "read", FILE_PATH, &s);
        stage_enter(c, &s, 160 * MIB, SIZE_INFINITY);
        s.at_least = SCATTERED_MIB * MIB;
        r = wait_for(c, engine_has_eaten, &s) ? query_groups_sample(s.groups, &sample) : 1;
        check(c, r == 0 && sample.file_bytes >= (FILE_MIB - 10) * MIB, "it holds page cache: %" PRIu64, sample.file_bytes);
        r = lower(c, b, &s, 32 * MIB, 28 * MIB);
        check(c, r == 0 && is_well(&s, 32 * MIB, 28 * MIB), "page cache goes: %d", r);
        r = query_groups_sample(s.groups, &sample);
        check(c, r == 0 && sample.current_bytes <= 32 * MIB, "%" PRIu64 " are left", sample.current_bytes);
        stage_done(c, &s);
        unlink(FILE_PATH);
}

/* It begins to grow before, while or after it is lowered. */
static int lower_growing(Check *c, Bench *b, const Stage *s, unsigned try) {
        unsigned pause_usec = try * 7919 % (try % 2 ? 400 : 40) * 1000;

        b->n_told = 0;
        if (try % 2)
                kill(s->engine, SIGUSR1);
        else
                lower_submit(b->lower, s->groups, s->unit->id, 80 * MIB, 64 * MIB);
        usleep(pause_usec);
        if (try % 2)
                lower_submit(b->lower, s->groups, s->unit->id, 80 * MIB, 64 * MIB);
        else
                kill(s->engine, SIGUSR1);
        return wait_for(c, was_told, b) ? b->told_r : 1;
}

/* Whoever lowered it raises it again, as the governor would. */
static void check_growing(Check *c, Bench *b) {
        unsigned n_lowered = 0, n_killed = 0, n_odd = 0;

        for (unsigned i = 0; i < c->tries; i++) {
                uint64_t max, high;
                Sample sample;
                Stage s;
                int r;

                stage_new(c, "grow", "160", &s);
                stage_enter(c, &s, 200 * MIB, SIZE_INFINITY);
                s.at_least = 40 * MIB;
                wait_for(c, engine_has_eaten, &s);
                r = lower_growing(c, b, &s, i);
                n_lowered += r == 0;
                n_odd += r != 0 && r != -EBUSY;
                if (query_groups_refresh(s.groups, &max) < 0 ||
                    query_groups_set_limits(s.groups, 200 * MIB, SIZE_INFINITY, &max, &high) < 0)
                        n_odd++;
                s.at_least = 160 * MIB;
                n_killed += !wait_for(c, engine_has_eaten, &s) || query_groups_sample(s.groups, &sample) < 0 ||
                            sample.events_oom_kill > 0;
                stage_done(c, &s);
        }
        check(c, n_killed == 0 && n_odd == 0,
              "who begins to grow at that moment is not killed: %u of %u killed, %u were lowered, %u odd answers", n_killed,
              c->tries, n_lowered, n_odd);
}

static void check_end(Check *c, Bench *b) {
        Stage s;

        stage_new(c, "eat", "32", &s);
        stage_enter(c, &s, 128 * MIB, SIZE_INFINITY);
        s.at_least = 32 * MIB;
        wait_for(c, engine_has_eaten, &s);
        b->n_told = 0;
        for (unsigned i = 0; i < LOWER_JOBS_MAX; i++)
                (void) lower_submit(b->lower, s.groups, s.unit->id, 20 * MIB, SIZE_INFINITY);
        check(c, lower_submit(b->lower, s.groups, s.unit->id, 20 * MIB, SIZE_INFINITY) == -EAGAIN,
              "no more than %u wait", LOWER_JOBS_MAX);
        b->lower = lower_free(b->lower);
        check(c, b->n_told == 0 && is_well(&s, 128 * MIB, SIZE_INFINITY), "its end leaves nothing frozen");
        stage_done(c, &s);
}

void check_lower(Check *c) {
        Bench b = {};

        if (!check(c, lower_new(c->loop, on_lowered, &b, &b.lower) == 0, "the helper that lowers limits starts"))
                return;
        check_anonymous(c, &b);
        check_cache(c, &b);
        check_growing(c, &b);
        check_gone(c, &b);
        check_end(c, &b);
}

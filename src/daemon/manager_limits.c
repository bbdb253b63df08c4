/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits that are not set on the loop, or not by us. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/entry.h"
#include "host/journal.h"

#define SLICE_CGROUP "/" SYSTEMD_SLICE
/* PID 1 was not asked, or did not answer: it is asked again, each time after twice the pause. */
#define SLICE_AGAIN_USEC (5 * USEC_PER_SEC)
#define SLICE_AGAIN_DOUBLED_MAX 7u
/* Each look reads a file of every unit: not more often than this, however many end. */
#define LEFTOVER_PAUSE_USEC (200 * USEC_PER_MSEC)
/* While there is some it is looked for again, each time after twice the pause, until this; then when something happens. */
#define LEFTOVER_LAST_PAUSE_USEC (5 * USEC_PER_SEC)
#define LEFTOVER_ACCURACY_USEC (20 * USEC_PER_MSEC)
/* Less is noise: the kernel sums up what each CPU counted now and then. */
#define LEFTOVER_STEP_BYTES (1 * MIB)

/* All but one kind of failure leave the limits as they were: what is in force is read in any case. */
static void on_lowered(uint64_t query_id, int r, void *userdata) {
        Event ev = { .type = EVENT_LOWERED, .query_id = query_id, .limits.r = r };
        Manager *m = userdata;
        Entry *e = manager_entry(m, query_id);
        int k;

        if (e && e->n_lowered_before > 0) { /* the engine knows that the run is over, and its next one's groups are others */
                e->n_lowered_before--;
                return;
        }
        k = e && e->groups ? query_groups_refresh(e->groups, &ev.limits.max_bytes) : -ENODEV;
        if (e) {
                e->lowering = false;
                (void) manager_freeze(m, e, false);
        }
        if (r == 0)
                ev.limits.r = k;
        manager_feed(m, &ev);
}

void manager_lower(Manager *m, Entry *e, uint64_t max_bytes, uint64_t high_bytes) {
        Event ev = { .type = EVENT_LOWERED, .query_id = e->record.id };

        /* From here on it can't grow, however long its turn takes to come; on_lowered() thaws it. */
        ev.limits.r = manager_freeze(m, e, true);
        if (ev.limits.r >= 0)
                ev.limits.r = lower_submit(m->lower, e->groups, e->record.id, max_bytes, high_bytes);
        e->lowering = ev.limits.r >= 0;
        if (e->lowering)
                return;
        (void) manager_freeze(m, e, false);
        manager_feed(m, &ev);
}

/* The kernel rounds down to pages. */
static uint64_t in_force(uint64_t bytes) {
        return bytes == SIZE_INFINITY ? bytes : bytes - bytes % (uint64_t) sysconf(_SC_PAGESIZE);
}

static uint64_t without(uint64_t bytes, uint64_t slack) {
        return bytes == SIZE_INFINITY ? bytes : subtract_saturating(bytes, slack);
}

static void tell_cap(Manager *m, uint64_t query_id, uint64_t *known, uint64_t cap_bytes) {
        if (cap_bytes == *known)
                return;
        *known = cap_bytes;
        manager_feed(m, &(Event) { .type = EVENT_CAP, .query_id = query_id, .bytes = cap_bytes });
}

static void on_slice_set(int r, void *userdata) {
        if (r < 0)
                journal_write(LOG_WARNING, JOURNAL_CONFIG, 0, "penstock.slice has not the limit that was set: %s", strerror(-r));
        manager_slice_settled(userdata, r);
}

static int set_slice(Manager *m, uint64_t at_least_bytes, void (*on_done)(int r, void *userdata)) {
        const Config *c = m->config;
        uint64_t bytes = MAX(manager_slice_bytes(m), at_least_bytes);
        uint64_t low = c->concurrency_quota == UINT64_MAX ? 0 : c->concurrency_quota * c->initial_bytes;
        int r = systemd_slice_set(m->systemd, MIN(bytes, m->slice_cap_bytes), low, on_done, m);

        if (r < 0)
                return r;
        m->slice_due_usec = USEC_INFINITY;
        m->n_slice_writes++;
        m->slice_bytes = bytes;
        m->slice_sure_bytes = MIN(m->slice_sure_bytes, bytes);
        return r;
}

/* An administrator's lower limit is none of this: the engine knows it as a cap. */
uint64_t manager_slice_covers(const Manager *m) {
        return without(m->slice_sure_bytes, manager_slice_slack(m));
}

static void say_slice_cap(const Manager *m, uint64_t budget_bytes) {
        const Config *c = m->config;
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];

        if (m->slice_cap_bytes == SIZE_INFINITY)
                journal_write(LOG_NOTICE, JOURNAL_CONFIG, 0,
                              "penstock.slice has no lower MemoryMax= of an administrator's any more");
        else if (budget_bytes < c->initial_bytes)
                journal_write(LOG_WARNING, JOURNAL_CONFIG, 0,
                              "penstock.slice has MemoryMax=%s of an administrator's, which leaves a budget of %s beside what units "
                              "and compile checks may need: less than the %s that a query starts with "
                              "(InitialMemoryBytesQuotaPerQuery), so none starts with that until it is lifted",
                              size_format(m->slice_cap_bytes, a), size_format(budget_bytes, b), size_format(c->initial_bytes, d));
        else
                journal_write(LOG_NOTICE, JOURNAL_CONFIG, 0,
                              "penstock.slice has MemoryMax=%s of an administrator's, lower than penstockd has set: the budget is %s "
                              "until it is lifted",
                              size_format(m->slice_cap_bytes, a), size_format(budget_bytes, b));
}

static void look_at_slice(Manager *m, uint64_t now_bytes) {
        uint64_t ours = in_force(m->slice_bytes), before = m->slice_cap_bytes, budget;

        if (m->n_slice_writes > 0 || m->slice_bytes == 0 || m->slice_due_usec != USEC_INFINITY)
                return; /* ours is on its way */
        m->slice_cap_bytes = now_bytes < ours ? now_bytes : SIZE_INFINITY;
        budget = without(m->slice_cap_bytes, manager_slice_slack(m));
        if (m->slice_cap_bytes != before)
                say_slice_cap(m, MIN(budget, m->config->max_memory_bytes));
        tell_cap(m, 0, &m->cap_bytes, budget);
        if (now_bytes > ours) /* the slice is the fence around all: ours is the highest it may have */
                (void) set_slice(m, 0, on_slice_set);
}

void manager_look_above(Manager *m, Entry *e) {
        uint64_t unit = SIZE_INFINITY, slice = SIZE_INFINITY;

        if (!m->ready)
                return;
        if (!e) {
                if (cgroup_read_value(SLICE_CGROUP, "memory.max", &slice) == 0)
                        look_at_slice(m, slice);
                return;
        }
        if (!e->groups || query_groups_above(e->groups, &unit, &slice) < 0)
                return;
        tell_cap(m, e->record.id, &e->cap_bytes,
                 unit < in_force(e->unit_max_bytes) ? without(unit, UNIT_ALLOWANCE_BYTES) : SIZE_INFINITY);
        look_at_slice(m, slice);
}

static void on_unit_written(void *userdata) {
        Entry *e = userdata;

        manager_look_above(e->manager, e);
}

/* Without it a cap is seen when the query is sampled next. */
void manager_watch_unit(Manager *m, Entry *e) {
        e->unit_watch = sd_event_source_disable_unref(e->unit_watch);
        (void) limit_watch_new(m->event, e->record.control_group, on_unit_written, e, &e->unit_watch);
}

static void on_slice_written(void *userdata) {
        manager_look_above(userdata, NULL);
}

static void set_slice_later(Manager *m) {
        m->slice_due_usec = manager_now(m) + (SLICE_AGAIN_USEC << MIN(m->n_slice_lost, SLICE_AGAIN_DOUBLED_MAX));
        manager_wake_at(m, m->slice_due_usec);
}

void manager_slice_settled(Manager *m, int r) {
        sd_event_source *watch = NULL;

        m->n_slice_writes--;
        m->slice_failed = m->slice_failed || r < 0;
        if (m->n_slice_writes == 0) {
                if (!m->slice_failed)
                        m->slice_sure_bytes = m->slice_bytes;
                m->slice_failed = false;
        }
        /* What PID 1 has heard and did not take effect is not written again and again. */
        m->n_slice_lost = r == -EHOSTUNREACH || r == -ENOMEM ? m->n_slice_lost + 1 : 0;
        if (m->n_slice_lost > 0)
                set_slice_later(m);
        /* Anew each time: the group may be another one. The new one first: with the last one sd-event closes its inotify
         * descriptor, and the kernel waits for all processors (32 ms and more, measured). */
        (void) limit_watch_new(m->event, SLICE_CGROUP, on_slice_written, m, &watch);
        sd_event_source_disable_unref(m->slice_watch);
        m->slice_watch = watch;
        if (r >= 0)
                manager_look_above(m, NULL);
}

int manager_set_slice(Manager *m, uint64_t at_least_bytes, void (*on_done)(int r, void *userdata)) {
        int r;

        manager_look_above(m, NULL); /* nobody has told us, when there was no unit */
        r = set_slice(m, at_least_bytes, on_done ? on_done : on_slice_set);
        if (r < 0) {
                journal_write(LOG_WARNING, JOURNAL_CONFIG, 0, "penstock.slice can't be set now, and is later: %s", strerror(-r));
                set_slice_later(m);
        }
        return r;
}

void manager_look_at_slice_due(Manager *m, uint64_t now_usec) {
        if (m->slice_due_usec > now_usec)
                manager_wake_at(m, m->slice_due_usec);
        else if (!m->reload_waits)
                (void) manager_set_slice(m, 0, NULL);
        else
                manager_raise_slice(m);
}

/* Kernel memory of groups that are gone comes and goes with them, and half of the slice's slack is there for it. What is above that
 * somebody holds: sockets with data in them, for example. */
static void look_for_leftovers(Manager *m) {
        uint64_t bytes;

        m->leftover_usec = manager_now(m);
        if (cgroup_slice_leftovers(SLICE_CGROUP, manager_slice_slack(m) / 2, &bytes) < 0)
                return;
        if (bytes < LEFTOVER_STEP_BYTES)
                bytes = 0;
        if (bytes != 0 && MAX(bytes, m->leftover_bytes) - MIN(bytes, m->leftover_bytes) < LEFTOVER_STEP_BYTES)
                return;
        if (bytes == m->leftover_bytes)
                return;
        m->leftover_bytes = bytes;
        manager_feed(m, &(Event) { .type = EVENT_LEFTOVERS, .bytes = bytes });
}

static void look_later(Manager *m, uint64_t due_usec) {
        if (sd_event_source_set_time(m->leftover_timer, due_usec) >= 0)
                (void) sd_event_source_set_enabled(m->leftover_timer, SD_EVENT_ONESHOT);
}

/* PID 1 removes the directories of a unit in the background: what is there now may be on its way out. */
static int on_leftover_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Manager *m = userdata;

        (void) s, (void) usec;
        look_for_leftovers(m);
        m->leftover_pause_usec *= 2;
        if (m->leftover_bytes > 0 && m->leftover_pause_usec < LEFTOVER_LAST_PAUSE_USEC)
                look_later(m, m->leftover_usec + m->leftover_pause_usec);
        return 0;
}

void manager_look_for_leftovers(Manager *m) {
        if (!m->ready)
                return;
        look_for_leftovers(m); /* before what the unit held is lent out again */
        m->leftover_pause_usec = LEFTOVER_PAUSE_USEC;
        if (m->leftover_bytes > 0 || m->leftover_usec + LEFTOVER_PAUSE_USEC > manager_now(m))
                look_later(m, m->leftover_usec + LEFTOVER_PAUSE_USEC);
}

void manager_look_again_for_leftovers(Manager *m) {
        if (m->leftover_bytes > 0 && manager_now(m) >= m->leftover_usec + LEFTOVER_PAUSE_USEC)
                manager_look_for_leftovers(m);
}

int manager_limits_new(Manager *m) {
        int r = sd_event_add_time(m->event, &m->leftover_timer, CLOCK_MONOTONIC, USEC_INFINITY, LEFTOVER_ACCURACY_USEC,
                                  on_leftover_timer, m);

        if (r >= 0)
                r = sd_event_source_set_enabled(m->leftover_timer, SD_EVENT_OFF);
        return r < 0 ? r : lower_new(m->event, on_lowered, m, &m->lower);
}

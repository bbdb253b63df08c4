/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "daemon/entry.h"
#include "host/journal.h"

#define AGAIN_USEC (50 * USEC_PER_MSEC)
/* /run is full until somebody makes room. */
#define RECORD_AGAIN_USEC USEC_PER_SEC
/* A worker on a host that is busy has all the time that it needs; this is for one that stands still (SIGSTOP). */
#define WORD_USEC (15 * USEC_PER_SEC)

void manager_wake_at(Manager *m, uint64_t usec) {
        if (usec >= m->again_usec)
                return;
        m->again_usec = usec;
        if (!m->draining)
                manager_arm_timer(m);
}

void manager_try_later(Manager *m, Entry *e, unsigned what, int r) {
        if (r >= 0 || r == -ENODEV || r == -ENOENT) { /* a group that is gone is ordinary */
                e->again &= ~what;
                return;
        }
        e->again |= what;
        manager_wake_at(m, manager_now(m) + AGAIN_USEC);
}

void manager_record_later(Manager *m, Entry *e, unsigned what, int r) {
        e->again &= ~what;
        if (r >= 0)
                return;
        e->again |= what;
        manager_wake_at(m, manager_now(m) + RECORD_AGAIN_USEC);
}

void manager_set_flag(Manager *m, StateFlag flag, bool is) {
        unsigned bit = 1u << flag;
        int r = state_set(flag, is);

        if (r >= 0 || !is) { /* to remove it takes no room */
                m->flags_again &= ~bit;
                return;
        }
        if (!(m->flags_again & bit))
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0,
                              "%s can't be written: %s; it is tried again, and a crash would undo it meanwhile",
                              flag == STATE_PAUSED ? "Pause" : "Shutdown", strerror(-r));
        m->flags_again |= bit;
        manager_wake_at(m, manager_now(m) + RECORD_AGAIN_USEC);
}

int manager_freeze(Manager *m, Entry *e, bool frozen) {
        int r = e->groups ? query_groups_freeze(e->groups, frozen) : -ENODEV;

        e->again &= ~(unsigned) (AGAIN_FREEZE | AGAIN_THAW); /* the last word counts */
        manager_try_later(m, e, frozen ? AGAIN_FREEZE : AGAIN_THAW, r);
        return r;
}

void manager_on_groups(Manager *m, Entry *e, ActionType type) {
        if (!e->groups)
                return;
        switch (type) {
        case ACTION_KILL_COMPILE:
                manager_try_later(m, e, AGAIN_KILL_COMPILE, query_groups_kill(e->groups, true));
                break;
        case ACTION_FREEZE:
        case ACTION_THAW:
                (void) manager_freeze(m, e, type == ACTION_FREEZE);
                break;
        case ACTION_TERMINATE: /* a deadline follows, and a kill */
                (void) query_groups_signal(e->groups, SIGTERM);
                break;
        case ACTION_KILL:
                manager_try_later(m, e, AGAIN_KILL, query_groups_kill(e->groups, false));
                manager_await_word(m, e);
                break;
        default:
                break;
        }
}

void manager_tell_state(Manager *m, Entry *e) {
        int r = m->adopted ? m->ops->signal(MANAGER_QUERY_STATE, e->record.id, m->ops_userdata) : 0;

        manager_try_later(m, e, AGAIN_TELL, r == -ENOTCONN ? 0 : r); /* without a bus nobody listens */
}

static void try_again(Manager *m, Entry *e) {
        unsigned what = e->again;

        e->again = 0;
        if (what & AGAIN_FREEZE)
                manager_on_groups(m, e, ACTION_FREEZE);
        if (what & AGAIN_THAW)
                manager_on_groups(m, e, ACTION_THAW);
        if (what & AGAIN_KILL)
                manager_on_groups(m, e, ACTION_KILL);
        if (what & AGAIN_KILL_COMPILE)
                manager_on_groups(m, e, ACTION_KILL_COMPILE);
        if (what & AGAIN_TELL)
                manager_tell_state(m, e);
        if (what & AGAIN_RECORD)
                manager_record_again(m, e, what & AGAIN_RECORD);
        if (e->ack_waits)
                manager_acknowledge_later(m, e);
        if (what & AGAIN_SAMPLE)
                manager_sample(m, e); /* last: it is told to the engine, and entries may leave over that */
}

void manager_await_word(Manager *m, Entry *e) {
        e->word_due_usec = manager_now(m) + WORD_USEC;
        manager_wake_at(m, e->word_due_usec);
}

static void look_for_word(Manager *m, Entry *e, uint64_t now) {
        if (e->word_due_usec > now) {
                manager_wake_at(m, e->word_due_usec);
                return;
        }
        e->word_due_usec = 0;
        if (!e->unit_requested || e->unit_forgotten || (e->ended_told && !e->leaving))
                return;
        journal_write(LOG_WARNING, JOURNAL_UNIT_FAILED, e->record.id,
                      "Query %llu: its worker does not answer; its unit is stopped", (unsigned long long) e->record.id);
        (void) systemd_unit_stop(m->systemd, e->record.id);
}

void manager_try_again(Manager *m) {
        uint64_t now = manager_now(m);

        if (m->again_usec > now)
                return;
        m->again_usec = USEC_INFINITY;
        manager_look_at_slice_due(m, now);
        for (unsigned flag = 0; m->flags_again >> flag; flag++)
                if (m->flags_again >> flag & 1)
                        manager_set_flag(m, (StateFlag) flag, true);
        for (size_t i = m->n_entries; i > 0; i--) {
                Entry *e = i <= m->n_entries ? m->entries[i - 1] : NULL;

                if (e && e->word_due_usec)
                        look_for_word(m, e, now);
                if (e && (e->again || e->ack_waits))
                        try_again(m, e);
        }
}

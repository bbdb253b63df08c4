/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes into the history, and who is told when it can't be kept. docs/history.md. */
#include <errno.h>
#include <string.h>

#include <systemd/sd-id128.h>

#include "daemon/entry.h"
#include "host/history.h"
#include "host/journal.h"

#define HISTORY_FILE "/var/lib/penstock/history.db"

/* Each of a full disk's failures is one of these. */
static const RateLimitRule of_complaints = { .burst = 5, .interval_usec = 600 * USEC_PER_SEC };

static HistoryLimits limits(const Manager *m) {
        return (HistoryLimits) { m->config->history_max_entries, m->config->history_retention_usec };
}

static void complain(Manager *m, const char *what) {
        JournalEntry entry = { .priority = LOG_WARNING, .message = JOURNAL_HISTORY };

        if (rate_limit_take(&m->history_failures, &of_complaints, manager_now(m), &entry.suppressed))
                journal_write_entry(&entry, "History: %s; queries go on without it", what);
}

/* By what was learned before this life. */
static void learn(Manager *m) {
        CLEANUP(freep) Lesson *lessons = NULL;
        size_t n = history_take_lessons(m->history, &lessons);

        for (size_t i = 0; i < n; i++)
                manager_feed(m, &(Event) { .type = EVENT_LEARNED, .lesson = lessons[i] });
}

static void on_news(HistoryNews news, const char *text, void *userdata) {
        Manager *m = userdata;

        switch (news) {
        case HISTORY_OPENED: learn(m); break;
        case HISTORY_SET_ASIDE:
                journal_write(LOG_WARNING, JOURNAL_HISTORY, 0,
                              "History: " HISTORY_FILE " was no sound database; it is " HISTORY_FILE
                              ".corrupt now, and a new one was begun");
                break;
        case HISTORY_TOO_NEW:
                journal_write(LOG_ERR, JOURNAL_HISTORY, 0,
                              "History: " HISTORY_FILE " was written by a newer penstockd: it is left alone, and "
                                                       "nothing is kept; move it away "
                              "and restart penstockd to begin another one");
                break;
        case HISTORY_FAILED: complain(m, text); break;
        default: break;
        }
}

/* It lies on a disk, which is no reason not to serve. */
static void begin(Manager *m) {
        const HistoryLimits now = limits(m);
        int r;

        if (now.max_entries == 0 || m->history)
                return;
        r = history_new(m->event, HISTORY_FILE, &now, on_news, m, &m->history);
        if (r < 0)
                complain(m, strerror(-r));
}

void manager_history_begin(Manager *m) {
        sd_id128_t boot;
        int r = sd_id128_get_boot(&boot);

        if (r < 0) {
                complain(m, "the ID of this boot can't be read");
                return;
        }
        memcpy(m->boot_id, boot.bytes, sizeof(m->boot_id));
        m->has_boot_id = true;
        begin(m);
}

void manager_history_reload(Manager *m) {
        const HistoryLimits now = limits(m);

        if (m->history)
                history_set_limits(m->history, &now);
        else if (m->has_boot_id)
                begin(m);
}

static void add(Manager *m, const Entry *e, int (*add_row)(History *h, HistoryRow *row)) {
        const Query *q = engine_find(m->engine, e->record.id);
        HistoryRow row = {};
        int r;

        if (!m->history || !q)
                return;
        r = history_row_from(q, e->record.created_realtime_usec, e->record.ended_realtime_usec, &row);
        if (r == 0) {
                memcpy(row.boot_id, m->boot_id, sizeof(row.boot_id));
                r = pairlist_merge(&row.labels, &e->record.request.labels);
        }
        if (r == 0)
                r = add_row(m->history, &row);
        else
                history_row_done(&row);
        if (r == 0)
                return;
        metrics_add(m->metrics, METRIC_HISTORY_ROWS_LOST, NULL, NULL, 1);
        complain(m, r == -ENOBUFS ? "the disk is too slow for all queries that end" : strerror(-r));
}

void manager_history_add(Manager *m, const Entry *e) {
        add(m, e, history_add);
}

void manager_history_add_again(Manager *m, const Entry *e) {
        add(m, e, history_add_again);
}

void manager_history_fingerprint(const Manager *m, const Request *r, QuerySpec *spec) {
        FingerprintKey key;

        if (m->history && history_key(m->history, &key))
                fingerprint_make(&key, r, spec->fingerprint);
}

/* Counters only grow: what the thread has counted since the last look. */
void manager_history_count(Manager *m) {
        uint64_t written, lost;

        if (!m->history)
                return;
        history_counts(m->history, &written, &lost);
        metrics_add(m->metrics, METRIC_HISTORY_ROWS, NULL, NULL, written - m->history_written);
        metrics_add(m->metrics, METRIC_HISTORY_ROWS_LOST, NULL, NULL, lost - m->history_lost);
        m->history_written = written;
        m->history_lost = lost;
}

int manager_history_ask(Manager *m, HistoryFilter *f, HistoryAnswer answer, void *userdata, HistoryQuestion **ret) {
        if (m->history)
                return history_ask(m->history, f, answer, userdata, ret);
        history_filter_done(f);
        return -ENODATA;
}

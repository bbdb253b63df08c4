/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/history_thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* @what is of HISTORY_FAILED, NULL for others. */
static void tell(History *h, HistoryNews news, const char *what, int r) {
        pthread_mutex_lock(&h->helper.mutex);
        h->news[news] = true;
        if (what)
                snprintf(h->text, sizeof(h->text), "%s: %s", what, strerror(-r));
        pthread_mutex_unlock(&h->helper.mutex);
        helper_tell(&h->helper);
}

static void close_db(History *h) {
        h->db = history_db_close(h->db);
        pthread_mutex_lock(&h->helper.mutex);
        h->has_key = false;
        pthread_mutex_unlock(&h->helper.mutex);
}

/* Once: what came later the loop knows itself. It does without them if it must. */
static void read_lessons(History *h) {
        Lesson *v = h->has_learned ? NULL : calloc(LEARNED_MAX, sizeof(*v));
        int n = v ? history_db_lessons(h->db, v, LEARNED_MAX) : 0;

        h->has_learned = true;
        if (n <= 0) {
                free(v);
                return;
        }
        pthread_mutex_lock(&h->helper.mutex);
        h->lessons = v;
        h->n_lessons = (size_t) n;
        pthread_mutex_unlock(&h->helper.mutex);
}

static int open_and_read_key(History *h) {
        FingerprintKey key;
        int r = history_db_open(h->path, &h->db);

        if (r == 0)
                r = history_db_key(h->db, &key);
        if (r < 0) {
                close_db(h);
                return r;
        }
        read_lessons(h);
        pthread_mutex_lock(&h->helper.mutex);
        h->key = key;
        h->has_key = true;
        pthread_mutex_unlock(&h->helper.mutex);
        tell(h, HISTORY_OPENED, NULL, 0);
        return 0;
}

/* What is there can't be read. */
static int begin_anew(History *h) {
        int r;

        close_db(h);
        r = history_db_set_aside(h->path);
        if (r == 0)
                r = open_and_read_key(h);
        if (r == 0)
                tell(h, HISTORY_SET_ASIDE, NULL, 0);
        return r;
}

/* Returns 0 with an open database, or -errno. */
static int be_open(History *h) {
        int r;

        if (h->db)
                return 0;
        if (h->refused || (h->failure < 0 && read_clock(CLOCK_MONOTONIC) < h->retry_usec))
                return h->failure;
        r = open_and_read_key(h);
        if (r == -EUCLEAN)
                r = begin_anew(h);
        h->failure = r;
        h->refused = r == -ENOTSUP;
        h->retry_usec = read_clock(CLOCK_MONOTONIC) + HISTORY_RETRY_USEC;
        if (h->refused)
                tell(h, HISTORY_TOO_NEW, NULL, 0);
        else if (r < 0)
                tell(h, HISTORY_FAILED, "it can't be opened", r);
        return r;
}

static void write_rows(History *h, const HistoryRow *rows, unsigned n) {
        int r = be_open(h);
        bool was_open = r == 0;

        if (was_open)
                r = history_db_insert(h->db, rows, n);
        if (was_open && r == -EUCLEAN && begin_anew(h) == 0)
                r = history_db_insert(h->db, rows, n);
        pthread_mutex_lock(&h->helper.mutex);
        if (r < 0)
                h->n_lost += n;
        else
                h->n_written += (unsigned) r;
        h->look = true;
        pthread_mutex_unlock(&h->helper.mutex);
        if (was_open && r < 0)
                tell(h, HISTORY_FAILED, "rows are lost", r);
}

static uint64_t oldest_kept(const HistoryLimits *l) {
        return l->retention_usec == USEC_INFINITY
                               ? 0
                               : subtract_saturating(read_clock(CLOCK_REALTIME), l->retention_usec);
}

/* Opens it, if it is to be, and deletes some. True: there may be more to delete. */
static bool look(History *h, const HistoryLimits *limits) {
        int r;

        if (limits->max_entries == 0) {
                close_db(h);
                return false;
        }
        r = be_open(h);
        if (r < 0)
                return false;
        r = history_db_expire(h->db, limits->max_entries, oldest_kept(limits), HISTORY_AT_ONCE);
        if (r == -EUCLEAN)
                (void) begin_anew(h);
        else if (r < 0)
                tell(h, HISTORY_FAILED, "what is too old can't be deleted", r);
        return r > 0;
}

static bool goes_on(void *userdata) {
        History *h = userdata;
        bool wanted;

        pthread_mutex_lock(&h->helper.mutex);
        wanted = !h->helper.ends && !h->at_work->abandoned;
        pthread_mutex_unlock(&h->helper.mutex);
        return wanted && read_clock(CLOCK_MONOTONIC) < h->give_up_usec;
}

static int search(History *h, HistoryQuestion *q, const HistoryLimits *limits) {
        int r = limits->max_entries == 0 ? -ENODATA : be_open(h);

        if (r < 0)
                return r;
        q->filter.since_usec = MAX(q->filter.since_usec, oldest_kept(limits));
        h->give_up_usec = read_clock(CLOCK_MONOTONIC) + HISTORY_SEARCH_USEC;
        history_db_set_patience(h->db, goes_on, h);
        r = history_db_select(h->db, &q->filter, &q->rows, &q->n);
        history_db_set_patience(h->db, NULL, NULL);
        return r == -EUCLEAN ? begin_anew(h) : r; /* which has no rows */
}

void history_destroy_question(HistoryQuestion *q) {
        history_rows_free(q->rows, q->n);
        history_filter_done(&q->filter);
        free(q);
}

void history_unlink_question(History *h, HistoryQuestion *q) {
        HistoryQuestion **p = &h->questions;

        while (*p != q)
                p = &(*p)->next;
        *p = q->next;
        h->n_questions--;
}

static void answer(History *h, HistoryQuestion *q, const HistoryLimits *limits) {
        bool abandoned;

        q->r = search(h, q, limits);
        pthread_mutex_lock(&h->helper.mutex);
        h->at_work = NULL;
        q->state = QUESTION_DONE;
        abandoned = q->abandoned;
        if (abandoned)
                history_unlink_question(h, q);
        pthread_mutex_unlock(&h->helper.mutex);
        if (abandoned)
                history_destroy_question(q);
        else
                helper_tell(&h->helper);
}

static HistoryQuestion *next_question(const History *h) {
        HistoryQuestion *q = h->questions;

        while (q && q->state != QUESTION_WAITS)
                q = q->next;
        return q;
}

void history_take_row(History *h, HistoryRow *ret) {
        WaitingRow *w = h->first;

        *ret = w->row;
        h->first = w->next;
        if (!h->first)
                h->last = &h->first;
        h->n_waiting--;
        h->n_waiting_again -= w->is_again;
        free(w);
}

/* Rows first, also when the end has come; then who asks; then what is too old. False: there is nothing more to do. */
static bool take(History *h, HistoryWork *w) {
        pthread_mutex_lock(&h->helper.mutex);
        while (!h->helper.ends && h->n_waiting == 0 && !next_question(h) && !h->look)
                pthread_cond_wait(&h->helper.more, &h->helper.mutex);
        *w = (HistoryWork) { .limits = h->limits };
        while (h->n_waiting > 0 && w->n_rows < HISTORY_AT_ONCE)
                history_take_row(h, &w->rows[w->n_rows++]);
        if (w->n_rows == 0 && !h->helper.ends) {
                w->question = h->at_work = next_question(h);
                w->look = !w->question;
                h->look = h->look && !w->look;
        }
        if (w->question)
                w->question->state = QUESTION_AT_WORK;
        pthread_mutex_unlock(&h->helper.mutex);
        return w->n_rows > 0 || w->question || w->look;
}

static void look_again(History *h) {
        pthread_mutex_lock(&h->helper.mutex);
        h->look = true;
        pthread_mutex_unlock(&h->helper.mutex);
}

void *history_work(void *userdata) {
        History *h = userdata;
        HistoryWork *w = &h->work;

        while (take(h, w)) {
                if (w->n_rows > 0 && w->limits.max_entries > 0)
                        write_rows(h, w->rows, w->n_rows);
                else if (w->question)
                        answer(h, w->question, &w->limits);
                else if (w->look && look(h, &w->limits))
                        look_again(h);
                for (unsigned i = 0; i < w->n_rows; i++)
                        history_row_done(&w->rows[i]);
        }
        history_db_close(h->db);
        return NULL;
}

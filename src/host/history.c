/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop's side; history_thread.c is the other one. */
#include "host/history_thread.h"

#include <errno.h>
#include <string.h>

/* SQLite has its parser and its virtual machine on it. */
#define STACK_BYTES (512 * KIB)

static void lock(History *h) {
        pthread_mutex_lock(&h->helper.mutex);
}

static void unlock(History *h) {
        pthread_mutex_unlock(&h->helper.mutex);
}

static void wake(History *h) {
        pthread_cond_signal(&h->helper.more);
}

/* The next that is answered and not told; NULL: none. */
static HistoryQuestion *take_answered(History *h) {
        HistoryQuestion *q;

        lock(h);
        for (q = h->questions; q && q->state != QUESTION_DONE; q = q->next)
                ;
        if (q) {
                history_unlink_question(h, q);
                q->told = true;
        }
        unlock(h);
        return q;
}

static bool take_news(History *h, HistoryNews news, char text[static HISTORY_TEXT_MAX]) {
        bool is;

        lock(h);
        is = h->news[news];
        h->news[news] = false;
        memcpy(text, h->text, HISTORY_TEXT_MAX);
        unlock(h);
        return is;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        History *h = userdata;
        char text[HISTORY_TEXT_MAX];
        HistoryQuestion *q;

        (void) source, (void) fd, (void) revents;
        if (!helper_heard(&h->helper))
                return 0;
        for (unsigned news = 0; news < _HISTORY_NEWS_MAX; news++)
                if (take_news(h, (HistoryNews) news, text))
                        h->told((HistoryNews) news, text, h->userdata);
        while ((q = take_answered(h)))
                q->answer(q->r, q->rows, q->n, q->userdata); /* it may be gone after that */
        return 0;
}

int history_new(sd_event *loop, const char *path, const HistoryLimits *limits, HistoryTold told, void *userdata,
                History **ret) {
        History *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        h->helper.done_fd = -1;
        h->told = told;
        h->userdata = userdata;
        h->limits = *limits;
        h->look = true;
        h->last = &h->first;
        h->path = strdup(path);
        r = h->path ? helper_start(&h->helper, loop, on_done, STACK_BYTES, history_work, h) : -ENOMEM;
        if (r < 0) {
                history_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

History *history_free(History *h) {
        if (!h)
                return NULL;
        helper_done(&h->helper);
        while (h->questions) {
                HistoryQuestion *q = h->questions;

                history_unlink_question(h, q);
                history_destroy_question(q);
        }
        while (h->n_waiting > 0) { /* its thread never began */
                HistoryRow row;

                history_take_row(h, &row);
                history_row_done(&row);
        }
        free(h->lessons);
        free(h->path);
        free(h);
        return NULL;
}

void history_set_limits(History *h, const HistoryLimits *limits) {
        lock(h);
        h->limits = *limits;
        h->look = true;
        wake(h);
        unlock(h);
}

typedef enum RowLife { ROW_NEW, ROW_OF_EARLIER_LIFE } RowLife;

static int add_row(History *h, HistoryRow *row, RowLife life) {
        WaitingRow *w = calloc(1, sizeof(*w));
        int r = w ? 0 : -ENOMEM;

        lock(h);
        if (w && h->limits.max_entries > 0)
                r = life == ROW_OF_EARLIER_LIFE || h->n_waiting - h->n_waiting_again < HISTORY_WAITING_MAX ? 1 : -ENOBUFS;
        if (r > 0) {
                *w = (WaitingRow) { .row = *row, .is_again = life == ROW_OF_EARLIER_LIFE };
                *h->last = w;
                h->last = &w->next;
                h->n_waiting++;
                h->n_waiting_again += w->is_again;
                wake(h);
        }
        unlock(h);
        if (r > 0) {
                *row = (HistoryRow) {};
                return 0;
        }
        free(w);
        history_row_done(row);
        return r;
}

int history_add(History *h, HistoryRow *row) {
        return add_row(h, row, ROW_NEW);
}

int history_add_again(History *h, HistoryRow *row) {
        return add_row(h, row, ROW_OF_EARLIER_LIFE);
}

void history_counts(History *h, uint64_t *ret_written, uint64_t *ret_lost) {
        lock(h);
        *ret_written = h->n_written;
        *ret_lost = h->n_lost;
        unlock(h);
}

bool history_key(History *h, FingerprintKey *ret) {
        bool has;

        lock(h);
        has = h->has_key;
        if (has)
                *ret = h->key;
        unlock(h);
        return has;
}

size_t history_take_lessons(History *h, Lesson **ret) {
        size_t n;

        lock(h);
        *ret = h->lessons;
        n = h->n_lessons;
        h->lessons = NULL;
        h->n_lessons = 0;
        unlock(h);
        return n;
}

int history_ask(History *h, HistoryFilter *filter, HistoryAnswer answer, void *userdata, HistoryQuestion **ret) {
        HistoryQuestion *q = calloc(1, sizeof(*q)), **p = &h->questions;
        bool full;

        if (!q) {
                history_filter_done(filter);
                return -ENOMEM;
        }
        *q = (HistoryQuestion) { .history = h, .filter = *filter, .answer = answer, .userdata = userdata };
        *filter = (HistoryFilter) HISTORY_FILTER_INIT;
        lock(h);
        full = h->n_questions == HISTORY_QUESTIONS_MAX;
        if (!full) {
                while (*p)
                        p = &(*p)->next;
                *p = q;
                h->n_questions++;
                wake(h);
        }
        unlock(h);
        if (full) {
                history_destroy_question(q);
                return -EBUSY;
        }
        *ret = q;
        return 0;
}

HistoryQuestion *history_question_free(HistoryQuestion *q) {
        bool is_mine = true;

        if (!q)
                return NULL;
        if (!q->told) { /* else nobody else knows of it */
                History *h = q->history;

                lock(h);
                is_mine = q->state != QUESTION_AT_WORK;
                if (is_mine)
                        history_unlink_question(h, q);
                q->abandoned = !is_mine;
                unlock(h);
        }
        if (is_mine)
                history_destroy_question(q);
        return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of host/history: one with its loop, and what the loop hears. */
#pragma once

#include <time.h>

#include "history-kit.h"

#include "host/history_thread.h"

/* Far beyond any that is waited for. */
#define DEADLINE_USEC (5 * 60 * USEC_PER_SEC)

static const HistoryLimits plenty = { .max_entries = 100000, .retention_usec = USEC_INFINITY };

static sd_event *loop;
static History *history;
static unsigned heard[_HISTORY_NEWS_MAX];
static char last_text[HISTORY_TEXT_MAX];

static inline void on_news(HistoryNews news, const char *text, void *userdata) {
        assert_ptr_equal(userdata, heard);
        heard[news]++;
        snprintf(last_text, sizeof(last_text), "%s", text);
}

static inline void start(const HistoryLimits *limits) {
        memset(heard, 0, sizeof(heard));
        assert_return_code(sd_event_new(&loop), 0);
        assert_int_equal(history_new(loop, kit_path, limits, on_news, heard, &history), 0);
}

static inline void stop(void) {
        history = history_free(history);
        loop = sd_event_unref(loop);
}

static inline void wait_for(HistoryNews news) {
        while (heard[news] == 0)
                assert_true(sd_event_run(loop, DEADLINE_USEC) > 0);
}

static inline void add(HistoryRow row) {
        assert_int_equal(history_add(history, &row), 0);
        assert_null(row.message);
        assert_int_equal(row.id, 0);
}

static inline uint64_t now(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC;
}

typedef struct Answer {
        bool is_there;
        int r;
        size_t n;
        uint64_t first_id;
} Answer;

static inline void on_answer(int r, HistoryRow *rows, size_t n, void *userdata) {
        Answer *a = userdata;

        assert_false(a->is_there);
        *a = (Answer) { .is_there = true, .r = r, .n = n, .first_id = n > 0 ? rows[0].id : 0 };
}

static inline Answer ask(HistoryFilter *f) {
        HistoryFilter all = HISTORY_FILTER_INIT;
        HistoryQuestion *q = NULL;
        Answer a = {};

        assert_int_equal(history_ask(history, f ?: &all, on_answer, &a, &q), 0);
        while (!a.is_there)
                assert_true(sd_event_run(loop, DEADLINE_USEC) > 0);
        history_question_free(q);
        return a;
}

/* What is there when nobody writes any more. */
static inline uint64_t count_rows(void) {
        HistoryDb *db = NULL;
        uint64_t n;

        assert_int_equal(history_db_open(kit_path, &db), 0);
        n = history_db_count(db);
        history_db_close(db);
        return n;
}

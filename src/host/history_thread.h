/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/history_thread: the inside of a History: what the loop and its thread share, and what the thread does. Only
 * the two files of host/history, and their tests, include it. */
#pragma once

#include "host/helper.h"
#include "host/history.h"
#include "host/history_db.h"

/* Rows of one transaction, and deletions between two looks for something more urgent. */
#define HISTORY_AT_ONCE 64u
/* After a database that could not be opened. */
#define HISTORY_RETRY_USEC (60 * USEC_PER_SEC)
#define HISTORY_TEXT_MAX 256

typedef enum QuestionState { QUESTION_WAITS, QUESTION_AT_WORK, QUESTION_DONE } QuestionState;

struct HistoryQuestion {
        HistoryQuestion *next;
        History *history;
        HistoryFilter filter;
        HistoryAnswer answer;
        void *userdata;
        bool told;           /* the loop's own */
        QuestionState state; /* under the mutex, and the next */
        bool abandoned;      /* its owner is gone: the thread frees it */
        HistoryRow *rows;
        size_t n;
        int r;
};

typedef struct WaitingRow WaitingRow;
struct WaitingRow {
        WaitingRow *next;
        HistoryRow row;
        bool is_again; /* history_add_again() */
};

/* What the thread takes at one time. */
typedef struct HistoryWork {
        HistoryRow rows[HISTORY_AT_ONCE];
        unsigned n_rows;
        HistoryQuestion *question;
        bool look;
        HistoryLimits limits;
} HistoryWork;

struct History {
        HistoryTold told;
        void *userdata;
        char *path;

        Helper helper; /* all up to the next comment is under its mutex */
        HistoryLimits limits;
        WaitingRow *first, **last;
        unsigned n_waiting, n_waiting_again; /* all, and of them those of an earlier life */
        HistoryQuestion *questions; /* in their order, those that were told left out */
        unsigned n_questions;
        bool look; /* open it, or delete what is too old or too much */
        bool has_key;
        FingerprintKey key;
        Lesson *lessons; /* NULL: not read yet, taken, or none */
        size_t n_lessons;
        uint64_t n_written, n_lost;
        bool news[_HISTORY_NEWS_MAX];
        char text[HISTORY_TEXT_MAX];

        /* the thread's own */
        HistoryWork work;
        HistoryDb *db;
        bool refused;        /* it is too new */
        bool has_learned;    /* the lessons were read: there are others since */
        int failure;         /* why it is not open */
        uint64_t retry_usec; /* when it may be tried again */
        uint64_t give_up_usec;
        HistoryQuestion *at_work;
};

void *history_work(void *userdata);
/* Under the mutex, if there is one at all: the first that waits is @ret's. */
void history_take_row(History *h, HistoryRow *ret);
/* Under the mutex. */
void history_unlink_question(History *h, HistoryQuestion *q);
void history_destroy_question(HistoryQuestion *q);

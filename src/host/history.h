/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/history: what is kept of ended queries, in a database on disk, off the loop.
 *
 * One helper thread of ordinary priority does all of SQLite. The loop hands it rows and questions, which are bounded,
 * and never waits for it: a row that finds no place is lost, and counted. Whatever becomes of the disk costs rows,
 * never a query. */
#pragma once

#include <systemd/sd-event.h>

#include "core/history.h"
#include "core/learned.h"
#include "host/fingerprint.h"

/* Rows that wait for the disk: all that a penstockd that starts may find of an earlier life, and as many again. */
#define HISTORY_WAITING_MAX 2048u
/* Questions that wait or are being answered. */
#define HISTORY_QUESTIONS_MAX 16u
/* A search that takes longer is given up: others wait for it. */
#define HISTORY_SEARCH_USEC (10 * USEC_PER_SEC)

typedef struct History History;
typedef struct HistoryQuestion HistoryQuestion;

typedef struct HistoryLimits {
        uint64_t max_entries;    /* 0: nothing is kept, nor told of what was */
        uint64_t retention_usec; /* USEC_INFINITY: without limit */
} HistoryLimits;

/* What the loop is told of the thread's doings, the last of each. */
typedef enum HistoryNews {
        HISTORY_OPENED,    /* and history_key() gives the key */
        HISTORY_SET_ASIDE, /* it was no sound database: another one was begun */
        HISTORY_TOO_NEW,   /* it is of a newer program: nothing is kept */
        HISTORY_FAILED,    /* rows were lost, or the database can't be opened: the text says why */
        _HISTORY_NEWS_MAX,
} HistoryNews;

/* On the loop. @text is of HISTORY_FAILED. */
typedef void (*HistoryTold)(HistoryNews news, const char *text, void *userdata);

/* Starts the thread, which opens @path. Returns 0 or -errno. */
int history_new(sd_event *loop, const char *path, const HistoryLimits *limits, HistoryTold told, void *userdata,
                History **ret);
/* Takes NULL, returns NULL. What waits is written first, unless that fails. Questions must be free. */
History *history_free(History *h);
void history_set_limits(History *h, const HistoryLimits *limits);

/* @row is taken over, and left empty, in every case. Returns 0, -ENOBUFS when too many wait, or -ENOMEM. */
int history_add(History *h, HistoryRow *row);
/* The same of one that ended in an earlier life, which may have written it: nobody is refused, since there are only as many as are
 * known, and none takes the place of a new one. Returns 0 or -ENOMEM. */
int history_add_again(History *h, HistoryRow *row);
/* How many were written and lost by the thread so far. */
void history_counts(History *h, uint64_t *ret_written, uint64_t *ret_lost);
/* The key of the fingerprints that stand in it. False: it is not open. */
bool history_key(History *h, FingerprintKey *ret);

/* What was learned in earlier lives, the oldest first, once it is open: to be had once. free(3) it. Returns how many. */
size_t history_take_lessons(History *h, Lesson **ret);

/* On the loop, once. @r: 0; -ENODATA: nothing is kept, says HistoryMaxEntries=; or what history_db says. @rows stay
 * the question's. */
typedef void (*HistoryAnswer)(int r, HistoryRow *rows, size_t n, void *userdata);
/* All rows that were added before are seen. @filter is taken over, and left as new, in every case. Returns 0, -EBUSY
 * when too many wait, or -ENOMEM. */
int history_ask(History *h, HistoryFilter *filter, HistoryAnswer answer, void *userdata, HistoryQuestion **ret);
/* Takes NULL, returns NULL. One that was not answered yet will not be. */
HistoryQuestion *history_question_free(HistoryQuestion *q);

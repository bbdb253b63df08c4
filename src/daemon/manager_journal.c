/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told in the journal of queries: notes of the engine, refusals, and (where the administrator wants it) the
 * texts of those that Shutdown ended. No query and no user can flood it. */
#include <string.h>
#include <unistd.h>

#include "core/excerpt.h"
#include "daemon/entry.h"
#include "host/journal.h"

/* A query that doubles its quota all the way needs a dozen; the rest is one that goes up and down. */
static const RateLimitRule of_query = { .burst = 30, .interval_usec = 10 * USEC_PER_SEC };
/* Refusals are cheap to cause: whoever asks again and again is told of in a few lines a minute. */
static const RateLimitRule of_user = { .burst = 20, .interval_usec = 5 * USEC_PER_SEC };
static const RateLimitRule of_all_users = { .burst = 200, .interval_usec = USEC_PER_SEC / 2 };

#define QUERY_TEXT_MAX 4096

typedef struct Kind {
        JournalMessage message;
        int priority;
} Kind;

static Kind kind_of_end(ErrorCode code) {
        switch (code) {
        case ERROR_NONE:
        case ERROR_CANCELED:
        case ERROR_SHUTTING_DOWN: return (Kind) { JOURNAL_END, LOG_INFO };
        case ERROR_MEMORY_LIMIT_EXCEEDED: return (Kind) { JOURNAL_END_MEMORY_LIMIT, LOG_NOTICE };
        case ERROR_MEMORY_BUDGET_EXHAUSTED: return (Kind) { JOURNAL_END_MEMORY_BUDGET, LOG_WARNING };
        case ERROR_DEPENDENCY_FAILED: return (Kind) { JOURNAL_DEPENDENCY, LOG_WARNING };
        case ERROR_TIMEOUT:
        case ERROR_QUEUE_TIMEOUT: return (Kind) { JOURNAL_END_TIMEOUT, LOG_NOTICE };
        default: return (Kind) { JOURNAL_END_FAILED, LOG_INFO };
        }
}

/* Ended before it ever ran, and not because the service stops: as cheap to cause as a refusal. */
static bool is_cheap_end(const Entry *e, const Query *q) {
        return e && q && !e->handed && query_error(q) != ERROR_NONE && query_error(q) != ERROR_SHUTTING_DOWN;
}

static bool take_of_user(Manager *m, const uid_t *uid, uint64_t *ret_suppressed) {
        return user_limits_take(&m->refusals, uid ? *uid : UINT32_MAX, &of_user, &of_all_users, manager_now(m),
                                ret_suppressed);
}

void manager_note(Manager *m, Entry *e, const Action *a) {
        static const Kind kinds[] = {
                [NOTE_RAISE] = { JOURNAL_RAISE, LOG_INFO },       [NOTE_DENIED] = { JOURNAL_DENIED, LOG_WARNING },
                [NOTE_FREEZE] = { JOURNAL_FREEZE, LOG_NOTICE },   [NOTE_THAW] = { JOURNAL_THAW, LOG_INFO },
                [NOTE_VICTIM] = { JOURNAL_VICTIM, LOG_WARNING },  [NOTE_END] = { JOURNAL_END, LOG_INFO },
                [NOTE_LIMIT_FAILED] = { JOURNAL_LIMIT_FAILED, LOG_ERR }, [NOTE_LOWERED] = { JOURNAL_LOWERED, LOG_INFO },
                [NOTE_LEARNED] = { JOURNAL_LEARNED, LOG_INFO },   [NOTE_RETRY] = { JOURNAL_RETRY, LOG_NOTICE },
        };
        const Query *q = engine_find(m->engine, a->query_id);
        Kind kind = kinds[a->note];
        JournalEntry entry = { .query_id = a->query_id };

        if (a->note == NOTE_END) {
                /* One a query, with what is left to tell: always written of one that ran. */
                kind = kind_of_end(q ? query_error(q) : ERROR_NONE);
                entry.error_name = q ? error_name(query_error(q)) : NULL;
                if (is_cheap_end(e, q) && !take_of_user(m, &e->record.request.uid, &entry.suppressed))
                        return;
                entry.suppressed += e ? rate_limit_drain(&e->notes) : 0;
        } else if (e && !rate_limit_take(&e->notes, &of_query, manager_now(m), &entry.suppressed))
                return;
        entry.message = kind.message;
        entry.priority = kind.priority;
        if (e)
                entry.uid = &e->record.request.uid;
        journal_write_entry(&entry, "Query %llu: %s", (unsigned long long) a->query_id, a->error.message);
}

void manager_note_refusal(Manager *m, const uid_t *uid, const Error *error) {
        JournalEntry entry = { .priority = LOG_NOTICE,
                               .message = JOURNAL_REFUSED,
                               .error_name = error_name(error->code),
                               .uid = uid };

        if (!take_of_user(m, uid, &entry.suppressed))
                return;
        journal_write_entry(&entry, "A query was refused: %s: %s", entry.error_name, error->message);
}

/* The beginning of what the query was, as one text. */
static const char *query_text(const Entry *e, char buf[static QUERY_TEXT_MAX]) {
        const Request *r = &e->record.request;
        char raw[QUERY_TEXT_MAX];
        size_t n = 0;

        if (e->query_fd >= 0) {
                ssize_t k = pread(e->query_fd, raw, sizeof(raw), 0);

                n = k > 0 ? (size_t) k : 0;
        } else
                for (size_t i = 0; i < r->argv.n && n < sizeof(raw); i++) {
                        size_t len = MIN(strlen(r->argv.v[i]), sizeof(raw) - n);

                        memcpy(raw + n, r->argv.v[i], len);
                        n += len;
                        if (i + 1 < r->argv.n && n < sizeof(raw))
                                raw[n++] = ' ';
                }
        if (n == 0 && r->file)
                return r->file;
        (void) excerpt_make(raw, n, buf, QUERY_TEXT_MAX);
        return buf;
}

void manager_note_shutdown(Manager *m, const Entry *e) {
        const Query *q = engine_find(m->engine, e->record.id);
        char buf[QUERY_TEXT_MAX];

        if (!m->config->log_query_text_on_shutdown || !q || query_error(q) != ERROR_SHUTTING_DOWN)
                return;
        journal_write_entry(&(JournalEntry) { .priority = LOG_NOTICE,
                                              .message = JOURNAL_SHUTDOWN_TEXT,
                                              .query_id = e->record.id,
                                              .uid = &e->record.request.uid,
                                              .query_text = query_text(e, buf) },
                            "Query %llu in %s was canceled by Shutdown; PENSTOCK_QUERY_TEXT= has its text",
                            (unsigned long long) e->record.id, e->record.request.language);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/excerpt.h"
#include "core/trace.h"

/* The limit that the kernel was last seen to have for a query. */
typedef struct Promise {
        uint64_t query_id, bytes;
        bool ended; /* engine/ is empty, and another run has not begun: what was written before and is read later binds nobody */
} Promise;

typedef struct Player {
        Replay *r;
        char *failure;
        Config config;
        Engine *engine;
        ActionList actions;
        size_t n_seen; /* of @actions, found in the trace */
        Promise *promises;
        size_t n_promises, allocated;
        uint64_t promised_bytes, budget_bytes;
        bool has_header;
} Player;

static int say(Player *p, int r, const char *format, ...) PRINTF_LIKE(3, 4);
static int say(Player *p, int r, const char *format, ...) {
        char text[REPLAY_FAILURE_MAX];
        int n = snprintf(text, sizeof(text), "line %" PRIu64 ": ", p->r->n_lines);
        va_list ap;

        va_start(ap, format);
        vsnprintf(text + n, sizeof(text) - (size_t) n, format, ap);
        va_end(ap);
        excerpt_make(text, strlen(text), p->failure, REPLAY_FAILURE_MAX); /* a trace may be anybody's */
        return r;
}

static Promise *find_promise(Player *p, uint64_t query_id) {
        for (size_t i = p->n_promises; i > 0; i--) /* the late ones are asked for most */
                if (p->promises[i - 1].query_id == query_id)
                        return &p->promises[i - 1];
        return NULL;
}

static int promise(Player *p, uint64_t query_id, uint64_t bytes) {
        Promise *it = find_promise(p, query_id);

        if (!it) {
                if (p->n_promises == p->allocated) {
                        size_t n = MAX(2 * p->allocated, 64u);
                        Promise *v = realloc(p->promises, n * sizeof(*v));

                        if (!v)
                                return -ENOMEM;
                        p->promises = v;
                        p->allocated = n;
                }
                it = &p->promises[p->n_promises++];
                *it = (Promise) { .query_id = query_id };
        }
        if (it->ended)
                return 0;
        p->r->n_raises += it->bytes > 0 && bytes > it->bytes;
        p->promised_bytes = add_saturating(p->promised_bytes - it->bytes, bytes);
        it->bytes = bytes;
        return 0;
}

/* Also of a query that was promised nothing so far: the answer to a write may come after its end. */
static int take_back(Player *p, uint64_t query_id) {
        int r = promise(p, query_id, 0);

        if (r >= 0)
                find_promise(p, query_id)->ended = true;
        return r;
}

/* Who is handed over after his end is run once more. */
static void book_runs(Player *p) {
        for (size_t i = 0; i < p->actions.n; i++) {
                Promise *it = p->actions.v[i].type == ACTION_EXECUTE ? find_promise(p, p->actions.v[i].query_id) : NULL;

                if (it)
                        it->ended = false;
        }
}

/* The budget in force. What is held above a smaller one, or about to be written, comes back bit by bit, and is not to be had
 * again. */
static void book_budget(Player *p, const Event *ev) {
        const Budget *b = engine_budget(p->engine);
        uint64_t most = MAX(b->total_bytes, MAX(p->promised_bytes, budget_leased_bytes(b)));

        if (ev->type == EVENT_CONFIG || ev->type == EVENT_CAP)
                p->budget_bytes = most;
        else if (ev->type == EVENT_ADOPT)
                p->budget_bytes = MAX(p->budget_bytes, p->promised_bytes);
        else
                p->budget_bytes = MIN(p->budget_bytes, most);
}

/* The instants at which the sum can change are the writes, in their order, and the ends. */
static int book(Player *p, const Event *ev) {
        bool is_told = ev->type == EVENT_CONFIG || ev->type == EVENT_CAP || ev->type == EVENT_ADOPT;
        int r = 0;

        if ((ev->type == EVENT_LIMITS || ev->type == EVENT_LOWERED) && ev->limits.max_bytes > 0)
                r = promise(p, ev->query_id, ev->limits.max_bytes);
        else if (ev->type == EVENT_ADOPT && ev->adopt.snapshot->limit_bytes > 0)
                r = promise(p, ev->query_id, ev->adopt.snapshot->limit_bytes);
        else if (ev->type == EVENT_ENDED || ev->type == EVENT_UNIT_GONE)
                r = take_back(p, ev->query_id);
        book_runs(p);
        if (is_told) /* else it is what was in force before */
                book_budget(p, ev);
        if (p->promised_bytes > p->r->promised_peak_bytes) {
                p->r->promised_peak_bytes = p->promised_bytes;
                p->r->budget_bytes = p->budget_bytes;
        }
        if (r == 0 && p->promised_bytes > p->budget_bytes)
                return say(p, -EPROTO, "%" PRIu64 " bytes are promised, the budget is %" PRIu64, p->promised_bytes,
                           p->budget_bytes);
        if (!is_told)
                book_budget(p, ev);
        return r;
}

static int expect_all_seen(Player *p) {
        char line[TRACE_LINE_MAX];

        if (p->n_seen == p->actions.n)
                return 0;
        return say(p, -EPROTO, "the engine asks for more than the trace has: %.500s",
                   trace_action_line(&p->actions.v[p->n_seen], line));
}

/* Another start is another life of the service, which is told anew what the one before left. */
static int on_start(Player *p, const TraceRecord *record) {
        if (!p->has_header)
                return say(p, -EBADMSG, "a start in the wrong place");
        p->engine = engine_free(p->engine);
        p->actions.n = p->n_seen = p->n_promises = 0;
        p->promised_bytes = 0;
        p->r->n_starts++;
        p->budget_bytes = p->config.max_memory_bytes;
        if (p->r->promised_peak_bytes == 0)
                p->r->budget_bytes = p->budget_bytes;
        return engine_new(&p->config, record->first_id, &p->engine);
}

/* As the service looks before it asks the engine. */
static bool may_be_adopted(const Player *p, const TraceRecord *record) {
        return query_snapshot_is_valid(&record->snapshot) && !engine_find(p->engine, record->event.query_id);
}

static int on_event(Player *p, TraceRecord *record) {
        int r;

        if (!p->engine)
                return say(p, -EBADMSG, "an event before the start");
        r = expect_all_seen(p);
        if (r < 0)
                return r;
        if (record->event.type == EVENT_CONFIG)
                record->event.config = &p->config;
        if (record->event.type == EVENT_ADOPT && !may_be_adopted(p, record))
                return say(p, -EBADMSG, "query %" PRIu64 " is known already, or cannot be as it is taken over", record->event.query_id);
        p->r->n_events++;
        p->n_seen = 0;
        r = engine_step(p->engine, &record->event, record->now_usec, &p->actions);
        return r < 0 ? r : book(p, &record->event);
}

static int on_action(Player *p, const char *line) {
        char mine[TRACE_LINE_MAX];

        if (p->n_seen == p->actions.n)
                return say(p, -EPROTO, "the engine does not ask for: %.500s", line);
        trace_action_line(&p->actions.v[p->n_seen++], mine);
        if (strcmp(mine, line) != 0)
                return say(p, -EPROTO, "the engine asks for: %.450s\n  the trace has: %.450s", mine, line);
        p->r->n_actions++;
        return 0;
}

static int on_line(Player *p, const char *line) {
        TraceRecord record;

        p->r->n_lines++;
        if (trace_parse_line(line, &p->config, &record) < 0)
                return say(p, -EBADMSG, "not a line of a trace: %.80s", line);
        switch (record.line) {
        case TRACE_LINE_HEADER:
                if (p->has_header && !p->engine)
                        return say(p, -EBADMSG, "a second header");
                p->has_header = true;
                return 0;
        case TRACE_LINE_CONFIG: return p->has_header ? 0 : say(p, -EBADMSG, "no header");
        case TRACE_LINE_START: return on_start(p, &record);
        case TRACE_LINE_EVENT: return on_event(p, &record);
        case TRACE_LINE_ACTION: return on_action(p, line);
        }
        return -EBADMSG;
}

/* The next line without its newline. No trace has one that does not fit, so what is no trace takes no memory; nor is a trace
 * whose rest can't be read one that has come to its end. Half a line is the end. */
static int read_line(Player *p, FILE *f, char line[static TRACE_LINE_MAX], bool *ret_ended) {
        size_t n = 0;
        int c;

        errno = 0;
        while ((c = getc_unlocked(f)) != EOF && c != '\n') {
                if (c == 0 || n + 1 == TRACE_LINE_MAX) {
                        p->r->n_lines++;
                        return say(p, -EBADMSG, c == 0 ? "a NUL" : "it is longer than any of a trace");
                }
                line[n++] = (char) c;
        }
        line[n] = 0;
        if (ferror(f))
                return errno ? -errno : -EIO;
        *ret_ended = c == EOF;
        return 0;
}

int replay_run(FILE *f, Replay *ret, char failure[static REPLAY_FAILURE_MAX]) {
        Player p = { .r = ret, .failure = failure };
        bool ended = false;
        char line[TRACE_LINE_MAX];
        int r = 0;

        *ret = (Replay) {};
        failure[0] = 0;
        while (r == 0 && !ended) {
                r = read_line(&p, f, line, &ended);
                if (r == 0 && !ended)
                        r = on_line(&p, line);
        }
        if (r == 0 && !p.engine)
                r = say(&p, -EBADMSG, "the trace has no start");
        /* The last step may have been cut short: what it asked for need not all be there. */
        engine_free(p.engine);
        actions_done(&p.actions);
        free(p.promises);
        return r;
}

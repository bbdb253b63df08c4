/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine_shell.h"

#define ULL(x) ((unsigned long long) (x))
/* The ID of @q, for a message. */
#define ID(q) ULL((q)->id)

static Seen *seen_by_id(Shell *s, uint64_t id) {
        for (size_t i = 0; i < s->n; i++)
                if (s->seen[i].id == id)
                        return &s->seen[i];
        return NULL;
}

/* Its unit goes, and another one may come: that of a first run, or one that nothing has run in, of which one is made up for. */
static bool makes_room(const Shell *s, const Seen *q, const Event *ev) {
        const Query *known = engine_find(s->engine, q->id);

        if (!q->unit || q->ended || !known)
                return false;
        if (q->between_runs)
                return ev->type == EVENT_UNIT_GONE || ev->type == EVENT_UNIT_FAILED;
        return ev->type == EVENT_UNIT_GONE && known->run == RUN_NONE && !known->unit_lost;
}

/* What an event makes true, before the engine hears of it. */
static void book_event(Shell *s, const Event *ev) {
        Seen *q = seen_by_id(s, ev->query_id);

        if (ev->type == EVENT_SHUTDOWN) {
                s->shut_down = true;
                s->shutdowns_open = 1; /* one answer is for all that asked */
        }
        if (!q)
                return;
        if (makes_room(s, q, ev)) {
                q->unit = q->ready = q->unit_released = q->unit_gone = q->unit_failed = q->executed = q->over = q->between_runs = false;
                return;
        }
        switch (ev->type) {
        case EVENT_DEPENDENCIES: q->checked |= q->check && !q->ended && (!ev->error || ev->error->code == ERROR_NONE); break;
        case EVENT_UNIT_READY: q->ready |= q->unit; break;
        case EVENT_UNIT_FAILED: q->unit_failed = true; break;
        case EVENT_COMPILED: q->compiled |= q->compile; break;
        case EVENT_LOWERED:
                if (q->lowering && ev->limits.r == 0)
                        q->limit_bytes = MIN(q->limit_bytes, ev->limits.max_bytes);
                q->lowering = false;
                break;
        case EVENT_UNIT_GONE:
        case EVENT_ENDED:
                q->unit_gone |= ev->type == EVENT_UNIT_GONE && q->unit; /* else that of nobody */
                q->over |= q->executed;
                if (q->over)
                        q->limit_bytes = 0;
                break;
        default: break;
        }
}

static void on_limits(Shell *s, Seen *q, const Action *a) {
        const Query *known = engine_find(s->engine, q->id);

        PROMISE(a->limits.max_bytes % 4096 == 0 && a->limits.max_bytes <= known->max_bytes, "q%llu: a limit of %llu, its maximum is %llu",
                ID(q), ULL(a->limits.max_bytes), ULL(known->max_bytes));
        PROMISE(a->limits.high_bytes <= a->limits.max_bytes || a->limits.high_bytes == SIZE_INFINITY, "q%llu: high above max", ID(q));
        if (a->type == ACTION_LOWER) {
                PROMISE(!q->lowering && !q->frozen && a->limits.max_bytes < q->limit_bytes, "q%llu: lowered to %llu from %llu", ID(q),
                        ULL(a->limits.max_bytes), ULL(q->limit_bytes));
                q->lowering = true;
                q->lower_to_bytes = a->limits.max_bytes;
        } else {
                PROMISE(!q->lowering, "q%llu gets a limit while it is lowered", ID(q));
                q->limit_bytes = a->limits.max_bytes;
        }
}

static void on_run_action(Shell *s, Seen *q, const Action *a) {
        PROMISE(q->executed && !q->over, "%d for q%llu, which does not run", (int) a->type, ID(q));
        switch (a->type) {
        case ACTION_SET_LIMITS:
        case ACTION_LOWER: on_limits(s, q, a); break;
        case ACTION_FREEZE:
                PROMISE(!q->frozen && !q->lowering, "q%llu is frozen twice, or while it is lowered", ID(q));
                q->frozen = true;
                break;
        case ACTION_THAW:
                PROMISE(q->frozen && !q->lowering, "q%llu is thawed, and was not frozen", ID(q));
                q->frozen = false;
                break;
        default: break; /* SAMPLE, TERMINATE, KILL */
        }
}

static void on_unit_action(Shell *s, Seen *q, const Action *a) {
        switch (a->type) {
        case ACTION_START_UNIT:
                PROMISE(!q->unit && !q->ended, "a second unit for q%llu, or one for its end", ID(q));
                q->unit = true;
                break;
        case ACTION_RELEASE_UNIT:
                PROMISE(q->unit && !q->unit_released, "q%llu: a unit is released twice, or never was", ID(q));
                q->unit_released = true;
                break;
        case ACTION_COMPILE:
                PROMISE(q->ready && !q->compile && !q->executed, "q%llu compiles twice, or late, or nowhere", ID(q));
                q->compile = true;
                break;
        case ACTION_KILL_COMPILE: PROMISE(q->compile && !q->executed, "q%llu: no compile step to kill", ID(q)); break;
        default:
                PROMISE(q->ready && !q->executed && !q->ended, "q%llu executes twice, or nowhere", ID(q));
                q->executed = true;
                on_limits(s, q, a);
        }
}

static void on_note(Shell *s, Seen *q, NoteType note) {
        const Query *known = engine_find(s->engine, q->id);

        if (note != NOTE_RETRY)
                return;
        PROMISE(q->executed && q->over && !q->ended && !q->retried && known->spec.may_retry && known->state == QUERY_QUEUEING,
                "q%llu is run once more, and should not be", ID(q));
        q->retried = q->between_runs = true;
        q->frozen = q->lowering = false;
}

static void on_query_action(Shell *s, const Action *a) {
        Seen *q = seen_by_id(s, a->query_id);

        /* The compile step of one that was released may still be dying; its dependencies are told when it is dead. */
        PROMISE(q && (!q->forgotten || a->type == ACTION_RELEASE_DEPENDENCIES), "an action for q%llu, which nobody knows", ULL(a->query_id));
        switch (a->type) {
        case ACTION_CHECK_DEPENDENCIES:
                PROMISE(!q->check, "q%llu: its dependencies are checked twice", ID(q));
                q->check = true;
                break;
        case ACTION_RELEASE_DEPENDENCIES:
                PROMISE(q->checked && !q->released_dependencies, "q%llu: its dependencies are told twice, or never were asked", ID(q));
                q->released_dependencies = true;
                break;
        case ACTION_START_UNIT:
        case ACTION_RELEASE_UNIT:
        case ACTION_COMPILE:
        case ACTION_KILL_COMPILE:
        case ACTION_EXECUTE: on_unit_action(s, q, a); break;
        case ACTION_STATE:
                PROMISE(!q->ended, "q%llu: a state after its end", ID(q));
                q->ended = query_state_is_end(engine_find(s->engine, q->id)->state);
                break;
        case ACTION_FORGET:
                PROMISE(q->ended && engine_is_tombstone(s->engine, q->id), "q%llu is forgotten before its end", ID(q));
                q->forgotten = true;
                break;
        case ACTION_NOTE: on_note(s, q, a->note); break;
        default: on_run_action(s, q, a);
        }
}

static void on_action(Shell *s, const Event *ev, const Action *a) {
        switch (a->type) {
        case ACTION_ADMITTED:
                PROMISE(ev->type == EVENT_REQUEST && s->n < SHELL_QUERIES_MAX, "nobody asked");
                PROMISE(s->n == 0 || s->seen[s->n - 1].id < a->query_id, "IDs don't rise");
                s->seen[s->n++] = (Seen) { .id = a->query_id };
                break;
        case ACTION_REFUSED: PROMISE(ev->type == EVENT_REQUEST && a->error.code && a->error.message[0], "refused without a reason"); break;
        case ACTION_SHUTDOWN_DONE:
                PROMISE(s->shutdowns_open > 0, "an answer to no Shutdown");
                s->shutdowns_open--;
                break;
        default: on_query_action(s, a);
        }
}

/* What the kernel has in force never passes the budget, nor what was promised when that shrank. */
static void check_limits(Shell *s) {
        const Budget *b = engine_budget(s->engine);
        uint64_t sum = 0;

        for (size_t i = 0; i < s->n; i++) {
                const Query *q = engine_find(s->engine, s->seen[i].id);

                sum = add_saturating(sum, s->seen[i].limit_bytes);
                if (!q || query_state_is_end(q->state))
                        continue;
                PROMISE(s->seen[i].limit_bytes <= q->lease.bytes, "q%llu has %llu, the ledger %llu", ID(q), ULL(s->seen[i].limit_bytes),
                        ULL(q->lease.bytes));
                PROMISE(!s->seen[i].executed || s->seen[i].frozen == q->frozen || q->ending, "q%llu: frozen or not?", ID(q));
        }
        PROMISE(sum <= MAX(b->total_bytes, s->leased_bytes), "limits of %llu pass the budget of %llu", ULL(sum), ULL(b->total_bytes));
        s->leased_bytes = budget_leased_bytes(b);
}

void shell_step(Shell *s, const Event *ev) {
        char failure[INVARIANTS_FAILURE_MAX];

        book_event(s, ev);
        if (engine_step(s->engine, ev, s->now_usec, &s->actions) < 0)
                abort();
        for (size_t i = 0; i < s->actions.n; i++)
                on_action(s, ev, &s->actions.v[i]);
        PROMISE(invariants_hold(&s->invariants, s->engine, s->now_usec, failure), "%s", failure);
        check_limits(s);
        PROMISE(ev->type != EVENT_TICK || engine_deadline(s->engine) > s->now_usec, "the next tick is due in the past");
}

static void check_words(Shell *s) {
        char words[256];

        for (const Query *q = NULL; (q = engine_next(s->engine, q));) {
                PROMISE((engine_queue_position(s->engine, q) > 0) == (q->state == QUERY_QUEUEING), "a place in the queue");
                engine_wait_reason(s->engine, q, words, sizeof(words));
                PROMISE(utf8_is_valid(words, strlen(words)), "words that are no text");
        }
}

static void end_all(Shell *s) {
        for (size_t i = 0; i < s->n; i++)
                shell_step(s, &(Event) { .type = EVENT_CANCEL, .query_id = s->seen[i].id });
        for (size_t i = 0; i < s->n; i++) {
                Seen *q = &s->seen[i];

                if (q->lowering)
                        shell_step(s, &(Event) { .type = EVENT_LOWERED, .query_id = q->id, .limits.r = -19 });
                if (q->executed && !q->over)
                        shell_step(s, &(Event) { .type = EVENT_ENDED, .query_id = q->id });
                if (q->unit && !q->unit_gone)
                        shell_step(s, &(Event) { .type = EVENT_UNIT_GONE, .query_id = q->id });
        }
        for (size_t i = 0; i < s->n; i++) {
                PROMISE(s->seen[i].ended, "q%llu never ends", ID(&s->seen[i]));
                shell_step(s, &(Event) { .type = EVENT_DONE, .query_id = s->seen[i].id });
                PROMISE(s->seen[i].forgotten, "q%llu is never forgotten", ID(&s->seen[i]));
                PROMISE(s->seen[i].checked == s->seen[i].released_dependencies, "the dependencies of q%llu are never told", ID(&s->seen[i]));
        }
}

/* No slot, compile slot or unit was lost: as many as may can run at once, and one of them compiles first. */
static void use_every_slot(Shell *s, const Config *config) {
        size_t slots = MIN(config->concurrency_quota, 6u);
        QuerySpec spec = { .language = "fuzz", .timeout_usec = 0, .queue_timeout_usec = 0 };

        s->n = 0;
        for (size_t i = 0; i < slots; i++) {
                spec.uid = 5000 + (uint32_t) i;
                spec.has_compile = i == 0;
                shell_step(s, &(Event) { .type = EVENT_REQUEST, .request.spec = &spec });
                PROMISE(s->n == i + 1 && s->seen[i].unit, "nothing runs, and no unit is started for one more");
                shell_step(s, &(Event) { .type = EVENT_UNIT_READY, .query_id = s->seen[i].id });
                if (i == 0) {
                        PROMISE(s->seen[i].compile, "a compile slot was lost");
                        shell_step(s, &(Event) { .type = EVENT_COMPILED, .query_id = s->seen[i].id });
                }
                PROMISE(s->seen[i].executed, "a slot was lost: %zu of %zu are used", i, slots);
        }
}

void shell_wind_up(Shell *s, const Config *config) {
        const Budget *b = engine_budget(s->engine);

        check_words(s);
        shell_step(s, &(Event) { .type = EVENT_RESUME });
        shell_step(s, &(Event) { .type = EVENT_CAP, .bytes = SIZE_INFINITY });
        shell_step(s, &(Event) { .type = EVENT_LEFTOVERS, .bytes = 0 });
        end_all(s);
        PROMISE(!engine_next(s->engine, NULL), "a query is left that nobody knows");
        PROMISE(budget_leased_bytes(b) == 0 && b->leftover_bytes == 0 && b->n_leases == 0, "the pool is not whole");
        PROMISE(s->shutdowns_open == 0, "Shutdown was never answered");
        if (!s->shut_down)
                use_every_slot(s, config);
}

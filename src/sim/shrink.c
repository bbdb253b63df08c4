/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool breaks(const Story *s) {
        char failure[WORLD_FAILURE_MAX];
        Tally ignored = {};

        return world_play(s, NULL, NULL, &ignored, failure) == -EPROTO;
}

/* Leave out those from @from to @from + @n that are still in. False, and nothing changed: it takes them to break. */
static bool leave_out(Story *s, size_t from, size_t n) {
        bool *before = calloc(n, sizeof(*before));
        size_t left = 0;
        bool still;

        if (!before)
                return false;
        for (size_t i = 0; i < n; i++) {
                before[i] = s->without[from + i];
                left += !before[i];
                s->without[from + i] = true;
        }
        still = left > 0 && breaks(s);
        if (!still)
                memcpy(s->without + from, before, n * sizeof(*before));
        free(before);
        return still;
}

size_t shrink_story(Story *s) {
        size_t left = 0;

        for (size_t part = (s->n_queries + 1) / 2; part > 0; part = part > 1 ? (part + 1) / 2 : 0)
                for (size_t from = 0; from < s->n_queries; from += part)
                        (void) leave_out(s, from, MIN(part, s->n_queries - from));
        for (size_t i = 0; i < s->n_queries; i++)
                left += !s->without[i];
        return left;
}

static void tell_config(const Config *c, FILE *f) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];

        fprintf(f, "  %" PRIu64 " slots of %s, at most %s each, %s in all; when it is out: %s, patience %" PRIu64 " s\n",
                c->concurrency_quota, size_format(c->initial_bytes, a), size_format(c->per_query_bytes, b),
                size_format(c->max_memory_bytes, d), c->exhaustion_policy == EXHAUSTION_FREEZE ? "freeze" : "fail",
                c->freeze_timeout_usec == USEC_INFINITY ? 0 : c->freeze_timeout_usec / USEC_PER_SEC);
}

static void tell_time(const char *what, uint64_t usec, FILE *f) {
        if (usec != LOAD_NEVER)
                fprintf(f, ", %s %.3f s later", what, (double) usec / USEC_PER_SEC);
}

static void tell_query(size_t number, const LoadQuery *q, FILE *f) {
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];

        fprintf(f, "  %zu. at %.3f s, priority %d, asks for %s of %s: ", number, (double) q->arrives_usec / USEC_PER_SEC,
                (int) q->spec.priority, q->spec.initial_bytes ? size_format(q->spec.initial_bytes, a) : "the usual",
                q->spec.max_bytes ? size_format(q->spec.max_bytes, b) : "the usual");
        fprintf(f, "%u threads take %s of their own, %s shared, read %s", q->threads, size_format(q->anon_bytes, a),
                size_format(q->shmem_bytes, b), size_format(q->cache_bytes, c));
        fprintf(f, " (%s in %.3f ms each)", size_format(q->chunk_bytes, d), (double) q->usec_per_chunk / USEC_PER_MSEC);
        if (q->starve_usec > 0)
                fprintf(f, ", at %s without a processor for %.3f s", size_format(q->starve_at_bytes, a),
                        (double) q->starve_usec / USEC_PER_SEC);
        if (q->give_bytes > 0)
                fprintf(f, ", at %s frees %s and rests %.3f s", size_format(q->give_at_bytes, a), size_format(q->give_bytes, b),
                        (double) q->give_usec / USEC_PER_SEC);
        tell_time("exits", q->rest_usec, f);
        tell_time("canceled", q->cancel_usec, f);
        tell_time("its hold dropped", q->hold_drop_usec, f);
        tell_time("its reader gone", q->reader_gone_usec, f);
        fputc('\n', f);
}

int shrink_tell(const Story *s, FILE *f) {
        static const char *const acts[] = { [LOAD_PAUSE] = "pause", [LOAD_RESUME] = "resume", [LOAD_RELOAD] = "reload",
                                            [LOAD_SHUTDOWN] = "shutdown", [LOAD_CAP] = "a cap of the slice",
                                            [LOAD_UNCAP] = "no cap of the slice", [LOAD_LEFTOVERS] = "leftovers of the slice" };
        const char *comma = "";
        Load l;
        int r = load_draw(&l, s->seed, s->n_queries);

        if (r < 0)
                return r;
        tell_config(&l.config, f);
        for (size_t i = 0; i < l.n_acts; i++)
                fprintf(f, "  %s at %.3f s\n", acts[l.acts[i].type], (double) l.acts[i].at_usec / USEC_PER_SEC);
        for (size_t i = 0; i < l.n_queries; i++)
                if (!s->without[i])
                        tell_query(i + 1, &l.queries[i], f);
        fprintf(f, "sim: again with: penstock-sim run --seed %" PRIu64 " --queries %zu --only ", s->seed, s->n_queries);
        for (size_t i = 0; i < s->n_queries; i++)
                if (!s->without[i]) {
                        fprintf(f, "%s%zu", comma, i + 1);
                        comma = ",";
                }
        fputs(*comma ? " --trace\n" : "'' --trace\n", f);
        load_done(&l);
        return 0;
}

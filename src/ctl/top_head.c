/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `top` says of the service, above the table: title, budget, slots and queue, counts. */
#include <string.h>

#include "ctl/top_model.h"

#define ULL(x) ((unsigned long long) (x))
#define LABEL 7u /* "Budget " */
#define BAR_MAX 120u

static const BarPart reserved = { 0, ROLE_RESERVED, '#', 0x2588 }, lent = { 0, ROLE_LENT, '+', 0x2593 },
                     pool = { 0, ROLE_POOL, '.', 0x2591 };

/* What all is made of. */
typedef struct Sums {
        uint64_t for_slots, on_top;          /* used, in two parts */
        uint64_t quota_bytes, current_bytes; /* of the queries that execute */
        uint64_t n_frozen, n_waiting;        /* whoever does not execute yet has a place in the queue */
} Sums;

static Sums add_up(const Top *t) {
        const TopStatus *s = &t->status;
        Sums sums = {
                .for_slots = MIN(multiply_saturating(s->slots, s->initial_bytes), s->used_bytes),
                .n_waiting = s->counts[TOP_CREATED] + s->counts[TOP_COMPILING] + s->counts[TOP_QUEUEING],
        };

        sums.on_top = s->used_bytes - sums.for_slots;
        for (size_t i = 0; i < t->n_rows; i++) {
                const TopRow *row = &t->rows[i];

                if (row->state != TOP_EXECUTING)
                        continue;
                sums.quota_bytes = add_saturating(sums.quota_bytes, row->quota_bytes);
                sums.current_bytes = add_saturating(sums.current_bytes, row->used_bytes);
                sums.n_frozen += row->frozen;
        }
        return sums;
}

/* All in one unit, so that the parts are seen to make the whole. */
static const char *size_in(uint64_t bytes, uint64_t total, char buf[static TEXT_MAX]) {
        unsigned shift = total < 10 * GIB ? 20 : total < 10240 * GIB ? 30 : 40;
        uint64_t hundredths = (uint64_t) (((unsigned __int128) bytes * 100) >> shift);

        if (total == SIZE_INFINITY || bytes == SIZE_INFINITY)
                return format_size(bytes, buf);
        if (shift == 20)
                snprintf(buf, TEXT_MAX, "%lluM", ULL(bytes >> 20));
        else
                snprintf(buf, TEXT_MAX, "%llu.%02llu%c", ULL(hundredths / 100), ULL(hundredths % 100),
                         shift == 30 ? 'G' : 'T');
        return buf;
}

unsigned top_head_lines(unsigned lines) {
        return lines >= 18 ? 5 : lines >= 14 ? 4 : lines >= 11 ? 2 : 1;
}

static void draw_title(const Top *t, Canvas *c, unsigned y) {
        char text[256], delay[DURATION_TEXT_MAX];
        unsigned right;

        if (t->held)
                snprintf(text, sizeof(text), "held, space goes on  %s", t->clock);
        else
                snprintf(text, sizeof(text), "every %s  %s", duration_format(t->delay_usec, delay), t->clock);
        right = canvas_columns(text, c->ascii);
        canvas_put_right(c, y, 0, c->width, t->held ? ROLE_WAITS : ROLE_PLAIN, text);
        if (t->filter[0])
                snprintf(text, sizeof(text), "Penstock %s  %llu of %llu queries with \"%s\", by %s",
                         t->status.version, ULL(t->n_view), ULL(t->n_rows), t->filter, top_column_name(t->sort));
        else
                snprintf(text, sizeof(text), "Penstock %s  %llu quer%s by %s", t->status.version, ULL(t->n_rows),
                         t->n_rows == 1 ? "y" : "ies", top_column_name(t->sort));
        canvas_put(c, y, 0, (unsigned) subtract_saturating(c->width, right + 2), ROLE_STRONG, text);
}

static void draw_budget(const Top *t, const Sums *sums, Canvas *c, unsigned y) {
        const TopStatus *s = &t->status;
        uint64_t in_force_bytes = add_saturating(s->used_bytes, s->unused_bytes);
        BarPart parts[] = { reserved, lent, pool };
        char text[160], used[TEXT_MAX], max[TEXT_MAX], in_force[TEXT_MAX];
        unsigned columns, width;

        canvas_put(c, y, 0, LABEL, ROLE_STRONG, "Budget");
        if (s->max_bytes == SIZE_INFINITY) {
                snprintf(text, sizeof(text), "no limit; queries use %s of %s", format_size(sums->current_bytes, used),
                         format_size(sums->quota_bytes, max));
                canvas_put(c, y, LABEL, c->width, ROLE_PLAIN, text);
                return;
        }
        parts[0].amount = sums->for_slots;
        parts[1].amount = sums->on_top;
        parts[2].amount = s->unused_bytes;
        size_in(s->used_bytes, s->max_bytes, used);
        size_in(s->max_bytes, s->max_bytes, max);
        /* penstock.slice has a lower limit, or ended queries left memory behind. */
        if (in_force_bytes < s->max_bytes)
                snprintf(text, sizeof(text), "] %s of %s held, %s configured", used,
                         size_in(in_force_bytes, s->max_bytes, in_force), max);
        else
                snprintf(text, sizeof(text), "] %s of %s held", used, max);
        columns = canvas_columns(text, c->ascii);
        width = (unsigned) MIN(subtract_saturating(c->width, LABEL + 1 + columns), (uint64_t) BAR_MAX);
        canvas_put(c, y, LABEL, 1, ROLE_PLAIN, "[");
        /* After a reload more may be held than the budget has. */
        canvas_bar(c, y, LABEL + 1, width, in_force_bytes, parts, 3);
        canvas_put(c, y, LABEL + 1 + width, columns, ROLE_PLAIN, text);
}

static unsigned draw_legend_item(Canvas *c, unsigned y, unsigned x, const BarPart *part, const char *size,
                                 const char *what) {
        char text[128];

        canvas_fill(c, y, x, 1, part->role, c->ascii ? (unsigned char) part->ascii : part->wide);
        snprintf(text, sizeof(text), "%s %s", size, what);
        return x + 2 + canvas_put(c, y, x + 2, c->width, ROLE_PLAIN, text) + 3;
}

/* The bar's parts, each with its sign and its number. */
static void draw_legend(const Top *t, const Sums *sums, Canvas *c, unsigned y) {
        uint64_t total = t->status.max_bytes;
        char text[160], a[TEXT_MAX], b[TEXT_MAX];
        unsigned x = LABEL + 1;

        if (total == SIZE_INFINITY)
                return;
        x = draw_legend_item(c, y, x, &reserved, size_in(sums->for_slots, total, a), "for slots");
        x = draw_legend_item(c, y, x, &lent, size_in(sums->on_top, total, a), "lent on top");
        x = draw_legend_item(c, y, x, &pool, size_in(t->status.unused_bytes, total, a), "in the pool");
        snprintf(text, sizeof(text), "queries use %s of %s", size_in(sums->current_bytes, total, a),
                 size_in(sums->quota_bytes, total, b));
        if (x + canvas_columns(text, c->ascii) <= c->width)
                canvas_put(c, y, x, c->width, ROLE_FAINT, text);
}

typedef struct Gauge {
        const char *label;
        uint64_t n, of, frozen;
        Role role;
} Gauge;

/* "Slots [||||   3 of 4]": a bar with its numbers in it. */
static void draw_gauge(Canvas *c, unsigned y, unsigned x, unsigned width, const Gauge *g) {
        unsigned label = canvas_columns(g->label, c->ascii), inside;
        char text[128];
        int len;

        if (width < label + 4)
                return;
        inside = width - label - 2;
        canvas_put(c, y, x, label, ROLE_STRONG, g->label);
        canvas_put(c, y, x + label, 1, ROLE_PLAIN, "[");
        canvas_put(c, y, x + width - 1, 1, ROLE_PLAIN, "]");
        if (g->of == UINT64_MAX)
                len = snprintf(text, sizeof(text), " %llu, no limit", ULL(g->n));
        else
                len = snprintf(text, sizeof(text), " %llu of %llu", ULL(g->n), ULL(g->of));
        if (g->frozen > 0)
                snprintf(text + len, sizeof(text) - (size_t) len, ", %llu frozen", ULL(g->frozen));
        if (g->of != UINT64_MAX)
                canvas_bar(c, y, x + label + 1, inside, MAX(g->of, g->n),
                           &(const BarPart) { g->n, g->role, '|', '|' }, 1);
        canvas_put_right(c, y, x + label + 1, inside, ROLE_PLAIN, text);
}

static void draw_gauges(const Top *t, const Sums *sums, Canvas *c, unsigned y) {
        const TopStatus *s = &t->status;
        unsigned half = MIN(c->width, LABEL + 2 + BAR_MAX) / 2;

        draw_gauge(c, y, 0, half - 1,
                   &(const Gauge) { "Slots  ", s->counts[TOP_EXECUTING], s->slots, sums->n_frozen, ROLE_GOOD });
        draw_gauge(c, y, half, half,
                   &(const Gauge) { "Queue ", sums->n_waiting, s->queue_size, 0,
                                    sums->n_waiting >= s->queue_size ? ROLE_BAD : ROLE_WAITS });
}

typedef enum Zeros { ZEROS_SHOWN, ZEROS_HIDDEN } Zeros;

/* Returns how many columns that takes; @c NULL: nothing is drawn. */
static unsigned put_counts(const TopStatus *s, Canvas *c, unsigned y, unsigned gap, Zeros zeros, bool ascii) {
        static const struct {
                TopState state;
                Role role;
        } shown[] = {
                { TOP_CREATED, ROLE_PLAIN },  { TOP_COMPILING, ROLE_PLAIN }, { TOP_QUEUEING, ROLE_WAITS },
                { TOP_EXECUTING, ROLE_GOOD }, { TOP_FINISHED, ROLE_FAINT },  { TOP_ERRORED, ROLE_BAD },
                { TOP_CANCELED, ROLE_FAINT },
        };
        unsigned x = 0;
        char text[64];

        for (size_t i = 0; i < ELEMENTSOF(shown); i++) {
                uint64_t n = s->counts[shown[i].state];

                if (n == 0 && zeros == ZEROS_HIDDEN)
                        continue;
                snprintf(text, sizeof(text), "%llu %s", ULL(n), top_state_name(shown[i].state));
                if (c)
                        canvas_put(c, y, x, c->width, n == 0 ? ROLE_FAINT : shown[i].role, text);
                x += canvas_columns(text, ascii) + gap;
        }
        return x > gap ? x - gap : 0;
}

/* All of them if they have room, in the same places then. */
static void draw_counts(const Top *t, Canvas *c, unsigned y) {
        if (put_counts(&t->status, NULL, y, 2, ZEROS_SHOWN, c->ascii) <= c->width)
                put_counts(&t->status, c, y, 2, ZEROS_SHOWN, c->ascii);
        else if (put_counts(&t->status, NULL, y, 1, ZEROS_SHOWN, c->ascii) <= c->width)
                put_counts(&t->status, c, y, 1, ZEROS_SHOWN, c->ascii);
        else
                put_counts(&t->status, c, y, 1, ZEROS_HIDDEN, c->ascii);
}

unsigned top_draw_head(const Top *t, Canvas *c, unsigned lines) {
        unsigned n = top_head_lines(lines), y = 0;
        Sums sums = add_up(t);

        draw_title(t, c, y++);
        if (n >= 2)
                draw_budget(t, &sums, c, y++);
        if (n >= 5)
                draw_legend(t, &sums, c, y++);
        if (n >= 4) {
                draw_gauges(t, &sums, c, y++);
                draw_counts(t, c, y++);
        }
        return n;
}

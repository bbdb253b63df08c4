/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/top_columns.h"

#include <errno.h>
#include <string.h>

#define TIME_INFINITY_DAYS 9999

typedef enum Align { ALIGN_LEFT, ALIGN_RIGHT } Align;

static const struct {
        const char *name, *heading;
        unsigned width; /* at least */
        Align align;
        unsigned rank; /* who has room: lower first */
} columns[] = {
        [TOP_COLUMN_ID] = { "id", "ID", 4, ALIGN_RIGHT, 0 },
        [TOP_COLUMN_USER] = { "user", "USER", 8, ALIGN_LEFT, 8 },
        [TOP_COLUMN_LANGUAGE] = { "language", "LANGUAGE", 8, ALIGN_LEFT, 12 },
        [TOP_COLUMN_PRIORITY] = { "priority", "PRI", 4, ALIGN_RIGHT, 16 },
        [TOP_COLUMN_STATE] = { "state", "STATE", 9, ALIGN_LEFT, 1 },
        [TOP_COLUMN_MEMORY] = { "memory", "MEMORY", 20, ALIGN_LEFT, 14 },
        [TOP_COLUMN_QUOTA] = { "quota", "QUOTA", 5, ALIGN_RIGHT, 2 },
        [TOP_COLUMN_USED] = { "used", "USED", 5, ALIGN_RIGHT, 3 },
        [TOP_COLUMN_NEED] = { "need", "NEED", 5, ALIGN_RIGHT, 5 },
        [TOP_COLUMN_MAX] = { "max", "MAX", 5, ALIGN_RIGHT, 10 },
        [TOP_COLUMN_PEAK] = { "peak", "PEAK", 5, ALIGN_RIGHT, 13 },
        [TOP_COLUMN_RAISES] = { "raises", "RAISES", 6, ALIGN_RIGHT, 7 },
        [TOP_COLUMN_STALL] = { "stall", "STALL%", 6, ALIGN_RIGHT, 6 },
        [TOP_COLUMN_CPU] = { "cpu", "CPU%", 5, ALIGN_RIGHT, 4 },
        [TOP_COLUMN_TIME] = { "time", "TIME", 7, ALIGN_RIGHT, 9 },
        [TOP_COLUMN_LABELS] = { "labels", "LABELS", 16, ALIGN_LEFT, 15 },
        [TOP_COLUMN_WHY] = { "why", "WHY", 16, ALIGN_LEFT, 11 },
};

const char *top_column_name(TopColumn c) {
        return columns[c].name;
}

const char *top_column_heading(TopColumn c) {
        return columns[c].heading;
}

int top_column_from_name(const char *name, TopColumn *ret) {
        for (TopColumn c = 0; c < _TOP_COLUMN_MAX; c++)
                if (strcmp(name, columns[c].name) == 0) {
                        *ret = c;
                        return 0;
                }
        return -EINVAL;
}

bool top_column_is_detail(TopColumn c) {
        return c == TOP_COLUMN_NEED || c == TOP_COLUMN_CPU || c == TOP_COLUMN_STALL;
}

static TopColumn column_of_rank(unsigned rank) {
        TopColumn c = 0;

        while (columns[c].rank != rank)
                c++;
        return c;
}

/* What is left over goes to the texts: the reason, some of it to the labels, and without a reason to the user. */
static void use_the_rest(TopLayout *l, unsigned rest) {
        TopPlace *last = &l->v[l->n - 1];

        for (size_t i = 0; i < l->n; i++) {
                unsigned more = 0;

                if (l->v[i].column == TOP_COLUMN_LABELS)
                        more = MIN(rest / 4, 24u);
                else if (l->v[i].column == TOP_COLUMN_USER && last->column != TOP_COLUMN_WHY)
                        more = MIN(rest, 4u);
                l->v[i].width += more;
                rest -= more;
        }
        if (last->column == TOP_COLUMN_WHY)
                last->width += rest;
}

void top_layout(unsigned width, uint64_t max_id, TopLayout *ret) {
        unsigned widths[_TOP_COLUMN_MAX] = {}, sum = 0, x = 0;
        char id[24];

        *ret = (TopLayout) {};
        for (unsigned rank = 0; rank < _TOP_COLUMN_MAX; rank++) {
                TopColumn c = column_of_rank(rank);
                unsigned wanted = columns[c].width;

                if (c == TOP_COLUMN_ID)
                        wanted = MAX(wanted,
                                     (unsigned) snprintf(id, sizeof(id), "%llu", (unsigned long long) max_id));
                if (rank > 0 && sum + 1 + wanted > width)
                        break;
                widths[c] = wanted;
                sum += wanted + (rank > 0);
        }
        for (TopColumn c = 0; c < _TOP_COLUMN_MAX; c++)
                if (widths[c] > 0)
                        ret->v[ret->n++] = (TopPlace) { .column = c, .width = widths[c] };
        use_the_rest(ret, subtract_saturating(width, sum));
        for (size_t i = 0; i < ret->n; i++) {
                ret->v[i].x = x;
                x += ret->v[i].width + 1;
        }
}

/* At most five columns, but for what is beyond all hosts: "512B", "9.7G", "64M", "1023M". */
static const char *short_size(uint64_t bytes, char *buf, size_t size) {
        static const char letters[] = "BKMGT";
        unsigned unit = 0;
        uint64_t tenths;

        if (bytes == SIZE_INFINITY)
                return "inf";
        while (unit < 4 && bytes >> (10 * (unit + 1)) > 0)
                unit++;
        tenths = (bytes & ((UINT64_C(1) << 10 * unit) - 1)) * 10 >> 10 * unit;
        if (bytes >> 10 * unit < 10 && tenths > 0)
                snprintf(buf, size, "%llu.%llu%c", (unsigned long long) (bytes >> 10 * unit),
                         (unsigned long long) tenths, letters[unit]);
        else
                snprintf(buf, size, "%llu%c", (unsigned long long) (bytes >> 10 * unit), letters[unit]);
        return buf;
}

/* At most seven columns: "59.9s", "12m34s", "12h34m", "123d04h". */
static const char *short_time(uint64_t usec, char *buf, size_t size) {
        unsigned long long s = usec / USEC_PER_SEC;

        if (s < 60)
                snprintf(buf, size, "%llu.%llus", s, (unsigned long long) (usec % USEC_PER_SEC / 100000));
        else if (s < 3600)
                snprintf(buf, size, "%llum%02llus", s / 60, s % 60);
        else if (s < 100 * 3600)
                snprintf(buf, size, "%lluh%02llum", s / 3600, s / 60 % 60);
        else
                snprintf(buf, size, "%llud%02lluh", MIN(s / 86400, (unsigned long long) TIME_INFINITY_DAYS),
                         s / 3600 % 24);
        return buf;
}

static const char *percent(uint64_t ppm, char *buf, size_t size) {
        uint64_t tenths = (ppm + 500) / 1000;

        if (tenths < 10000)
                snprintf(buf, size, "%llu.%llu", (unsigned long long) tenths / 10, (unsigned long long) tenths % 10);
        else
                snprintf(buf, size, "%llu", (unsigned long long) tenths / 10);
        return buf;
}

static bool has_number(TopColumn c, const TopRow *r, uint64_t *ret) {
        bool has_quota = r->quota_bytes > 0;

        switch (c) {
        case TOP_COLUMN_ID: *ret = r->id; return true;
        case TOP_COLUMN_MEMORY:
        case TOP_COLUMN_QUOTA: *ret = r->quota_bytes; return has_quota;
        case TOP_COLUMN_USED: *ret = r->used_bytes; return has_quota && r->state == TOP_EXECUTING;
        case TOP_COLUMN_NEED: *ret = r->detail.need_bytes; return r->detail.is_known;
        case TOP_COLUMN_MAX: *ret = r->max_bytes; return r->max_bytes > 0;
        case TOP_COLUMN_PEAK: *ret = r->peak_bytes; return r->peak_bytes > 0;
        case TOP_COLUMN_RAISES: *ret = r->raises; return true;
        case TOP_COLUMN_STALL: *ret = r->detail.stall_ppm; return r->detail.is_known;
        case TOP_COLUMN_CPU: *ret = r->detail.cpu_ppm; return r->detail.is_known;
        case TOP_COLUMN_TIME: *ret = r->total_usec; return true;
        case TOP_COLUMN_PRIORITY: *ret = (uint64_t) r->priority + (UINT64_C(1) << 63); return true;
        default: *ret = 0; return false;
        }
}

static const char *text_of(TopColumn c, const TopRow *r) {
        switch (c) {
        case TOP_COLUMN_USER: return r->user;
        case TOP_COLUMN_LANGUAGE: return r->language;
        case TOP_COLUMN_STATE: return r->state == TOP_EXECUTING && r->frozen ? "frozen" : top_state_name(r->state);
        case TOP_COLUMN_LABELS: return r->labels;
        case TOP_COLUMN_WHY: return r->reason;
        default: return NULL;
        }
}

const char *top_cell(TopColumn column, const TopRow *row, char *buf, size_t size) {
        const char *text = text_of(column, row);
        uint64_t number;

        if (text)
                return text;
        if (column == TOP_COLUMN_MEMORY)
                return "";
        if (!has_number(column, row, &number))
                return "-";
        switch (column) {
        case TOP_COLUMN_ID:
        case TOP_COLUMN_RAISES: snprintf(buf, size, "%llu", (unsigned long long) number); return buf;
        case TOP_COLUMN_PRIORITY: snprintf(buf, size, "%lld", (long long) row->priority); return buf;
        case TOP_COLUMN_STALL:
        case TOP_COLUMN_CPU: return percent(number, buf, size);
        case TOP_COLUMN_TIME: return short_time(number, buf, size);
        default: return short_size(number, buf, size);
        }
}

static Role state_role(const TopRow *r) {
        switch (r->state) {
        case TOP_EXECUTING: return r->frozen ? ROLE_FROZEN : ROLE_GOOD;
        case TOP_QUEUEING: return ROLE_WAITS;
        case TOP_ERRORED: return ROLE_BAD;
        case TOP_CANCELED:
        case TOP_FINISHED: return ROLE_FAINT;
        default: return ROLE_PLAIN;
        }
}

/* Of the maximum: what it needs, what it uses beyond that (page cache, mostly), what its quota leaves. */
static void put_memory_bar(Canvas *c, unsigned y, const TopPlace *p, const TopRow *r) {
        uint64_t need = MIN(r->detail.need_bytes, r->used_bytes), used = MIN(r->used_bytes, r->quota_bytes);

        if (r->quota_bytes == 0 || r->max_bytes == SIZE_INFINITY)
                return;
        canvas_fill(c, y, p->x, p->width, ROLE_FAINT, c->ascii ? '.' : 0x00b7);
        canvas_bar(c, y, p->x, p->width, MAX(r->max_bytes, r->quota_bytes),
                   (const BarPart[]) {
                                   { need, ROLE_GOOD, '#', 0x2588 },
                                   { subtract_saturating(used, need), ROLE_LENT, '+', 0x2593 },
                                   { r->quota_bytes - MAX(used, MIN(need, r->quota_bytes)), ROLE_POOL, '-', 0x2591 },
                   },
                   3);
}

void top_put_row(Canvas *c, unsigned y, const TopLayout *l, const TopRow *row) {
        bool has_ended = row->state >= TOP_ERRORED;
        char buf[TEXT_MAX];

        for (size_t i = 0; i < l->n; i++) {
                const TopPlace *p = &l->v[i];
                const char *text = top_cell(p->column, row, buf, sizeof(buf));
                Role role = p->column == TOP_COLUMN_STATE ? state_role(row) : has_ended ? ROLE_FAINT : ROLE_PLAIN;

                if (p->column == TOP_COLUMN_MEMORY)
                        put_memory_bar(c, y, p, row);
                else if (columns[p->column].align == ALIGN_RIGHT)
                        canvas_put_right(c, y, p->x, p->width, role, text);
                else
                        canvas_put(c, y, p->x, p->width, role, text);
        }
}

void top_put_headings(Canvas *c, unsigned y, const TopLayout *l, TopColumn sorted, bool upwards) {
        canvas_fill(c, y, 0, c->width, ROLE_HEADING, ' ');
        for (size_t i = 0; i < l->n; i++) {
                const TopPlace *p = &l->v[i];
                const char *heading = columns[p->column].heading;

                if (p->column == sorted)
                        canvas_fill(c, y, p->x, p->width, ROLE_SORTED, ' ');
                if (columns[p->column].align == ALIGN_RIGHT)
                        canvas_put_right(c, y, p->x, p->width, p->column == sorted ? ROLE_SORTED : ROLE_HEADING,
                                         heading);
                else
                        canvas_put(c, y, p->x, p->width, p->column == sorted ? ROLE_SORTED : ROLE_HEADING, heading);
                if (p->column == sorted) /* in the gap behind it, which every column but the last one has */
                        canvas_fill(c, y, MIN(p->x + p->width, c->width - 1), 1, ROLE_SORTED,
                                    c->ascii  ? (upwards ? '^' : 'v')
                                    : upwards ? 0x25b2
                                              : 0x25bc);
        }
}

static bool is_number(TopColumn c) {
        return columns[c].align == ALIGN_RIGHT || c == TOP_COLUMN_MEMORY;
}

/* IDs and states are looked at from their beginning, numbers from the largest. */
static bool is_descending(TopColumn c) {
        return is_number(c) && c != TOP_COLUMN_ID;
}

bool top_goes_upwards(TopColumn column, bool reversed) {
        return is_descending(column) == reversed;
}

static int compare_numbers(uint64_t a, uint64_t b) {
        return a < b ? -1 : a > b;
}

/* What is under way, then what waits in its order, then what has ended, lately first. */
static int compare_states(const TopRow *a, const TopRow *b) {
        if (a->state != b->state)
                return a->state < b->state ? -1 : 1;
        if (a->frozen != b->frozen)
                return a->frozen ? 1 : -1;
        if (a->state >= TOP_ERRORED)
                return compare_numbers(b->id, a->id);
        return compare_numbers(a->position, b->position);
}

static int compare_values(TopColumn column, const TopRow *a, const TopRow *b, bool *ret_last) {
        uint64_t x, y;
        bool has_x, has_y;

        if (column == TOP_COLUMN_STATE)
                return compare_states(a, b);
        if (!is_number(column)) {
                const char *s = text_of(column, a), *t = text_of(column, b);

                *ret_last = !s[0] != !t[0];
                return *ret_last ? (s[0] ? -1 : 1) : strcmp(s, t);
        }
        has_x = has_number(column, a, &x);
        has_y = has_number(column, b, &y);
        *ret_last = has_x != has_y;
        if (*ret_last)
                return has_x ? -1 : 1;
        if (!has_x)
                return 0;
        return is_descending(column) ? compare_numbers(y, x) : compare_numbers(x, y);
}

int top_compare(TopColumn column, bool reversed, const TopRow *a, const TopRow *b) {
        bool last = false;
        int r = compare_values(column, a, b, &last);

        if (r != 0)
                return reversed && !last ? -r : r;
        return compare_numbers(a->id, b->id);
}

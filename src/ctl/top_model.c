/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/top_model.h"

#include <stdarg.h>
#include <string.h>

void top_init(Top *t, bool ascii) {
        *t = (Top) { .sort = TOP_COLUMN_STATE, .delay_usec = TOP_DELAY_USEC, .ascii = ascii };
}

void top_done(Top *t) {
        penstock_info_free(t->inspected);
        free(t->rows);
        free(t->view);
        *t = (Top) {};
}

static int by_id(const void *a, const void *b) {
        const TopRow *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

TopRow *top_find(const Top *t, uint64_t id) {
        return t->n_rows == 0 ? NULL : bsearch(&(TopRow) { .id = id }, t->rows, t->n_rows, sizeof(*t->rows), by_id);
}

void top_set_rows(Top *t, TopRow *rows, size_t n) {
        size_t at = t->at;

        if (n > 0)
                qsort(rows, n, sizeof(*rows), by_id);
        for (size_t i = 0; i < n; i++) {
                const TopRow *before = top_find(t, rows[i].id);

                if (before && rows[i].state == TOP_EXECUTING)
                        rows[i].detail = before->detail;
        }
        free(t->rows);
        t->rows = rows;
        t->n_rows = n;
        t->max_id = n > 0 ? rows[n - 1].id : 0;
        top_arrange(t);
        /* The screen does not run after a query that ended and is now far below. */
        if (t->page > 0 && (t->at < t->first || t->at >= t->first + t->page))
                top_select(t, at);
}

void top_set_detail(Top *t, uint64_t id, const PenstockInfo *i) {
        TopRow *row = top_find(t, id);

        if (row && row->state == TOP_EXECUTING && top_state_from_name(info_string(i, "state")) == TOP_EXECUTING)
                top_detail_read(&row->detail, i);
}

static bool is_wanted(const TopRow *r, bool only_missing) {
        return r->state == TOP_EXECUTING && !(only_missing && r->detail.is_known);
}

size_t top_wanted(Top *t, bool only_missing, uint64_t ids[], size_t max) {
        size_t n = 0, n_turn = 0, end = MIN(t->first + t->page, t->n_view);

        if (t->mode == TOP_MODE_INSPECT || t->mode == TOP_MODE_HELP) /* no row is shown */
                return 0;
        for (size_t i = t->first; i < end && n < max; i++)
                if (is_wanted(&t->rows[t->view[i]], only_missing))
                        ids[n++] = t->rows[t->view[i]].id;
        if (!top_column_is_detail(t->sort))
                return n;
        for (size_t k = 0, begin = t->next_detail; k < t->n_view && n < max && n_turn < TOP_TURN_MAX; k++) {
                size_t i = (begin + k) % t->n_view;

                if ((i >= t->first && i < end) || !is_wanted(&t->rows[t->view[i]], only_missing))
                        continue;
                ids[n++] = t->rows[t->view[i]].id;
                n_turn++;
                t->next_detail = i + 1;
        }
        return n;
}

static bool has_text(const char *text, const char *part) {
        return strcasestr(text, part) != NULL;
}

static bool passes(const TopRow *r, const char *filter) {
        static const TopColumn searched[] = { TOP_COLUMN_ID,    TOP_COLUMN_USER,   TOP_COLUMN_LANGUAGE,
                                              TOP_COLUMN_STATE, TOP_COLUMN_LABELS, TOP_COLUMN_WHY };
        char buf[TEXT_MAX];

        if (has_text(top_state_name(r->state), filter)) /* who is shown as frozen executes */
                return true;
        for (size_t i = 0; i < ELEMENTSOF(searched); i++)
                if (has_text(top_cell(searched[i], r, buf, sizeof(buf)), filter))
                        return true;
        return false;
}

static int in_order(const void *a, const void *b, void *userdata) {
        const Top *t = userdata;

        return top_compare(t->sort, t->reversed, &t->rows[*(const size_t *) a], &t->rows[*(const size_t *) b]);
}

void top_arrange(Top *t) {
        size_t *grown = reallocarray(t->view, MAX(t->n_rows, (size_t) 1), sizeof(*grown));

        t->n_view = 0;
        if (!grown)
                return;
        t->view = grown;
        for (size_t i = 0; i < t->n_rows; i++)
                if (t->filter[0] == '\0' || passes(&t->rows[i], t->filter))
                        t->view[t->n_view++] = i;
        if (t->n_view > 0)
                qsort_r(t->view, t->n_view, sizeof(*t->view), in_order, t);
        /* The cursor stays with its query, or where it was. */
        for (size_t i = 0; i < t->n_view; i++)
                if (t->rows[t->view[i]].id == t->selected) {
                        t->at = i;
                        return;
                }
        top_select(t, t->at);
}

void top_select(Top *t, size_t at) {
        t->at = t->n_view == 0 ? 0 : MIN(at, t->n_view - 1);
        t->selected = t->n_view == 0 ? 0 : t->rows[t->view[t->at]].id;
}

TopRow *top_selected(const Top *t) {
        return t->n_view == 0 ? NULL : &t->rows[t->view[t->at]];
}

void top_scroll_to_selected(Top *t, size_t page) {
        t->page = page;
        if (t->at < t->first)
                t->first = t->at;
        if (page > 0 && t->at >= t->first + page)
                t->first = t->at - page + 1;
        if (t->first + page > t->n_view) /* no empty lines while there are rows above */
                t->first = t->n_view > page ? t->n_view - page : 0;
}

void top_say(Top *t, uint64_t now_usec, bool is_bad, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(t->message, sizeof(t->message), format, ap);
        va_end(ap);
        t->message_is_bad = is_bad;
        t->message_until_usec = now_usec + TOP_MESSAGE_USEC;
}

bool top_forget_message(Top *t, uint64_t now_usec) {
        if (t->message[0] == '\0' || now_usec < t->message_until_usec)
                return false;
        t->message[0] = '\0';
        return true;
}

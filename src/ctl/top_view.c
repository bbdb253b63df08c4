/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The screen: head, table, a line of words, and the keys. */
#include <string.h>

#include "ctl/top_model.h"

#define ULL(x) ((unsigned long long) (x))
#define CHOICE_WIDTH 12u

static void draw_too_small(Canvas *c) {
        char text[96];

        snprintf(text, sizeof(text), "%ux%u is too small:", c->width, c->height);
        canvas_put(c, 0, 0, c->width, ROLE_PLAIN, text);
        snprintf(text, sizeof(text), "%ux%u are needed", TOP_COLUMNS_MIN, TOP_LINES_MIN);
        canvas_put(c, 1, 0, c->width, ROLE_PLAIN, text);
}

static void draw_rows(Top *t, Canvas *c, unsigned from, unsigned lines) {
        top_scroll_to_selected(t, lines);
        for (unsigned i = 0; i < lines && t->first + i < t->n_view; i++) {
                top_put_row(c, from + i, &t->layout, &t->rows[t->view[t->first + i]]);
                if (t->first + i == t->at)
                        canvas_paint(c, from + i, 0, c->width, ROLE_SELECTED);
        }
        if (t->n_view == 0)
                canvas_put(c, from, 0, c->width, ROLE_FAINT,
                           t->n_rows > 0 ? "No query passes the filter; \\ shows all." : "There are no queries.");
}

/* All columns on the left, over the table; scrolled when there are more than lines. */
static void draw_choice(const Top *t, Canvas *c, unsigned from, unsigned lines) {
        unsigned first = t->choice >= lines ? t->choice - lines + 1 : 0;

        for (unsigned i = 0; i < lines; i++) {
                unsigned column = first + i;
                Role role = column == t->choice ? ROLE_SELECTED : ROLE_PLAIN;

                canvas_fill(c, from + i, 0, CHOICE_WIDTH + 1, ROLE_PLAIN, ' ');
                if (column < _TOP_COLUMN_MAX) {
                        canvas_fill(c, from + i, 0, CHOICE_WIDTH, role, ' ');
                        canvas_put(c, from + i, 1, CHOICE_WIDTH - 2, role, top_column_name(column));
                }
                canvas_fill(c, from + i, CHOICE_WIDTH, 1, ROLE_FAINT, c->ascii ? '|' : 0x2502);
        }
}

/* What is most urgent to know: that the service is away, what came of a key, what the service is set to, the selected
 * query. */
static void draw_words(const Top *t, Canvas *c, unsigned y) {
        const TopRow *row = t->mode == TOP_MODE_INSPECT || t->mode == TOP_MODE_HELP ? NULL : top_selected(t);
        char text[640];
        Role role = ROLE_BAD;

        if (t->trouble[0])
                snprintf(text, sizeof(text), "%s", t->trouble);
        else if (t->message[0]) {
                snprintf(text, sizeof(text), "%s", t->message);
                role = t->message_is_bad ? ROLE_BAD : ROLE_GOOD;
        } else if (t->status.shutting_down)
                snprintf(text, sizeof(text), "Shut down: no query is accepted until `systemctl restart penstockd`");
        else if (t->status.paused) {
                snprintf(text, sizeof(text), "Paused: no waiting query is started until `penstockctl resume`");
                role = ROLE_WAITS;
        } else if (row && row->reason[0]) {
                snprintf(text, sizeof(text), "Query %llu: %s", ULL(row->id), row->reason);
                role = ROLE_FAINT;
        } else
                return;
        canvas_put(c, y, 0, c->width, role, text);
}

typedef struct KeyHelp {
        const char *key, *what;
} KeyHelp;

/* As many as have room, the first ones first. */
static void draw_keys(Canvas *c, unsigned y, const KeyHelp keys[], size_t n) {
        unsigned x = 0;

        for (size_t i = 0; i < n; i++) {
                unsigned key = canvas_columns(keys[i].key, c->ascii), what = canvas_columns(keys[i].what, c->ascii);

                if (x + key + 1 + what > c->width)
                        return;
                canvas_put(c, y, x, key, ROLE_KEY, keys[i].key);
                canvas_put(c, y, x + key + 1, what, ROLE_PLAIN, keys[i].what);
                x += key + 1 + what + 2;
        }
}

static void draw_prompt(Canvas *c, unsigned y, const char *question, const char *typed) {
        unsigned x = canvas_put(c, y, 0, c->width, ROLE_PROMPT, question);

        x += canvas_put(c, y, x, c->width, ROLE_PLAIN, typed);
        canvas_fill(c, y, x, 1, ROLE_SELECTED, ' ');
}

static void draw_question(const Top *t, Canvas *c, unsigned y) {
        const TopRow *row = top_find(t, t->subject);
        char text[256], buf[TEXT_MAX];

        if (row)
                snprintf(text, sizeof(text), "Cancel query %llu (%s, %s of %s)? y: yes, other keys: no ",
                         ULL(t->subject), top_cell(TOP_COLUMN_STATE, row, buf, sizeof(buf)), row->language,
                         row->user);
        else
                snprintf(text, sizeof(text), "Cancel query %llu? y: yes, other keys: no ", ULL(t->subject));
        canvas_put(c, y, 0, c->width, ROLE_BAD, text);
}

static void draw_last_line(const Top *t, Canvas *c, unsigned y) {
        static const KeyHelp table[] = { { "F1", "Help" },    { "F10", "Quit" },  { "Enter", "Inspect" },
                                         { "F9", "Cancel" },  { "/", "Filter" },  { "F6", "Sort" },
                                         { "Space", "Hold" }, { "I", "Reverse" }, { "+ -", "Delay" } };
        static const KeyHelp choice[] = { { "Up Down", "Choose" }, { "Enter", "Sort" }, { "Esc", "Leave" } };
        static const KeyHelp inspect[] = {
                { "q", "Back" }, { "Up Down", "Scroll" }, { "F9", "Cancel" }, { "F10", "Quit" }
        };
        static const KeyHelp help[] = { { "q", "Back" }, { "Up Down", "Scroll" }, { "F10", "Quit" } };

        switch (t->mode) {
        case TOP_MODE_FILTER: draw_prompt(c, y, "Filter: ", t->typed); break;
        case TOP_MODE_DELAY: draw_prompt(c, y, "Update every (2, 500ms, 1min): ", t->typed); break;
        case TOP_MODE_CONFIRM: draw_question(t, c, y); break;
        case TOP_MODE_SORT: draw_keys(c, y, choice, ELEMENTSOF(choice)); break;
        case TOP_MODE_INSPECT: draw_keys(c, y, inspect, ELEMENTSOF(inspect)); break;
        case TOP_MODE_HELP: draw_keys(c, y, help, ELEMENTSOF(help)); break;
        default: draw_keys(c, y, table, ELEMENTSOF(table)); break;
        }
}

static void draw_table(Top *t, Canvas *c) {
        unsigned y = top_draw_head(t, c, c->height), lines = c->height - y - 3;

        top_layout(c->width, t->max_id, &t->layout);
        top_put_headings(c, y, &t->layout, t->sort, top_goes_upwards(t->sort, t->reversed));
        draw_rows(t, c, y + 1, lines);
        if (t->mode == TOP_MODE_SORT)
                draw_choice(t, c, y + 1, lines);
}

void top_draw(Top *t, Canvas *c) {
        bool in_pager = t->mode == TOP_MODE_INSPECT || t->mode == TOP_MODE_HELP ||
                        (t->mode == TOP_MODE_CONFIRM && t->back == TOP_MODE_INSPECT);

        canvas_clear(c);
        if (c->width < TOP_COLUMNS_MIN || c->height < TOP_LINES_MIN) {
                draw_too_small(c);
                return;
        }
        if (in_pager)
                top_draw_pager(t, c);
        else
                draw_table(t, c);
        draw_words(t, c, c->height - 2);
        draw_last_line(t, c, c->height - 1);
}

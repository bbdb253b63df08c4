/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A query in full, as `show`, `stats` and `why` have it, and the help: lines of a name and a value. */
#include <string.h>

#include "ctl/top_model.h"

#define ULL(x) ((unsigned long long) (x))
#define NAME_WIDTH 16u
/* The kept end of standard error has no line that is longer, and is not larger. */
#define TAIL_LINE_MAX 1024

static void add_raises(Sheet *s, const PenstockInfo *i) {
        char at[TEXT_MAX], name[TEXT_MAX], old_limit[TEXT_MAX], new_limit[TEXT_MAX], latency[TEXT_MAX];
        PenstockRaise r;

        for (size_t k = 0; penstock_info_get_raise(i, k, &r) == 0; k++) {
                snprintf(name, sizeof(name), "%s", format_duration(r.at_usec, at));
                sheet_add(s, name, "%s: %s to %s, in force after %s", r.cause,
                          format_size(r.old_limit_bytes, old_limit), format_size(r.new_limit_bytes, new_limit),
                          format_duration(r.latency_usec, latency));
        }
}

static void add_tail(Sheet *s, const char *text) {
        while (*text) {
                size_t len = strcspn(text, "\n");

                sheet_add(s, "", "%.*s", (int) MIN(len, (size_t) TAIL_LINE_MAX), text);
                text += len + (text[len] == '\n');
        }
}

static void describe(const PenstockInfo *i, Sheet *s) {
        PenstockRaise first;
        char why[1200];

        sheet_add(s, "Why", "%s.", why_sentence(i, why, sizeof(why)));
        sheet_add_query(s, i);
        sheet_add_heading(s, "What it used");
        sheet_add_usage(s, i);
        if (penstock_info_get_raise(i, 0, &first) == 0) {
                sheet_add_heading(s, "Raises");
                add_raises(s, i);
        }
        if (info_string(i, "stderr_tail")[0] != '\0') {
                sheet_add_heading(s, "The end of its standard error");
                add_tail(s, info_string(i, "stderr_tail"));
        }
}

static void explain(Sheet *s) {
        static const char *const lines[][2] = {
                { "Up Down j k", "move the cursor; also PgUp, PgDn, Home, End, g, G" },
                { "Enter", "inspect the query: what it is, used and waits for" },
                { "c  F9", "cancel the query, after a question" },
                { "/  F4", "show only queries with a text in ID, user, language, state, labels or reason" },
                { "\\  Esc", "show all again" },
                { "s  F6", "choose the column to sort by; < and > take the one beside it" },
                { "N P M T", "sort by ID, CPU, memory used, time" },
                { "I", "the other way round" },
                { "Space", "hold what is shown, or go on" },
                { "+ - d", "update less often, more often, every so many seconds" },
                { "Ctrl-L", "draw the screen anew" },
                { "q  F10", "quit" },
                { "Columns", NULL },
                { "QUOTA", "the limit in force (memory.max), and MAX the most that it may become" },
                { "USED", "what is charged to it, page cache included; PEAK the most so far" },
                { "NEED", "what it can't give back, which is what decides on a raise" },
                { "RAISES", "how often its quota was raised" },
                { "STALL%", "the part of the time in which some of it waited for memory" },
                { "CPU%", "of one processor; both since the last update" },
                { "TIME", "since it was submitted" },
                { "WHY", "what it waits for, #1 is next, or why it ended" },
                { "Bars", NULL },
                { "Budget", "initial quotas of all slots, also idle ones; what was lent on top; the pool" },
                { "Slots, Queue", "queries that execute; those that do not yet" },
                { "MEMORY", "of the maximum: need, what else is used, what the quota leaves" },
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                if (lines[i][1])
                        sheet_add(s, lines[i][0], "%s", lines[i][1]);
                else
                        sheet_add_heading(s, lines[i][0]);
}

/* Draw one line of the sheet from @y on, if it is not above, and give how many lines it takes at all. */
static unsigned draw_line(Canvas *c, const SheetLine *line, long y, long top, long bottom) {
        unsigned n = 0, room = c->width - NAME_WIDTH - 2;
        const char *text = line->value;

        if (!text) {
                if (y + 1 >= top && y + 1 < bottom)
                        canvas_put(c, (unsigned) (y + 1), 0, c->width, ROLE_STRONG, line->name);
                return 2;
        }
        do {
                size_t len = text_line(text, room, c->ascii), shown = len > 0 && text[len - 1] == ' ' ? len - 1 : len;
                char part[4 * CANVAS_WIDTH_MAX + 1];

                snprintf(part, sizeof(part), "%.*s", (int) MIN(shown, sizeof(part) - 1), text);
                if (y + (long) n >= top && y + (long) n < bottom) {
                        if (n == 0)
                                canvas_put_right(c, (unsigned) (y + n), 0, NAME_WIDTH, ROLE_STRONG, line->name);
                        canvas_put(c, (unsigned) (y + n), NAME_WIDTH + 2, room, ROLE_PLAIN, part);
                }
                text += len;
                n++;
        } while (*text);
        return n;
}

static void draw_sheet(Top *t, Canvas *c, const Sheet *s, unsigned top, unsigned bottom) {
        size_t n = 0;

        t->pager_page = bottom - top;
        for (size_t i = 0; i < s->n; i++) /* nothing is between the same line and itself */
                n += draw_line(c, &s->v[i], 0, 0, 0);
        t->scroll_max = n > t->pager_page ? n - t->pager_page : 0;
        t->scroll = MIN(t->scroll, t->scroll_max);
        n = 0;
        for (size_t i = 0; i < s->n; i++)
                n += draw_line(c, &s->v[i], (long) top + (long) n - (long) t->scroll, top, bottom);
}

void top_draw_pager(Top *t, Canvas *c) {
        bool is_help = t->mode == TOP_MODE_HELP;
        char title[96];
        Sheet s = {};

        if (is_help)
                explain(&s);
        else if (t->inspected)
                describe(t->inspected, &s);
        if (is_help)
                snprintf(title, sizeof(title), "Keys");
        else
                snprintf(title, sizeof(title), "Query %llu%s", ULL(t->subject), t->inspected ? "" : ": asking");
        canvas_fill(c, 0, 0, c->width, ROLE_HEADING, ' ');
        canvas_put(c, 0, 0, c->width, ROLE_HEADING, title);
        draw_sheet(t, c, &s, 1, c->height - 2);
        sheet_done(&s);
        if (t->scroll_max > 0) {
                snprintf(title, sizeof(title), "%llu%%", ULL(t->scroll * 100 / t->scroll_max));
                canvas_put_right(c, 0, 0, c->width, ROLE_HEADING, title);
        }
}

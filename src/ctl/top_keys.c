/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys as in htop, less and top. `k` goes up beside `j`, so what cancels is `c` and F9. */
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "ctl/top_model.h"

#define F(n) (TOP_KEY_F0 + (n))
#define CONTROL(c) ((c) & 0x1f)

void top_set_delay(Top *t, uint64_t usec) {
        t->delay_usec = MIN(MAX(usec, TOP_DELAY_MIN_USEC), TOP_DELAY_MAX_USEC);
}

static bool is_erase(uint32_t key) {
        return key == TOP_KEY_BACKSPACE || key == CONTROL('H');
}

static bool is_enter(uint32_t key) {
        return key == TOP_KEY_ENTER || key == '\r';
}

/* Take away the last character, not only its last byte. */
static void erase_last(char *text) {
        size_t len = strlen(text);

        while (len > 0 && ((unsigned char) text[len - 1] & 0xc0) == 0x80)
                len--;
        if (len > 0)
                text[len - 1] = '\0';
}

static void append(char *text, size_t size, uint32_t key) {
        char c[8] = {};
        size_t n = 1;

        if (key < 0x80)
                c[0] = (char) key;
        else {
                mbstate_t state = {};

                n = wcrtomb(c, (wchar_t) key, &state);
                if (n == (size_t) -1)
                        return;
        }
        if (strlen(text) + n < size)
                strncat(text, c, n);
}

/* True if @key changed what is typed. */
static bool type(Top *t, uint32_t key) {
        if (is_erase(key))
                erase_last(t->typed);
        else if (key == CONTROL('U'))
                t->typed[0] = '\0';
        else if (key >= ' ' && key < TOP_KEY_UP && (key < 0x7f || iswprint((wint_t) key)))
                append(t->typed, sizeof(t->typed), key);
        else
                return false;
        return true;
}

static void set_filter(Top *t, const char *text) {
        snprintf(t->filter, sizeof(t->filter), "%s", text);
        top_arrange(t);
}

static TopWish key_in_filter(Top *t, uint32_t key) {
        if (key == TOP_KEY_ESCAPE || (is_erase(key) && t->typed[0] == '\0')) {
                set_filter(t, t->filter_before);
                t->mode = TOP_MODE_TABLE;
        } else if (is_enter(key))
                t->mode = TOP_MODE_TABLE;
        else if (type(t, key))
                set_filter(t, t->typed);
        return TOP_WISH_NONE;
}

static TopWish key_in_delay(Top *t, uint32_t key, uint64_t now_usec) {
        uint64_t usec;

        if (key == TOP_KEY_ESCAPE)
                t->mode = TOP_MODE_TABLE;
        else if (!is_enter(key)) {
                (void) type(t, key);
                return TOP_WISH_NONE;
        } else {
                t->mode = TOP_MODE_TABLE;
                if (duration_parse(t->typed, &usec) >= 0) {
                        top_set_delay(t, usec);
                        return TOP_WISH_DELAY;
                }
                if (t->typed[0] != '\0')
                        top_say(t, now_usec, true, "'%s' is no time span", t->typed);
        }
        return TOP_WISH_NONE;
}

static void set_sort(Top *t, TopColumn column) {
        if (column != t->sort)
                t->reversed = false;
        t->sort = column;
        top_arrange(t);
}

static TopWish key_in_sort(Top *t, uint32_t key) {
        switch (key) {
        case TOP_KEY_UP:
        case 'k':
                if (t->choice > 0)
                        t->choice--;
                return TOP_WISH_NONE;
        case TOP_KEY_DOWN:
        case 'j':
                if (t->choice + 1 < _TOP_COLUMN_MAX)
                        t->choice++;
                return TOP_WISH_NONE;
        case TOP_KEY_HOME: t->choice = 0; return TOP_WISH_NONE;
        case TOP_KEY_END: t->choice = _TOP_COLUMN_MAX - 1; return TOP_WISH_NONE;
        case TOP_KEY_ENTER:
        case '\r':
        case F(6): set_sort(t, t->choice); break;
        case TOP_KEY_ESCAPE:
        case 'q': break;
        default: return TOP_WISH_NONE;
        }
        t->mode = TOP_MODE_TABLE;
        return TOP_WISH_NONE;
}

static TopWish key_in_confirm(Top *t, uint32_t key) {
        t->mode = t->back;
        return key == 'y' || key == 'Y' ? TOP_WISH_CANCEL : TOP_WISH_NONE;
}

static TopWish ask_to_cancel(Top *t, uint64_t id, uint64_t now_usec) {
        const TopRow *row = top_find(t, id);

        if (!row)
                return TOP_WISH_NONE;
        if (row->state >= TOP_ERRORED && row->state != TOP_OTHER) {
                top_say(t, now_usec, true, "query %llu has ended already", (unsigned long long) id);
                return TOP_WISH_NONE;
        }
        t->subject = id;
        t->back = t->mode;
        t->mode = TOP_MODE_CONFIRM;
        return TOP_WISH_NONE;
}

/* What moves the cursor, or the text; @at of @n, of which @page are seen. True: it was such a key. */
static bool move(uint32_t key, size_t page, size_t n, size_t *at) {
        size_t step = page > 1 ? page - 1 : 1, last = n > 0 ? n - 1 : 0;

        switch (key) {
        case TOP_KEY_UP:
        case 'k': *at -= *at > 0; break;
        case TOP_KEY_DOWN:
        case 'j': *at += *at < last; break;
        case TOP_KEY_PAGE_UP:
        case CONTROL('B'): *at -= MIN(*at, step); break;
        case TOP_KEY_PAGE_DOWN:
        case CONTROL('F'): *at = MIN(*at + step, last); break;
        case TOP_KEY_HOME:
        case 'g': *at = 0; break;
        case TOP_KEY_END:
        case 'G': *at = last; break;
        default: return false;
        }
        return true;
}

static TopWish key_in_pager(Top *t, uint32_t key, uint64_t now_usec) {
        if (move(key, t->pager_page, t->scroll_max + 1, &t->scroll))
                return TOP_WISH_NONE;
        switch (key) {
        case F(10): return TOP_WISH_QUIT;
        case CONTROL('L'): return TOP_WISH_REDRAW;
        case 'c':
        case F(9): return t->mode == TOP_MODE_INSPECT ? ask_to_cancel(t, t->subject, now_usec) : TOP_WISH_NONE;
        case 'q':
        case 'h':
        case '?':
        case ' ':
        case F(1):
        case TOP_KEY_ESCAPE:
        case TOP_KEY_LEFT:
        case TOP_KEY_ENTER:
        case '\r':
        case TOP_KEY_BACKSPACE:
                t->mode = TOP_MODE_TABLE;
                t->inspected = penstock_info_free(t->inspected);
                return TOP_WISH_NONE;
        default: return TOP_WISH_NONE;
        }
}

static void begin_typing(Top *t, TopMode mode, const char *text) {
        snprintf(t->typed, sizeof(t->typed), "%s", text);
        snprintf(t->filter_before, sizeof(t->filter_before), "%s", t->filter);
        t->mode = mode;
}

/* Of the columns that are shown, the one before or behind the present one, or where that would be. */
static void sort_by_neighbour(Top *t, bool behind) {
        const TopLayout *l = &t->layout;
        size_t i = 0;

        while (i < l->n && l->v[i].column < t->sort)
                i++;
        if (!behind && i > 0)
                set_sort(t, l->v[i - 1].column);
        else if (behind && i < l->n && l->v[i].column != t->sort)
                set_sort(t, l->v[i].column);
        else if (behind && i + 1 < l->n)
                set_sort(t, l->v[i + 1].column);
}

static TopWish inspect(Top *t) {
        if (t->selected == 0)
                return TOP_WISH_NONE;
        t->subject = t->selected;
        t->inspected = penstock_info_free(t->inspected);
        t->scroll = 0;
        t->mode = TOP_MODE_INSPECT;
        return TOP_WISH_INSPECT;
}

static TopWish hold(Top *t) {
        t->held = !t->held;
        return t->held ? TOP_WISH_NONE : TOP_WISH_UPDATE;
}

static TopWish change_delay(Top *t, bool longer) {
        top_set_delay(t, longer ? t->delay_usec * 2 : t->delay_usec / 2);
        return TOP_WISH_DELAY;
}

static TopWish key_of_order(Top *t, uint32_t key) {
        switch (key) {
        case 's':
        case F(6):
                t->choice = t->sort;
                t->mode = TOP_MODE_SORT;
                break;
        case '<': sort_by_neighbour(t, false); break;
        case '>': sort_by_neighbour(t, true); break;
        case 'N': set_sort(t, TOP_COLUMN_ID); break;
        case 'P': set_sort(t, TOP_COLUMN_CPU); break;
        case 'M': set_sort(t, TOP_COLUMN_USED); break;
        case 'T': set_sort(t, TOP_COLUMN_TIME); break;
        case 'I':
        case 'R':
                t->reversed = !t->reversed;
                top_arrange(t);
                break;
        default: break;
        }
        return TOP_WISH_NONE;
}

static TopWish key_in_table(Top *t, uint32_t key, uint64_t now_usec) {
        size_t at = t->at;

        if (move(key, t->page, t->n_view, &at)) {
                top_select(t, at);
                return TOP_WISH_NONE;
        }
        switch (key) {
        case 'q':
        case F(10): return TOP_WISH_QUIT;
        case 'h':
        case '?':
        case F(1):
                t->mode = TOP_MODE_HELP;
                t->scroll = 0;
                return TOP_WISH_NONE;
        case '/':
        case F(4): begin_typing(t, TOP_MODE_FILTER, t->filter); return TOP_WISH_NONE;
        case '\\':
        case TOP_KEY_ESCAPE: set_filter(t, ""); return TOP_WISH_NONE;
        case 'd': begin_typing(t, TOP_MODE_DELAY, ""); return TOP_WISH_NONE;
        case '+': return change_delay(t, true);
        case '-': return change_delay(t, false);
        case ' ': return hold(t);
        case TOP_KEY_ENTER:
        case '\r':
        case TOP_KEY_RIGHT: return inspect(t);
        case 'c':
        case F(9): return ask_to_cancel(t, t->selected, now_usec);
        case CONTROL('L'): return TOP_WISH_REDRAW;
        default: return key_of_order(t, key);
        }
}

TopWish top_key(Top *t, uint32_t key, uint64_t now_usec) {
        switch (t->mode) {
        case TOP_MODE_FILTER: return key_in_filter(t, key);
        case TOP_MODE_DELAY: return key_in_delay(t, key, now_usec);
        case TOP_MODE_SORT: return key_in_sort(t, key);
        case TOP_MODE_CONFIRM: return key_in_confirm(t, key);
        case TOP_MODE_INSPECT:
        case TOP_MODE_HELP: return key_in_pager(t, key, now_usec);
        default: return key_in_table(t, key, now_usec);
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/canvas.h"

#include <errno.h>
#include <langinfo.h>
#include <string.h>
#include <wchar.h>

#define ELLIPSIS 0x2026u

bool locale_is_ascii(void) {
        return strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
}

int canvas_init(Canvas *c, unsigned width, unsigned height, bool ascii) {
        *c = (Canvas) {
                .width = MIN(width, CANVAS_WIDTH_MAX),
                .height = MIN(height, CANVAS_HEIGHT_MAX),
                .ascii = ascii,
        };
        c->cells = calloc(MAX((size_t) c->width * c->height, (size_t) 1), sizeof(*c->cells));
        if (!c->cells)
                return -ENOMEM;
        canvas_clear(c);
        return 0;
}

void canvas_done(Canvas *c) {
        free(c->cells);
        *c = (Canvas) {};
}

void canvas_clear(Canvas *c) {
        for (unsigned y = 0; y < c->height; y++)
                canvas_fill(c, y, 0, c->width, ROLE_PLAIN, ' ');
}

/* The code point at *@text, which is moved on; none: a byte that begins none. Overlong forms, surrogates and what
 * comes after U+10FFFF begin none. */
static uint32_t decode(const unsigned char **text) {
        static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
        const unsigned char *s = *text;
        unsigned more = s[0] < 0x80 ? 0 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;
        uint32_t value = more == 0 ? s[0] : s[0] & (0x3fu >> more);

        *text = s + 1;
        if (s[0] >= 0x80 && (s[0] < 0xc2 || s[0] > 0xf4))
                return UINT32_MAX;
        for (unsigned i = 1; i <= more; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return UINT32_MAX;
                value = value << 6 | (s[i] & 0x3f);
        }
        if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
                return UINT32_MAX;
        *text = s + more + 1;
        return value;
}

/* What is shown of the next code point, and the columns that it takes. None: it takes none, and is left out; among
 * those are the ones that turn the writing direction. */
static uint32_t next_shown(const unsigned char **text, bool ascii, unsigned *ret_columns) {
        uint32_t value = decode(text);
        int columns;

        *ret_columns = 1;
        if (value < 0x80)
                return value < ' ' || value == 0x7f ? '?' : value;
        if (value == UINT32_MAX || ascii)
                return '?';
        columns = wcwidth((wchar_t) value);
        if (columns < 0)
                return '?';
        *ret_columns = (unsigned) columns;
        return value;
}

unsigned canvas_columns(const char *text, bool ascii) {
        const unsigned char *s = (const unsigned char *) text;
        unsigned sum = 0, columns;

        while (*s && sum < CANVAS_WIDTH_MAX) {
                (void) next_shown(&s, ascii, &columns);
                sum += columns;
        }
        return sum;
}

size_t text_line(const char *text, unsigned width, bool ascii) {
        const unsigned char *begin = (const unsigned char *) text, *s = begin, *blank = NULL;
        unsigned sum = 0, columns;

        while (*s) {
                const unsigned char *here = s;

                if (*here == ' ')
                        blank = here;
                (void) next_shown(&s, ascii, &columns);
                if (sum + columns > width && here > begin) /* at least one, or there were no end */
                        return (size_t) ((blank && blank > begin ? blank + 1 : here) - begin);
                sum += columns;
        }
        return (size_t) (s - begin);
}

/* Of what takes two columns no half is left. */
static void set_cell(Canvas *c, unsigned y, unsigned x, uint32_t value, Role role) {
        Cell *cell = &c->cells[(size_t) y * c->width + x];

        if (cell->c == 0 && x > 0)
                cell[-1].c = ' ';
        if (x + 1 < c->width && cell[1].c == 0)
                cell[1].c = ' ';
        *cell = (Cell) { value, role };
}

unsigned canvas_put(Canvas *c, unsigned y, unsigned x, unsigned width, Role role, const char *text) {
        const unsigned char *s = (const unsigned char *) text;
        unsigned n = 0, columns;
        bool fits;

        if (y >= c->height || x >= c->width)
                return 0;
        width = MIN(width, c->width - x);
        fits = canvas_columns(text, c->ascii) <= width;
        while (*s && n < width) {
                uint32_t value = next_shown(&s, c->ascii, &columns);

                if (columns == 0)
                        continue;
                if (!fits && n + columns >= width) { /* the last column says that something is missing */
                        set_cell(c, y, x + n, c->ascii ? '~' : ELLIPSIS, role);
                        return n + 1;
                }
                set_cell(c, y, x + n, value, role);
                if (columns == 2) {
                        set_cell(c, y, x + n + 1, ' ', role);
                        c->cells[(size_t) y * c->width + x + n + 1].c = 0;
                }
                n += columns;
        }
        return n;
}

void canvas_put_right(Canvas *c, unsigned y, unsigned x, unsigned width, Role role, const char *text) {
        unsigned columns = canvas_columns(text, c->ascii);

        if (columns >= width)
                canvas_put(c, y, x, width, role, text);
        else
                canvas_put(c, y, x + width - columns, columns, role, text);
}

void canvas_fill(Canvas *c, unsigned y, unsigned x, unsigned width, Role role, uint32_t what) {
        for (unsigned i = x; y < c->height && i < c->width && i - x < width; i++)
                set_cell(c, y, i, what, role);
}

void canvas_paint(Canvas *c, unsigned y, unsigned x, unsigned width, Role role) {
        for (unsigned i = x; y < c->height && i < c->width && i - x < width; i++)
                c->cells[(size_t) y * c->width + i].role = role;
}

static size_t encode(uint32_t c, char buf[static CELL_BYTES]) {
        if (c < 0x80) {
                buf[0] = (char) c;
                return 1;
        }
        if (c < 0x800) {
                buf[0] = (char) (0xc0 | c >> 6);
                buf[1] = (char) (0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                buf[0] = (char) (0xe0 | c >> 12);
                buf[1] = (char) (0x80 | (c >> 6 & 0x3f));
                buf[2] = (char) (0x80 | (c & 0x3f));
                return 3;
        }
        buf[0] = (char) (0xf0 | c >> 18);
        buf[1] = (char) (0x80 | (c >> 12 & 0x3f));
        buf[2] = (char) (0x80 | (c >> 6 & 0x3f));
        buf[3] = (char) (0x80 | (c & 0x3f));
        return 4;
}

unsigned canvas_run(const Canvas *c, unsigned y, unsigned x, Role *ret_role, char *buf, size_t size) {
        const Cell *line;
        unsigned n = 0;
        size_t len = 0;

        buf[0] = '\0';
        if (y >= c->height || x >= c->width)
                return 0;
        line = &c->cells[(size_t) y * c->width];
        *ret_role = line[x].role;
        for (; x + n < c->width && line[x + n].role == *ret_role && len + CELL_BYTES < size; n++)
                if (line[x + n].c != 0)
                        len += encode(line[x + n].c, buf + len);
        buf[len] = '\0';
        return n;
}

void canvas_bar(Canvas *c, unsigned y, unsigned x, unsigned width, uint64_t total, const BarPart parts[], size_t n) {
        uint64_t sum = 0;
        unsigned from = 0;

        for (size_t i = 0; i < n && total > 0; i++) {
                unsigned to;

                sum = MIN(add_saturating(sum, parts[i].amount), total);
                to = (unsigned) (((unsigned __int128) sum * width + total / 2) / total);
                canvas_fill(c, y, x + from, to - from, parts[i].role,
                            c->ascii ? (unsigned char) parts[i].ascii : parts[i].wide);
                from = to;
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/csv.h"

#include <errno.h>
#include <string.h>

#include "ctl/ctl.h"

static size_t count(const char *s, size_t len, char c) {
        size_t n = 0;

        for (size_t i = 0; i < len; i++)
                n += s[i] == c;
        return n;
}

/* Cut [@line, @end) at its commas into @cells. Returns the end. */
static char *split(char *line, const char **cells, size_t n) {
        for (size_t i = 0; i < n; i++) {
                cells[i] = line;
                line += strcspn(line, ",\n");
                *line++ = '\0';
        }
        return line;
}

int csv_parse(char *text, Csv *ret) {
        size_t len = strlen(text), width = strcspn(text, "\n"), lines;
        Csv c = {};

        lines = count(text, len, '\n');
        if (lines == 0 || text[len - 1] != '\n' || width == 0)
                return -EBADMSG;
        c.n_columns = count(text, width, ',') + 1;
        c.n_rows = lines - 1;
        if (c.n_columns > CSV_COLUMNS_MAX)
                return -EBADMSG;
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
                if (count(line, strcspn(line, "\n"), ',') + 1 != c.n_columns)
                        return -EBADMSG;
        c.names = calloc(lines * c.n_columns, sizeof(*c.names));
        if (!c.names)
                return -ENOMEM;
        c.cells = c.names + c.n_columns;
        for (size_t i = 0; i < lines; i++)
                text = split(text, c.names + i * c.n_columns, c.n_columns);
        for (size_t i = 0; i < c.n_columns; i++)
                if (c.names[i][0] == '\0') {
                        csv_done(&c);
                        return -EBADMSG;
                }
        *ret = c;
        return 0;
}

void csv_done(Csv *c) {
        free(c->names);
        *c = (Csv) {};
}

size_t csv_column(const Csv *c, const char *name) {
        size_t i = 0;

        while (i < c->n_columns && strcmp(c->names[i], name) != 0)
                i++;
        return i;
}

const char *csv_cell(const Csv *c, size_t row, size_t column) {
        return column < c->n_columns ? c->cells[row * c->n_columns + column] : "";
}

uint64_t csv_cell_u64(const Csv *c, size_t row, size_t column) {
        uint64_t v = 0;

        (void) u64_parse(csv_cell(c, row, column), &v);
        return v;
}

const char *csv_get(const Csv *c, size_t row, const char *name) {
        return csv_cell(c, row, csv_column(c, name));
}

uint64_t csv_get_u64(const Csv *c, size_t row, const char *name) {
        return csv_cell_u64(c, row, csv_column(c, name));
}

void csv_write_cell(FILE *f, const char *text, bool first, bool last) {
        CLEANUP(freep) char *plain = strdup(text);
        bool quoted = plain && text_make_plain(plain)[strcspn(plain, ",\"\r\n")] != '\0';

        if (!first)
                putc(',', f);
        if (quoted)
                putc('"', f);
        for (const char *p = plain; p && *p; p++) {
                if (*p == '"')
                        putc('"', f);
                putc(*p, f);
        }
        if (quoted)
                putc('"', f);
        if (last)
                putc('\n', f);
}

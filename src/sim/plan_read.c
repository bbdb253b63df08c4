/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/excerpt.h"
#include "sim/plan.h"

enum { ARRIVAL, DURATION, PEAK, QUERY, _COLUMN_MAX };
static const char *const columns[_COLUMN_MAX] = { "arrival", "duration", "peak", "query" };

typedef struct Header {
        int column[_COLUMN_MAX]; /* -1: there is none */
        int n_fields;
} Header;

/* More than a hundred years is a slip. */
#define SECONDS_MAX 4e9

static int bad(char failure[static PLAN_FAILURE_MAX], size_t line, const char *format, ...) PRINTF_LIKE(3, 4);
static int bad(char failure[static PLAN_FAILURE_MAX], size_t line, const char *format, ...) {
        char text[PLAN_FAILURE_MAX];
        int n = snprintf(text, sizeof(text), "line %zu: ", line);
        va_list ap;

        va_start(ap, format);
        vsnprintf(text + n, sizeof(text) - (size_t) n, format, ap);
        va_end(ap);
        excerpt_make(text, strlen(text), failure, PLAN_FAILURE_MAX); /* the load may be anybody's */
        return -EBADMSG;
}

/* Plain fields, as numbers have no need of quotes. */
static char *next_field(char **rest) {
        char *field = *rest, *end;

        if (!field)
                return NULL;
        end = strchr(field, ',');
        *rest = end ? end + 1 : NULL;
        if (end)
                *end = '\0';
        field += strspn(field, " \t");
        for (end = field + strlen(field); end > field && strchr(" \t\r\n", end[-1]);)
                *--end = '\0';
        return field;
}

/* A comma in quotes would cut the field in two. */
static int refuse_quotes(const char *field, size_t line, char failure[static PLAN_FAILURE_MAX]) {
        return *field == '"' ? bad(failure, line, "a field is quoted (%.40s), and quotes are not read", field) : 0;
}

static int read_header(char *text, Header *ret, char failure[static PLAN_FAILURE_MAX]) {
        char *field;

        ret->n_fields = 0;
        for (int c = 0; c < _COLUMN_MAX; c++)
                ret->column[c] = -1;
        for (; (field = next_field(&text)); ret->n_fields++) {
                int r = refuse_quotes(field, 1, failure);

                if (r < 0)
                        return r;
                for (int c = 0; c < _COLUMN_MAX; c++)
                        if (strcmp(field, columns[c]) == 0)
                                ret->column[c] = ret->n_fields;
        }
        for (int c = 0; c < QUERY; c++) /* without that each is another query */
                if (ret->column[c] < 0)
                        return bad(failure, 1, "no column is named \"%s\"", columns[c]);
        return 0;
}

static int read_seconds(const char *text, uint64_t *ret_usec) {
        char *end;
        double s = strtod(text, &end);

        if (end == text || *end != '\0' || !(s >= 0 && s <= SECONDS_MAX))
                return -EINVAL;
        *ret_usec = (uint64_t) (s * (double) USEC_PER_SEC + 0.5);
        return 0;
}

/* FNV-1a, in two halves that begin differently: nobody here tries to have two the same. */
static void hash_text(const char *text, uint64_t ret[static 2]) {
        ret[0] = UINT64_C(0xcbf29ce484222325);
        ret[1] = ~ret[0];
        for (; *text; text++)
                for (int i = 0; i < 2; i++)
                        ret[i] = (ret[i] ^ (uint8_t) *text) * UINT64_C(0x100000001b3);
}

static bool read_cell(const char *field, int c, PlanQuery *ret) {
        switch (c) {
        case ARRIVAL: return read_seconds(field, &ret->arrival_usec) == 0;
        case DURATION: return read_seconds(field, &ret->duration_usec) == 0;
        case PEAK: return size_parse(field, 0, &ret->peak_bytes) == 0 && ret->peak_bytes != SIZE_INFINITY;
        default:
                if (*field)
                        hash_text(field, ret->fingerprint);
                return true;
        }
}

static int read_query(char *text, const Header *header, size_t line, PlanQuery *ret,
                      char failure[static PLAN_FAILURE_MAX]) {
        char *field;
        int i = 0;

        *ret = (PlanQuery) {};
        for (; (field = next_field(&text)); i++) {
                int r = refuse_quotes(field, line, failure);

                if (r < 0)
                        return r;
                for (int c = 0; c < _COLUMN_MAX; c++) {
                        if (header->column[c] != i)
                                continue;
                        if (!read_cell(field, c, ret))
                                return bad(failure, line, "%s \"%.40s\" is no %s", columns[c], field,
                                           c == PEAK ? "size" : "number of seconds");
                }
        }
        if (i > header->n_fields)
                return bad(failure, line, "it has more fields than the first line names");
        return i == header->n_fields ? 0 : bad(failure, line, "it has not as many fields as the first line names");
}

static int grow(PlanLoad *l, size_t *allocated) {
        size_t n = *allocated ? 2 * *allocated : 1024;
        PlanQuery *v;

        if (l->n < *allocated)
                return 0;
        v = realloc(l->v, n * sizeof(*v));
        if (!v)
                return -ENOMEM;
        l->v = v;
        *allocated = n;
        return 0;
}

static int by_arrival(const void *a, const void *b) {
        const PlanQuery *x = a, *y = b;

        return (x->arrival_usec > y->arrival_usec) - (x->arrival_usec < y->arrival_usec);
}

int plan_read(FILE *f, PlanLoad *ret, char failure[static PLAN_FAILURE_MAX]) {
        int r = 0;
        Header header = {};
        size_t allocated = 0, size = 0, line = 0;
        char *text = NULL;

        *ret = (PlanLoad) {};
        failure[0] = '\0';
        errno = 0;
        while (r == 0 && getline(&text, &size, f) >= 0) {
                line++;
                if (line == 1)
                        r = read_header(text, &header, failure);
                else if (text[strspn(text, " \t\r\n")] != '\0') {
                        r = grow(ret, &allocated);
                        if (r == 0)
                                r = read_query(text, &header, line, &ret->v[ret->n], failure);
                        ret->n += r == 0;
                }
        }
        if (r == 0 && ferror(f))
                r = errno ? -errno : -EIO;
        free(text);
        if (r == 0 && ret->n == 0)
                r = bad(failure, line, "there is no query");
        if (r < 0)
                return r;
        qsort(ret->v, ret->n, sizeof(*ret->v), by_arrival);
        for (size_t i = ret->n; i > 0; i--)
                ret->v[i - 1].arrival_usec -= ret->v[0].arrival_usec;
        return 0;
}

void plan_load_done(PlanLoad *l) {
        free(l->v);
        *l = (PlanLoad) {};
}

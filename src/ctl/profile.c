/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/complete.h"
#include "ctl/csv.h"
#include "ctl/json.h"
#include "ctl/picture.h"
#include "ctl/table.h"

typedef enum ProfileForm { FORM_TABLE, FORM_CSV, FORM_JSON } ProfileForm;

typedef struct ProfileOptions {
        ProfileForm form;
        Picture picture;
} ProfileOptions;

static const struct option options[] = {
        { "csv", no_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },
        PICTURE_OPTIONS,
        { "help", no_argument, NULL, 'h' },
        {},
};

/* All of @fd, with a NUL behind it. */
static int read_text(int fd, char **ret, size_t *ret_len) {
        CLEANUP(freep) char *text = malloc(CSV_BYTES_MAX + 1);
        size_t len = 0;
        ssize_t n = 1;

        if (!text)
                return -ENOMEM;
        while (n != 0 && len <= CSV_BYTES_MAX) {
                n = read(fd, text + len, CSV_BYTES_MAX + 1 - len);
                if (n < 0 && errno != EINTR)
                        return -errno;
                len += n > 0 ? (size_t) n : 0;
        }
        if (len > CSV_BYTES_MAX)
                return -EFBIG;
        text[len] = '\0';
        *ret = text;
        *ret_len = len;
        text = NULL;
        return 0;
}

/* A number where it is one; null for "infinity", which JSON does not have, and for no value. */
static json_t *json_cell(const char *name, const char *cell) {
        uint64_t v;

        if (strcmp(name, "event") == 0 || strcmp(name, "cause") == 0)
                return json_string(cell);
        if (u64_parse(cell, &v) < 0 || v > INT64_MAX)
                return json_null();
        return json_integer((json_int_t) v);
}

static int print_json(const Verb *verb, uint64_t id, const Csv *c) {
        json_t *o = json_object(), *rows = json_array();

        json_object_set_new(o, "id", json_integer((json_int_t) id));
        for (size_t i = 0; i < c->n_rows; i++) {
                json_t *row = json_object();

                for (size_t k = 0; k < c->n_columns; k++)
                        json_object_set_new(row, c->names[k], json_cell(c->names[k], c->cells[i * c->n_columns + k]));
                json_array_append_new(rows, row);
        }
        json_object_set_new(o, "rows", rows);
        return json_print(verb, o);
}

/* The part of the time since the row before in which some task was stalled for memory. */
static const char *stalled(const Csv *c, size_t row, char buf[static TEXT_MAX]) {
        uint64_t time = csv_get_u64(c, row, "time_usec"), stall = csv_get_u64(c, row, "stall_some_usec");

        if (row > 0) {
                time -= csv_get_u64(c, row - 1, "time_usec");
                stall -= csv_get_u64(c, row - 1, "stall_some_usec");
        }
        if (time == 0 || stall == 0)
                return stall == 0 ? "-" : "?";
        snprintf(buf, TEXT_MAX, "%llu%%", (unsigned long long) (MIN(stall, time) * 100 / time));
        return buf;
}

static const char *why(const Csv *c, size_t row, char buf[static TEXT_MAX]) {
        char old_limit[TEXT_MAX];

        if (strcmp(csv_get(c, row, "event"), "raise") != 0)
                return csv_get(c, row, "cause");
        snprintf(buf, TEXT_MAX, "%.24s, from %s", csv_get(c, row, "cause"),
                 format_size(csv_get_u64(c, row, "old_bytes"), old_limit));
        return buf;
}

static const char *const size_columns[] = {
        "limit_bytes", "current_bytes", "anon_bytes", "shmem_bytes", "file_bytes", "kernel_bytes", "need_bytes",
};

static void add_row(struct libscols_table *t, const Csv *c, size_t row) {
        char time[TEXT_MAX], cause[TEXT_MAX], sizes[ELEMENTSOF(size_columns)][TEXT_MAX], stall[TEXT_MAX],
                        cpu[TEXT_MAX], reads[TEXT_MAX], writes[TEXT_MAX];
        const char *cells[3 + ELEMENTSOF(size_columns) + 4];
        size_t n = 0;

        cells[n++] = format_duration(csv_get_u64(c, row, "time_usec"), time);
        cells[n++] = csv_get(c, row, "event");
        cells[n++] = why(c, row, cause);
        for (size_t i = 0; i < ELEMENTSOF(size_columns); i++)
                cells[n++] = format_size(csv_get_u64(c, row, size_columns[i]), sizes[i]);
        cells[n++] = stalled(c, row, stall);
        cells[n++] = format_duration(csv_get_u64(c, row, "cpu_usec"), cpu);
        cells[n++] = format_size(csv_get_u64(c, row, "io_read_bytes"), reads);
        cells[n++] = format_size(csv_get_u64(c, row, "io_write_bytes"), writes);
        table_add(t, cells, n);
}

static int print_table(const Verb *verb, const Csv *c) {
        static const Column columns[] = {
                { "TIME", COLUMN_RIGHT },     { "EVENT", COLUMN_LEFT },       { "CAUSE", COLUMN_LEFT, 1 },
                { "LIMIT", COLUMN_RIGHT },    { "USED", COLUMN_RIGHT, 3 },    { "ANON", COLUMN_RIGHT, 8 },
                { "SHMEM", COLUMN_RIGHT, 9 }, { "FILE", COLUMN_RIGHT, 7 },    { "KERNEL", COLUMN_RIGHT, 10 },
                { "NEED", COLUMN_RIGHT, 2 },  { "STALLED", COLUMN_RIGHT, 4 }, { "CPU", COLUMN_RIGHT, 5 },
                { "READ", COLUMN_RIGHT, 6 },  { "WRITTEN", COLUMN_RIGHT, 6 },
        };
        struct libscols_table *t = table_new(columns, ELEMENTSOF(columns), TABLE_WITH_HEADINGS);
        uint64_t left_out = 0;
        int r;

        for (size_t i = 0; i < c->n_rows; i++) {
                add_row(t, c, i);
                left_out += csv_get_u64(c, i, "thinned_rows");
        }
        table_fit(t, columns, ELEMENTSOF(columns), terminal_columns(STDOUT_FILENO));
        r = table_print(verb, t);
        if (r != EXIT_CODE_OK || left_out == 0)
                return r;
        printf("\n%llu more rows were left out, to keep the table small.\n", (unsigned long long) left_out);
        return finish_output(verb->failure);
}

static int print(const Verb *verb, uint64_t id, ProfileForm form, int fd) {
        CLEANUP(freep) char *text = NULL;
        CLEANUP(csv_done) Csv c = {};
        size_t len = 0;
        int r;

        r = read_text(fd, &text, &len);
        if (r == 0 && form == FORM_CSV) {
                (void) fwrite(text, 1, len, stdout);
                return finish_output(verb->failure);
        }
        if (r == 0)
                r = csv_parse(text, &c);
        if (r < 0) {
                report("cannot read the profile: %s", strerror(-r));
                return verb->failure;
        }
        return form == FORM_JSON ? print_json(verb, id, &c) : print_table(verb, &c);
}

static int profile(const Verb *verb, const char *id, const ProfileOptions *o) {
        CLEANUP(client_freep) PenstockClient *client = NULL;
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        CLEANUP(closep) int fd = -1;
        PenstockError error = {};
        int r;

        r = query_open(verb, id, &client, &q);
        if (r != GO_ON)
                return r;
        if (penstock_query_open_profile(q, &fd, &error) < 0)
                return report_error(&error, verb->failure);
        if (o->picture.kind != PICTURE_NONE)
                return picture_of_profile(verb, &o->picture, q, fd);
        return print(verb, penstock_query_id(q), o->form, fd);
}

/* Returns GO_ON or an exit status. */
static int set_form(const Verb *verb, ProfileOptions *o, ProfileForm form) {
        if (o->form != FORM_TABLE)
                return form_error(verb);
        o->form = form;
        return GO_ON;
}

static int profile_run(const Verb *verb, int argc, char *argv[]) {
        ProfileOptions o = { .picture.subject = "profile" };
        int opt, r = GO_ON;

        while (r == GO_ON && (opt = options_next(verb, argc, argv)) != OPTION_END)
                switch (opt) {
                case 'c': r = set_form(verb, &o, FORM_CSV); break;
                case 'j': r = set_form(verb, &o, FORM_JSON); break;
                case OPTION_HELP: return finish_output(verb->failure);
                default: r = picture_take_option(verb, &o.picture, opt);
                }
        if (r == GO_ON)
                r = picture_check_options(verb, &o.picture, o.form != FORM_TABLE);
        if (r != GO_ON)
                return r;
        if (optind + 1 != argc)
                return usage_error(verb, "one ID of a query is wanted");
        return profile(verb, argv[optind], &o);
}

const Verb verb_profile = {
        .name = "profile",
        .arguments = "[--csv|--json|--plot FILE] ID",
        .summary = "Show a query's memory, stall, CPU and I/O over time",
        .help = "  --csv            the rows as the service has them: bytes, microseconds, totals\n"
                "  --json           an object with id and rows; keys are the CSV's columns\n"
                "  --plot FILE      a picture of limit, use by kind, stall and raises; the cause\n"
                "                   stands at each raise. FILE ends in .svg or .png\n"
                "  --svg FILE       the same, whatever the name; \"-\" is standard output\n"
                "  --png FILE       the same in pixels\n"
                "  --width PIXELS   of the picture, 360 to 4000 (1000)\n"
                "  --height PIXELS  280 to 4000 (560)\n",
        .options = options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = profile_run,
        .examples = "  penstockctl profile 12\n"
                    "  penstockctl profile --csv 12 > profile.csv\n"
                    "  penstockctl profile --plot 12.svg 12\n",
        .complete = complete_own_queries,
};

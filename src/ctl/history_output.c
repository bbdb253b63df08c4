/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/history_output.h"

#include <string.h>

#include "ctl/csv.h"
#include "ctl/json.h"
#include "ctl/table.h"

static const Column columns[] = {
        { "ID", COLUMN_RIGHT },
        { "ENDED", COLUMN_LEFT, 1 },
        { "STATE", COLUMN_LEFT },
        { "LANGUAGE", COLUMN_LEFT, 4 },
        { "USER", COLUMN_LEFT, 3 },
        { "TIME", COLUMN_RIGHT, 2 },
        { "PEAK", COLUMN_RIGHT },
        { "QUOTA", COLUMN_RIGHT, 6 },
        { "RAISES", COLUMN_RIGHT, 5 },
        { "SAVED", COLUMN_RIGHT, 7 },
        { "WHY", COLUMN_TRUNCATE },
};

int history_output_begin(HistoryOutput *o, HistoryForm form, const Verb *verb) {
        *o = (HistoryOutput) { .form = form };
        switch (form) {
        case HISTORY_TABLE: o->table = table_new(columns, ELEMENTSOF(columns), TABLE_WITH_HEADINGS); break;
        case HISTORY_PICTURE: return history_picture_begin(&o->picture, verb);
        case HISTORY_CSV:
        case HISTORY_JSON:
        case HISTORY_NOWHERE: break;
        }
        return GO_ON;
}

void history_output_answered(HistoryOutput *o) {
        if (o->is_answered)
                return;
        o->is_answered = true;
        if (o->form == HISTORY_JSON)
                putchar('[');
        for (size_t k = 0; o->form == HISTORY_CSV && history_keys[k]; k++)
                csv_write_cell(stdout, history_keys[k], k == 0, !history_keys[k + 1]);
}

static void add_to_table(struct libscols_table *t, const PenstockInfo *i) {
        char id[TEXT_MAX], ended[TEXT_MAX], user[TEXT_MAX], time[TEXT_MAX], peak[TEXT_MAX], quota[TEXT_MAX],
                        raises[TEXT_MAX], saved[TEXT_MAX] = "";
        PenstockError error = {};

        (void) penstock_info_get_error(i, &error);
        snprintf(id, sizeof(id), "%llu", (unsigned long long) info_u64(i, "id"));
        snprintf(raises, sizeof(raises), "%llu", (unsigned long long) info_u64(i, "raises"));
        if (info_bool(i, "learned"))
                snprintf(saved, sizeof(saved), "%llu", (unsigned long long) info_u64(i, "raises_saved"));
        table_add(t,
                  (const char *const[]) { id, format_time(info_u64(i, "ended_usec"), ended), info_string(i, "state"),
                                          info_string(i, "language"), user_name(info_u64(i, "user_id"), user),
                                          format_duration(info_u64(i, "total_usec"), time),
                                          format_size(info_u64(i, "memory_peak_bytes"), peak),
                                          format_size(info_u64(i, "memory_quota_bytes"), quota), raises, saved,
                                          error.name },
                  ELEMENTSOF(columns));
}

/* A value as it stands in a cell: text as it is, null as nothing, and all else as JSON. */
static void write_value(const json_t *v, bool first, bool last) {
        CLEANUP(freep)
        char *text = json_is_string(v) || json_is_null(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

        csv_write_cell(stdout, json_is_string(v) ? json_string_value(v) : text ? text : "", first, last);
}

static void write_csv(const PenstockInfo *i) {
        PenstockError error = {};

        (void) penstock_info_get_error(i, &error); /* which has the short name */
        for (size_t k = 0; history_keys[k]; k++) {
                bool is_error = strcmp(history_keys[k], "error_name") == 0;
                json_t *v = is_error ? json_string(error.name) : json_from_info(i, history_keys[k]);

                write_value(v, k == 0, !history_keys[k + 1]);
                json_decref(v);
        }
}

static void write_json(const PenstockInfo *i, bool first) {
        json_t *o = json_history(i);
        CLEANUP(freep) char *text = json_dumps(o, JSON_INDENT(2));

        json_decref(o);
        fputs(first ? "\n" : ",\n", stdout);
        json_write_plain(text ? text : "null", stdout);
}

void history_output_add(HistoryOutput *o, const PenstockInfo *i) {
        switch (o->form) {
        case HISTORY_TABLE: add_to_table(o->table, i); break;
        case HISTORY_CSV: write_csv(i); break;
        case HISTORY_JSON: write_json(i, !o->any); break;
        case HISTORY_PICTURE: history_picture_add(&o->picture, i); break;
        case HISTORY_NOWHERE: break;
        }
        o->any = true;
}

int history_output_end(HistoryOutput *o, const Verb *verb, const HistoryFrame *frame) {
        struct libscols_table *table = o->table;

        o->table = NULL;
        if (o->form == HISTORY_TABLE) {
                table_fit(table, columns, ELEMENTSOF(columns), terminal_columns(STDOUT_FILENO));
                return table_print(verb, table);
        }
        if (o->form == HISTORY_PICTURE)
                return history_picture_draw(&o->picture, verb, &frame->picture, frame->filters, frame->is_cut);
        if (o->form == HISTORY_JSON)
                puts(o->any ? "\n]" : "]");
        return finish_output(verb->failure);
}

void history_output_done(HistoryOutput *o) {
        scols_unref_table(o->table);
        history_picture_done(&o->picture);
}

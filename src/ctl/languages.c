/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/languages.h"

#include <string.h>

#include "ctl/table.h"
#include "ctl/verbs.h"

void languages_names(char *buf, size_t size) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        const char *name, *description;

        buf[0] = '\0';
        if (penstock_client_new(&c, NULL) < 0 || penstock_client_status(c, &i, NULL) < 0)
                return;
        for (size_t k = 0; penstock_info_get_pair(i, "languages", k, &name, &description) == 0; k++) {
                size_t n = strlen(buf);

                snprintf(buf + n, size - n, "%s%s", k > 0 ? ", " : "", name);
        }
}

/* NULL: its file has none, or the service knows of none. */
static const char *memory_note(const PenstockInfo *i, const char *language) {
        const char *name, *note;

        for (size_t k = 0; penstock_info_get_pair(i, "language_memory_notes", k, &name, &note) == 0; k++)
                if (strcmp(name, language) == 0)
                        return note;
        return NULL;
}

static int print_table(const Verb *verb, const PenstockInfo *i) {
        static const Column columns[] = { { "NAME", COLUMN_LEFT }, { "DESCRIPTION", COLUMN_WRAP }, { "MEMORY", COLUMN_WRAP } };
        struct libscols_table *t = table_new(columns, ELEMENTSOF(columns), TABLE_WITH_HEADINGS);
        const char *name, *description;

        for (size_t k = 0; penstock_info_get_pair(i, "languages", k, &name, &description) == 0; k++)
                table_add(t, (const char *const[]) { name, description, memory_note(i, name) ?: "" }, 3);
        return table_print(verb, t);
}

static json_t *languages_json(const PenstockInfo *i) {
        json_t *array = json_array();
        const char *name, *description;

        for (size_t k = 0; penstock_info_get_pair(i, "languages", k, &name, &description) == 0; k++) {
                const char *note = memory_note(i, name);
                json_t *o = json_object();

                json_object_set_new(o, "name", json_string(name));
                json_object_set_new(o, "description", json_string(description));
                json_object_set_new(o, "memory_note", note ? json_string(note) : json_null());
                json_array_append_new(array, o);
        }
        return array;
}

static int languages_run(const Verb *verb, int argc, char *argv[]) {
        return controller_run(verb, argc, argv, languages_json, print_table);
}

const Verb verb_languages = {
        .name = "languages",
        .arguments = "[--json]",
        .summary = "List the languages that a query may be in",
        .help = "  --json  an array of objects with name, description and memory_note\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = languages_run,
        .examples = "  penstockctl languages\n",
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. */
#include "ctl/metrics_json.h"

#include <stdbool.h>
#include <string.h>

/* Cut the word at *@p off, at the first of @ends, and go behind it. */
static char *take_word(char **p, const char *ends) {
        char *word = *p;

        *p += strcspn(*p, ends);
        if (**p != '\0')
                *(*p)++ = '\0';
        return word;
}

/* A label's value between quotes, whose escapes are undone in place. @p is behind the first quote. NULL: it has no
 * end. */
static char *take_value(char **p) {
        char *value = *p, *to = value;

        for (;;) {
                char c = *(*p)++;

                if (c == '"')
                        break;
                if (c == '\\') {
                        c = *(*p)++;
                        if (c == 'n')
                                c = '\n';
                }
                if (c == '\0')
                        return NULL;
                *to++ = c;
        }
        *to = '\0';
        return value;
}

static int take_labels(char **p, json_t *labels) {
        while (**p != '}') {
                char *name = take_word(p, "="), *value;

                if (**p != '"')
                        return -1;
                (*p)++;
                value = take_value(p);
                if (!value || json_object_set_new(labels, name, json_string(value)) < 0)
                        return -1;
                if (**p == ',')
                        (*p)++;
        }
        (*p)++;
        return 0;
}

/* By jansson, which knows a number in every locale. */
static json_t *number(const char *text) {
        json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

        if (json_is_number(value))
                return value;
        json_decref(value);
        return json_null();
}

static void add_sample(json_t *family, char *line) {
        json_t *sample = json_object(), *labels = json_object();
        size_t n = strcspn(line, "{ ");
        bool has_labels = line[n] == '{';
        char *name = take_word(&line, "{ ");

        if (!family || (has_labels && take_labels(&line, labels) < 0)) {
                json_decref(labels);
                json_decref(sample);
                return;
        }
        line += strspn(line, " ");
        (void) json_object_set_new(sample, "name", json_string(name));
        (void) json_object_set_new(sample, "labels", labels);
        (void) json_object_set_new(sample, "value", number(take_word(&line, " ")));
        (void) json_array_append_new(json_object_get(family, "samples"), sample);
}

/* "# HELP name text" begins a family, "# TYPE name type" says more of it. */
static json_t *add_comment(json_t *all, json_t *family, char *line) {
        char *keyword = take_word(&line, " "), *name = take_word(&line, " ");
        const char *key = strcmp(keyword, "HELP") == 0 ? "help" : strcmp(keyword, "TYPE") == 0 ? "type" : NULL;
        const char *known = json_string_value(json_object_get(family, "name"));

        if (!key)
                return family;
        if (!known || strcmp(known, name) != 0) {
                family = json_pack("{s:s, s:s, s:s, s:[]}", "name", name, "type", "untyped", "help", "", "samples");
                if (!family || json_array_append_new(all, family) < 0)
                        return NULL;
        }
        (void) json_object_set_new(family, key, json_string(line));
        return family;
}

json_t *metrics_to_json(char *text) {
        json_t *all = json_array(), *family = NULL;

        while (all && *text) {
                char *line = take_word(&text, "\n");

                if (strncmp(line, "# ", 2) == 0)
                        family = add_comment(all, family, line + 2);
                else if (*line)
                        add_sample(family, line);
        }
        return all;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"

#include <jansson.h>
#include <string.h>

#include "ctl/programs.h"

/* What `penstockctl config show --json` prints; NULL: nothing. */
static json_t *configuration(void) {
        json_t *all = NULL;
        char command[512];
        FILE *f;

        /* The path is ours, and a word without blanks. */
        snprintf(command, sizeof(command), "%s --show-config --json 2>/dev/null", program_penstockd);
        f = popen(command, "re");
        if (!f)
                return NULL;
        all = json_loadf(f, 0, NULL);
        pclose(f);
        return all;
}

void complete_dependencies(Completion *c) {
        json_t *all = configuration(), *o;
        const char *name;

        json_object_foreach(json_object_get(all, "dependencies"), name,
                            o) if (json_is_true(json_object_get(o, "requestable"))) completion_add(c, name, "");
        json_decref(all);
}

/* Keys of [Controller], with what they are now. */
void complete_settings(Completion *c) {
        json_t *all = configuration(), *o;
        const char *key, *value;
        char text[128];

        json_object_foreach(all, key, o) {
                value = json_string_value(json_object_get(o, "value"));
                snprintf(text, sizeof(text), "%s=", key);
                if (value)
                        completion_add(c, text, value);
        }
        json_decref(all);
}

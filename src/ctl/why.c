/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"
#include "ctl/sheet.h"
#include "ctl/verbs.h"

static int print_text(const Verb *verb, const PenstockInfo *i) {
        const char *verdict = info_string(i, "verdict");
        char text[2048];

        why_sentence(i, text, sizeof(text));
        puts(text_make_plain(text));
        if (verdict[0] != '\0')
                printf("Verdict: %s\n", verdict);
        return finish_output(verb->failure);
}

static json_t *why_json(const PenstockInfo *i) {
        static const char *const keys[] = { "id", "state", "queue_position", "wait_reason", "verdict" };
        json_t *o = json_object();

        for (size_t k = 0; k < ELEMENTSOF(keys); k++)
                json_object_set_new(o, keys[k], json_from_info(i, keys[k]));
        json_object_set_new(o, "error", json_error(i));
        return o;
}

static int why_run(const Verb *verb, int argc, char *argv[]) {
        return describe_run(verb, argc, argv, why_json, print_text);
}

const Verb verb_why = {
        .name = "why",
        .arguments = "[--json] ID",
        .summary = "Say what a query waits for or why it ended, and what decides",
        .help = "  --json  an object\n",
        .options = options_json,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = why_run,
        .examples = "  penstockctl why 12\n",
        .complete = complete_queries,
};

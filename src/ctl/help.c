/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/help: what penstockctl says of itself. */
#include <string.h>

#include "ctl/complete.h"

static void print_overview(void) {
        const Verb *verb;

        puts("Usage: penstockctl VERB …\n\n"
             "Run queries under a memory quota that grows, and manage them.\n");
        for (size_t i = 0; (verb = verb_at(i)); i++)
                printf("  %-10s %s\n", verb->name, verb->summary);
        puts("\n  -h, --help     show this help; behind a verb, that verb's\n"
             "      --version  show the version\n\n"
             "Examples:\n"
             "  penstockctl run --language sqlite --database sales.db 'select 1'\n"
             "  penstockctl run --memory-max 1G -- sort -S 700M -u big.txt\n"
             "  penstockctl help run\n\n"
             "penstock(7) is the way in; penstockctl(1) has exit statuses and the JSON output.");
}

/* Each of the ways to call it on a line of its own. */
static void print_usage(const Verb *verb) {
        const char *way = verb->arguments, *end, *intro = "Usage:";

        do {
                end = strstr(way, " | ");
                printf("%-6s penstockctl %s%s%.*s\n", intro, verb->name, way[0] ? " " : "",
                       end ? (int) (end - way) : (int) strlen(way), way);
                way = end ? end + strlen(" | ") : NULL;
                intro = "";
        } while (way);
}

void verb_print_help(const Verb *verb) {
        print_usage(verb);
        printf("\n%s.\n", verb->summary);
        if (verb->help)
                printf("\n%s", verb->help);
        if (verb->examples)
                printf("\nExamples:\n%s", verb->examples);
}

/* What other tools call it. */
static const char *elsewhere(const char *name) {
        static const struct {
                const char *name, *here;
        } words[] = {
                { "kill", "penstockctl cancel" },   { "stop", "penstockctl cancel" },
                { "ps", "penstockctl list" },       { "ls", "penstockctl list" },
                { "inspect", "penstockctl show" },  { "rm", "penstockctl done" },
                { "start", "penstockctl submit" },  { "exec", "penstockctl run" },
                { "watch", "penstockctl top" },     { "restart", "systemctl restart penstockd" },
                { "logs", "penstockctl results ID, and journalctl -u penstock-qID" },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(words[i].name, name) == 0)
                        return words[i].here;
        return NULL;
}

int no_such_verb(const char *name) {
        const char *here = elsewhere(name);
        const Verb *verb;
        Nearest nearest;

        if (name[0] == '-') {
                report("%s: options come behind the verb, as in: penstockctl list --json", name);
                return EXIT_CODE_USAGE;
        }
        if (here) {
                report("there is no verb '%s'; here it is: %s; see: penstockctl --help", name, here);
                return EXIT_CODE_USAGE;
        }
        nearest_init(&nearest, name);
        for (size_t i = 0; (verb = verb_at(i)); i++)
                nearest_try(&nearest, verb->name);
        report("there is no verb '%s'%s%s%s; see: penstockctl --help", name, nearest.name ? " (did you mean '" : "",
               nearest.name ? nearest.name : "", nearest.name ? "'?)" : "");
        return EXIT_CODE_USAGE;
}

static int help_run(const Verb *verb, int argc, char *argv[]) {
        const Verb *wanted;
        int r;

        r = options_simple(verb, argc, argv, 0, 1, NULL);
        if (r != GO_ON)
                return r;
        if (optind == argc) {
                print_overview();
                return finish_output(verb->failure);
        }
        wanted = verb_find(argv[optind]);
        if (!wanted)
                return no_such_verb(argv[optind]);
        verb_print_help(wanted);
        return finish_output(verb->failure);
}

const Verb verb_help = {
        .name = "help",
        .arguments = "[VERB]",
        .summary = "Show what there is, or what a verb takes",
        .examples = "  penstockctl help run\n",
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = help_run,
        .complete = complete_verbs,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/complete.h"

#include <signal.h>
#include <string.h>

/* Who presses a key waits no longer. */
#define SECONDS_MAX 2u
#define CANDIDATES_MAX 1000u
#define VALUE_MAX 256u
#define DESCRIPTION_MAX 100u

/* True for what neither is an escape for a terminal nor ends a line. */
static bool is_plain(const char *text) {
        char copy[VALUE_MAX];

        snprintf(copy, sizeof(copy), "%s", text);
        return !strpbrk(text, "\n\t") && strcmp(text_make_plain(copy), text) == 0;
}

void completion_add(Completion *c, const char *value, const char *description) {
        char text[DESCRIPTION_MAX];

        if (c->n == CANDIDATES_MAX || !is_plain(value))
                return;
        snprintf(text, sizeof(text), "%s", description);
        text_make_plain(text);
        for (char *p = text; *p; p++)
                if (*p == '\n' || *p == '\t')
                        *p = ' ';
        fprintf(c->out, "%s%s\t%s\n", c->prefix, value, text);
        c->n++;
}

bool completion_has(Completion *c, const char *value) {
        char line[VALUE_MAX + 80];

        if ((size_t) snprintf(line, sizeof(line), "%s%s\t", c->prefix, value) >= sizeof(line) || fflush(c->out) != 0)
                return false;
        for (const char *p = c->candidates; p; p = strchr(p, '\n')) {
                p += *p == '\n';
                if (strncmp(p, line, strlen(line)) == 0)
                        return true;
        }
        return false;
}

static void add_options(Completion *c) {
        char name[64], text[DESCRIPTION_MAX];

        for (const struct option *o = verb_options(c->verb); o->name; o++) {
                snprintf(name, sizeof(name), "--%s", o->name);
                option_description(c->verb->help ? c->verb->help : "", o->name, text, sizeof(text));
                completion_add(c, name, strcmp(o->name, "help") == 0 ? "show what the verb takes" : text);
        }
}

static void complete_value_of(Completion *c, const struct option *o) {
        Completer complete = complete_option(o->name);

        if (complete)
                complete(c);
}

static const struct option *option_by_value(const Verb *verb, int val) {
        for (const struct option *o = verb_options(verb); o->name; o++)
                if (o->val == val)
                        return o;
        return NULL;
}

/* Read the words before the last one as the verb does. Returns the option that the last one is the value of; NULL: of
 * none. */
static const struct option *scan(Completion *c, int argc, char *argv[]) {
        const struct option *pending = NULL;
        char short_options[SHORT_OPTIONS_MAX];
        int o;

        opterr = 0;
        optind = 0; /* from the start, the GNU way */
        verb_short_options(c->verb, "-", short_options);
        while ((o = getopt_long(argc - 1, argv, short_options, verb_options(c->verb), NULL)) >= 0)
                if (o == OPTION_NO_VALUE)
                        pending = option_by_value(c->verb, optopt);
                else if (o == OPTION_WORD)
                        c->arguments[c->n_arguments++] = optarg;
                else if (o == 'l')
                        c->language = optarg;
        if (optind > 1 && strcmp(argv[optind - 1], "--") == 0)
                c->behind_dashes = (size_t) optind;
        for (int i = optind; i < argc - 1; i++)
                c->arguments[c->n_arguments++] = argv[i];
        return pending;
}

/* @argv[0] is the verb. */
static void complete_verb(Completion *c, int argc, char *argv[]) {
        const struct option *pending = scan(c, argc, argv);
        char *word = argv[argc - 1], *equals = strchr(word, '=');
        char prefix[64];
        size_t n;

        if (pending) {
                complete_value_of(c, pending);
                return;
        }
        if (c->behind_dashes > 0 || word[0] != '-') {
                if (c->verb->complete)
                        c->verb->complete(c);
                return;
        }
        if (strncmp(word, "--", 2) != 0 || !equals) {
                add_options(c);
                return;
        }
        snprintf(prefix, sizeof(prefix), "%.*s", (int) (equals + 1 - word), word);
        pending = option_find(verb_options(c->verb), word, &n);
        if (n != 1 || pending->has_arg != required_argument)
                return;
        c->prefix = prefix;
        c->value = equals + 1;
        complete_value_of(c, pending);
        c->prefix = "";
}

static void complete_words(Completion *c, int argc, char *argv[]) {
        c->value = argv[argc - 1];
        if (argc > 1) {
                c->verb = verb_find(argv[0]);
                if (c->verb)
                        complete_verb(c, argc, argv);
        } else if (c->value[0] == '-') {
                completion_add(c, "--help", "show what there is");
                completion_add(c, "--version", "show the version");
        } else
                complete_verbs(c);
}

static void on_alarm(int signo) {
        (void) signo;
        _exit(EXIT_CODE_OK);
}

static void print(const Completion *c) {
        static const char *const kinds[] = { "words", "files", "directories", "users", "command" };

        if (c->kind == COMPLETION_COMMAND)
                printf("%s %zu\n", kinds[c->kind], c->command);
        else
                printf("%s\n", kinds[c->kind]);
        fputs(c->candidates, stdout);
}

int complete_run(int argc, char *argv[]) {
        CLEANUP(freep) char **arguments = calloc((size_t) argc, sizeof(*arguments));
        Completion c = { .prefix = "", .arguments = arguments };

        signal(SIGALRM, on_alarm);
        alarm(SECONDS_MAX);
        c.out = argc > 1 && arguments ? open_memstream(&c.candidates, &c.size) : NULL;
        if (!c.out)
                return EXIT_CODE_FAILURE;
        complete_words(&c, argc - 1, argv + 1);
        if (memstream_close(c.out, &c.candidates) == 0)
                print(&c);
        free(c.candidates);
        return fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILURE;
}

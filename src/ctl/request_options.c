/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/request_options.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ctl/languages.h"

enum {
        OPTION_FILE = 256,
        OPTION_MEMORY_INITIAL,
        OPTION_MEMORY_MAX,
        OPTION_PRIORITY,
        OPTION_TIMEOUT,
        OPTION_QUEUE_TIMEOUT,
        OPTION_LABEL,
        OPTION_DEPENDENCY,
        OPTION_USER,
        OPTION_ONCE,
        OPTION_STDIN,
        OPTION_WORKING_DIRECTORY,
};

/* The "-" keeps the words in their places, so that those before and after "--" can be told apart. */
const char request_short_options[] = "-hl:d:p:e:q";

const struct option request_options[] = {
        { "language", required_argument, NULL, 'l' },
        { "database", required_argument, NULL, 'd' },
        { "param", required_argument, NULL, 'p' },
        { "env", required_argument, NULL, 'e' },
        { "file", required_argument, NULL, OPTION_FILE },
        { "memory-initial", required_argument, NULL, OPTION_MEMORY_INITIAL },
        { "memory-max", required_argument, NULL, OPTION_MEMORY_MAX },
        { "priority", required_argument, NULL, OPTION_PRIORITY },
        { "timeout", required_argument, NULL, OPTION_TIMEOUT },
        { "queue-timeout", required_argument, NULL, OPTION_QUEUE_TIMEOUT },
        { "label", required_argument, NULL, OPTION_LABEL },
        { "dependency", required_argument, NULL, OPTION_DEPENDENCY },
        { "user", required_argument, NULL, OPTION_USER },
        { "once", no_argument, NULL, OPTION_ONCE },
        { "stdin", no_argument, NULL, OPTION_STDIN },
        { "working-directory", required_argument, NULL, OPTION_WORKING_DIRECTORY },
        { "quiet", no_argument, NULL, 'q' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        {},
};

const char request_help[] = "  -l, --language LANGUAGE   see `penstockctl languages`; `exec` when there is\n"
                            "                            only ARGV\n"
                            "  -d, --database DATABASE   a file, or what the language says\n"
                            "      --file FILE           a file that holds the query\n"
                            "  -p, --param NAME=VALUE    a parameter of the language\n"
                            "  -e, --env NAME[=VALUE]    a variable for the engine; without a value, yours\n"
                            "      --memory-initial SIZE  the quota to start with (64M, 1.5G)\n"
                            "      --memory-max SIZE     the most that the quota may become\n"
                            "      --timeout DURATION    longest time of executing (90, 2min, infinity)\n"
                            "      --queue-timeout DURATION  longest time of waiting\n"
                            "      --priority NUMBER     higher goes first; above 0 needs permission\n"
                            "      --label KEY=VALUE     for metrics and lists\n"
                            "      --dependency NAME     one more dependency of the service's configuration\n"
                            "      --once                `submit`: never run it again (RetryOnExhaustion=)\n"
                            "      --stdin               give the engine your standard input; `run` of `exec`\n"
                            "                            always does\n"
                            "      --working-directory DIR  in place of the current directory\n"
                            "      --user NAME           run as this user; root only\n"
                            "  -q, --quiet               `run`: show no status line\n"
                            "      --json                `submit`: print an object in place of the ID\n"
                            "\n"
                            "The first word is the QUERY, the others are its arguments; \"-\" reads the query\n"
                            "from standard input. Behind \"--\" a word may begin with \"-\". With `exec` all\n"
                            "words are ARGV.\n";

static int word_add(RequestOptions *o, char *word) {
        char **grown = reallocarray(o->before.v, o->before.n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        o->before.v = grown;
        o->before.v[o->before.n++] = word;
        return 0;
}

void request_options_done(RequestOptions *o) {
        free(o->before.v);
        o->before = (Words) {};
        o->request = penstock_request_free(o->request);
}

static int invalid(const RequestOptions *o, const char *option, const char *value, const char *wanted) {
        report("InvalidArgument: %s: '%s' is not %s", option, value, wanted);
        return o->verb->usage;
}

static int check(const RequestOptions *o, int r) {
        if (r >= 0)
                return GO_ON;
        report("out of memory");
        return o->verb->failure;
}

typedef int (*SetU64)(PenstockRequest *r, uint64_t value);
typedef int (*AddPair)(PenstockRequest *r, const char *key, const char *value);

static int set_size(RequestOptions *o, const char *option, const char *text, SetU64 set) {
        uint64_t bytes;
        int r = size_parse(text, 0, &bytes);

        if (r == -ERANGE)
                return invalid(o, option, text, "a size below 8E");
        if (r < 0 || bytes == 0)
                return invalid(o, option, text, "a size above 0: bytes, or a number with K, M, G or T (64M, 1.5G)");
        return check(o, set(o->request, bytes));
}

static int set_duration(RequestOptions *o, const char *option, const char *text, SetU64 set) {
        uint64_t usec;

        if (duration_parse(text, &usec) < 0)
                return invalid(o, option, text, "a time span (like 90, 2min or infinity)");
        return check(o, set(o->request, usec == USEC_INFINITY ? 0 : usec));
}

static int set_priority(RequestOptions *o, const char *text) {
        char *end;
        long value;

        errno = 0;
        value = strtol(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || value < INT32_MIN || value > INT32_MAX)
                return invalid(o, "--priority", text, "a whole number");
        return check(o, penstock_request_set_priority(o->request, (int32_t) value));
}

static int add_pair(RequestOptions *o, const char *option, const char *text, AddPair add) {
        const char *equals = strchr(text, '=');
        CLEANUP(freep) char *key = NULL;

        if (!equals || equals == text)
                return invalid(o, option, text, "of the form NAME=VALUE");
        key = strndup(text, (size_t) (equals - text));
        return check(o, key ? add(o->request, key, equals + 1) : -ENOMEM);
}

static int take_option(RequestOptions *o, int c) {
        switch (c) {
        case OPTION_WORD: return check(o, word_add(o, optarg));
        case 'l':
                o->language = optarg;
                o->language_is_late = o->before.n > 0;
                return GO_ON;
        case 'd': o->database = optarg; return GO_ON;
        case OPTION_FILE: o->file = optarg; return GO_ON;
        case OPTION_USER: o->user = optarg; return GO_ON;
        case OPTION_WORKING_DIRECTORY: o->working_directory = optarg; return GO_ON;
        case OPTION_STDIN: o->wants_stdin = true; return GO_ON;
        case 'q': o->quiet = true; return GO_ON;
        case 'j': o->json = true; return GO_ON;
        case 'p': return add_pair(o, "--param", optarg, penstock_request_add_parameter);
        case 'e': return caller_add_environment(o->verb, o->request, optarg);
        case OPTION_LABEL: return add_pair(o, "--label", optarg, penstock_request_add_label);
        case OPTION_DEPENDENCY: return check(o, penstock_request_add_dependency(o->request, optarg));
        case OPTION_ONCE: return check(o, penstock_request_set_once(o->request));
        case OPTION_MEMORY_INITIAL:
                return set_size(o, "--memory-initial", optarg, penstock_request_set_memory_initial);
        case OPTION_MEMORY_MAX: return set_size(o, "--memory-max", optarg, penstock_request_set_memory_max);
        case OPTION_TIMEOUT: return set_duration(o, "--timeout", optarg, penstock_request_set_timeout);
        case OPTION_QUEUE_TIMEOUT:
                return set_duration(o, "--queue-timeout", optarg, penstock_request_set_queue_timeout);
        case OPTION_PRIORITY: return set_priority(o, optarg);
        case OPTION_HELP: return finish_output(o->verb->failure);
        default: return o->verb->usage;
        }
}

/* Read the query from standard input, one byte more than it may have, so that the check sees what is too long. */
static int query_from_stdin(RequestOptions *o) {
        size_t size = PENSTOCK_QUERY_BYTES_MAX + 1, n;
        CLEANUP(freep) char *text = malloc(size);

        if (!text)
                return check(o, -ENOMEM);
        n = fread(text, 1, size, stdin);
        if (ferror(stdin)) {
                report("cannot read the query from standard input: %s", strerror(errno));
                return o->verb->failure;
        }
        return check(o, penstock_request_set_query(o->request, text, n));
}

static int set_path(RequestOptions *o, const char *option, const char *text,
                    int (*set)(PenstockRequest *r, const char *path)) {
        CLEANUP(freep) char *path = NULL;
        int r = path_resolve(text, &path);

        if (r < 0 && r != -ENOMEM) {
                report("InvalidArgument: %s: %s: %s", option, text, strerror(-r));
                return o->verb->failure;
        }
        return check(o, r < 0 ? r : set(o->request, path));
}

static int set_command(RequestOptions *o, const Command *c) {
        int r;

        r = penstock_request_set_language(o->request, c->language);
        if (r >= 0 && c->query && !c->query_is_stdin)
                r = penstock_request_set_query(o->request, c->query, strlen(c->query));
        for (size_t i = 0; i < c->before.n && r >= 0; i++)
                r = penstock_request_add_argument(o->request, c->before.v[i]);
        for (size_t i = 0; i < c->after.n && r >= 0; i++)
                r = penstock_request_add_argument(o->request, c->after.v[i]);
        if (r < 0)
                return check(o, r);
        return c->query_is_stdin ? query_from_stdin(o) : GO_ON;
}

static int no_language(const RequestOptions *o) {
        char names[256];

        languages_names(names, sizeof(names));
        return usage_error(o->verb, "say --language LANGUAGE%s%s%s, or give a command behind \"--\"",
                           names[0] ? " (" : "", names, names[0] ? ")" : "");
}

static int apply(RequestOptions *o) {
        Command c = {};
        int r;

        switch (command_from_words(o->language, o->file, o->before, o->after, &c)) {
        case COMMAND_NO_LANGUAGE: return no_language(o);
        case COMMAND_NO_QUERY: return usage_error(o->verb, "a QUERY or --file is missing");
        case COMMAND_NO_ARGV: return usage_error(o->verb, "a command is missing behind \"--\"");
        case COMMAND_GOOD: break;
        }
        if (c.query_is_stdin && o->wants_stdin)
                return usage_error(o->verb,
                                   "standard input cannot be both the query (\"-\") and the engine's (--stdin)");
        r = set_command(o, &c);
        if (r == GO_ON && o->file)
                r = set_path(o, "--file", o->file, penstock_request_set_file);
        if (r == GO_ON && o->database)
                r = database_is_path(o->database)
                                    ? set_path(o, "--database", o->database, penstock_request_set_database)
                                    : check(o, penstock_request_set_database(o->request, o->database));
        if (r == GO_ON && o->user)
                r = check(o, penstock_request_set_user(o->request, o->user));
        if (r == GO_ON && (o->wants_stdin || (strcmp(c.language, "exec") == 0 && o->verb == &verb_run)))
                r = caller_give_stdin(o->verb, o->request, o->wants_stdin);
        return r;
}

int request_options_parse(RequestOptions *o, int argc, char *argv[]) {
        int c, r;

        r = check(o, penstock_request_new(&o->request));
        if (r != GO_ON)
                return r;
        /* What --env names wins over what is inherited, so the surroundings come first; they need --user, though. */
        while ((c = options_next(o->verb, argc, argv)) != OPTION_END)
                if (c == OPTION_BAD)
                        return o->verb->usage;
                else if (c == OPTION_HELP)
                        return finish_output(o->verb->failure);
                else if (c == OPTION_USER)
                        o->user = optarg;
                else if (c == OPTION_WORKING_DIRECTORY)
                        o->working_directory = optarg;
        r = caller_describe(o->verb, o->request, o->user, o->working_directory);
        optind = 0; /* parse again from the start, the GNU way */
        while (r == GO_ON && (c = options_next(o->verb, argc, argv)) != OPTION_END)
                r = take_option(o, c);
        if (r != GO_ON)
                return r;
        o->after = (Words) { .v = argv + optind, .n = (size_t) (argc - optind) };
        return apply(o);
}

int request_refused(const RequestOptions *o, const PenstockError *e) {
        /* "ls -la" is "--language a ls" */
        if (!o->language_is_late || strcmp(e->name, "UnknownLanguage") != 0)
                return report_error(e, o->verb->failure);
        report("%s: %s%s", e->name, e->message, options_of_command);
        return o->verb->failure;
}

int request_run(const Verb *verb, int argc, char *argv[], int (*submit)(const Verb *verb, const RequestOptions *o)) {
        RequestOptions o = { .verb = verb };
        int r;

        r = request_options_parse(&o, argc, argv);
        if (r == GO_ON)
                r = submit(verb, &o);
        request_options_done(&o);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock-sim: plays seeded stories on a virtual clock with the service's own engine. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "sim/plan_command.h"
#include "sim/replay.h"
#include "sim/shrink.h"

#define QUERIES_DEFAULT 40u
#define QUERIES_MAX 1000u /* the engine's ring of tombstones must still know them all */
#define TRACE_LINES 60u

static int usage(FILE *f, int status) {
        fputs("penstock-sim run [--seed N] [--count N] [--queries N] [--only N,N…] [--trace] [--record FILE] [--json]\n"
              "penstock-sim replay [--json] FILE\n"
              PLAN_USAGE
              "\n"
              "Plays COUNT stories (default 1), the first from SEED (default 1), of QUERIES queries (default 40) each,\n"
              "and checks Penstock's promises after every step. Ends with 0 when all were kept, with 1 and the seed,\n"
              "the promise, the last events and the story in words, as short as it breaks it, when one was broken.\n"
              "\n"
              "replay takes what Trace= of penstockd or --record (of one story) wrote through the same engine again. Ends with\n"
              "0 when it asks for the same in the same order and the limits in force never passed the budget.\n"
              "\n"
              "plan plays a load (a CSV with the columns arrival and duration, in seconds, and peak, in bytes, perhaps query, the\n"
              "same for the same query; \"-\" is stdin) under each combination of the values given, and prints a line of CSV for\n"
              "each, and which were best. --memory is the host's (this one's), --growth in what part of its time a query grows to\n"
              "its peak (50).\n"
              "\n"
              "--json prints an object, or of plan an array of objects.\n",
              f);
        return status;
}

/* The last lines of @text, which is @len long. */
static const char *tail(const char *text, size_t len) {
        size_t lines = 0;

        while (len > 0)
                if (text[len - 1] == '\n' && lines++ == TRACE_LINES)
                        break;
                else
                        len--;
        return text + len;
}

static void report_failure(uint64_t seed, size_t n_queries, const char *failure) {
        Story story = { .seed = seed, .n_queries = n_queries, .without = calloc(n_queries + 1, sizeof(bool)) };
        char shorter[WORLD_FAILURE_MAX];
        char *text = NULL;
        size_t len = 0, left;
        Tally ignored = {};
        FILE *f;

        fprintf(stderr, "sim: seed %" PRIu64 " with %zu queries: %s\n", seed, n_queries, failure);
        if (!story.without)
                return;
        left = shrink_story(&story);
        f = open_memstream(&text, &len);
        if (f) {
                (void) world_play(&story, f, NULL, &ignored, shorter);
                fprintf(stderr, "%ssim: %zu of its queries do it, and %s\n", memstream_close(f, &text) < 0 ? "" : tail(text, len),
                        left, shorter);
                (void) shrink_tell(&story, stderr);
                free(text);
        }
        free(story.without);
}

static void print_run(uint64_t first, uint64_t count, const Tally *t) {
        printf("sim: %" PRIu64 " seeds from %" PRIu64 ", every promise kept\n"
               "  %" PRIu64 " submitted: %" PRIu64 " refused, %" PRIu64 " finished, %" PRIu64 " errored, %" PRIu64 " canceled\n"
               "  %" PRIu64 " raises, %" PRIu64 " denials, %" PRIu64 " freezes, %" PRIu64 " lowered, %" PRIu64 " victims\n"
               "  %" PRIu64 " started with what one like them came to need, and %" PRIu64 " raises were saved\n"
               "  %" PRIu64 " were run once more\n"
               "  %" PRIu64 " killed by the kernel, %" PRIu64 " of them below a maximum that the pool could have paid\n"
               "  %" PRIu64 " engine steps, %" PRIu64 " events, %" PRIu64 " restarts of the service\n",
               count, first, t->submitted, t->refused, t->finished, t->errored, t->canceled, t->raises, t->denials, t->freezes, t->lowered,
               t->victims, t->learned_starts, t->raises_saved, t->retries, t->kernel_kills, t->kills_payable, t->steps, t->items, t->restarts);
}

static void print_run_json(uint64_t first, uint64_t count, const Tally *t) {
        const struct {
                const char *name;
                uint64_t value;
        } figures[] = {
                { "seed", first },
                { "count", count },
                { "submitted", t->submitted },
                { "refused", t->refused },
                { "finished", t->finished },
                { "errored", t->errored },
                { "canceled", t->canceled },
                { "raises", t->raises },
                { "denials", t->denials },
                { "freezes", t->freezes },
                { "lowered", t->lowered },
                { "victims", t->victims },
                { "learned_starts", t->learned_starts },
                { "raises_saved", t->raises_saved },
                { "retries", t->retries },
                { "killed_by_kernel", t->kernel_kills },
                { "killed_payable", t->kills_payable },
                { "steps", t->steps },
                { "events", t->items },
                { "restarts", t->restarts },
        };

        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                printf("%s\"%s\": %" PRIu64, i == 0 ? "{" : ", ", figures[i].name, figures[i].value);
        printf("}\n");
}

static int run(Story story, uint64_t count, bool trace, bool json, FILE *record) {
        uint64_t first = story.seed;
        char failure[WORLD_FAILURE_MAX];
        Tally t = {};

        for (uint64_t i = 0; i < count; i++) {
                int r;

                story.seed = first + i;
                r = world_play(&story, trace ? stdout : NULL, record, &t, failure);
                if (r == -EPROTO && !trace)
                        report_failure(story.seed, story.n_queries, failure);
                if (r < 0) {
                        fprintf(stderr, "sim: seed %" PRIu64 " failed: %s\n", story.seed,
                                r == -EPROTO ? failure : strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        (json ? print_run_json : print_run)(first, count, &t);
        return EXIT_SUCCESS;
}

/* "3,9,12": all but these are left out. */
static int parse_only(Story *s, char *list) {
        char *save = NULL;
        uint64_t n;

        s->without = malloc((s->n_queries + 1) * sizeof(bool));
        if (!s->without)
                return -ENOMEM;
        memset(s->without, true, s->n_queries + 1);
        for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
                if (u64_parse(word, &n) < 0 || n < 1 || n > s->n_queries)
                        return -EINVAL;
                s->without[n - 1] = false;
        }
        return 0;
}

static int run_recorded(const Story *story, uint64_t count, bool trace, bool json, const char *path) {
        FILE *f = NULL;
        int r, k;

        if (path && !(f = fopen(path, "we"))) {
                fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
                return EXIT_FAILURE;
        }
        r = run(*story, count, trace, json, f);
        if (!f)
                return r;
        k = stream_flush(f);
        if (k < 0) {
                fprintf(stderr, "sim: %s: %s\n", path, strerror(-k));
                r = EXIT_FAILURE;
        }
        fclose(f);
        return r;
}

static int replay(const char *path, bool json) {
        char failure[REPLAY_FAILURE_MAX], peak[SIZE_TEXT_MAX], budget[SIZE_TEXT_MAX];
        FILE *f = fopen(path, "re");
        Replay t;
        int r;

        if (!f) {
                fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
                return EXIT_FAILURE;
        }
        r = replay_run(f, &t, failure);
        fclose(f);
        if (r < 0) {
                fprintf(stderr, "sim: %s: %s\n", path, failure[0] ? failure : strerror(-r));
                return EXIT_FAILURE;
        }
        if (json) {
                printf("{\"events\": %" PRIu64 ", \"actions\": %" PRIu64 ", \"raises\": %" PRIu64
                       ", \"promised_peak_bytes\": %" PRIu64 ", \"budget_bytes\": %" PRIu64 "}\n",
                       t.n_events, t.n_actions, t.n_raises, t.promised_peak_bytes, t.budget_bytes);
                return EXIT_SUCCESS;
        }
        printf("sim: %" PRIu64 " events and %" PRIu64 " actions, the same again\n"
               "  %" PRIu64 " raises; at most %s of %s promised at one time\n",
               t.n_events, t.n_actions, t.n_raises, size_format_exact(t.promised_peak_bytes, peak),
               size_format_exact(t.budget_bytes, budget));
        return EXIT_SUCCESS;
}

static int command(int argc, char **argv) {
        enum { OPT_SEED = 256, OPT_COUNT, OPT_QUERIES, OPT_TRACE, OPT_RECORD, OPT_ONLY, OPT_JSON };
        static const struct option options[] = {
                { "seed", required_argument, NULL, OPT_SEED },       { "count", required_argument, NULL, OPT_COUNT },
                { "queries", required_argument, NULL, OPT_QUERIES }, { "trace", no_argument, NULL, OPT_TRACE },
                { "record", required_argument, NULL, OPT_RECORD },   { "only", required_argument, NULL, OPT_ONLY },
                { "json", no_argument, NULL, OPT_JSON },             { "help", no_argument, NULL, 'h' },
                {},
        };
        uint64_t count = 1, queries = QUERIES_DEFAULT;
        Story story = { .seed = 1 };
        const char *record = NULL;
        char *only = NULL;
        bool trace = false, json = false, of_run = false;
        int c, r = 0;

        if (argc > 1 && strcmp(argv[1], "plan") == 0)
                return plan_command(argc - 1, argv + 1);
        while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                of_run = of_run || c != OPT_JSON;
                switch (c) {
                case OPT_SEED: r = u64_parse(optarg, &story.seed); break;
                case OPT_COUNT: r = u64_parse(optarg, &count); break;
                case OPT_QUERIES: r = u64_parse(optarg, &queries); break;
                case OPT_TRACE: trace = true; break;
                case OPT_RECORD: record = optarg; break;
                case OPT_ONLY: only = optarg; break;
                case OPT_JSON: json = true; break;
                case 'h': return usage(stdout, EXIT_SUCCESS);
                default: return usage(stderr, 2);
                }
        }
        if (r == 0 && !of_run && optind == argc - 2 && strcmp(argv[optind], "replay") == 0)
                return replay(argv[optind + 1], json);
        story.n_queries = (size_t) queries;
        if (r == 0 && only && queries <= QUERIES_MAX)
                r = parse_only(&story, only);
        if (r < 0 || queries > QUERIES_MAX || optind != argc - 1 || strcmp(argv[optind], "run") != 0 ||
            (record && count != 1) || (json && trace)) /* an object, or lines for people */
                r = usage(stderr, 2);
        else
                r = run_recorded(&story, count, trace, json, record);
        free(story.without);
        return r;
}

/* A record must not become descriptor 0, 1 or 2, where what is printed would be written into it. What was closed stays of no use,
 * as in penstockctl: writing is EBADF. */
static int open_standard_fds(void) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
                        return -EBADF;
        }
        return 0;
}

int main(int argc, char **argv) {
        int status, r;

        if (open_standard_fds() < 0)
                return EXIT_FAILURE;
        status = command(argc, argv);
        r = stream_flush(stdout);
        if (r == 0 || status != EXIT_SUCCESS)
                return status;
        fprintf(stderr, "sim: cannot write to standard output: %s\n", strerror(-r));
        return EXIT_FAILURE;
}

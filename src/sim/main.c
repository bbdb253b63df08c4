/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock-sim: plays seeded stories on a virtual clock with the service's own engine. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "sim/replay.h"
#include "sim/world.h"

#define QUERIES_DEFAULT 40u
#define QUERIES_MAX 1000u /* the engine's ring of tombstones must still know them all */
#define TRACE_LINES 60u

static int usage(FILE *f, int status) {
        fputs("penstock-sim run [--seed N] [--count N] [--queries N] [--trace] [--record FILE]\n"
              "penstock-sim replay FILE\n"
              "\n"
              "Plays COUNT stories (default 1), the first from SEED (default 1), of QUERIES queries (default 40) each,\n"
              "and checks Penstock's promises after every step. Ends with 0 when all were kept, with 1 and the seed,\n"
              "the promise and the last events when one was broken.\n"
              "\n"
              "replay takes what Trace= of penstockd or --record (of one story) wrote through the same engine again. Ends with\n"
              "0 when it asks for the same in the same order and the limits in force never passed the budget.\n",
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

/* Fewer queries tell the same story shorter: the least number that still breaks a promise. */
static size_t shrink(uint64_t seed, size_t n_queries) {
        char failure[WORLD_FAILURE_MAX];
        Tally ignored = {};

        for (size_t n = 1; n < n_queries; n++)
                if (world_play(seed, n, NULL, NULL, &ignored, failure) == -EPROTO)
                        return n;
        return n_queries;
}

static void report_failure(uint64_t seed, size_t n_queries, const char *failure) {
        char shorter[WORLD_FAILURE_MAX];
        char *text = NULL;
        size_t len = 0, least = shrink(seed, n_queries);
        FILE *f = open_memstream(&text, &len);
        Tally ignored = {};

        fprintf(stderr, "sim: seed %" PRIu64 " with %zu queries: %s\n", seed, n_queries, failure);
        if (!f)
                return;
        (void) world_play(seed, least, f, NULL, &ignored, shorter);
        fclose(f);
        fprintf(stderr, "%ssim: seed %" PRIu64 " with %zu queries: %s\n", tail(text, len), seed, least, shorter);
        fprintf(stderr, "sim: again with: penstock-sim run --seed %" PRIu64 " --queries %zu --trace\n", seed, least);
        free(text);
}

static int run(uint64_t seed, uint64_t count, size_t n_queries, bool trace, FILE *record) {
        char failure[WORLD_FAILURE_MAX];
        Tally t = {};

        for (uint64_t i = 0; i < count; i++) {
                int r = world_play(seed + i, n_queries, trace ? stdout : NULL, record, &t, failure);

                if (r == -EPROTO && !trace)
                        report_failure(seed + i, n_queries, failure);
                if (r < 0) {
                        fprintf(stderr, "sim: seed %" PRIu64 " failed: %s\n", seed + i,
                                r == -EPROTO ? failure : strerror(-r));
                        return EXIT_FAILURE;
                }
        }
        printf("sim: %" PRIu64 " seeds from %" PRIu64 ", every promise kept\n"
               "  %" PRIu64 " submitted: %" PRIu64 " refused, %" PRIu64 " finished, %" PRIu64 " errored, %" PRIu64 " canceled\n"
               "  %" PRIu64 " raises, %" PRIu64 " denials, %" PRIu64 " freezes, %" PRIu64 " victims\n"
               "  %" PRIu64 " killed by the kernel, %" PRIu64 " of them below a maximum that the pool could have paid\n"
               "  %" PRIu64 " engine steps, %" PRIu64 " events\n",
               count, seed, t.submitted, t.refused, t.finished, t.errored, t.canceled, t.raises, t.denials, t.freezes,
               t.victims, t.kernel_kills, t.kills_payable, t.steps, t.items);
        return EXIT_SUCCESS;
}

static int run_recorded(uint64_t seed, uint64_t count, size_t n_queries, bool trace, const char *path) {
        FILE *f = NULL;
        int r;

        if (path && !(f = fopen(path, "we"))) {
                fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
                return EXIT_FAILURE;
        }
        r = run(seed, count, n_queries, trace, f);
        if (f && fclose(f) != 0) {
                fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
                r = EXIT_FAILURE;
        }
        return r;
}

static int replay(const char *path) {
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
        printf("sim: %" PRIu64 " events and %" PRIu64 " actions, the same again\n"
               "  %" PRIu64 " raises; at most %s of %s promised at one time\n",
               t.n_events, t.n_actions, t.n_raises, size_format_exact(t.promised_peak_bytes, peak),
               size_format_exact(t.budget_bytes, budget));
        return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        enum { OPT_SEED = 256, OPT_COUNT, OPT_QUERIES, OPT_TRACE, OPT_RECORD };
        static const struct option options[] = {
                { "seed", required_argument, NULL, OPT_SEED },       { "count", required_argument, NULL, OPT_COUNT },
                { "queries", required_argument, NULL, OPT_QUERIES }, { "trace", no_argument, NULL, OPT_TRACE },
                { "record", required_argument, NULL, OPT_RECORD },   { "help", no_argument, NULL, 'h' },
                {},
        };
        uint64_t seed = 1, count = 1, queries = QUERIES_DEFAULT;
        const char *record = NULL;
        bool trace = false;
        int c, r = 0;

        while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case OPT_SEED: r = u64_parse(optarg, &seed); break;
                case OPT_COUNT: r = u64_parse(optarg, &count); break;
                case OPT_QUERIES: r = u64_parse(optarg, &queries); break;
                case OPT_TRACE: trace = true; break;
                case OPT_RECORD: record = optarg; break;
                case 'h': return usage(stdout, EXIT_SUCCESS);
                default: return usage(stderr, 2);
                }
        if (r == 0 && optind == argc - 2 && strcmp(argv[optind], "replay") == 0)
                return replay(argv[optind + 1]);
        if (r < 0 || queries > QUERIES_MAX || optind != argc - 1 || strcmp(argv[optind], "run") != 0 ||
            (record && count != 1))
                return usage(stderr, 2);
        return run_recorded(seed, count, (size_t) queries, trace, record);
}

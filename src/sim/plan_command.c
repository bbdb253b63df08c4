/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/plan_command.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "sim/json.h"
#include "sim/plan.h"

#define SETTINGS_MAX 8u
#define VALUES_MAX 32u
#define PLANS_MAX 1024u
#define GROWTH_DEFAULT 50u
#define ORIGIN "--set"

/* One key, and the values that it has in turn. */
typedef struct Setting {
        char *key, *values[VALUES_MAX];
        size_t n;
} Setting;

typedef struct Command {
        Setting settings[SETTINGS_MAX];
        size_t n_settings, n_plans;
        uint64_t ram_bytes, growth_percent;
        PlanLoad load;
        bool json;
} Command;

static int usage(FILE *f, int status) {
        fputs(PLAN_USAGE, f);
        return status;
}

/* "KEY=VALUE,VALUE" is cut up in place. */
static int add_setting(Command *c, char *text) {
        Setting *s = &c->settings[c->n_settings];
        char *value = strchr(text, '=');

        if (!value || value == text || c->n_settings == SETTINGS_MAX)
                return -EINVAL;
        *value++ = '\0';
        s->key = text;
        for (; value; s->n++) {
                char *end = strchr(value, ',');

                if (s->n == VALUES_MAX)
                        return -EINVAL;
                if (end)
                        *end++ = '\0';
                s->values[s->n] = value;
                value = end;
        }
        c->n_settings++;
        c->n_plans *= s->n;
        return c->n_plans > PLANS_MAX ? -EINVAL : 0;
}

/* The value of @s in plan @i: the last key turns fastest. */
static const char *value_in(const Command *c, size_t setting, size_t i) {
        for (size_t k = c->n_settings; k > setting + 1; k--)
                i /= c->settings[k - 1].n;
        return c->settings[setting].values[i % c->settings[setting].n];
}

static int make_config(const Command *c, size_t i, Config *ret) {
        Error error = {};
        int r = 0;

        config_init(ret, c->ram_bytes);
        for (size_t k = 0; r == 0 && k < c->n_settings; k++) {
                r = config_set(ret, c->ram_bytes, "Controller", c->settings[k].key, value_in(c, k, i), ORIGIN, 0, &error);
                if (r == -ENOENT)
                        fprintf(stderr, "sim: --set: [Controller] has no key \"%s\"\n", c->settings[k].key);
        }
        if (r == 0)
                r = config_finish(ret, c->ram_bytes, &error);
        if (r < 0 && error.code) {
                const char *where = strncmp(error.message, ORIGIN ":0: ", strlen(ORIGIN ":0: ")) == 0 ? ORIGIN ":0: " : "";

                fprintf(stderr, "sim: --set: %s\n", error.message + strlen(where)); /* it has neither file nor line */
        }
        if (r < 0)
                config_done(ret);
        return r;
}

static double seconds(uint64_t usec) {
        return (double) usec / (double) USEC_PER_SEC;
}

/* A figure as it is printed, in CSV and JSON alike. */
typedef struct Figure {
        const char *name;
        char text[32];
} Figure;

static Figure count(const char *name, uint64_t value) {
        Figure f = { .name = name };

        snprintf(f.text, sizeof(f.text), "%" PRIu64, value);
        return f;
}

static Figure number(const char *name, double value) {
        Figure f = { .name = name };

        snprintf(f.text, sizeof(f.text), "%.3f", value);
        return f;
}

#define FIGURES 16u

static void figures_of(const PlanResult *t, Figure ret[static FIGURES]) {
        double span = seconds(t->makespan_usec);
        size_t n = 0;

        ret[n++] = count("finished", t->n_finished);
        ret[n++] = count("at_maximum", t->n_maximum);
        ret[n++] = count("by_budget", t->n_budget);
        ret[n++] = count("timed_out", t->n_timed_out);
        ret[n++] = count("refused", t->n_refused);
        ret[n++] = number("makespan_sec", span);
        ret[n++] = number("per_minute", span > 0 ? 60 * (double) t->n_finished / span : 0);
        ret[n++] = number("wait_median_sec", seconds(t->wait_usec[0]));
        ret[n++] = number("wait_95_sec", seconds(t->wait_usec[1]));
        ret[n++] = number("wait_99_sec", seconds(t->wait_usec[2]));
        ret[n++] = number("wait_longest_sec", seconds(t->wait_usec[3]));
        ret[n++] = number("frozen_sec", seconds(t->frozen_usec));
        ret[n++] = count("raises", t->n_raises);
        ret[n++] = count("used_mean_bytes", t->used_bytes_mean);
        ret[n++] = count("held_mean_bytes", t->held_bytes_mean);
        ret[n++] = count("held_most_bytes", t->held_bytes_most);
        assert(n == FIGURES);
}

static void print_head(const Command *c) {
        Figure figures[FIGURES];

        figures_of(&(PlanResult) {}, figures);
        for (size_t k = 0; k < c->n_settings; k++)
                printf("%s,", c->settings[k].key);
        for (size_t k = 0; k < FIGURES; k++)
                printf("%s%s", figures[k].name, k + 1 < FIGURES ? "," : "\n");
}

static void print_plan(const Command *c, size_t i, const PlanResult *t) {
        Figure figures[FIGURES];

        figures_of(t, figures);
        for (size_t k = 0; k < c->n_settings; k++)
                printf("%s,", value_in(c, k, i));
        for (size_t k = 0; k < FIGURES; k++)
                printf("%s%s", figures[k].text, k + 1 < FIGURES ? "," : "\n");
}

static void print_plan_json(const Command *c, size_t i, const PlanResult *t) {
        Figure figures[FIGURES];

        figures_of(t, figures);
        printf("%s {\"settings\": {", i == 0 ? "[" : ",\n ");
        for (size_t k = 0; k < c->n_settings; k++) {
                printf(k > 0 ? ", " : "");
                json_print_string(stdout, c->settings[k].key);
                printf(": ");
                json_print_string(stdout, value_in(c, k, i));
        }
        printf("}");
        for (size_t k = 0; k < FIGURES; k++)
                printf(", \"%s\": %s", figures[k].name, figures[k].text);
        printf("}");
}

/* More that finish come first, then a shorter wait of all but the unluckiest, then an earlier end of all. */
static bool is_better(const PlanResult *a, const PlanResult *b) {
        if (a->n_finished != b->n_finished)
                return a->n_finished > b->n_finished;
        if (a->wait_usec[1] != b->wait_usec[1])
                return a->wait_usec[1] < b->wait_usec[1];
        return a->makespan_usec < b->makespan_usec;
}

/* Each that none is better than; when that is each of them, none is named. */
static void print_best(const Command *c, const PlanResult *results) {
        const PlanResult *best = results, *worst = results;

        for (size_t i = 1; i < c->n_plans; i++) {
                best = is_better(&results[i], best) ? &results[i] : best;
                worst = is_better(worst, &results[i]) ? &results[i] : worst;
        }
        if (!is_better(best, worst)) {
                printf("# best: all the same\n");
                return;
        }
        for (size_t i = 0; i < c->n_plans; i++) {
                if (is_better(best, &results[i]))
                        continue;
                printf("# best:");
                for (size_t k = 0; k < c->n_settings; k++)
                        printf(" %s=%s", c->settings[k].key, value_in(c, k, i));
                printf("\n");
        }
}

static int play_one(const Command *c, size_t i, PlanResult *ret) {
        Config config;
        int r = make_config(c, i, &config);

        if (r < 0)
                return r;
        r = plan_play(&c->load, &config, (unsigned) c->growth_percent, ret);
        config_done(&config);
        if (r < 0)
                fprintf(stderr, "sim: %s\n", strerror(-r));
        return r;
}

/* All must be configurations before the first is played. */
static int check_all(const Command *c) {
        for (size_t i = 0; i < c->n_plans; i++) {
                Config config;
                int r = make_config(c, i, &config);

                if (r < 0)
                        return r;
                config_done(&config);
        }
        return 0;
}

static int play_all(const Command *c) {
        CLEANUP(freep) PlanResult *results = calloc(c->n_plans, sizeof(*results));

        if (!results) {
                fprintf(stderr, "sim: %s\n", strerror(ENOMEM));
                return EXIT_FAILURE;
        }
        if (check_all(c) < 0)
                return EXIT_FAILURE;
        if (!c->json)
                print_head(c);
        for (size_t i = 0; i < c->n_plans; i++) {
                if (play_one(c, i, &results[i]) < 0)
                        return EXIT_FAILURE;
                (c->json ? print_plan_json : print_plan)(c, i, &results[i]);
        }
        if (c->json)
                printf("]\n");
        else if (c->n_plans > 1)
                print_best(c, results);
        return EXIT_SUCCESS;
}

static int read_load(Command *c, const char *path) {
        FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
        char failure[PLAN_FAILURE_MAX] = "";
        int r = f ? plan_read(f, &c->load, failure) : -errno;

        if (f && f != stdin)
                fclose(f);
        if (r < 0)
                fprintf(stderr, "sim: %s: %s\n", path, failure[0] ? failure : strerror(-r));
        return r;
}

int plan_command(int argc, char **argv) {
        static const struct option options[] = {
                { "memory", required_argument, NULL, 'm' },
                { "growth", required_argument, NULL, 'g' },
                { "set", required_argument, NULL, 's' },
                { "json", no_argument, NULL, 'j' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        Command c = { .n_plans = 1, .growth_percent = GROWTH_DEFAULT };
        int o, r = 0;

        c.ram_bytes = (uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE);
        while (r == 0 && (o = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (o) {
                case 'm': r = size_parse(optarg, 0, &c.ram_bytes); break;
                case 'g': r = u64_parse(optarg, &c.growth_percent); break;
                case 's': r = add_setting(&c, optarg); break;
                case 'j': c.json = true; break;
                case 'h': return usage(stdout, EXIT_SUCCESS);
                default: return usage(stderr, 2);
                }
        if (r < 0 || c.ram_bytes == 0 || c.ram_bytes == SIZE_INFINITY || c.growth_percent > 100 || optind != argc - 1)
                return usage(stderr, 2);
        r = read_load(&c, argv[optind]) < 0 ? EXIT_FAILURE : play_all(&c);
        plan_load_done(&c.load);
        return r;
}

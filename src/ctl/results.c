/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "ctl/complete.h"
#include "ctl/stream.h"

#define FOLLOW_USEC (200 * USEC_PER_MSEC)

static const struct option options[] = {
        { "follow", no_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },
        {},
};

/* Copy what there is now. Returns 0 at the end of the file, or -errno. */
static int copy_to_stdout(int fd) {
        static char buf[64 * 1024];
        ssize_t n;
        int r;

        while ((n = read(fd, buf, sizeof(buf))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                r = stream_write_all(STDOUT_FILENO, buf, (size_t) n);
                if (r < 0)
                        return r;
        }
        return 0;
}

typedef struct Follow {
        PenstockInfo *info; /* of the query, when it has ended */
        PenstockError error;
        bool is_over;
} Follow;

static void on_change(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Follow *f = userdata;

        (void) q;
        if (error)
                f->error = *error;
        else if (penstock_info_is_ended(info))
                f->info = penstock_info_ref(info);
        f->is_over = error || f->info;
}

/* Copy until the query has ended, as @ret says, and its file was read to the end. A last copy comes after the end is known, since
 * the file may have grown in between. One watch for all of it: it waits for a service that is away as `wait` does. */
static int follow(PenstockClient *c, PenstockQuery *q, int fd, PenstockInfo **ret, PenstockError *error) {
        sd_event *event = NULL;
        Follow f = {};
        int r;

        r = sd_event_new(&event);
        if (r >= 0)
                r = penstock_client_attach_event(c, event);
        if (r >= 0)
                r = penstock_query_watch(q, on_change, &f);
        while (r >= 0 && !f.is_over) {
                r = copy_to_stdout(fd);
                if (r >= 0)
                        r = sd_event_run(event, FOLLOW_USEC);
        }
        if (r >= 0)
                r = copy_to_stdout(fd);
        if (r >= 0 && !f.info) {
                *error = f.error;
                r = -EIO;
        }
        if (r >= 0)
                *ret = f.info;
        else
                penstock_info_free(f.info);
        sd_event_unref(event);
        return r;
}

/* That there may be less than was asked for. */
static void tell_incomplete(const PenstockInfo *i) {
        PenstockError error = {};

        if (!penstock_info_is_ended(i))
                report("the query is still %s; these are its results so far (--follow waits for its end)",
                       info_string(i, "state"));
        else if (penstock_info_get_error(i, &error) == 0)
                report("the query %s (%s); there may be less here than it was to write",
                       strcmp(info_string(i, "state"), "canceled") == 0 ? "was canceled" : "has failed", error.name);
}

static int copy_results(const Verb *verb, PenstockClient *c, PenstockQuery *q, bool wanted_to_end) {
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        CLEANUP(closep) int fd = -1;
        PenstockError error = {};
        int r;

        if (penstock_query_open_results(q, &fd, &error) < 0)
                return report_error(&error, verb->failure);
        signal(SIGPIPE, SIG_DFL);
        r = wanted_to_end ? follow(c, q, fd, &i, &error) : copy_to_stdout(fd);
        if (r < 0 && error.name[0] != '\0')
                return report_error(&error, verb->failure);
        if (r < 0) {
                report("cannot copy the results: %s", strerror(-r));
                return verb->failure;
        }
        if (wanted_to_end)
                return outcome_report(i);
        if (penstock_query_describe(q, &i, NULL) == 0)
                tell_incomplete(i);
        return EXIT_CODE_OK;
}

static int results_run(const Verb *verb, int argc, char *argv[]) {
        CLEANUP(client_freep) PenstockClient *c = NULL;
        CLEANUP(query_freep) PenstockQuery *q = NULL;
        bool to_end = false;
        int opt, r;

        while ((opt = options_next(verb, argc, argv)) != OPTION_END)
                switch (opt) {
                case 'f': to_end = true; break;
                case OPTION_HELP: return finish_output(verb->failure);
                default: return verb->usage;
                }
        if (optind == argc)
                return missing_error(verb);
        if (optind + 1 < argc)
                return usage_error(verb, "there is an argument too many: '%s'", argv[optind + 1]);
        r = query_open(verb, argv[optind], &c, &q);
        if (r != GO_ON)
                return r;
        return copy_results(verb, c, q, to_end);
}

const Verb verb_results = {
        .name = "results",
        .arguments = "[--follow] ID",
        .summary = "Write the results of a detached query to standard output",
        .help = "  -f, --follow  go on until the query has ended, and exit as `run` would have\n",
        .short_options = "hf",
        .options = options,
        .failure = EXIT_CODE_FAILURE,
        .usage = EXIT_CODE_USAGE,
        .run = results_run,
        .examples = "  penstockctl results 12 > out.csv\n"
                    "  penstockctl results --follow 12 | less\n",
        .complete = complete_detached_queries,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstockd: reads its configuration, takes its place on the bus, and runs the loop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "bus/bus.h"
#include "daemon/manager.h"
#include "host/config_report.h"
#include "host/journal.h"
#include "host/state_files.h"

/* Less than TimeoutStopSec= of penstockd.service, more than CancelGraceSec= and a slow PID 1 need. */
#define STOP_TIMEOUT_USEC (90 * USEC_PER_SEC)

typedef struct Daemon {
        sd_event *event;
        sd_bus *bus, *systemd_bus;
        BusServer *server;
        Manager *manager;
        bool stopping;  /* SIGTERM came: leave when all queries have ended … */
        bool all_ended; /* … and their units are gone (an orphaned worker would start penstockd again by its socket), and
                         * their dependencies were told */
} Daemon;

/* Once per message, to the journal when it is there (PRIORITY= and fields), else to stderr. */
static void warn(const char *message, void *userdata) {
        (void) userdata;
        journal_write(LOG_WARNING, JOURNAL_CONFIG, 0, "%s", message);
}

static int fail(const char *what, int r) {
        journal_write(LOG_ERR, JOURNAL_PLAIN, 0, "%s: %s", what, strerror(-r));
        fprintf(stderr, "penstockd: %s: %s\n", what, strerror(-r));
        return EXIT_FAILURE;
}

static void on_query_signal(ManagerSignal what, uint64_t query_id, void *userdata) {
        Daemon *d = userdata;

        bus_server_ops.signal(what, query_id, d->server);
}

static void on_shutdown_done(const Error *error, void *userdata) {
        Daemon *d = userdata;

        bus_server_ops.shutdown_done(error, d->server);
        d->all_ended = d->stopping;
}

static int on_post(sd_event_source *s, void *userdata) {
        Daemon *d = userdata;

        (void) s;
        return d->all_ended && manager_units(d->manager) == 0 && manager_releases(d->manager) == 0
                       ? sd_event_exit(d->event, 0)
                       : 0;
}

/* PID 1 does not answer, or a unit does not go: TimeoutStopSec= would kill us without a word. */
static int on_stop_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        Daemon *d = userdata;

        (void) s;
        (void) usec;
        journal_write(LOG_WARNING, JOURNAL_PLAIN, 0, "%zu units of queries and %zu releases of dependencies are left behind",
                      manager_units(d->manager), manager_releases(d->manager));
        return sd_event_exit(d->event, 0);
}

static const ManagerOps manager_ops = { .signal = on_query_signal, .shutdown_done = on_shutdown_done };

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        Daemon *d = userdata;

        (void) ret_error;
        if (sd_bus_message_is_method_error(reply, NULL)) {
                fail("the bus does not give the name " BUS_NAME, -sd_bus_message_get_errno(reply));
                return sd_event_exit(d->event, 1);
        }
        (void) sd_notify(0, "READY=1\nSTATUS=Accepting queries");
        return 0;
}

static void on_ready(int r, const Error *error, void *userdata) {
        Daemon *d = userdata;

        if (r < 0) {
                fail(error->message, r);
                (void) sd_event_exit(d->event, 1);
                return;
        }
        r = bus_server_attach(d->server, d->manager);
        if (r >= 0)
                r = sd_bus_request_name_async(d->bus, NULL, BUS_NAME, 0, on_name, d);
        if (r < 0) {
                fail("can't take a place on the bus", r);
                (void) sd_event_exit(d->event, 1);
        }
}

static int on_sigterm(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Daemon *d = userdata;

        (void) s;
        (void) si;
        if (d->stopping)
                return 0;
        d->stopping = true;
        (void) sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, STOP_TIMEOUT_USEC, 0, on_stop_timeout, d);
        (void) sd_notify(0, "STOPPING=1\nSTATUS=Ending all queries");
        manager_feed(d->manager, &(Event) { .type = EVENT_SHUTDOWN, .shutdown_usec = 0 });
        /* A stop by an operator opens the door again at the next start; a crash does not come by here. */
        state_set_shut_down(false);
        return 0;
}

static int on_sighup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Daemon *d = userdata;
        Error error = {};

        (void) s;
        (void) si;
        (void) sd_notify(0, "RELOADING=1");
        if (manager_reload(d->manager, &error) < 0)
                journal_write(LOG_ERR, JOURNAL_CONFIG, 0, "Not reloaded, nothing has changed: %s", error.message);
        else
                bus_server_reload(d->server);
        (void) sd_notify(0, "READY=1");
        return 0;
}

/* The worker socket is its own unit's, so that it outlives us. */
static int find_worker_socket(void) {
        int n = sd_listen_fds(1);

        for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++)
                if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0)
                        return fd;
        return n < 0 ? n : -ENOTCONN;
}

static int set_up(Daemon *d, Config *config, LanguageSet *languages, const char *config_file) {
        ManagerSetup setup = { .config = config, .languages = languages, .config_root = "", .config_file = config_file };
        Error error = {};
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        signal(SIGPIPE, SIG_IGN);

        setup.worker_listen_fd = find_worker_socket();
        if (setup.worker_listen_fd < 0)
                return fail("no worker socket was passed; start penstock-worker.socket and penstockd.service",
                            setup.worker_listen_fd);
        r = sd_event_default(&d->event);
        if (r >= 0)
                r = sd_bus_open_system(&d->bus);
        if (r >= 0)
                r = sd_bus_attach_event(d->bus, d->event, SD_EVENT_PRIORITY_NORMAL);
        /* What we ask of PID 1 has a connection of its own: the bus daemon stops to read from one whose replies others
         * do not take, as anyone on the host can arrange. */
        if (r >= 0)
                r = sd_bus_open_system(&d->systemd_bus);
        if (r >= 0)
                r = sd_bus_attach_event(d->systemd_bus, d->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, on_sigterm, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, on_sigterm, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_sighup, d);
        if (r >= 0)
                r = sd_event_set_watchdog(d->event, true);
        if (r >= 0)
                r = sd_event_add_post(d->event, NULL, on_post, d);
        if (r >= 0)
                r = bus_server_new(d->bus, &d->server);
        if (r < 0)
                return fail("can't reach the system bus", r);

        setup.event = d->event;
        setup.systemd_bus = d->systemd_bus;
        r = manager_new(&setup, &manager_ops, d, on_ready, d, &d->manager, &error);
        if (r < 0)
                return fail(error.message, r);
        return 0;
}

static int serve(const char *config_file) {
        Config *config = calloc(1, sizeof(*config));
        LanguageSet *languages = calloc(1, sizeof(*languages));
        Error error = {};
        Daemon d = {};
        int r;

        if (!config || !languages)
                return fail("can't start", -ENOMEM);
        r = config_files_load("", config_file, warn, NULL, config, &error);
        if (r < 0) {
                journal_write(LOG_ERR, JOURNAL_CONFIG, 0, "%s", error.message);
                fprintf(stderr, "penstockd: %s\n", error.message);
                return EXIT_FAILURE;
        }
        r = config_files_load_languages("", warn, NULL, languages);
        if (r < 0)
                return fail("can't read the languages", r);
        r = set_up(&d, config, languages, config_file);
        if (r == 0)
                r = sd_event_loop(d.event) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        bus_server_free(d.server);
        manager_free(d.manager);
        sd_bus_flush_close_unref(d.systemd_bus);
        sd_bus_flush_close_unref(d.bus);
        sd_event_unref(d.event);
        return r;
}

static int help(FILE *out) {
        fputs("penstockd [--config FILE]\n"
              "  Run as penstockd.service; see penstockd(8).\n"
              "penstockd --check-config [FILE]\n"
              "  Say whether FILE, or the whole configuration, is valid.\n"
              "penstockd --show-config [--json]\n"
              "  Print the effective values and where each came from.\n",
              out);
        return out == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        enum { OPT_CHECK = 256, OPT_SHOW, OPT_JSON, OPT_CONFIG, OPT_VERSION, OPT_HELP };
        static const struct option options[] = {
                { "check-config", no_argument, NULL, OPT_CHECK }, { "show-config", no_argument, NULL, OPT_SHOW },
                { "json", no_argument, NULL, OPT_JSON },          { "config", required_argument, NULL, OPT_CONFIG },
                { "version", no_argument, NULL, OPT_VERSION },    { "help", no_argument, NULL, OPT_HELP },
                {},
        };
        const char *config_file = NULL;
        int c, mode = 0;
        bool json = false;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case OPT_CHECK:
                case OPT_SHOW:
                        mode = c;
                        break;
                case OPT_JSON:
                        json = true;
                        break;
                case OPT_CONFIG:
                        config_file = optarg;
                        break;
                case OPT_VERSION:
                        puts(PENSTOCK_VERSION);
                        return EXIT_SUCCESS;
                case OPT_HELP:
                        return help(stdout);
                default:
                        return help(stderr);
                }
        if (mode == OPT_CHECK)
                return config_report_check(optind < argc ? argv[optind] : config_file, stdout);
        if (mode == OPT_SHOW)
                return config_report_show(stdout, json);
        if (optind < argc)
                return help(stderr);
        return serve(config_file);
}

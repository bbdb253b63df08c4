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
#include "daemon/loop.h"
#include "daemon/manager.h"
#include "daemon/stopped.h"
#include "host/config_report.h"
#include "host/fdstore.h"
#include "host/journal.h"
#include "host/journal_send.h"
#include "host/precedence.h"
#include "host/state_files.h"
#include "host/stop_job.h"

/* Less than TimeoutStopSec= of penstockd.service, more than CancelGraceSec= and a slow PID 1 need. */
#define STOP_TIMEOUT_USEC (90 * USEC_PER_SEC)

typedef struct Daemon {
        sd_event *event;
        sd_bus *bus, *asking_bus; /* on the one we are asked, on the other one we ask */
        BusServer *server;
        Manager *manager;
        Notify *notify;
        bool ready, stop_when_ready, reload_when_ready;
        StopJob *stop_job; /* SIGTERM came: PID 1 is asked what for */
        bool stopping;  /* it is a stop: leave when all queries have ended … */
        bool all_ended; /* … and their units are gone (an orphaned worker would start penstockd again by its socket), and
                         * their dependencies were told */
} Daemon;

/* Returns the exit status. */
static int fail(const char *what, int r) {
        journal_write(LOG_ERR, JOURNAL_PLAIN, 0, "%s: %s", what, strerror(-r));
        fprintf(stderr, "penstockd: %s: %s\n", what, strerror(-r));
        return error_passes(r) ? EXIT_ANOTHER_COMES : EXIT_FAILURE;
}

static void tell_systemd(Daemon *d, const char *text) {
        int r = notify_send(d->notify, text, -1);

        if (r < 0)
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0, "PID 1 can't be told \"%s\": %s", text, strerror(-r));
}

static int on_query_signal(ManagerSignal what, uint64_t query_id, void *userdata) {
        Daemon *d = userdata;

        return bus_server_ops.signal(what, query_id, d->server);
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
        tell_systemd(d, "READY=1\nSTATUS=Accepting queries");
        return 0;
}

static void stop(Daemon *d) {
        d->stop_when_ready = !d->ready; /* who is not known yet can't be ended */
        if (d->stopping || !d->ready)
                return;
        d->stopping = true;
        (void) sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, STOP_TIMEOUT_USEC, 0, on_stop_timeout, d);
        tell_systemd(d, "STOPPING=1\nSTATUS=Ending all queries");
        manager_stop(d->manager);
}

static void reload(Daemon *d) {
        Error error = {};

        if (manager_reload(d->manager, &error) < 0)
                journal_write(LOG_ERR, JOURNAL_CONFIG, 0, "Not reloaded: %s", error.message);
        else
                bus_server_reload(d->server);
}

static void on_ready(int r, const Error *error, void *userdata) {
        Daemon *d = userdata;

        if (r < 0) {
                (void) sd_event_exit(d->event, fail(error->message, r));
                return;
        }
        r = bus_server_attach(d->server, d->manager);
        if (r >= 0)
                r = sd_bus_request_name_async(d->bus, NULL, BUS_NAME, 0, on_name, d);
        if (r < 0) {
                (void) sd_event_exit(d->event, fail("can't take a place on the bus", r));
                return;
        }
        d->ready = true;
        if (d->stop_when_ready)
                stop(d);
        else if (d->reload_when_ready)
                reload(d);
}

/* A restart opens the door again as well; the queries are kept as they are. */
static void on_stop_kind(StopKind kind, void *userdata) {
        Daemon *d = userdata;

        d->stop_job = stop_job_free(d->stop_job);
        if (kind == STOP_FOR_GOOD) {
                stop(d);
                return;
        }
        state_set(STATE_SHUT_DOWN, false);
        tell_systemd(d, "STOPPING=1\nSTATUS=Leaving the queries to the next one");
        (void) sd_event_exit(d->event, EXIT_ANOTHER_COMES);
}

static int on_sigterm(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Daemon *d = userdata;

        (void) s;
        (void) si;
        if (d->stopping || d->stop_job)
                return 0;
        if (stop_job_ask(d->asking_bus, PENSTOCKD_UNIT, on_stop_kind, d, &d->stop_job) < 0)
                on_stop_kind(STOP_UNKNOWN, d);
        return 0;
}

/* By hand, in a terminal. */
static int on_sigint(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        (void) s;
        (void) si;
        stop(userdata);
        return 0;
}

static int on_sighup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Daemon *d = userdata;

        (void) s;
        (void) si;
        d->reload_when_ready = !d->ready;
        if (!d->ready)
                return 0;
        tell_systemd(d, "RELOADING=1");
        reload(d);
        tell_systemd(d, "READY=1");
        return 0;
}

/* The bus was restarted. Another penstockd has a connection, a name and objects in a moment, and takes over the queries. */
static int on_bus_lost(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Daemon *d = userdata;

        (void) m;
        (void) error;
        journal_write(LOG_NOTICE, JOURNAL_PLAIN, 0, "The system bus is gone: penstockd starts anew, and goes on with its queries");
        return sd_event_exit(d->event, d->stopping || d->stop_when_ready ? 0 : EXIT_ANOTHER_COMES);
}

static int watch_bus(Daemon *d, sd_bus *bus) {
        return sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
                                   "org.freedesktop.DBus.Local", "Disconnected", on_bus_lost, d);
}

/* The worker socket is its own unit's (FileDescriptorName=worker), so that it outlives us. */
static int find_worker_socket(StoredFds *stored) {
        int fd = stored_fds_take(stored, "worker");

        if (fd < 0 || sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
                return -ENOTCONN;
        return fd;
}

static void block_signals(void) {
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        signal(SIGPIPE, SIG_IGN);
}

/* sd-bus does without descriptors where it can't ask its socket what it is, and no query could be answered then.
 * Waits until the bus has said Hello; nothing is served before. */
static int connect_to_bus(sd_event *event, sd_bus **ret) {
        int r = sd_bus_open_system(ret);

        if (r >= 0)
                r = sd_bus_can_send(*ret, SD_BUS_TYPE_UNIX_FD);
        if (r == 0)
                r = -EOPNOTSUPP;
        return r < 0 ? r : sd_bus_attach_event(*ret, event, SD_EVENT_PRIORITY_NORMAL);
}

static int set_up_loop(Daemon *d) {
        int r = sd_event_default(&d->event);

        if (r >= 0) {
                journal_attach(d->event, NULL);
                r = connect_to_bus(d->event, &d->bus);
        }
        /* What we ask of PID 1, of polkit and of the bus daemon has a connection of its own: the daemon stops to read from one
         * whose replies others do not take, as anyone on the host can arrange, and what is asked there waits behind all of
         * them. */
        if (r >= 0)
                r = connect_to_bus(d->event, &d->asking_bus);
        if (r >= 0)
                r = watch_bus(d, d->bus);
        if (r >= 0)
                r = watch_bus(d, d->asking_bus);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, on_sigterm, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, on_sigint, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGHUP, on_sighup, d);
        if (r >= 0)
                r = sd_event_add_post(d->event, NULL, on_post, d);
        if (r >= 0)
                r = bus_server_new(d->bus, d->asking_bus, &d->server);
        return r < 0 ? r : 0;
}

/* What a manager takes over, also when it can't start. */
typedef struct Settings {
        Config *config;
        LanguageSet *languages;
} Settings;

static void settings_done(Settings *s) {
        if (s->config)
                config_done(s->config);
        if (s->languages)
                language_set_done(s->languages);
        free(s->config);
        free(s->languages);
        *s = (Settings) {};
}

static int set_up(Daemon *d, Settings *settings, const char *config_file, StoredFds *stored) {
        ManagerSetup setup = { .config_root = "", .config_file = config_file, .stored = stored };
        Error error = {};
        int r;

        block_signals();
        r = stored_fds_receive(stored);
        setup.worker_listen_fd = r < 0 ? r : find_worker_socket(stored);
        if (setup.worker_listen_fd < 0)
                return fail("no worker socket was passed; start penstock-worker.socket and penstockd.service",
                            setup.worker_listen_fd);
        r = set_up_loop(d);
        if (r < 0)
                return fail("can't reach the system bus", r);

        r = notify_new(d->event, &d->notify);
        if (r < 0)
                return fail("can't reach the service manager", r);
        setup.event = d->event;
        setup.notify = d->notify;
        setup.systemd_bus = d->asking_bus;
        setup.config = settings->config;
        setup.languages = settings->languages;
        *settings = (Settings) {};
        r = manager_new(&setup, &manager_ops, d, on_ready, d, &d->manager, &error);
        return r < 0 ? fail(error.message, r) : 0;
}

static int read_settings(const char *config_file, Settings *ret) {
        Error error = {};
        int r;

        ret->config = calloc(1, sizeof(*ret->config));
        ret->languages = calloc(1, sizeof(*ret->languages));
        if (!ret->config || !ret->languages)
                return fail("can't start", -ENOMEM);
        r = config_files_load("", config_file, journal_config_warning, NULL, ret->config, &error);
        if (r < 0) {
                journal_write(LOG_ERR, JOURNAL_CONFIG, 0, "%s", error.message);
                fprintf(stderr, "penstockd: %s\n", error.message);
                return EXIT_FAILURE;
        }
        r = config_files_load_languages("", journal_config_warning, NULL, ret->languages, NULL);
        return r < 0 ? fail("can't read the languages", r) : 0;
}

/* Once, at start: without it penstockd works, but who grows while the host is saturated may be raised too late. */
static void take_precedence(void) {
        int r = precedence_realtime();

        if (r < 0)
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0,
                              "penstockd does not run at real-time priority (%s), only at its nice value: on a host whose CPUs "
                              "are all busy limits may be raised late",
                              strerror(-r));
        r = precedence_lock_memory();
        if (r < 0)
                journal_write(LOG_WARNING, JOURNAL_PLAIN, 0,
                              "penstockd's memory is not locked (%s; LimitMEMLOCK=): on a host without free memory limits may "
                              "be raised late",
                              strerror(-r));
}

static int serve(const char *config_file) {
        Settings settings = {};
        StoredFds stored = {};
        Daemon d = {};
        int r;

        take_precedence();
        r = read_settings(config_file, &settings);
        if (r == 0)
                r = set_up(&d, &settings, config_file, &stored);
        settings_done(&settings);
        stored_fds_done(&stored);
        if (r == 0)
                r = loop_run(d.event);
        if (r < 0) {
                (void) fail("The loop can't go on: penstockd starts anew, and goes on with its queries", r);
                r = EXIT_ANOTHER_COMES;
        }
        if (r == EXIT_ANOTHER_COMES) /* what comes now may wait for a disk, PID 1 and journald, and nobody raises meanwhile */
                stopped_hold();
        stop_job_free(d.stop_job);
        bus_server_free(d.server);
        manager_free(d.manager);
        if (r == EXIT_ANOTHER_COMES)
                stopped_tell(d.notify);
        notify_free(d.notify);
        journal_detach();
        bus_leave(d.asking_bus);
        bus_leave(d.bus);
        sd_event_unref(d.event);
        return r;
}

static int help(FILE *out) {
        fputs("penstockd [--config FILE]\n"
              "  Run as penstockd.service; see penstockd(8).\n"
              "penstockd --check-config [--json] [FILE]\n"
              "  Say whether FILE, or the whole configuration, is valid.\n"
              "penstockd --show-config [--json]\n"
              "  Print the effective values and where each came from.\n"
              "penstockd --stopped\n"
              "  For when penstockd has ended: thaw all queries, or hold them until another one has started.\n"
              "penstockd --closed\n"
              "  For when its worker socket was closed: if that is for good, end the queries that are left.\n",
              out);
        return out == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Who asked for what was printed must have got it, or else that is the outcome. */
static int written(int status) {
        int r = stream_flush(stdout);

        if (r == 0)
                return status;
        fprintf(stderr, "penstockd: cannot write to standard output: %s\n", strerror(-r));
        return EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        enum { OPT_CHECK = 256, OPT_SHOW, OPT_STOPPED, OPT_CLOSED, OPT_JSON, OPT_CONFIG, OPT_VERSION, OPT_HELP };
        static const struct option options[] = {
                { "check-config", no_argument, NULL, OPT_CHECK }, { "show-config", no_argument, NULL, OPT_SHOW },
                { "json", no_argument, NULL, OPT_JSON },          { "config", required_argument, NULL, OPT_CONFIG },
                { "version", no_argument, NULL, OPT_VERSION },    { "help", no_argument, NULL, OPT_HELP },
                { "stopped", no_argument, NULL, OPT_STOPPED },    { "closed", no_argument, NULL, OPT_CLOSED },
                {},
        };
        const char *config_file = NULL;
        int c, mode = 0;
        bool json = false;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case OPT_CHECK:
                case OPT_SHOW:
                case OPT_STOPPED:
                case OPT_CLOSED: mode = c; break;
                case OPT_JSON: json = true; break;
                case OPT_CONFIG: config_file = optarg; break;
                case OPT_VERSION: puts(PENSTOCK_VERSION); return written(EXIT_SUCCESS);
                case OPT_HELP: return written(help(stdout));
                default: return help(stderr);
                }
        if (mode == OPT_CHECK)
                return written(config_report_check(optind < argc ? argv[optind] : config_file, stdout, json));
        if (mode == OPT_SHOW)
                return written(config_report_show(config_file, stdout, json));
        if (optind < argc)
                return help(stderr);
        if (mode == OPT_STOPPED)
                return stopped_run();
        if (mode == OPT_CLOSED)
                return stopped_closed();
        return serve(config_file);
}

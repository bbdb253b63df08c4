/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each call of libpenstock that may fail does, once, in a program that uses all of it: the program is told, no call waits
 * for ever, and nothing leaks (memory: under AddressSanitizer). The calls are wrapped by the linker, see meson.build. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <systemd/sd-event.h>

#include "../fail/trampoline.h"
#include "penstock.h"

#define LIMIT_USEC (UINT64_C(20) * 1000 * 1000)

#define WRAP(name, how, error) void __real_##name(void);
#include "client-calls.h"
#undef WRAP

enum {
#define WRAP(name, how, error) INDEX_##name,
#include "client-calls.h"
#undef WRAP
        N_FUNCTIONS
};

FailFunction fail_functions[] = {
#define WRAP(name, how, error) { (void *) __real_##name, #name, how, error },
#include "client-calls.h"
#undef WRAP
};

#define WRAP(name, how, error) FAIL_TRAMPOLINE(__wrap_##name, name, INDEX_##name)
#include "client-calls.h"
#undef WRAP

/* Of AddressSanitizer, if it is there. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* From where it is called, and how often in one run. */
typedef struct Site {
        const FailFunction *function;
        uintptr_t caller;
        unsigned n;
} Site;

static Site sites[1024], target; /* target: n calls pass, the next one fails */
static unsigned n_sites;
static bool has_struck;

static void count(const FailFunction *f, uintptr_t caller) {
        unsigned i = 0;

        while (i < n_sites && (sites[i].function != f || sites[i].caller != caller))
                i++;
        if (i == n_sites && n_sites < sizeof(sites) / sizeof(*sites))
                sites[n_sites++] = (Site) { f, caller, 0 };
        sites[i].n++;
}

void *fail_enter(FailFunction *f, uintptr_t caller, uintptr_t second) {
        (void) second;
        if (!target.function)
                count(f, caller);
        else if (f == target.function && caller == target.caller && target.n-- == 0) {
                has_struck = true;
                return fail_result(f, f->error);
        }
        return f->real;
}

/* It went well, or said why it did not; true in the first case. */
static bool told(int r, const PenstockError *e) {
        if (r >= 0)
                return true;
        assert_true(has_struck);
        if (e) {
                assert_true(e->name[0]);
                assert_true(e->message[0]);
        }
        return false;
}

static PenstockRequest *make_request(bool detached) {
        PenstockRequest *r = NULL;
        int k = penstock_request_new(&r);

        if (k >= 0)
                k = penstock_request_set_language(r, "shell");
        if (k >= 0)
                k = penstock_request_set_query(r, "echo out", 8);
        if (k >= 0)
                k = penstock_request_add_argument(r, "argument");
        if (k >= 0)
                k = penstock_request_add_environment(r, "PATH", "/usr/bin:/bin");
        if (k >= 0)
                k = penstock_request_add_label(r, "team", "test");
        if (k >= 0)
                k = penstock_request_set_working_directory(r, "/");
        if (k >= 0)
                k = penstock_request_add_limit(r, "NOFILE", 64, 64);
        if (k >= 0)
                k = penstock_request_set_stderr(r, STDERR_FILENO);
        if (k >= 0 && detached)
                k = penstock_request_set_detached(r);
        if (!told(k, NULL))
                r = penstock_request_free(r);
        return r;
}

static void read_all(int fd, const char *expected) {
        char text[256];
        size_t len = 0;
        ssize_t n;

        while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
                len += (size_t) n;
        text[len] = '\0';
        if (expected)
                assert_string_equal(text, expected);
}

static void use_query(PenstockQuery *q, bool detached) {
        PenstockInfo *i = NULL;
        PenstockError e = {};
        bool ended;
        int fd;

        if (!detached && penstock_query_results_fd(q) >= 0)
                read_all(penstock_query_results_fd(q), "out\n");
        ended = told(penstock_query_wait(q, LIMIT_USEC, &i, &e), &e);
        assert_true(!ended || penstock_info_is_ended(i));
        i = penstock_info_free(i);
        if (told(penstock_query_describe(q, &i, &e), &e))
                i = penstock_info_free(i);
        if (detached && told(penstock_query_open_results(q, &fd, &e), &e)) {
                read_all(fd, ended ? "out\n" : NULL);
                close(fd);
        }
        if (told(penstock_query_open_profile(q, &fd, &e), &e))
                close(fd);
        told(penstock_query_cancel(q, &e), &e);
        if (told(penstock_query_done(q, &i, &e), &e))
                penstock_info_free(i);
}

static void use_history(PenstockClient *c) {
        PenstockFilter *f = NULL;
        PenstockInfo **list = NULL;
        PenstockError e = {};
        size_t n;
        int r = penstock_filter_new(&f);

        if (r >= 0)
                r = penstock_filter_set_language(f, "shell");
        if (r >= 0)
                r = penstock_filter_add_label(f, "team", "test");
        if (r >= 0)
                r = penstock_filter_set_limit(f, 2);
        if (r >= 0)
                r = penstock_filter_set_user_id(f, 0);
        if (told(r, NULL) && told(penstock_client_history(c, f, &list, &n, &e), &e))
                penstock_info_list_free(list, n);
        penstock_filter_free(f);
}

static void use_blocking(PenstockClient *c) {
        PenstockInfo *i = NULL, **list = NULL;
        PenstockError e = {};
        size_t n;

        for (int detached = 0; detached < 2; detached++) {
                PenstockRequest *r = make_request(detached);
                PenstockQuery *q = NULL;

                if (r && told(penstock_query_submit(c, r, &q, &e), &e))
                        use_query(q, detached);
                penstock_query_free(q);
                penstock_request_free(r);
        }
        if (told(penstock_client_status(c, &i, &e), &e))
                penstock_info_free(i);
        if (told(penstock_client_list(c, &list, &n, &e), &e))
                penstock_info_list_free(list, n);
        use_history(c);
        told(penstock_client_pause(c, &e), &e);
        told(penstock_client_resume(c, &e), &e);
}

typedef struct Async {
        sd_event *event;
        PenstockClient *c;
        PenstockQuery *q;
        bool submitted, watched, done;
} Async;

static void on_list(PenstockClient *c, PenstockInfo *const list[], size_t n, const PenstockError *error, void *userdata) {
        Async *a = userdata;

        (void) c, (void) list, (void) n;
        assert_true(told(error ? -EIO : 0, error) == !error);
        a->done = true;
}

static void on_status(PenstockClient *c, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Async *a = userdata;

        assert_true(told(error ? -EIO : 0, error) == (info != NULL));
        if (!told(penstock_client_list_async(c, on_list, a), NULL))
                a->done = true;
}

static void on_done(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Async *a = userdata;

        (void) q, (void) info, (void) error;
        if (!told(penstock_client_status_async(a->c, on_status, a), NULL))
                a->done = true;
}

static void on_watch(PenstockQuery *q, PenstockInfo *info, const PenstockError *error, void *userdata) {
        Async *a = userdata;

        if (a->watched || (!error && !penstock_info_is_ended(info)))
                return;
        a->watched = true;
        if (!told(penstock_query_done_async(q, on_done, a), NULL))
                a->done = true;
}

static void on_submitted(PenstockClient *c, PenstockQuery *q, const PenstockError *error, void *userdata) {
        Async *a = userdata;

        (void) c;
        a->submitted = true;
        a->q = q;
        if (error || !told(penstock_query_watch(q, on_watch, a), NULL))
                a->watched = a->done = true;
}

static void use_async(PenstockClient *c) {
        PenstockRequest *r = NULL;
        PenstockError e = {};
        Async a = { .c = c };
        uint64_t begin, now;

        assert_true(sd_event_new(&a.event) >= 0);
        sd_event_now(a.event, CLOCK_MONOTONIC, &begin);
        if (told(penstock_client_attach_event(c, a.event), NULL) && (r = make_request(false)) &&
            told(penstock_query_submit_async(c, r, on_submitted, &a, &e), &e))
                while (!a.done) {
                        if (sd_event_run(a.event, 100 * 1000) < 0)
                                break;
                        sd_event_now(a.event, CLOCK_MONOTONIC, &now);
                        /* The connection is lost, or the answer was: its caller has a clock of his own. */
                        if (now > begin + LIMIT_USEC / 20) {
                                assert_true(has_struck);
                                break;
                        }
                }
        penstock_query_free(a.q);
        penstock_request_free(r);
        penstock_client_free(c);
        sd_event_unref(a.event);
}

static unsigned open_descriptors(void) {
        DIR *d = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static void use_all(void) {
        PenstockClient *c = NULL;
        PenstockError e = {};
        unsigned before = open_descriptors();

        if (told(penstock_client_new(&c, &e), &e))
                use_blocking(c);
        c = penstock_client_free(c);
        if (told(penstock_client_new(&c, &e), &e))
                use_async(c);
        assert_int_equal(open_descriptors(), before);
        if (__lsan_do_recoverable_leak_check)
                assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
}

static void suffer(unsigned site, unsigned skip) {
        has_struck = false;
        target = (Site) { sites[site].function, sites[site].caller, skip };
        alarm(120);
        use_all();
        alarm(0);
}

static void each_fault_is_told_and_leaks_nothing(void **state) {
        unsigned struck = 0, n_used = 0;

        use_all();
        n_sites = 0;
        use_all();
        for (unsigned i = 0; i < n_sites; i++)
                for (unsigned last = 0; last < (sites[i].n > 1 ? 2 : 1); last++) { /* the first call from there, and the last */
                        suffer(i, last ? sites[i].n - 1 : 0);
                        struck += has_struck;
                        if (++n_used % 40 == 0) { /* the stand-in remembers all, and has room for 256 */
                                harness_stop(state);
                                harness_start(state);
                        }
                }
        print_message("%u places, %u faults\n", n_sites, struck);
        assert_true(struck > 100);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(each_fault_is_told_and_leaks_nothing) };

        return cmocka_run_group_tests(tests, harness_start, harness_stop);
}

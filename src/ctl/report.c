/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/report: lines on stderr, and the failures that every verb may meet. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "ctl/ctl.h"

void report(const char *format, ...) {
        char text[2048];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        text_make_plain(text);
        for (char *p = text; *p; p++)
                if (*p == '\n' || *p == '\t')
                        *p = ' ';
        fprintf(stderr, "penstockctl: %s\n", text);
}

/* What to do next, where the service's own words do not say it. */
static const struct {
        const char *error, *step;
} next_steps[] = {
        { "NoSuchQuery", "; `penstockctl list` shows those that are known" },
        { "Internal", "; see: journalctl -u penstockd" },
};

int report_error(const PenstockError *e, int status) {
        const char *step = "";

        for (size_t i = 0; i < ELEMENTSOF(next_steps); i++)
                if (strcmp(e->name, next_steps[i].error) == 0)
                        step = next_steps[i].step;
        report("%s: %s%s", e->name, e->message, step);
        return status;
}

int client_open(const Verb *verb, PenstockClient **ret) {
        PenstockError error = {};

        if (penstock_client_new(ret, &error) < 0)
                return report_error(&error, verb->failure);
        penstock_client_set_interactive(*ret, true);
        return GO_ON;
}

int query_open(const Verb *verb, const char *text, PenstockClient **ret_client, PenstockQuery **ret_query) {
        uint64_t id;
        int r;

        if (id_parse(text, &id) < 0)
                return id_error(verb, text);
        r = client_open(verb, ret_client);
        if (r != GO_ON)
                return r;
        if (penstock_query_open(*ret_client, id, ret_query) < 0) {
                report("out of memory");
                return verb->failure;
        }
        return GO_ON;
}

int finish_output(int failure) {
        int r = stream_flush(stdout);

        if (r == 0)
                return EXIT_CODE_OK;
        if (r != -EPIPE)
                report("cannot write to standard output: %s", strerror(-r));
        return failure;
}

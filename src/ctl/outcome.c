/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "ctl/ctl.h"

/* Our own engine's words as they are; root sees those of others without what would command his terminal. */
static void print_tail(const PenstockInfo *i) {
        const char *tail = info_string(i, "stderr_tail");
        CLEANUP(freep) char *plain = info_u64(i, "user_id") != geteuid() ? strdup(tail) : NULL;

        if (plain)
                tail = text_make_plain(plain);
        if (tail[0] == '\0')
                return;
        fputs(tail, stderr);
        if (tail[strlen(tail) - 1] != '\n')
                fputc('\n', stderr);
}

int outcome_report(const PenstockInfo *i) {
        int64_t exit_status = -1, exit_signal = 0;
        PenstockError error = {};
        bool has_error;

        print_tail(i);
        has_error = penstock_info_get_error(i, &error) == 0;
        if (has_error)
                report_error(&error, 0);
        (void) penstock_info_get_i64(i, "exit_status", &exit_status);
        (void) penstock_info_get_i64(i, "exit_signal", &exit_signal);
        return exit_status_map(info_string(i, "state"), has_error ? error.name : NULL, exit_status, exit_signal);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "ctl/ctl.h"

int outcome_report(const PenstockInfo *i) {
        const char *tail = info_string(i, "stderr_tail");
        int64_t exit_status = -1, exit_signal = 0;
        PenstockError error = {};
        bool has_error;

        if (tail[0] != '\0') {
                fputs(tail, stderr);
                if (tail[strlen(tail) - 1] != '\n')
                        fputc('\n', stderr);
        }
        has_error = penstock_info_get_error(i, &error) == 0;
        if (has_error)
                report_error(&error, 0);
        (void) penstock_info_get_i64(i, "exit_status", &exit_status);
        (void) penstock_info_get_i64(i, "exit_signal", &exit_signal);
        return exit_status_map(info_string(i, "state"), has_error ? error.name : NULL, exit_status, exit_signal);
}

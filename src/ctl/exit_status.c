/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/exit_status: how a query's end is told to a shell. Pure. */
#include <string.h>

#include "ctl/ctl.h"

static bool is_one_of(const char *name, const char *a, const char *b) {
        return strcmp(name, a) == 0 || strcmp(name, b) == 0;
}

int exit_status_map(const char *state, const char *error_name, int64_t exit_status, int64_t exit_signal) {
        if (strcmp(state, "finished") == 0)
                return exit_status >= 0 && exit_status <= 255 ? (int) exit_status : EXIT_CODE_OK;
        if (strcmp(state, "errored") != 0 || !error_name)
                return EXIT_CODE_REFUSED;
        if (is_one_of(error_name, "Timeout", "QueueTimeout"))
                return EXIT_CODE_TIMED_OUT;
        if (is_one_of(error_name, "MemoryLimitExceeded", "MemoryBudgetExhausted"))
                return EXIT_CODE_MEMORY;
        if (strcmp(error_name, "ExecutionFailed") != 0)
                return EXIT_CODE_REFUSED;
        if (exit_signal > 0 && exit_signal < 128)
                return EXIT_CODE_SIGNAL + (int) exit_signal;
        if (exit_status > 0 && exit_status <= 255)
                return (int) exit_status;
        return EXIT_CODE_REFUSED;
}

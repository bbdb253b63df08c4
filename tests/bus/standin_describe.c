/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standin.h"

#include <string.h>
#include <unistd.h>

static int append_raises(sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "raise_log");
        if (r >= 0)
                r = sd_bus_message_append(m, "v", "a(tsttt)", 1, UINT64_C(1500), "pressure", 64 * MIB, 128 * MIB,
                                          UINT64_C(120));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_statistics_entries(sd_bus_message *m, const StandInQuery *q) {
        static const char *const durations[] = { "total_usec",   "compile_usec",  "queue_usec",
                                                 "execute_usec", "frozen_usec",   "stall_usec",
                                                 "cpu_usec",     "io_read_bytes", "io_write_bytes" };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(durations) && r >= 0; i++)
                r = sd_bus_message_append(m, "{sv}", durations[i], "t", (uint64_t) (i + 1) * 1000);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "initial_bytes", "t", 160 * MIB, "learned", "b", 1,
                                          "raises_saved", "t", UINT64_C(2), "retries", "t", UINT64_C(1));
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "memory_peak_bytes", "t", 100 * MIB,
                                          "raises", "t", UINT64_C(1), "verdict", "s",
                                          q->error_name[0] ? "engine" : "", "exit_status", "i", q->exit_status,
                                          "exit_signal", "i", q->exit_signal, "runtime_errors", "as", 0);
        if (r >= 0)
                r = append_raises(m);
        if (r >= 0 && q->stderr_tail[0] != '\0')
                r = sd_bus_message_append(m, "{sv}", "stderr_tail", "s", q->stderr_tail);
        return r;
}

int standin_append_statistics(sd_bus_message *m, const StandInQuery *q) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = append_statistics_entries(m, q);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Queries are those of whoever runs the test. */
static int append_properties(sd_bus_message *m, const StandInQuery *q) {
        return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "UserID", "u", (uint32_t) geteuid(),
                                     "Priority", "i", 0, "MemoryQuotaBytes", "t", 64 * MIB, "MemoryMaxBytes", "t",
                                     GIB, "MemoryCurrentBytes", "t", 10 * MIB, "QueuePosition", "t", UINT64_C(0),
                                     "WaitReason", "s", "", "Labels", "a{ss}", 1, q->label[0], q->label[1]);
}

/* What is said twice counts as it is said last. */
int standin_append_description(sd_bus_message *m, const StandInQuery *q) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "ID", "t", q->id, "State", "s", q->state,
                                          "Language", "s", q->language, "Unit", "s", q->unit, "ControlGroup", "s", "",
                                          "Detached", "b", q->detached);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "ErrorName", "s", q->error_name,
                                          "ErrorMessage", "s", q->error_message, "ExitStatus", "i", q->exit_status,
                                          "ExitSignal", "i", q->exit_signal, "CreatedUSec", "t", UINT64_C(1),
                                          "EndedUSec", "t", UINT64_C(2), "FutureThing", "t", UINT64_C(7));
        if (r >= 0)
                r = append_statistics_entries(m, q);
        if (r >= 0)
                r = q->pose.is_set ? standin_pose_append_statistics(m, q) : 0;
        if (r >= 0)
                r = q->pose.is_set ? standin_pose_append_properties(m, q) : append_properties(m, q);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

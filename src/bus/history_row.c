/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A row of the history as D-Bus values: properties under their names, statistics under theirs. */
#include <inttypes.h>
#include <stdio.h>

#include "bus/history.h"

static const struct {
        const char *key;
        size_t offset;
} numbers[] = {
        { "Row", offsetof(HistoryRow, row) },
        { "ID", offsetof(HistoryRow, id) },
        { "CreatedUSec", offsetof(HistoryRow, created_usec) },
        { "StartedUSec", offsetof(HistoryRow, started_usec) },
        { "EndedUSec", offsetof(HistoryRow, ended_usec) },
        { "TotalUSec", offsetof(HistoryRow, total_usec) },
        { "MemoryQuotaBytes", offsetof(HistoryRow, memory_quota_bytes) },
        { "MemoryMaxBytes", offsetof(HistoryRow, memory_max_bytes) },
        { "MemoryPeakBytes", offsetof(HistoryRow, memory_peak_bytes) },
        { "Raises", offsetof(HistoryRow, raises) },
        { "compile_usec", offsetof(HistoryRow, compile_usec) },
        { "queue_usec", offsetof(HistoryRow, queue_usec) },
        { "execute_usec", offsetof(HistoryRow, execute_usec) },
        { "frozen_usec", offsetof(HistoryRow, frozen_usec) },
        { "stall_usec", offsetof(HistoryRow, stall_usec) },
        { "cpu_usec", offsetof(HistoryRow, cpu_usec) },
        { "io_read_bytes", offsetof(HistoryRow, io_read_bytes) },
        { "io_write_bytes", offsetof(HistoryRow, io_write_bytes) },
        { "initial_bytes", offsetof(HistoryRow, initial_bytes) },
        { "raises_saved", offsetof(HistoryRow, raises_saved) },
        { "retries", offsetof(HistoryRow, retries) },
};

static int append_numbers(sd_bus_message *m, const HistoryRow *row) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(numbers); i++)
                r = sd_bus_message_append(m, "{sv}", numbers[i].key, "t",
                                          *(const uint64_t *) ((const char *) row + numbers[i].offset));
        return r;
}

static int append_string(sd_bus_message *m, const char *key, const char *value) {
        return sd_bus_message_append(m, "{sv}", key, "s", value ?: "");
}

static int append_texts(sd_bus_message *m, const HistoryRow *row) {
        char unit[QUERY_UNIT_NAME_MAX], boot[2 * HISTORY_BOOT_ID_BYTES + 1];
        int r;

        for (size_t i = 0; i < HISTORY_BOOT_ID_BYTES; i++)
                snprintf(boot + 2 * i, 3, "%02x", row->boot_id[i]);
        r = append_string(m, "BootID", boot);
        if (r >= 0)
                r = append_string(m, "State", row->state);
        if (r >= 0)
                r = append_string(m, "Language", row->language);
        if (r >= 0)
                r = append_string(m, "Unit", query_unit_name(row->id, unit));
        if (r >= 0)
                r = append_string(m, "ErrorName", error_dbus_name(error_from_name(row->error)));
        if (r >= 0)
                r = append_string(m, "ErrorMessage", row->message);
        return r < 0 ? r : append_string(m, "verdict", row->verdict);
}

static int append_small(sd_bus_message *m, const HistoryRow *row) {
        return sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}", "UserID", "u", row->user_id, "Priority", "i",
                                     row->priority, "ExitStatus", "i", row->exit_status, "ExitSignal", "i",
                                     row->exit_signal, "Detached", "b", (int) row->detached, "learned", "b",
                                     (int) row->learned);
}

static bool may_see_all(const HistoryRow *row, const HistoryEyes *eyes) {
        return eyes->uid == 0 || eyes->uid == row->user_id;
}

static int append_labels(sd_bus_message *m, const HistoryRow *row, const HistoryEyes *eyes) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', "Labels");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < row->labels.n; i++)
                if (may_see_all(row, eyes) || strlist_has(eyes->public_keys, row->labels.v[i].key))
                        r = sd_bus_message_append(m, "{ss}", row->labels.v[i].key, row->labels.v[i].value);
        for (unsigned i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_fingerprint(sd_bus_message *m, const HistoryRow *row) {
        char text[2 * 16 + 1] = "";

        if (row->fingerprint[0] || row->fingerprint[1])
                snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64, row->fingerprint[0], row->fingerprint[1]);
        return append_string(m, "Fingerprint", text);
}

int history_row_append(sd_bus_message *m, const HistoryRow *row, const HistoryEyes *eyes) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = append_numbers(m, row);
        if (r >= 0)
                r = append_texts(m, row);
        if (r >= 0)
                r = append_small(m, row);
        if (r >= 0)
                r = append_labels(m, row, eyes);
        if (r >= 0 && may_see_all(row, eyes))
                r = append_fingerprint(m, row);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

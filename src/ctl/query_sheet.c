/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/sheet.h"

#define ULL(x) ((unsigned long long) (x))

static void add_labels(Sheet *s, const PenstockInfo *i) {
        const char *key, *value;

        for (size_t k = 0; penstock_info_get_pair(i, "labels", k, &key, &value) == 0; k++)
                sheet_add(s, k == 0 ? "Labels" : "", "%s=%s", key, value);
}

static void add_dependencies(Sheet *s, const PenstockInfo *i) {
        const char *name;

        for (size_t k = 0; penstock_info_get_item(i, "dependencies", k, &name) == 0; k++)
                sheet_add(s, k == 0 ? "Dependencies" : "", "%s", name);
}

/* With what quota it started, if that is told. */
static void add_start(Sheet *s, const PenstockInfo *i) {
        char quota[TEXT_MAX], saved[TEXT_MAX] = "";

        if (penstock_info_type(i, "initial_bytes") != PENSTOCK_TYPE_U64)
                return;
        if (info_u64(i, "raises_saved") > 0)
                snprintf(saved, sizeof(saved), ", which saved %llu raises", ULL(info_u64(i, "raises_saved")));
        sheet_add(s, "Initial quota", "%s%s%s", format_size(info_u64(i, "initial_bytes"), quota),
                  info_bool(i, "learned") ? ", learned" : "", saved);
        if (info_u64(i, "retries") > 0)
                sheet_add(s, "Retries", "%llu, since the budget ended it", ULL(info_u64(i, "retries")));
}

static void add_memory(Sheet *s, const PenstockInfo *i) {
        char quota[TEXT_MAX], max[TEXT_MAX], current[TEXT_MAX], peak[TEXT_MAX];

        sheet_add(s, "Memory", "%s used, quota %s of at most %s, peak %s, %llu raises",
                  format_size(info_u64(i, "memory_current_bytes"), current),
                  format_size(info_u64(i, "memory_quota_bytes"), quota),
                  format_size(info_u64(i, "memory_max_bytes"), max),
                  format_size(info_u64(i, "memory_peak_bytes"), peak), ULL(info_u64(i, "raises")));
        add_start(s, i);
}

static void add_end(Sheet *s, const PenstockInfo *i) {
        char buf[TEXT_MAX];
        PenstockError error = {};

        if (penstock_info_get_error(i, &error) == 0)
                sheet_add(s, "Error", "%s: %s", error.name, error.message);
        if (!penstock_info_is_ended(i))
                return;
        if (info_i64(i, "exit_signal") > 0)
                sheet_add(s, "Exit", "signal %lld", (long long) info_i64(i, "exit_signal"));
        else if (info_i64(i, "exit_status") >= 0)
                sheet_add(s, "Exit", "status %lld", (long long) info_i64(i, "exit_status"));
        if (info_string(i, "verdict")[0] != '\0')
                sheet_add(s, "Verdict", "%s", info_string(i, "verdict"));
        sheet_add(s, "Ended", "%s", format_time(info_u64(i, "ended_usec"), buf));
}

void sheet_add_query(Sheet *s, const PenstockInfo *i) {
        char buf[TEXT_MAX];

        sheet_add(s, "ID", "%llu", ULL(info_u64(i, "id")));
        sheet_add(s, "State", "%s", info_string(i, "state"));
        sheet_add(s, "Language", "%s", info_string(i, "language"));
        sheet_add(s, "Unit", "%s", info_string(i, "unit"));
        if (info_string(i, "control_group")[0] != '\0')
                sheet_add(s, "Control group", "%s", info_string(i, "control_group"));
        sheet_add(s, "User ID", "%llu", ULL(info_u64(i, "user_id")));
        add_labels(s, i);
        sheet_add(s, "Priority", "%lld", (long long) info_i64(i, "priority"));
        if (info_u64(i, "queue_position") > 0)
                sheet_add(s, "Queue position", "%llu", ULL(info_u64(i, "queue_position")));
        if (info_string(i, "wait_reason")[0] != '\0')
                sheet_add(s, "Waits for", "%s", info_string(i, "wait_reason"));
        add_dependencies(s, i);
        add_memory(s, i);
        sheet_add(s, "Created", "%s", format_time(info_u64(i, "created_usec"), buf));
        add_end(s, i);
        sheet_add(s, "Time", "%s", format_duration(info_u64(i, "total_usec"), buf));
}

void sheet_add_usage(Sheet *s, const PenstockInfo *i) {
        static const struct {
                const char *name, *key;
        } rows[] = {
                { "Total", "total_usec" },     { "Compile", "compile_usec" }, { "Queue", "queue_usec" },
                { "Execute", "execute_usec" }, { "Frozen", "frozen_usec" },   { "Stalled", "stall_usec" },
                { "CPU", "cpu_usec" },
        };
        char a[TEXT_MAX], b[TEXT_MAX];

        for (size_t k = 0; k < ELEMENTSOF(rows); k++)
                sheet_add(s, rows[k].name, "%s", format_duration(info_u64(i, rows[k].key), a));
        sheet_add(s, "Memory peak", "%s of at most %s", format_size(info_u64(i, "memory_peak_bytes"), a),
                  format_size(info_u64(i, "memory_max_bytes"), b));
        if (info_u64(i, "memory_need_bytes") > 0)
                sheet_add(s, "Memory need", "%s", format_size(info_u64(i, "memory_need_bytes"), a));
        sheet_add(s, "I/O", "%s read, %s written", format_size(info_u64(i, "io_read_bytes"), a),
                  format_size(info_u64(i, "io_write_bytes"), b));
        sheet_add(s, "Raises", "%llu", ULL(info_u64(i, "raises")));
        add_start(s, i);
}

const char *why_sentence(const PenstockInfo *i, char *buf, size_t size) {
        const char *state = info_string(i, "state"), *wait = info_string(i, "wait_reason");
        uint64_t id = info_u64(i, "id"), position = info_u64(i, "queue_position");
        PenstockError error = {};

        if (penstock_info_get_error(i, &error) == 0)
                snprintf(buf, size, "Query %llu is %s: %s: %s", ULL(id), state, error.name, error.message);
        else if (position > 0)
                snprintf(buf, size, "Query %llu is %s at position %llu%s%s", ULL(id), state, ULL(position),
                         wait[0] ? ": " : "", wait);
        else if (wait[0] != '\0')
                snprintf(buf, size, "Query %llu is %s and waits: %s", ULL(id), state, wait);
        else
                snprintf(buf, size, "Query %llu is %s and waits for nothing", ULL(id), state);
        return buf;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/top_row.h"

#include <string.h>

static const char *const state_names[] = {
        [TOP_EXECUTING] = "executing", [TOP_COMPILING] = "compiling", [TOP_QUEUEING] = "queueing",
        [TOP_CREATED] = "created",     [TOP_ERRORED] = "errored",     [TOP_CANCELED] = "canceled",
        [TOP_FINISHED] = "finished",   [TOP_OTHER] = "other",
};

const char *top_state_name(TopState s) {
        return state_names[s];
}

TopState top_state_from_name(const char *name) {
        TopState s = 0;

        while (s < TOP_OTHER && strcmp(name, state_names[s]) != 0)
                s++;
        return s;
}

/* As much as has room, never half a pair. */
static void read_labels(const PenstockInfo *i, char *buf, size_t size) {
        const char *key, *value;
        size_t len = 0;

        buf[0] = '\0';
        for (size_t k = 0; penstock_info_get_pair(i, "labels", k, &key, &value) == 0; k++) {
                int n = snprintf(buf + len, size - len, "%s%s=%s", k > 0 ? " " : "", key, value);

                if (n < 0 || (size_t) n >= size - len) {
                        buf[len] = '\0';
                        return;
                }
                len += (size_t) n;
        }
}

/* What it waits for, or why it ended. */
static void read_reason(const PenstockInfo *i, char *buf, size_t size) {
        uint64_t position = info_u64(i, "queue_position");
        const char *wait = info_string(i, "wait_reason");
        PenstockError error = {};

        if (penstock_info_get_error(i, &error) == 0)
                snprintf(buf, size, "%.100s: %.400s", error.name, error.message);
        else if (position > 0)
                snprintf(buf, size, "#%llu%s%s", (unsigned long long) position, wait[0] ? ": " : "", wait);
        else
                snprintf(buf, size, "%s", wait);
}

void top_row_read(TopRow *row, const PenstockInfo *i, const char *user) {
        *row = (TopRow) {
                .id = info_u64(i, "id"),
                .state = top_state_from_name(info_string(i, "state")),
                .priority = info_i64(i, "priority"),
                .position = info_u64(i, "queue_position"),
                .quota_bytes = info_u64(i, "memory_quota_bytes"),
                .max_bytes = info_u64(i, "memory_max_bytes"),
                .used_bytes = info_u64(i, "memory_current_bytes"),
                .peak_bytes = info_u64(i, "memory_peak_bytes"),
                .raises = info_u64(i, "raises"),
                .total_usec = info_u64(i, "total_usec"),
        };
        (void) penstock_info_get_bool(i, "frozen", &row->frozen);
        snprintf(row->user, sizeof(row->user), "%s", user);
        snprintf(row->language, sizeof(row->language), "%s", info_string(i, "language"));
        read_labels(i, row->labels, sizeof(row->labels));
        read_reason(i, row->reason, sizeof(row->reason));
}

static uint64_t share_ppm(uint64_t part, uint64_t whole) {
        return whole == 0 ? 0 : multiply_saturating(part, 1000000) / whole;
}

void top_detail_step(TopDetail *d, uint64_t need_bytes, uint64_t cpu_usec, uint64_t stall_usec,
                     uint64_t execute_usec) {
        bool goes_on = d->is_known && execute_usec > d->execute_usec;

        if (goes_on) {
                uint64_t span = execute_usec - d->execute_usec;

                d->cpu_ppm = share_ppm(subtract_saturating(cpu_usec, d->cpu_usec), span);
                d->stall_ppm = share_ppm(subtract_saturating(stall_usec, d->stall_usec), span);
        } else if (!d->is_known || execute_usec < d->execute_usec) { /* another penstockd, and another clock */
                d->cpu_ppm = share_ppm(cpu_usec, execute_usec);
                d->stall_ppm = share_ppm(stall_usec, execute_usec);
        }
        d->is_known = true;
        d->need_bytes = need_bytes;
        d->cpu_usec = cpu_usec;
        d->stall_usec = stall_usec;
        d->execute_usec = execute_usec;
}

void top_detail_read(TopDetail *d, const PenstockInfo *i) {
        top_detail_step(d, info_u64(i, "memory_need_bytes"), info_u64(i, "cpu_usec"), info_u64(i, "stall_usec"),
                        info_u64(i, "execute_usec"));
}

void top_status_read(TopStatus *s, const PenstockInfo *i) {
        *s = (TopStatus) {
                .used_bytes = info_u64(i, "used_memory_bytes"),
                .unused_bytes = info_u64(i, "unused_memory_bytes"),
                .max_bytes = info_u64(i, "max_memory_bytes"),
                .initial_bytes = info_u64(i, "initial_memory_bytes_quota_per_query"),
                .slots = info_u64(i, "concurrency_quota"),
                .queue_size = info_u64(i, "queue_size"),
        };
        snprintf(s->version, sizeof(s->version), "%s", info_string(i, "version"));
        for (TopState state = 0; state < TOP_OTHER; state++)
                s->counts[state] = info_u64(i, state_names[state]);
        (void) penstock_info_get_bool(i, "paused", &s->paused);
        (void) penstock_info_get_bool(i, "shutting_down", &s->shutting_down);
}

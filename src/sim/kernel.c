/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim/kernel.h"

void kernel_group_init(KernelGroup *g) {
        *g = (KernelGroup) { .max_bytes = SIZE_INFINITY, .high_bytes = SIZE_INFINITY };
}

uint64_t kernel_group_usage(const KernelGroup *g) {
        return g->anon_bytes + g->shmem_bytes + g->cache_bytes;
}

uint64_t kernel_throttle_usec(uint64_t usage_bytes, uint64_t high_bytes, uint64_t pages) {
        uint64_t overage;

        if (usage_bytes <= high_bytes || high_bytes == 0)
                return 0;
        overage = MIN(((usage_bytes - high_bytes) << 20) / high_bytes, UINT64_C(1) << 21);
        return (overage * overage * USEC_PER_SEC >> 34) * pages / KERNEL_CHARGE_BATCH;
}

static void reclaim_down_to(KernelGroup *g, uint64_t bytes) {
        uint64_t usage = kernel_group_usage(g);

        if (usage > bytes)
                g->cache_bytes -= MIN(g->cache_bytes, usage - bytes);
}

static void kill_group(KernelGroup *g) {
        g->events_oom++;
        g->events_oom_kill += MAX(g->pids, 1u);
}

KernelCharge kernel_group_charge(KernelGroup *g, KernelPages kind, uint64_t bytes) {
        uint64_t *pages = kind == KERNEL_ANON ? &g->anon_bytes : kind == KERNEL_SHMEM ? &g->shmem_bytes : &g->cache_bytes;
        KernelCharge c = {};

        if (g->max_bytes != SIZE_INFINITY && kernel_group_usage(g) + bytes > g->max_bytes) {
                g->events_max++;
                c.event = true;
                reclaim_down_to(g, g->max_bytes > bytes ? g->max_bytes - bytes : 0);
                if (kernel_group_usage(g) + bytes > g->max_bytes) {
                        kill_group(g);
                        c.killed = true;
                        return c;
                }
        }
        *pages += bytes;
        g->peak_bytes = MAX(g->peak_bytes, kernel_group_usage(g));
        if (kernel_group_usage(g) <= g->high_bytes)
                return c;
        g->events_high++;
        c.event = true;
        reclaim_down_to(g, g->high_bytes); /* while that makes progress nobody sleeps */
        c.sleep_usec = MIN(kernel_throttle_usec(kernel_group_usage(g), g->high_bytes, bytes / KERNEL_PAGE_BYTES),
                           KERNEL_SLEEP_MAX_USEC);
        if (c.sleep_usec <= KERNEL_SLEEP_MIN_USEC)
                c.sleep_usec = 0;
        return c;
}

void kernel_group_stall(KernelGroup *g, uint64_t now_usec, uint64_t sleep_usec) {
        uint64_t from = MAX(now_usec, g->stalled_until_usec), until = now_usec + sleep_usec;

        if (until <= from)
                return;
        g->stall_usec += until - from;
        g->stalled_until_usec = until;
}

uint64_t kernel_group_stalled_usec(const KernelGroup *g, uint64_t now_usec) {
        return g->stall_usec - subtract_saturating(g->stalled_until_usec, now_usec);
}

void kernel_group_free(KernelGroup *g, uint64_t bytes) {
        g->anon_bytes -= MIN(g->anon_bytes, bytes);
}

bool kernel_group_set_max(KernelGroup *g, uint64_t max_bytes) {
        g->max_bytes = max_bytes == SIZE_INFINITY ? max_bytes : max_bytes - max_bytes % KERNEL_PAGE_BYTES;
        reclaim_down_to(g, g->max_bytes);
        if (kernel_group_usage(g) <= g->max_bytes)
                return false;
        kill_group(g);
        return true;
}

void kernel_group_empty(KernelGroup *g) {
        g->anon_bytes = 0;
        g->populated = false;
        g->pids = 0;
}

void kernel_group_sample(const KernelGroup *g, uint64_t now_usec, Sample *ret) {
        *ret = (Sample) {
                .anon_bytes = g->anon_bytes,
                .active_anon_bytes = g->anon_bytes,
                .inactive_anon_bytes = g->shmem_bytes,
                .shmem_bytes = g->shmem_bytes,
                .file_bytes = g->cache_bytes + g->shmem_bytes,
                .inactive_file_bytes = g->cache_bytes,
                .workingset_refault_file = g->refaulted_pages,
                .current_bytes = kernel_group_usage(g),
                .max_bytes = g->max_bytes,
                .high_bytes = g->high_bytes,
                .events_high = g->events_high,
                .events_max = g->events_max,
                .events_oom = g->events_oom,
                .events_oom_kill = g->events_oom_kill,
                .stall_some_usec = kernel_group_stalled_usec(g, now_usec),
                .stall_full_usec = kernel_group_stalled_usec(g, now_usec),
                .pids = g->pids,
                .has_psi = true,
                .frozen = g->frozen,
                .populated = g->populated,
        };
}

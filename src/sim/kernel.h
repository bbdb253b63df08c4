/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sim/kernel: one engine/ group as cgroup v2 would treat it: charges, reclaim of page cache, the throttle of
 * memory.high, the kill at memory.max, freezing. No time of its own: a charge says how long its task then sleeps.
 * Sources: mm/memcontrol.c and the figures in docs/simulation.md. */
#pragma once

#include "core/sample.h"

/* A task charges in batches of so many pages before it may be made to sleep (MEMCG_CHARGE_BATCH). */
#define KERNEL_CHARGE_BATCH 64u
#define KERNEL_PAGE_BYTES UINT64_C(4096)
/* Longest sleep on one return to user space (MEMCG_MAX_HIGH_DELAY_JIFFIES, 2 s), and the shortest (HZ / 100). */
#define KERNEL_SLEEP_MAX_USEC (2 * USEC_PER_SEC)
#define KERNEL_SLEEP_MIN_USEC (10 * USEC_PER_MSEC)

typedef enum KernelPages {
        KERNEL_ANON,
        KERNEL_SHMEM, /* cannot be reclaimed, and stays charged when its toucher is dead */
        KERNEL_CACHE, /* clean page cache: given back on demand */
} KernelPages;

typedef struct KernelGroup {
        uint64_t max_bytes, high_bytes; /* SIZE_INFINITY: "max" */
        uint64_t anon_bytes, shmem_bytes, cache_bytes, peak_bytes;
        uint64_t events_high, events_max, events_oom, events_oom_kill;
        uint64_t stall_usec, stalled_until_usec; /* booked up to the end of the last sleep */
        uint64_t refaulted_pages;
        uint64_t pids;
        bool frozen, populated;
} KernelGroup;

typedef struct KernelCharge {
        bool killed;         /* memory.oom.group: the whole group is */
        bool event;          /* memory.events changed */
        uint64_t sleep_usec; /* of the task, on its return to user space */
} KernelCharge;

void kernel_group_init(KernelGroup *g); /* a newborn one reads "max" */
uint64_t kernel_group_usage(const KernelGroup *g);

/* The throttle: overage² × 1 s >> 34, for a batch of @pages. Not yet cut to the least and the longest sleep. */
uint64_t kernel_throttle_usec(uint64_t usage_bytes, uint64_t high_bytes, uint64_t pages);

/* A task of the group touches @bytes of new memory. */
KernelCharge kernel_group_charge(KernelGroup *g, KernelPages kind, uint64_t bytes);

/* It frees so much of what is its own, or all. */
void kernel_group_free(KernelGroup *g, uint64_t bytes);

/* Write memory.max. Raising is immediate; lowering reclaims, and kills when that is not enough (then true). */
bool kernel_group_set_max(KernelGroup *g, uint64_t max_bytes);

/* The last process is dead: what is not shared memory or page cache is free. */
void kernel_group_empty(KernelGroup *g);

/* A task sleeps from @now_usec on, which never goes back, as it was charged. Several may: what counts is the time in which one does
 * (memory.pressure, some). */
void kernel_group_stall(KernelGroup *g, uint64_t now_usec, uint64_t sleep_usec);
uint64_t kernel_group_stalled_usec(const KernelGroup *g, uint64_t now_usec);

void kernel_group_sample(const KernelGroup *g, uint64_t now_usec, Sample *ret);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/governor.h"

#define PAGE_BYTES UINT64_C(4096)

const char *raise_cause_name(RaiseCause c) {
        static const char *const names[_RAISE_CAUSE_MAX] = {
                [RAISE_NONE] = "none", [RAISE_NEED] = "need",       [RAISE_RATE] = "rate",
                [RAISE_MAX] = "max",   [RAISE_REFAULT] = "refault",
        };

        return names[c];
}

uint64_t governor_need(const Sample *s, uint64_t quota_bytes) {
        uint64_t mapped = s->anon_bytes + s->shmem_bytes;
        uint64_t on_lists = s->active_anon_bytes + s->inactive_anon_bytes + s->unevictable_bytes;
        uint64_t unwritten = s->file_dirty_bytes + s->file_writeback_bytes;
        uint64_t tolerated = quota_bytes / GOVERNOR_DIRTY_DIVISOR;

        /* Dentries and inodes come under "kernel", and are dropped like page cache; socket buffers do not, and are not. */
        return MIN(mapped, on_lists) + s->kernel_bytes - MIN(s->slab_reclaimable_bytes, s->kernel_bytes) + s->sock_bytes +
               (unwritten > tolerated ? unwritten - tolerated : 0);
}

uint64_t governor_headroom(uint64_t quota_bytes, uint64_t pids) {
        uint64_t part = quota_bytes / 100 * GOVERNOR_HEADROOM_PERCENT;
        uint64_t half = quota_bytes / 2;
        uint64_t tasks = pids > half / GOVERNOR_HEADROOM_PER_TASK ? half : pids * GOVERNOR_HEADROOM_PER_TASK;

        return MIN(MAX(part, tasks), half);
}

uint64_t governor_high(uint64_t quota_bytes, uint64_t maximum_bytes, uint64_t pids) {
        if (quota_bytes >= maximum_bytes || quota_bytes == SIZE_INFINITY)
                return SIZE_INFINITY;
        return (quota_bytes - governor_headroom(quota_bytes, pids)) / PAGE_BYTES * PAGE_BYTES;
}

/* Refaults with stall since the base was set: the cache it works in does not fit. */
static bool refaults_matter(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t now_usec) {
        uint64_t elapsed = now_usec - g->refault_since_usec;
        uint64_t pages = s->workingset_refault_file + s->workingset_refault_anon - g->refault_base;
        uint64_t stalled = s->stall_some_usec - g->stall_base_usec;

        if (pages < quota_bytes / GOVERNOR_REFAULT_DIVISOR / PAGE_BYTES)
                return false;
        if (!s->has_psi)
                return true; /* nothing else to confirm it by */
        return stalled >= elapsed / 1000000 * GOVERNOR_REFAULT_STALL_PPM + elapsed % 1000000 *
                                                                                    GOVERNOR_REFAULT_STALL_PPM / 1000000;
}

static void refault_restart(GovernorState *g, const Sample *s, uint64_t now_usec) {
        g->refault_base = s->workingset_refault_file + s->workingset_refault_anon;
        g->stall_base_usec = s->stall_some_usec;
        g->refault_since_usec = now_usec;
}

static RaiseCause find_cause(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t maximum_bytes,
                             uint64_t need_bytes, uint64_t ahead_bytes, uint64_t now_usec) {
        uint64_t high = governor_high(quota_bytes, maximum_bytes, s->pids);
        uint64_t margin = quota_bytes / GOVERNOR_MARGIN_DIVISOR;

        if (need_bytes >= high - margin)
                return RAISE_NEED;
        if (ahead_bytes >= high - margin - need_bytes)
                return RAISE_RATE;
        /* Page cache alone reaches memory.max too; it takes need as well to be a reason. */
        if (s->events_max > g->last_events_max && need_bytes >= quota_bytes / 2)
                return RAISE_MAX;
        if (g->has_last && refaults_matter(g, s, quota_bytes, now_usec))
                return RAISE_REFAULT;
        return RAISE_NONE;
}

/* Double until what it needs, and what it will need before we can act again, fits below the new headroom. */
static uint64_t grown_quota(uint64_t quota_bytes, uint64_t maximum_bytes, uint64_t need_bytes, uint64_t pids) {
        uint64_t want = quota_bytes;

        do {
                if (want >= maximum_bytes / 2 + maximum_bytes % 2)
                        return maximum_bytes; /* what is left up to the maximum */
                want *= 2;
        } while (need_bytes >= want - governor_headroom(want, pids));
        return want;
}

GovernorDecision governor_judge(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t maximum_bytes,
                                uint64_t now_usec) {
        GovernorDecision d = { .need_bytes = governor_need(s, quota_bytes), .want_bytes = quota_bytes };
        uint64_t elapsed = now_usec - g->last_usec, ahead = 0;
        bool grows = g->has_last && d.need_bytes > g->last_need_bytes;

        if (quota_bytes >= maximum_bytes)
                return d; /* at the ceiling the kernel decides */
        if (!g->has_last)
                refault_restart(g, s, now_usec);
        if (grows && elapsed > 0) {
                uint64_t grown = d.need_bytes - g->last_need_bytes;

                /* Growth × reaction / elapsed; an interval shorter than a sampling pause is noise. */
                ahead = grown / MAX(elapsed, GOVERNOR_SAMPLE_MIN_USEC / 4) * GOVERNOR_REACTION_USEC;
                ahead = MIN(ahead, maximum_bytes);
        }

        d.cause = find_cause(g, s, quota_bytes, maximum_bytes, d.need_bytes, ahead, now_usec);
        if (d.cause != RAISE_NONE) {
                d.want_bytes = grown_quota(quota_bytes, maximum_bytes, d.need_bytes + MIN(ahead, quota_bytes), s->pids);
                refault_restart(g, s, now_usec);
                g->pause_usec = GOVERNOR_SAMPLE_MIN_USEC;
        } else if (d.need_bytes >= quota_bytes / 2 && (grows || g->pause_usec < GOVERNOR_SAMPLE_MAX_USEC))
                g->pause_usec = grows ? GOVERNOR_SAMPLE_MIN_USEC : MAX(g->pause_usec * 2, GOVERNOR_SAMPLE_MIN_USEC);
        else
                g->pause_usec = 0;
        d.sample_after_usec = g->pause_usec;

        g->last_usec = now_usec;
        g->last_need_bytes = d.need_bytes;
        g->last_events_max = s->events_max;
        g->has_last = true;
        return d;
}

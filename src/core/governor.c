/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/governor.h"

#define PAGE_BYTES UINT64_C(4096)

const char *raise_cause_name(RaiseCause c) {
        static const char *const names[_RAISE_CAUSE_MAX] = {
                [RAISE_NONE] = "none", [RAISE_NEED] = "need",       [RAISE_RATE] = "rate",
                [RAISE_MAX] = "max",   [RAISE_REFAULT] = "refault", [RAISE_STALL] = "stall",
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

        part = MAX(part, MIN(GOVERNOR_HEADROOM_MIN, quota_bytes / GOVERNOR_HEADROOM_MIN_DIVISOR));
        return MIN(MAX(part, tasks), half);
}

uint64_t governor_high(uint64_t quota_bytes, uint64_t maximum_bytes, uint64_t pids) {
        if (quota_bytes >= maximum_bytes || quota_bytes == SIZE_INFINITY)
                return SIZE_INFINITY;
        return (quota_bytes - governor_headroom(quota_bytes, pids)) / PAGE_BYTES * PAGE_BYTES;
}

static uint64_t refaults(const Sample *s) {
        return s->workingset_refault_file + s->workingset_refault_anon;
}

/* It uses nearly all it may have. Who waits for memory far below his limits suffers from the host's shortage, which no raise
 * mends, and no end of his. */
static bool is_near_limit(const Sample *s, uint64_t quota_bytes) {
        uint64_t limit = MIN(MIN(s->high_bytes, s->max_bytes), quota_bytes);

        return s->current_bytes >= limit - limit / GOVERNOR_MARGIN_DIVISOR;
}

static void window_restart(GovernorWindow *w, const Sample *s, uint64_t now_usec) {
        *w = (GovernorWindow) { now_usec, s->stall_some_usec, s->stall_full_usec, refaults(s) };
}

/* Forget the older half of what it has seen. */
static void window_halve(GovernorWindow *w, const Sample *s, uint64_t now_usec) {
        w->since_usec += (now_usec - w->since_usec) / 2;
        w->some_usec += (s->stall_some_usec - w->some_usec) / 2;
        w->full_usec += (s->stall_full_usec - w->full_usec) / 2;
        w->refaults += (refaults(s) - w->refaults) / 2;
}

/* @part_usec >= @ppm of @whole_usec, without a product that could overflow. */
static bool is_share(uint64_t part_usec, uint64_t whole_usec, uint64_t ppm) {
        return part_usec >= whole_usec / USEC_PER_SEC * ppm + whole_usec % USEC_PER_SEC * ppm / USEC_PER_SEC;
}

/* Refaults with stall: the cache it works in does not fit. */
static bool refaults_matter(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t now_usec) {
        GovernorWindow *w = &g->refault;

        if (now_usec - w->since_usec > GOVERNOR_REFAULT_WINDOW_USEC)
                window_halve(w, s, now_usec);
        if (refaults(s) - w->refaults < quota_bytes / GOVERNOR_REFAULT_DIVISOR / PAGE_BYTES || !is_near_limit(s, quota_bytes))
                return false;
        /* Without PSI there is nothing else to confirm it by. */
        return !s->has_psi || is_share(s->stall_some_usec - w->some_usec, now_usec - w->since_usec, GOVERNOR_REFAULT_STALL_PPM);
}

/* Most of the time it waits right under its limit. */
static bool stall_matters(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t now_usec) {
        GovernorWindow *w = &g->stall;
        uint64_t elapsed = now_usec - w->since_usec;
        bool stalled;

        if (!s->has_psi || elapsed < GOVERNOR_STALL_WINDOW_USEC)
                return false;
        stalled = is_share(s->stall_some_usec - w->some_usec, elapsed, GOVERNOR_STALL_PPM) && is_near_limit(s, quota_bytes);
        window_restart(w, s, now_usec);
        return stalled;
}

/* All of it waits, all the time, for pages that it had before. */
static bool thrashes(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t now_usec) {
        GovernorWindow *w = &g->thrash;
        uint64_t elapsed = now_usec - w->since_usec;

        if (!s->has_psi || elapsed < GOVERNOR_STALL_WINDOW_USEC)
                return false;
        if (!is_share(s->stall_full_usec - w->full_usec, elapsed, GOVERNOR_THRASH_PPM) || !is_near_limit(s, quota_bytes)) {
                window_restart(w, s, now_usec);
                return false;
        }
        return elapsed >= GOVERNOR_THRASH_USEC && refaults(s) - w->refaults >= quota_bytes / GOVERNOR_REFAULT_DIVISOR / PAGE_BYTES;
}

static RaiseCause find_cause(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t maximum_bytes,
                             uint64_t need_bytes, uint64_t ahead_bytes, uint64_t now_usec) {
        uint64_t high = governor_high(quota_bytes, maximum_bytes, s->pids);
        uint64_t margin = quota_bytes / GOVERNOR_MARGIN_DIVISOR;

        if (need_bytes >= high || (need_bytes >= high - margin && need_bytes > g->content_bytes))
                return RAISE_NEED;
        if (ahead_bytes > 0 && add_saturating(need_bytes, ahead_bytes) >= high - margin)
                return RAISE_RATE;
        /* Page cache alone reaches memory.max too; it takes need as well to be a reason. */
        if (s->events_max > g->last_events_max && need_bytes >= quota_bytes / 2)
                return RAISE_MAX;
        if (!g->has_last)
                return RAISE_NONE;
        if (refaults_matter(g, s, quota_bytes, now_usec))
                return RAISE_REFAULT;
        return stall_matters(g, s, quota_bytes, now_usec) ? RAISE_STALL : RAISE_NONE;
}

/* Double until no raise would be due for what it needs, and what it will need before we can act again. */
static uint64_t grown_quota(uint64_t quota_bytes, uint64_t maximum_bytes, uint64_t need_bytes, uint64_t pids) {
        uint64_t want = MAX(quota_bytes, PAGE_BYTES); /* somebody may have let it have nothing */

        do {
                if (want >= maximum_bytes / 2 + maximum_bytes % 2)
                        return maximum_bytes; /* what is left up to the maximum */
                want *= 2;
        } while (need_bytes >= want - governor_headroom(want, pids) - want / GOVERNOR_MARGIN_DIVISOR);
        return want;
}

static uint64_t noise_of(uint64_t need_bytes) {
        return MAX(need_bytes / GOVERNOR_NOISE_DIVISOR, GOVERNOR_NOISE_BYTES);
}

void governor_note_lowered(GovernorState *g, uint64_t need_bytes) {
        g->content_bytes = need_bytes + noise_of(need_bytes);
}

void governor_begin(GovernorState *g, uint64_t lived_usec) {
        *g = (GovernorState) { .last_usec = lived_usec, .grew_until_usec = lived_usec, .top_since_usec = lived_usec,
                               .cpu_read_usec = lived_usec };
}

void governor_take_over(GovernorState *g, uint64_t lived_usec) {
        governor_begin(g, lived_usec);
        g->last_events_max = UINT64_MAX; /* until it is read: that group may be old */
}

bool governor_is_resting(const GovernorState *g, uint64_t rest_usec) {
        /* Who waits for memory does not rest: each sleep that the kernel puts a writer to above memory.high may last 2 s. */
        uint64_t stalled = subtract_saturating(g->last.some_usec, g->grew_stall_usec); /* 0 when pressure is switched off */
        uint64_t elapsed = subtract_saturating(g->last_usec - g->grew_until_usec, stalled), worked = g->cpu_usec - g->grew_cpu_usec;

        if (elapsed < rest_usec)
                return false;
        if (g->has_cpu_wait) {
                uint64_t read = subtract_saturating(g->cpu_read_usec, add_saturating(g->grew_until_usec, stalled));

                /* With more tasks than processors one always waits, and the others work. */
                return MAX(worked, subtract_saturating(read, g->cpu_wait_usec - g->grew_cpu_wait_usec)) >= rest_usec;
        }
        return elapsed / GOVERNOR_REST_ANYHOW >= rest_usec || worked >= GOVERNOR_REST_CPU_USEC ||
               !is_share(worked, elapsed, GOVERNOR_REST_IDLE_PPM);
}

static uint64_t top_of(const GovernorState *g) {
        return MAX(g->top_need_bytes, g->top_before_bytes);
}

/* Note a new high; after a fall that lasted, growth counts from there again. Since when there is what the first look finds
 * is not known, so it counts too. */
static void follow_growth(GovernorState *g, uint64_t need_bytes, uint64_t lived_usec) {
        uint64_t span = lived_usec - g->top_since_usec;

        if (span >= GOVERNOR_TOP_SPAN_USEC) {
                g->top_before_bytes = span < 2 * GOVERNOR_TOP_SPAN_USEC ? g->top_need_bytes : 0;
                g->top_need_bytes = 0;
                g->top_since_usec = lived_usec;
        }
        g->top_need_bytes = MAX(g->top_need_bytes, need_bytes);
        g->most_need_bytes = MAX(g->most_need_bytes, need_bytes);
        g->grew_to_bytes = MIN(g->grew_to_bytes, top_of(g));
        if (need_bytes <= g->grew_to_bytes + noise_of(g->grew_to_bytes))
                return;
        g->grew_to_bytes = need_bytes;
        g->grew_until_usec = lived_usec;
        g->grew_cpu_usec = g->cpu_usec;
        g->grew_cpu_wait_usec = g->cpu_wait_usec;
        g->grew_stall_usec = g->last.some_usec;
}

/* Who sleeps between two looks is not short of CPU, whatever it used before; where the kernel says who waits for it, that
 * is no guess. */
static void note_cpu(GovernorState *g, const Sample *s, uint64_t lived_usec) {
        uint64_t elapsed = lived_usec - g->cpu_read_usec, worked = s->cpu_usec - g->cpu_usec;

        if (!s->has_usage || (g->has_last && elapsed < GOVERNOR_SAMPLE_MIN_USEC))
                return;
        if (!g->has_last || (!s->has_cpu_wait && !is_share(worked, elapsed, GOVERNOR_REST_IDLE_PPM)))
                g->grew_cpu_usec = s->cpu_usec;
        if (!g->has_cpu_wait)
                g->grew_cpu_wait_usec = s->cpu_wait_usec;
        g->has_cpu_wait = s->has_cpu_wait;
        g->cpu_usec = s->cpu_usec;
        g->cpu_wait_usec = s->cpu_wait_usec;
        g->cpu_read_usec = lived_usec;
}

/* What it will have grown by when we can act again, at the rate of late. */
static uint64_t growth_ahead(const GovernorState *g, uint64_t need_bytes, uint64_t elapsed_usec) {
        if (!g->has_last || need_bytes <= g->last_need_bytes || elapsed_usec == 0)
                return 0;
        /* An interval shorter than a sampling pause is noise. */
        return multiply_saturating((need_bytes - g->last_need_bytes) / MAX(elapsed_usec, GOVERNOR_SAMPLE_MIN_USEC / 4),
                                   GOVERNOR_REACTION_USEC);
}

static void start_windows(GovernorState *g, const Sample *s, uint64_t now_usec) {
        window_restart(&g->refault, s, now_usec);
        window_restart(&g->stall, s, now_usec);
        window_restart(&g->thrash, s, now_usec);
        g->grew_stall_usec = s->stall_some_usec;
}

void governor_note_raised(GovernorState *g, RaiseCause cause) {
        g->content_bytes = 0;
        if (cause == RAISE_REFAULT) {
                g->cache_bytes = g->file_bytes;
                g->cache_usec = g->last_usec;
        }
        g->refault = g->stall = g->thrash = g->last;
}

GovernorDecision governor_judge(GovernorState *g, const Sample *s, uint64_t quota_bytes, uint64_t maximum_bytes,
                                uint64_t lived_usec) {
        GovernorDecision d = { .need_bytes = governor_need(s, quota_bytes), .want_bytes = quota_bytes };
        bool grows = g->has_last && d.need_bytes > g->last_need_bytes;
        uint64_t ahead;

        if (!g->has_last)
                start_windows(g, s, lived_usec);
        note_cpu(g, s, lived_usec);
        window_restart(&g->last, s, lived_usec);
        follow_growth(g, d.need_bytes, lived_usec);
        g->file_bytes = s->active_file_bytes + s->inactive_file_bytes;
        g->cache_bytes = lived_usec - g->cache_usec < GOVERNOR_CACHE_USEC ? MIN(g->cache_bytes, g->file_bytes) : 0;
        d.thrashes = thrashes(g, s, quota_bytes, lived_usec);
        ahead = MIN(growth_ahead(g, d.need_bytes, lived_usec - g->last_usec), maximum_bytes);

        if (quota_bytes < maximum_bytes) /* at the ceiling the kernel decides */
                d.cause = find_cause(g, s, quota_bytes, maximum_bytes, d.need_bytes, ahead, lived_usec);
        if (d.cause == RAISE_NONE && d.thrashes && quota_bytes < maximum_bytes)
                d.cause = RAISE_REFAULT; /* too slowly for that rule, and still nothing else */
        if (d.cause != RAISE_NONE) {
                d.want_bytes = grown_quota(quota_bytes, maximum_bytes, d.need_bytes + MIN(ahead, quota_bytes), s->pids);
                g->pause_usec = GOVERNOR_SAMPLE_MIN_USEC;
        } else if (quota_bytes < maximum_bytes && d.need_bytes >= quota_bytes / 2 &&
                   (grows || g->pause_usec < GOVERNOR_SAMPLE_MAX_USEC))
                g->pause_usec = grows ? GOVERNOR_SAMPLE_MIN_USEC : MAX(g->pause_usec * 2, GOVERNOR_SAMPLE_MIN_USEC);
        else
                g->pause_usec = 0;
        d.sample_after_usec = g->pause_usec;

        g->last_usec = lived_usec;
        g->last_need_bytes = d.need_bytes;
        g->last_events_max = s->events_max;
        g->has_last = true;
        return d;
}

static uint64_t page_ceil(uint64_t bytes) {
        return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

uint64_t governor_keep(const GovernorState *g, uint64_t need_bytes, uint64_t pids) {
        uint64_t wanted = add_saturating(MAX(need_bytes, top_of(g)), g->cache_bytes);
        uint64_t quota = wanted;

        if (wanted > SIZE_INFINITY / 8)
                return SIZE_INFINITY;
        wanted += wanted / GOVERNOR_MARGIN_DIVISOR;
        while (quota - governor_headroom(quota, pids) < wanted)
                quota += quota / 64 + PAGE_BYTES;
        return page_ceil(quota);
}

/* No raise is due for @need_bytes under it; see find_cause(). */
static uint64_t quota_for(uint64_t need_bytes, uint64_t pids) {
        uint64_t quota = need_bytes;

        if (need_bytes > SIZE_INFINITY / 8)
                return SIZE_INFINITY;
        while (need_bytes >= quota - governor_headroom(quota, pids) - quota / GOVERNOR_MARGIN_DIVISOR)
                quota += quota / 64 + PAGE_BYTES;
        return page_ceil(quota);
}

uint64_t governor_needed(const GovernorState *g, uint64_t peak_bytes, uint64_t quota_bytes, uint64_t maximum_bytes,
                         uint64_t pids) {
        uint64_t most = peak_bytes;

        /* Page cache fills a quota up to its brake, needed or not. Each brush with the brake brought a look, and those tell
         * what of it was need, or was read again and again. */
        if (g->has_last && peak_bytes >= governor_high(quota_bytes, maximum_bytes, pids))
                most = MIN(most, add_saturating(g->most_need_bytes, g->cache_bytes));
        return MIN(quota_for(most, pids), quota_bytes);
}

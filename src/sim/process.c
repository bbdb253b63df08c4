/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an engine does: its threads touch memory chunk by chunk, sleep where the kernel makes them, stop where they are
 * frozen; then it rests, exits, obeys a signal or is killed. */
#include <signal.h>

#include "sim/world.h"

void process_start(World *w, size_t i) {
        SimQuery *q = &w->queries[i];

        q->executed = true;
        q->group.populated = true;
        q->group.pids = q->load->threads;
        q->anon_left = q->load->anon_bytes;
        q->shmem_left = q->load->shmem_bytes;
        q->cache_left = q->load->cache_bytes;
        check_kernel(w);
        if (q->start_fails) {
                process_die(w, i, 0, 0);
                return;
        }
        q->threads_running = q->load->threads;
        for (unsigned t = 0; t < q->load->threads; t++) /* they are no choir */
                world_push(w, random_between(&w->random, 0, q->load->usec_per_chunk), ITEM_TOUCH, i);
        if (q->load->unit_lost_usec != LOAD_NEVER)
                world_push(w, q->load->unit_lost_usec, ITEM_UNIT_LOST, i);
}

void process_forget(SimQuery *q) {
        kernel_group_init(&q->group);
        q->threads_running = q->threads_parked = 0;
        q->starved_until_usec = q->wait_seen_usec = q->cpu_usec = q->cpu_wait_usec = q->notify_last_usec = 0;
        q->gave = q->executed = q->rest_parked = q->obey_parked = q->dying = q->start_fails = q->notify_pending = q->lowering = q->retries = q->kernel_killed = false;
        q->cap_bytes = SIZE_INFINITY;
        q->actions_pending = 0;
        q->events_seen = q->denied_at_bytes = q->raised_from_bytes = q->read_back_usec = 0;
        q->exit_status = q->exit_signal = 0;
}

/* The controller hears of it: at most once in 10 ms, delayed but not lost. */
static void notify(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        uint64_t wait = 0;

        if (q->notify_pending)
                return;
        q->notify_pending = true;
        if (q->notify_last_usec && w->now_usec - q->notify_last_usec < 10 * USEC_PER_MSEC)
                wait = 10 * USEC_PER_MSEC - (w->now_usec - q->notify_last_usec);
        world_push(w, wait + world_wake(w), ITEM_NOTIFY, i);
}

/* The kernel killed it for memory. That is right at its maximum, and where the policy says so; else we were late. */
static void book_kill(World *w, SimQuery *q) {
        const Query *known = engine_find(w->engine, q->id);
        bool payable, unbraked, excused;

        w->tally.kernel_kills++;
        world_trace(w, "kernel q%llu killed at %lluK of %lluK", (unsigned long long) q->id,
                    (unsigned long long) (kernel_group_usage(&q->group) / KIB),
                    (unsigned long long) (q->group.max_bytes / KIB));
        if (!known || known->ending)
                return;
        q->kernel_killed = true;
        q->refused_at_kill = known->hungry || known->headroom_off;
        q->killed_at_bytes = q->group.max_bytes;
        q->restarts_at_kill = w->tally.restarts;
        if (q->group.max_bytes >= MIN(known->max_bytes, known->cap_bytes))
                return;
        payable = budget_growth_bytes(engine_budget(w->engine), &known->lease) > 0;
        w->tally.kills_payable += payable;
        /* What was written after the refusal, as a raise, may still be on its way to the kernel. */
        unbraked = known->headroom_off || (q->denied_at_bytes == q->group.max_bytes && q->actions_pending > 0);
        excused = unbraked && (w->load.config.exhaustion_policy == EXHAUSTION_FAIL || w->reloaded);
        if (w->load.prompt && q->group.max_bytes >= LOAD_PROMPT_BYTES && !excused)
                world_fail(w, "the kernel killed q%llu below its maximum, and %s", (unsigned long long) q->id,
                           payable ? "the pool could have paid" : "it was not frozen in time");
}

/* Far from memory.high one step may stand for many batches; near it a thread sleeps after each batch that it charged,
 * and what all threads charge before that is what headroom is for. */
static uint64_t chunk_of(const SimQuery *q, KernelPages kind) {
        uint64_t reach = q->load->chunk_bytes * q->load->threads;

        if (kind == KERNEL_CACHE || kernel_group_usage(&q->group) + reach < MIN(q->group.high_bytes, q->group.max_bytes))
                return q->load->chunk_bytes;
        return KERNEL_CHARGE_BATCH * KERNEL_PAGE_BYTES;
}

/* The next chunk of one thread: a kind that is left, by chance. False: its work is done. */
static bool next_chunk(World *w, SimQuery *q, KernelPages *ret_kind, uint64_t *ret_bytes) {
        uint64_t *left[] = { [KERNEL_ANON] = &q->anon_left, [KERNEL_SHMEM] = &q->shmem_left,
                             [KERNEL_CACHE] = &q->cache_left };
        uint64_t kind = random_between(&w->random, 0, ELEMENTSOF(left) - 1);

        for (size_t j = 0; j < ELEMENTSOF(left); j++, kind = (kind + 1) % ELEMENTSOF(left))
                if (*left[kind] > 0) {
                        *ret_kind = (KernelPages) kind;
                        *ret_bytes = MIN(*left[kind], chunk_of(q, (KernelPages) kind));
                        *left[kind] -= *ret_bytes;
                        return true;
                }
        return false;
}

void process_count_wait(World *w, SimQuery *q) {
        if (!q->group.frozen)
                q->cpu_wait_usec += subtract_saturating(MIN(w->now_usec, q->starved_until_usec), q->wait_seen_usec);
        q->wait_seen_usec = w->now_usec;
}

static uint64_t touched(const SimQuery *q) {
        return q->load->anon_bytes + q->load->shmem_bytes - q->anon_left - q->shmem_left;
}

/* How long its thread rests after that. */
static uint64_t give_back(SimQuery *q) {
        if (q->gave || q->load->give_bytes == 0 || touched(q) < q->load->give_at_bytes)
                return 0;
        q->gave = true;
        kernel_group_free(&q->group, q->load->give_bytes);
        return q->load->give_usec;
}

/* Others have all processors: none of its threads goes on before that is over. */
static bool starves(World *w, SimQuery *q, size_t i) {
        if (q->load->starve_usec > 0 && q->starved_until_usec == 0 && touched(q) >= q->load->starve_at_bytes) {
                q->starved_until_usec = w->now_usec + q->load->starve_usec;
                q->wait_seen_usec = w->now_usec;
        }
        if (w->now_usec >= q->starved_until_usec)
                return false;
        world_push(w, q->starved_until_usec - w->now_usec, ITEM_TOUCH, i);
        return true;
}

void process_touch(World *w, size_t i) {
        SimQuery *q = &w->queries[i];
        KernelCharge c;
        KernelPages kind;
        uint64_t bytes, worked;

        if (q->dying)
                return;
        if (q->group.frozen) {
                q->threads_parked++;
                return;
        }
        if (starves(w, q, i))
                return;
        if (!next_chunk(w, q, &kind, &bytes)) {
                q->threads_running--;
                if (q->threads_running == 0)
                        world_push(w, q->load->rest_usec, ITEM_REST_END, i);
                return;
        }
        c = kernel_group_charge(&q->group, kind, bytes);
        if (c.event)
                notify(w, i);
        if (c.killed) {
                book_kill(w, q);
                process_die(w, i, -1, SIGKILL);
                return;
        }
        worked = MAX(q->load->usec_per_chunk * bytes / q->load->chunk_bytes, 1u);
        q->cpu_usec += worked;
        kernel_group_stall(&q->group, w->now_usec, c.sleep_usec); /* before it goes on */
        world_push(w, worked + c.sleep_usec + give_back(q), ITEM_TOUCH, i);
}

void process_rest_end(World *w, size_t i) {
        SimQuery *q = &w->queries[i];

        if (q->dying)
                return;
        if (q->group.frozen)
                q->rest_parked = true;
        else
                process_die(w, i, q->load->exit_status, 0);
}

void process_obey(World *w, size_t i) {
        SimQuery *q = &w->queries[i];

        if (q->dying)
                return;
        if (q->group.frozen)
                q->obey_parked = true;
        else
                process_die(w, i, -1, SIGTERM);
}

void process_die(World *w, size_t i, int status, int signal) {
        SimQuery *q = &w->queries[i];

        if (q->dying || !q->group.populated)
                return;
        q->dying = true;
        q->exit_status = status;
        q->exit_signal = signal;
        world_push(w, q->load->exit_usec, ITEM_EMPTY, i);
}

void process_empty(World *w, size_t i) {
        SimQuery *q = &w->queries[i];

        kernel_group_empty(&q->group);
        q->residual_bytes = q->unit == SIM_UNIT_GONE ? 0 : q->group.shmem_bytes;
        check_kernel(w);
        world_push(w, world_wake(w), ITEM_ENDED, i);
}

void process_thaw(World *w, size_t i) {
        SimQuery *q = &w->queries[i];

        q->wait_seen_usec = w->now_usec;
        for (; q->threads_parked > 0; q->threads_parked--)
                world_push(w, random_between(&w->random, 1, q->load->usec_per_chunk), ITEM_TOUCH, i);
        if (q->rest_parked)
                world_push(w, 1, ITEM_REST_END, i);
        if (q->obey_parked)
                world_push(w, 1, ITEM_OBEY, i);
        q->rest_parked = q->obey_parked = false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/budget.h"

#include <assert.h>
#include <errno.h>

static uint64_t above(uint64_t bytes, uint64_t slot_bytes) {
        return bytes > slot_bytes ? bytes - slot_bytes : 0;
}

static uint64_t reserved(const Budget *b) {
        /* Slots may have been lowered below what runs: what runs counts. Unlimited slots reserve nothing ahead. */
        uint64_t n = b->slots == UINT64_MAX ? b->n_leases : MAX(b->slots, b->n_leases);

        return n * b->slot_bytes; /* config_finish() refused what would overflow */
}

void budget_init(Budget *b, uint64_t total_bytes, uint64_t slots, uint64_t slot_bytes) {
        *b = (Budget) { .total_bytes = total_bytes, .slots = slots, .slot_bytes = slot_bytes };
}

void budget_configure(Budget *b, uint64_t total_bytes, uint64_t slots, uint64_t slot_bytes) {
        b->total_bytes = total_bytes;
        b->slots = slots;
        b->slot_bytes = slot_bytes;
        b->on_top_bytes = 0;
        for (const Lease *l = b->leases; l; l = l->next)
                b->on_top_bytes += above(l->bytes, slot_bytes);
}

uint64_t budget_held_bytes(const Budget *b) {
        return reserved(b) + b->on_top_bytes + b->leftover_bytes;
}

uint64_t budget_unused_bytes(const Budget *b) {
        uint64_t held = budget_held_bytes(b);

        if (b->total_bytes == SIZE_INFINITY)
                return SIZE_INFINITY;
        return b->total_bytes > held ? b->total_bytes - held : 0;
}

uint64_t budget_total_bytes(const Budget *b) {
        return MAX(b->total_bytes, budget_held_bytes(b));
}

uint64_t budget_used_bytes(const Budget *b) {
        if (b->total_bytes == SIZE_INFINITY)
                return budget_held_bytes(b);
        return budget_total_bytes(b) - budget_unused_bytes(b);
}

uint64_t budget_leased_bytes(const Budget *b) {
        uint64_t sum = 0;

        for (const Lease *l = b->leases; l; l = l->next)
                sum += l->bytes;
        return sum;
}

int lease_open(Budget *b, Lease *l, uint64_t bytes) {
        uint64_t on_top = above(bytes, b->slot_bytes);

        assert(!l->owner);
        if (b->n_leases >= b->slots)
                return -EBUSY;
        if (on_top > budget_unused_bytes(b))
                return -ENOSPC;
        b->n_leases++;
        b->on_top_bytes += on_top;
        *l = (Lease) { .owner = b, .bytes = bytes, .next = b->leases };
        if (b->leases)
                b->leases->previous = l;
        b->leases = l;
        return 0;
}

int lease_resize(Lease *l, uint64_t bytes) {
        Budget *b = l->owner;
        uint64_t before, after;

        assert(b);
        before = above(l->bytes, b->slot_bytes);
        after = above(bytes, b->slot_bytes);
        if (after > before && after - before > budget_unused_bytes(b))
                return -ENOSPC;
        b->on_top_bytes = b->on_top_bytes - before + after;
        l->bytes = bytes;
        return 0;
}

void lease_done(Lease *l) {
        Budget *b = l->owner;

        if (!b)
                return;
        b->on_top_bytes -= above(l->bytes, b->slot_bytes);
        b->n_leases--;
        if (l->previous)
                l->previous->next = l->next;
        else
                b->leases = l->next;
        if (l->next)
                l->next->previous = l->previous;
        *l = (Lease) {};
}

void budget_set_leftover(Budget *b, uint64_t bytes) {
        b->leftover_bytes = bytes;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/budget.h"

#include <assert.h>
#include <errno.h>

static uint64_t reserved(const Budget *b) {
        /* Slots may have been lowered below what runs: what runs counts. Unlimited slots reserve nothing ahead. */
        uint64_t n = b->slots == UINT64_MAX ? b->n_leases : MAX(b->slots, b->n_leases);

        return multiply_saturating(n, b->slot_bytes);
}

/* Sums that may saturate can't be kept by adding and taking away: a lease without limit would never leave them. */
static void recount(Budget *b) {
        b->on_top_bytes = b->leased_bytes = 0;
        for (const Lease *l = b->leases; l; l = l->next) {
                b->on_top_bytes = add_saturating(b->on_top_bytes, subtract_saturating(l->bytes, b->slot_bytes));
                b->leased_bytes = add_saturating(b->leased_bytes, l->bytes);
        }
}

void budget_init(Budget *b, uint64_t total_bytes, uint64_t slots, uint64_t slot_bytes) {
        *b = (Budget) { .total_bytes = total_bytes, .slots = slots, .slot_bytes = slot_bytes };
}

void budget_configure(Budget *b, uint64_t total_bytes, uint64_t slots, uint64_t slot_bytes) {
        b->total_bytes = total_bytes;
        b->slots = slots;
        b->slot_bytes = slot_bytes;
        recount(b);
}

uint64_t budget_held_bytes(const Budget *b) {
        return add_saturating(add_saturating(reserved(b), b->on_top_bytes), b->leftover_bytes);
}

uint64_t budget_unused_bytes(const Budget *b) {
        if (b->total_bytes == SIZE_INFINITY)
                return SIZE_INFINITY;
        return subtract_saturating(b->total_bytes, budget_held_bytes(b));
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
        return b->leased_bytes;
}

/* How much a lease of @bytes may grow. The pool alone would do while the figures stay; after a reload a larger slot
 * must not be a way past the total, and leftovers beyond the pool hold back the slots themselves. */
static uint64_t growth_of(const Budget *b, uint64_t bytes) {
        uint64_t room = subtract_saturating(b->total_bytes, add_saturating(b->leased_bytes, b->leftover_bytes));
        uint64_t slot_rest = subtract_saturating(b->slot_bytes, bytes);

        if (b->total_bytes == SIZE_INFINITY)
                return SIZE_INFINITY;
        return MIN(add_saturating(budget_unused_bytes(b), slot_rest), room);
}

uint64_t budget_growth_bytes(const Budget *b, const Lease *l) {
        return growth_of(b, l->bytes);
}

uint64_t budget_most_bytes(const Budget *b, uint64_t leftover_bytes) {
        uint64_t slots = b->slots == UINT64_MAX ? 0 : multiply_saturating(b->slots, b->slot_bytes);
        uint64_t unused = subtract_saturating(b->total_bytes, add_saturating(slots, leftover_bytes));

        if (b->total_bytes == SIZE_INFINITY)
                return SIZE_INFINITY;
        return MIN(add_saturating(unused, b->slot_bytes), subtract_saturating(b->total_bytes, leftover_bytes));
}

bool lease_end_helps(const Lease *l) {
        const Budget *b = l->owner;

        return l->bytes > b->slot_bytes || b->slots == UINT64_MAX || b->n_leases > b->slots ||
               add_saturating(b->leased_bytes, b->leftover_bytes) > b->total_bytes;
}

void lease_adopt(Budget *b, Lease *l, uint64_t bytes) {
        assert(!l->owner);
        b->n_leases++;
        *l = (Lease) { .owner = b, .bytes = bytes, .next = b->leases };
        if (b->leases)
                b->leases->previous = l;
        b->leases = l;
        recount(b);
}

int lease_open(Budget *b, Lease *l, uint64_t bytes) {
        if (b->n_leases >= b->slots)
                return -EBUSY;
        if (bytes > growth_of(b, 0))
                return -ENOSPC;
        lease_adopt(b, l, bytes);
        return 0;
}

int lease_resize(Lease *l, uint64_t bytes) {
        Budget *b = l->owner;

        assert(b);
        if (bytes > l->bytes && bytes - l->bytes > growth_of(b, l->bytes))
                return -ENOSPC;
        l->bytes = bytes;
        recount(b);
        return 0;
}

void lease_done(Lease *l) {
        Budget *b = l->owner;

        if (!b)
                return;
        b->n_leases--;
        if (l->previous)
                l->previous->next = l->next;
        else
                b->leases = l->next;
        if (l->next)
                l->next->previous = l->previous;
        *l = (Lease) {};
        recount(b);
}

void budget_set_leftover(Budget *b, uint64_t bytes) {
        b->leftover_bytes = bytes;
}

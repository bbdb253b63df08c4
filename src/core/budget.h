/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/budget: the ledger of promised memory. libc only.
 *
 * A slot's initial quota is reserved for each of @slots queries whether it runs or not, as the contract says: what
 * can be given on top is the pool = total - slots × slot_bytes - Σ given on top - leftovers.
 * Invariants: no call makes the sum of all leases and leftovers pass the total; held is at most total, but for figures
 * that a reload changed under what is held, or leftovers beyond the pool: then nothing is given until it fits again.
 * The caller changes the ledger before it raises a limit in the kernel, and after it lowered one. */
#pragma once

#include "core/base.h"

typedef struct Lease Lease;

typedef struct Budget {
        uint64_t total_bytes; /* SIZE_INFINITY: unlimited */
        uint64_t slots;       /* UINT64_MAX: unlimited */
        uint64_t slot_bytes;
        uint64_t n_leases;
        uint64_t on_top_bytes;   /* Σ of each lease above slot_bytes; saturates */
        uint64_t leased_bytes;   /* Σ of all leases; saturates */
        uint64_t leftover_bytes; /* charged to the slice by dead queries, and not reclaimable */
        Lease *leases;
} Budget;

/* One query's share. Zero-initialise; give back with lease_done(). Must not move in memory while it holds something. */
struct Lease {
        Budget *owner; /* NULL: holds nothing */
        uint64_t bytes;
        Lease *next, *previous;
};

void budget_init(Budget *b, uint64_t total_bytes, uint64_t slots, uint64_t slot_bytes);

/* Change the figures while leases are held; nothing is taken from them. */
void budget_configure(Budget *b, uint64_t total_bytes, uint64_t slots, uint64_t slot_bytes);

/* Open @l with @bytes in a free slot. Returns 0, -EBUSY when all slots are taken, or -ENOSPC when the pool can't pay
 * what is above slot_bytes, or the total not the whole; then nothing changed. */
int lease_open(Budget *b, Lease *l, uint64_t bytes);

/* Open @l with what the kernel lets a query have already, whether the figures allow it or not: then nothing is given until
 * it fits again. */
void lease_adopt(Budget *b, Lease *l, uint64_t bytes);

/* Grow or shrink an open @l to exactly @bytes. Returns 0, or -ENOSPC if the growth is more than
 * budget_growth_bytes(); then neither the budget nor @l changed. Shrinking cannot fail. */
int lease_resize(Lease *l, uint64_t bytes);
void lease_done(Lease *l);

/* Note what dead queries still have charged, all in all. */
void budget_set_leftover(Budget *b, uint64_t bytes);

uint64_t budget_held_bytes(const Budget *b);   /* reserved slots, on top, leftovers */
uint64_t budget_unused_bytes(const Budget *b); /* what can be given now: the pool; SIZE_INFINITY when unlimited */
uint64_t budget_used_bytes(const Budget *b);   /* effective total - unused */
uint64_t budget_total_bytes(const Budget *b);  /* effective: max(configured, held) */
uint64_t budget_leased_bytes(const Budget *b); /* Σ of all leases: what the kernel may show at most */

/* By how much @l, open or about to be, may grow now: the rest of its slot and the pool, inside the total. */
uint64_t budget_growth_bytes(const Budget *b, const Lease *l);

/* The most that one lease could have if there were no other, and only @leftover_bytes left over. */
uint64_t budget_most_bytes(const Budget *b, uint64_t leftover_bytes);

/* True if the end of an open @l would leave more for others: not when it holds no more than the slot that stays
 * reserved, as limited ones do. */
bool lease_end_helps(const Lease *l);

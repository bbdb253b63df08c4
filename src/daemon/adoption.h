/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/adoption: one query of an earlier penstockd, from what was written of it until the engine is told. */
#pragma once

#include "daemon/entry.h"

struct Adoption {
        uint64_t id;
        Entry *entry; /* may be gone once the engine has been told */
        QuerySnapshot snapshot;
        Error error;     /* of the snapshot */
        Error failure;   /* why it can't start, if it was not handed over after all */
        uint8_t *profile; /* NULL: none */
        size_t profile_len;
        bool waits_for_worker;
        bool unit_went; /* while all was gathered */
        bool unit_stops; /* it has one, and may have none */
};

static inline bool adoption_is_live(const Adoption *a) {
        return !query_state_is_end((QueryState) a->snapshot.state);
}

/* Was handed over, as far as was written: then only its worker knows how it is. */
static inline bool adoption_may_run(const Adoption *a) {
        return adoption_is_live(a) && a->snapshot.handed;
}

/* It does not go on, nor start. Of one that was being ended that is known already. */
void adoption_end_as(Adoption *a, QueryState state, Verdict verdict, const Error *why);

/* Read what was written of query @id, and take its descriptors from @stored. Of one whose record is not understood, since it is of
 * another version or was damaged, as much as is; it ends, by name: nobody could raise it, or count its quota. Returns 0, or what
 * passes (error_passes()); then the manager leaves, and PID 1 keeps what it has. */
int adoption_load(Manager *m, uint64_t id, StoredFds *stored, Adoption *a);

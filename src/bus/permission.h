/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/permission: a call that is for root and whom polkit lets. While polkit is asked, the sender's later calls wait, and nothing
 * else does; what was true before may not be so afterwards, and is looked up again by the one who goes on. */
#pragma once

#include "bus/calls.h"
#include "bus/polkit.h"

typedef struct Demand {
        PolkitAction action;
        const char *query, *owner, *priority; /* details for the administrator's rules; NULL: not known */
        /* What there is to say to one who may not: whom it is for and what else would help. */
        Error refusal;
        /* Answer a call that is refused; NULL: with the error alone. */
        void (*refuse)(BusServer *s, Call *c, const Caller *caller, Error *error);
} Demand;

/* Go on with @resume when the sender may: at once for root, else when polkit said yes. Whoever may not was answered. */
CallProgress permission_then(BusServer *s, Call *c, const Caller *caller, const Demand *demand, CallHandler resume);

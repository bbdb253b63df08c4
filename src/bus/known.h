/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/known: who the senders were that called last, so that a client which stays connected is asked for once and not at each of its
 * calls: that is a round trip through the bus daemon. What the bus daemon says of a connection was fixed when it was made, and a
 * unique name is given to no second one as long as the daemon lives (D-Bus specification, "Unique Connection Names"), so nothing here
 * grows old; it goes with the connection to the daemon. Invariant: bounded, whoever calls. */
#pragma once

#include "bus/access.h"

#define KNOWN_MAX 64u
#define KNOWN_NAME_MAX 32u
/* Of more groups nobody is remembered: he is asked for each time. */
#define KNOWN_GROUPS_MAX 64u

typedef struct Known {
        struct {
                char name[KNOWN_NAME_MAX];
                Caller caller;
        } senders[KNOWN_MAX];
        size_t n, next; /* of a ring: the oldest goes first */
} Known;

/* Remember that @name, a unique name, is @c. It may be forgotten at any time, and at once when there is no memory for it. */
void known_add(Known *k, const char *name, const Caller *c);
/* NULL: not known. What is returned is valid until the next known_add(). */
const Caller *known_find(const Known *k, const char *name);
void known_done(Known *k);

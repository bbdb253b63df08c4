/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/known.h"

#include <stdio.h>
#include <string.h>

const Caller *known_find(const Known *k, const char *name) {
        for (size_t i = 0; i < k->n; i++)
                if (strcmp(k->senders[i].name, name) == 0)
                        return &k->senders[i].caller;
        return NULL;
}

void known_add(Known *k, const char *name, const Caller *c) {
        Caller copy;

        /* Without a bus daemon, nobody has a name. */
        if (name[0] != ':' || strlen(name) >= KNOWN_NAME_MAX || c->n_gids > KNOWN_GROUPS_MAX || known_find(k, name) ||
            caller_copy(c, &copy) < 0)
                return;
        caller_done(&k->senders[k->next].caller);
        snprintf(k->senders[k->next].name, KNOWN_NAME_MAX, "%s", name);
        k->senders[k->next].caller = copy;
        k->next = (k->next + 1) % KNOWN_MAX;
        if (k->n < KNOWN_MAX)
                k->n++;
}

void known_done(Known *k) {
        for (size_t i = 0; i < k->n; i++)
                caller_done(&k->senders[i].caller);
        *k = (Known) {};
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers that were made and not yet taken by the bus. Whoever asks faster than the bus daemon takes them would else grow us by as
 * much as he likes: a call is a hundred bytes, a list of a thousand queries a million. Nothing is counted while the bus keeps up. */
#include <stdio.h>
#include <string.h>

#include "bus/server.h"

/* Done also while others have left no room: nobody is to keep them from it. Their answers are small, or were bounded before. */
static const char *const deeds[] = {
        "Query", "Done", "DoneQuery", "Cancel", "CancelQuery", "Pause", "Resume", "Reload", "Shutdown",
};

/* That there is no such object is said with its path, of which D-Bus takes 64 KiB. */
static bool is_deed(sd_bus_message *m) {
        if (strlen(sd_bus_message_get_path(m)) >= QUERY_PATH_MAX)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(deeds); i++)
                if (strcmp(sd_bus_message_get_member(m), deeds[i]) == 0)
                        return true;
        return false;
}

/* The number of answers of @name, in a place that is free if there was none. */
static unsigned *number_of(Backlog *b, const char *name) {
        size_t i = 0;

        while (i < ELEMENTSOF(b->senders) && b->senders[i].n > 0 &&
               strncmp(b->senders[i].name, name, BACKLOG_NAME_MAX - 1) != 0)
                i++;
        if (i == ELEMENTSOF(b->senders))
                return NULL;
        if (b->senders[i].n == 0)
                snprintf(b->senders[i].name, BACKLOG_NAME_MAX, "%s", name);
        return &b->senders[i].n;
}

int backlog_check(Backlog *b, size_t n_queued, const char *sender, Error *ret_error) {
        unsigned *n;

        if (n_queued == 0)
                *b = (Backlog) {};
        n = number_of(b, sender);
        if (!n)
                return error_set(ret_error, ERROR_QUEUE_LENGTH_EXCEEDED,
                                 "%u answers wait until the bus takes them; try again", BACKLOG_MAX);
        if (*n >= BACKLOG_PER_SENDER_MAX || b->n >= BACKLOG_MAX)
                return error_set(ret_error, ERROR_QUEUE_LENGTH_EXCEEDED,
                                 "%u answers for this connection wait until the bus takes them, %u in all; read some first", *n,
                                 b->n);
        (*n)++;
        b->n++;
        return 0;
}

int backlog_take(BusServer *s, sd_bus_message *m) {
        uint64_t n_queued = 0;
        Error error = {};

        if (sd_bus_get_n_queued_write(s->bus, &n_queued) < 0 ||
            backlog_check(&s->backlog, n_queued, sd_bus_message_get_sender(m) ?: "", &error) == 0)
                return 0;
        return reply_error(m, &error);
}

int filter_backlog(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        BusServer *s = userdata;
        uint64_t n_queued = 0;
        bool deed, is_small;

        (void) ret_error;
        if (sd_bus_message_is_method_call(m, NULL, NULL) <= 0)
                return 0;
        deed = is_deed(m);
        if (!deed && sd_bus_message_get_expect_reply(m) == 0)
                return 1; /* nobody wants the answer, which costs more than the question */
        is_small = deed && strcmp(sd_bus_message_get_member(m), "Query") != 0; /* whose answer holds two descriptors */
        /* A refusal is an answer, too: when the bus has taken none of so many, no more are made. */
        if (sd_bus_get_n_queued_write(s->bus, &n_queued) >= 0 &&
            n_queued >= (is_small ? BACKLOG_QUEUED_BY_DEEDS_MAX : BACKLOG_QUEUED_MAX))
                return 1;
        return deed ? 0 : backlog_take(s, m);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/calls: the method calls whose sender is not known yet. The bus daemon is asked who a sender is (without
 * blocking), then the calls of that sender run in the order in which they came. Invariants: a call has exactly one
 * sender and is answered or dropped exactly once; a sender is kept while it has calls; the number and the bytes of
 * the calls that wait are bounded, for each sender and in all. */
#pragma once

#include <systemd/sd-bus.h>

#include "bus/access.h"

typedef struct Calls Calls;
typedef struct Call Call;
typedef struct BusServer BusServer;

/* Enough for a client that submits in bulk without waiting for answers. Each may hold 16 descriptors (the system bus
 * takes so many with one message), wanted or not: 9,216 in all, which LimitNOFILE= must allow for. */
#define CALLS_PER_SENDER_MAX 64u
#define CALLS_MAX 512u
/* A request takes 7 MiB at most (core/request.h), and most are under 1 KiB. */
#define CALLS_PER_SENDER_BYTES_MAX (16 * MIB)
#define CALLS_BYTES_MAX (64 * MIB)
/* A user has 256 connections, and calls behind one that waits for polkit wait as long as he likes: so he gets half of all. */
#define CALLS_PER_USER_MAX (CALLS_MAX / 2)
#define CALLS_PER_USER_BYTES_MAX (CALLS_BYTES_MAX / 2)
/* Two who act together have all. So many more are for root, and for who has just called and is not known yet. */
#define CALLS_FOR_ROOT 64u
/* Of the bus daemon's 128 unanswered calls a connection; PID 1 must be told things over the same one. */
#define CALLS_ASKING_MAX 32u

/* @r: 0, or -errno: then @caller is NULL. @caller is the asker's to copy. */
typedef void (*CallerHandler)(int r, const Caller *caller, void *userdata);
/* Ask who @sender is. @handler is called once, later, unless *@ret_slot is unreferenced before. The seam for tests:
 * the real one is caller_ask(). */
typedef int (*CallerAsk)(sd_bus *bus, const char *sender, CallerHandler handler, void *userdata,
                         sd_bus_slot **ret_slot);

typedef enum CallProgress {
        CALL_ANSWERED, /* for good, whether with a reply, an error, or a reply that will come by itself */
        CALL_GOES_ON,  /* call_finish() will be called; until then the sender's other calls wait */
} CallProgress;

typedef CallProgress (*CallHandler)(BusServer *s, Call *c, const Caller *caller);

/* @bus is where senders are asked for. */
int calls_new(BusServer *server, sd_bus *bus, CallerAsk ask, Calls **ret);
Calls *calls_free(Calls *c); /* drops all that wait; takes NULL, returns NULL */

/* Run @handler once the sender of @m is known. @bytes: what @m holds, roughly. The return value is that of an sd-bus
 * method handler; a call that is one too many was answered with QueueLengthExceeded. */
int calls_add(Calls *c, sd_bus_message *m, size_t bytes, CallHandler handler);

sd_bus_message *call_message(const Call *c);
/* The work of a call that goes on: freed with it. */
void call_set_work(Call *c, void *work, void (*work_free)(void *work));
void *call_work(const Call *c);
/* What a call waits for: freed with it, or when it is set anew. */
void call_set_wait(Call *c, void *wait, void (*wait_free)(void *wait));
const Caller *call_caller(const Call *c); /* of a call whose handler was called */
void call_finish(Call *c); /* answered; @c is gone */

/* Count what the message at hand holds, in bytes and with a price for each value, without copying any of it; stops
 * counting beyond @limit. The message is rewound. Returns 0 or -errno; @ret_error is set if the sender is to blame. */
int message_measure(sd_bus_message *m, size_t limit, size_t *ret_bytes, Error *ret_error);

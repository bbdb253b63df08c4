/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/calls.h"

#include <errno.h>
#include <string.h>

#include "bus/known.h"
#include "bus/reply.h"

typedef struct Sender Sender;

struct Call {
        Call *next;
        Sender *sender;
        sd_bus_message *message;
        CallHandler handler;
        size_t bytes;
        void *work;
        void (*work_free)(void *work);
        void *wait;
        void (*wait_free)(void *wait);
};

struct Sender {
        Sender *next;
        Calls *calls;
        char *name;        /* unique name; "" on a connection without a bus daemon */
        sd_bus_slot *slot; /* of the question who it is */
        Caller caller;
        bool asking, known, busy; /* busy: its first call is in a handler, or goes on */
        Call *first, *last;
        size_t n, bytes;
};

struct Calls {
        BusServer *server;
        sd_bus *bus;
        CallerAsk ask;
        Sender *senders; /* in the order in which they came */
        size_t n, n_asking, bytes;
        Known known;
};

static void calls_ask(Calls *c);

int calls_new(BusServer *server, sd_bus *bus, CallerAsk ask, Calls **ret) {
        Calls *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (Calls) { .server = server, .bus = sd_bus_ref(bus), .ask = ask };
        *ret = c;
        return 0;
}

void call_set_wait(Call *c, void *wait, void (*wait_free)(void *wait)) {
        if (c->wait_free)
                c->wait_free(c->wait);
        c->wait = wait;
        c->wait_free = wait_free;
}

static void call_free(Call *c) {
        call_set_wait(c, NULL, NULL);
        if (c->work_free)
                c->work_free(c->work);
        sd_bus_message_unref(c->message);
        free(c);
}

/* The first call of @s is over. */
static void sender_pop(Sender *s) {
        Call *c = s->first;

        s->first = c->next;
        if (!s->first)
                s->last = NULL;
        s->n--;
        s->bytes -= c->bytes;
        s->calls->n--;
        s->calls->bytes -= c->bytes;
        call_free(c);
}

static void sender_free(Sender *s) {
        Sender **p = &s->calls->senders;

        while (s->first)
                sender_pop(s);
        while (*p != s)
                p = &(*p)->next;
        *p = s->next;
        if (s->asking)
                s->calls->n_asking--;
        sd_bus_slot_unref(s->slot);
        caller_done(&s->caller);
        free(s->name);
        free(s);
}

Calls *calls_free(Calls *c) {
        if (!c)
                return NULL;
        while (c->senders)
                sender_free(c->senders);
        known_done(&c->known);
        sd_bus_unref(c->bus);
        free(c);
        return NULL;
}

/* Run what can run; frees @s when nothing is left. */
static void sender_run(Sender *s) {
        while (s->first && !s->busy) {
                s->busy = true;
                if (s->first->handler(s->calls->server, s->first, &s->caller) == CALL_GOES_ON)
                        return;
                s->busy = false;
                sender_pop(s);
        }
        if (!s->first)
                sender_free(s);
}

/* Nobody can say who it is. It has most likely left; if not, it is told. */
static void sender_refuse(Sender *s, int r) {
        while (s->first) {
                (void) reply_errno(s->first->message, r, "find out who sends this");
                sender_pop(s);
        }
        sender_free(s);
}

/* May the user of @s, who is known, have @n more calls with @bytes? */
static int check_user(const Calls *c, const Sender *s, size_t n, size_t bytes, Error *e) {
        if (s->caller.uid == 0)
                return 0;
        for (const Sender *other = c->senders; other; other = other->next)
                if (other != s && other->known && other->caller.uid == s->caller.uid) {
                        n += other->n;
                        bytes += other->bytes;
                }
        n += s->n;
        bytes += s->bytes;
        if (n <= CALLS_PER_USER_MAX && bytes <= CALLS_PER_USER_BYTES_MAX)
                return 0;
        return error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED,
                         "calls of other connections of uid %u wait for an answer; wait for some of them first",
                         s->caller.uid);
}

static int too_many(size_t n, Error *e) {
        return error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED, "%zu calls wait to be looked at; try again", n);
}

/* @s, who is known now, may have been let in as one who could be root. */
static int check_newcomer(const Calls *c, const Sender *s, Error *e) {
        if (s->caller.uid != 0 && c->n > CALLS_MAX)
                return too_many(c->n - s->n, e);
        return check_user(c, s, 0, 0, e);
}

/* It is known now who sends this, and that others, or his other connections, have enough of our time. */
static void sender_turn_away(Sender *s, const Error *e) {
        while (s->first) {
                (void) reply_error(s->first->message, e);
                sender_pop(s);
        }
        sender_free(s);
}

static void on_caller(int r, const Caller *caller, void *userdata) {
        Sender *s = userdata;
        Calls *c = s->calls;
        Error error = {};

        s->asking = false;
        s->slot = sd_bus_slot_unref(s->slot);
        c->n_asking--;
        if (r >= 0)
                r = caller_copy(caller, &s->caller);
        if (r >= 0)
                known_add(&c->known, s->name, caller);
        if (r < 0)
                sender_refuse(s, r);
        else if (check_newcomer(c, s, &error) < 0)
                sender_turn_away(s, &error);
        else {
                s->known = true;
                sender_run(s);
        }
        calls_ask(c);
}

static void calls_ask(Calls *c) {
        Sender *next;

        for (Sender *s = c->senders; s && c->n_asking < CALLS_ASKING_MAX; s = next) {
                int r;

                next = s->next;
                if (s->known || s->asking)
                        continue;
                r = c->ask(c->bus, s->name, on_caller, s, &s->slot);
                if (r < 0) {
                        sender_refuse(s, r);
                        continue;
                }
                s->asking = true;
                c->n_asking++;
        }
}

static Sender *sender_find(Calls *c, const char *name) {
        for (Sender *s = c->senders; s; s = s->next)
                if (strcmp(s->name, name) == 0)
                        return s;
        return NULL;
}

static Sender *sender_new(Calls *c, const char *name) {
        Sender *s = calloc(1, sizeof(*s)), **p = &c->senders;
        const Caller *caller = known_find(&c->known, name);

        if (!s)
                return NULL;
        s->calls = c;
        s->name = strdup(name);
        if (!s->name || (caller && caller_copy(caller, &s->caller) < 0)) {
                free(s->name);
                free(s);
                return NULL;
        }
        s->known = caller;
        while (*p)
                p = &(*p)->next;
        *p = s;
        return s;
}

static int check_bounds(const Calls *c, const Sender *s, size_t bytes, Error *e) {
        bool may_be_root = s->known ? s->caller.uid == 0 : s->n == 0;

        if (s->n >= CALLS_PER_SENDER_MAX)
                return error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED,
                                 "%zu calls of this connection wait for an answer; wait for some of them first",
                                 s->n);
        /* Whose it is nobody knows yet, and one user has 256 connections: they are not to fill what is left for others. */
        if (!s->known && s->n > 0 && c->n >= CALLS_PER_USER_MAX)
                return error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED, "%zu calls wait to be looked at, one of them of this connection; wait for its answer",
                                 c->n);
        if (c->n >= CALLS_MAX + (may_be_root ? CALLS_FOR_ROOT : 0u))
                return too_many(c->n, e);
        /* One that comes alone is always taken: its own size was checked by then. */
        if ((s->n > 0 && s->bytes + bytes > CALLS_PER_SENDER_BYTES_MAX) || (c->n > 0 && c->bytes + bytes > CALLS_BYTES_MAX))
                return error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED,
                                 "%zu bytes of requests wait to be looked at; wait for some answers first", c->bytes);
        return s->known ? check_user(c, s, 1, bytes, e) : 0;
}

static int sender_push(Sender *s, sd_bus_message *m, size_t bytes, CallHandler handler) {
        Call *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        *call = (Call) { .sender = s, .message = sd_bus_message_ref(m), .handler = handler, .bytes = bytes };
        if (s->last)
                s->last->next = call;
        else
                s->first = call;
        s->last = call;
        s->n++;
        s->bytes += bytes;
        s->calls->n++;
        s->calls->bytes += bytes;
        return 0;
}

int calls_add(Calls *c, sd_bus_message *m, size_t bytes, CallHandler handler) {
        const char *name = sd_bus_message_get_sender(m) ?: "";
        Sender *s = sender_find(c, name) ?: sender_new(c, name);
        Error error = {};
        int r = 1;

        if (!s)
                return -ENOMEM;
        if (check_bounds(c, s, bytes, &error) < 0)
                r = reply_error(m, &error);
        else if (sender_push(s, m, bytes, handler) < 0)
                r = -ENOMEM;
        if (s->known || !s->first)
                sender_run(s);
        else
                calls_ask(c);
        return r;
}

sd_bus_message *call_message(const Call *c) {
        return c->message;
}

void call_set_work(Call *c, void *work, void (*work_free)(void *work)) {
        c->work = work;
        c->work_free = work_free;
}

void *call_work(const Call *c) {
        return c->work;
}

const Caller *call_caller(const Call *c) {
        return &c->sender->caller;
}

void call_finish(Call *c) {
        Sender *s = c->sender;

        s->busy = false;
        sender_pop(s);
        sender_run(s);
}

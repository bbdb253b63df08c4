/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bus/polkit: asks polkit whether the sender of a call may do what is for root otherwise. Never blocks; keeps no answer, so that
 * each call is asked for anew. Invariants: a question is answered exactly once, unless it is freed before; polkit is told to drop a
 * question that nobody waits for any more; questions are bounded, in all and for each user. Who asks is named by the connection
 * and never by a process, whose ID may be another's by then. */
#pragma once

#include <systemd/sd-bus.h>

#include "core/base.h"

/* Of the bus daemon's 128 unanswered calls a connection. An authentication takes as long as a person takes. */
#define POLKIT_QUESTIONS_MAX 32u
#define POLKIT_QUESTIONS_PER_USER_MAX 4u
#define POLKIT_TIMEOUT_USEC (25 * USEC_PER_SEC)
#define POLKIT_INTERACTIVE_TIMEOUT_USEC (120 * USEC_PER_SEC)

/* Described in units/org.penstock1.policy. */
typedef enum PolkitAction {
        POLKIT_SUBMIT,
        POLKIT_MANAGE_QUERIES,
        POLKIT_RAISE_PRIORITY,
        POLKIT_PAUSE,
        POLKIT_RELOAD,
        POLKIT_SHUTDOWN,
        _POLKIT_ACTION_MAX,
} PolkitAction;

const char *polkit_action_id(PolkitAction a); /* "org.penstock1.submit" */

typedef enum PolkitAnswer {
        POLKIT_YES,
        POLKIT_NO,
        POLKIT_CHALLENGE, /* yes after an authentication, for which nobody was asked */
        POLKIT_DISMISSED, /* the user was asked to authenticate, and would not */
        POLKIT_ABSENT,    /* there is no polkit */
        POLKIT_SILENT,    /* not in time */
        POLKIT_FAILED,    /* it could not decide */
        POLKIT_LEFT,      /* the sender has left the bus */
} PolkitAnswer;

typedef struct Polkit Polkit;
typedef struct PolkitQuestion PolkitQuestion;
/* Called once, later; may free the question. */
typedef void (*PolkitHandler)(PolkitAnswer answer, void *userdata);

int polkit_new(sd_bus *bus, Polkit **ret);
Polkit *polkit_free(Polkit *p); /* no question may be left; takes NULL, returns NULL */

/* Ask about the sender of @m, who is @uid. @details are for the rules of the administrator. A person is asked to authenticate only
 * if @m allows it. Returns 0, -EUSERS when this user has too many questions, -EBUSY when there are too many in all, or another
 * -errno; then nothing was asked. */
int polkit_ask(Polkit *p, sd_bus_message *m, uint32_t uid, PolkitAction action, const PairList *details,
               PolkitHandler handler, void *userdata, PolkitQuestion **ret);
/* Takes NULL, returns NULL. */
PolkitQuestion *polkit_question_free(PolkitQuestion *q);

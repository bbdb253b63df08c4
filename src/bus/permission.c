/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/permission.h"

#include <errno.h>
#include <string.h>

#include "bus/server.h"

/* A call that waits for polkit. Owned by the call. */
typedef struct Permission {
        BusServer *server;
        Call *call;
        CallHandler resume;
        Demand demand;
        PolkitQuestion *question;
} Permission;

static void permission_free(void *userdata) {
        Permission *p = userdata;

        polkit_question_free(p->question);
        free(p);
}

static void refuse(BusServer *s, Call *c, const Caller *caller, const Demand *d, Error *error) {
        if (d->refuse)
                d->refuse(s, c, caller, error);
        else
                (void) reply_error(call_message(c), error);
}

/* What polkit said, as the second half of a sentence. */
static void add_answer(Error *e, const char *refusal, PolkitAction action, PolkitAnswer a, bool interactive) {
        const char *id = polkit_action_id(action);

#define SAY(...) ((void) error_set(e, ERROR_PERMISSION_DENIED, __VA_ARGS__))
        switch (a) {
        case POLKIT_CHALLENGE:
                SAY("%s; polkit wants an administrator to authenticate for %s, %s", refusal, id,
                    interactive ? "and no authentication agent runs in this session, see pkttyagent(1)"
                                : "and this call did not allow it to ask, as penstockctl does");
                break;
        case POLKIT_DISMISSED: SAY("%s; the authentication for %s was dismissed", refusal, id); break;
        case POLKIT_ABSENT: SAY("%s; polkit, which could allow %s to others, is not there", refusal, id); break;
        case POLKIT_SILENT:
                SAY("%s; polkit did not answer for %s within %llu s", refusal, id,
                    (unsigned long long) ((interactive ? POLKIT_INTERACTIVE_TIMEOUT_USEC : POLKIT_TIMEOUT_USEC) / USEC_PER_SEC));
                break;
        case POLKIT_FAILED:
                SAY("%s; polkit could not decide on %s, see: journalctl -u polkit", refusal, id);
                break;
        default:
                SAY("%s; polkit does not allow %s: an administrator can, in /etc/polkit-1/rules.d, see polkit(8)", refusal,
                    id);
        }
#undef SAY
}

/* It could not even be asked. */
static void add_errno(Error *e, const Demand *d, uint32_t uid, int r) {
        if (r == -EUSERS)
                (void) error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED,
                                 "polkit is asked %u things for uid %u already; wait for an answer, or dismiss one",
                                 POLKIT_QUESTIONS_PER_USER_MAX, uid);
        else if (r == -EBUSY)
                (void) error_set(e, ERROR_QUEUE_LENGTH_EXCEEDED, "polkit is asked %u things already; try again",
                                 POLKIT_QUESTIONS_MAX);
        else
                (void) error_set(e, ERROR_INTERNAL, "cannot ask polkit about %s: %s", polkit_action_id(d->action),
                                 strerror(-r));
}

static void on_answer(PolkitAnswer a, void *userdata) {
        Permission *p = userdata;
        BusServer *s = p->server;
        Call *c = p->call;
        CallHandler resume = p->resume;
        Error error = {};

        if (a != POLKIT_YES && a != POLKIT_LEFT) {
                add_answer(&error, p->demand.refusal.message, p->demand.action, a,
                           sd_bus_message_get_allow_interactive_authorization(call_message(c)) > 0);
                refuse(s, c, call_caller(c), &p->demand, &error);
        }
        call_set_wait(c, NULL, NULL); /* and @p with it */
        if (a != POLKIT_YES || resume(s, c, call_caller(c)) == CALL_ANSWERED)
                call_finish(c);
}

static int ask(Permission *p, uint32_t uid) {
        const struct {
                const char *key, *value;
        } details[] = {
                { "query", p->demand.query },
                { "owner", p->demand.owner },
                { "priority", p->demand.priority },
        };
        CLEANUP(pairlist_done) PairList list = {};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(details); i++)
                if (details[i].value)
                        r = pairlist_set(&list, details[i].key, details[i].value);
        if (r >= 0)
                r = polkit_ask(p->server->polkit, call_message(p->call), uid, p->demand.action, &list, on_answer, p,
                               &p->question);
        p->demand.query = p->demand.owner = p->demand.priority = NULL; /* the asker's */
        return r;
}

CallProgress permission_then(BusServer *s, Call *c, const Caller *caller, const Demand *demand, CallHandler resume) {
        Permission *p;
        Error error = {};
        int r = -ENOMEM;

        if (caller->uid == 0)
                return resume(s, c, caller);
        p = calloc(1, sizeof(*p));
        if (p) {
                *p = (Permission) { .server = s, .call = c, .resume = resume, .demand = *demand };
                call_set_wait(c, p, permission_free);
                r = ask(p, caller->uid);
        }
        if (r >= 0)
                return CALL_GOES_ON;
        call_set_wait(c, NULL, NULL);
        add_errno(&error, demand, caller->uid, r);
        refuse(s, c, caller, demand, &error);
        return CALL_ANSWERED;
}

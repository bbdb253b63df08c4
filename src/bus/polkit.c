/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/polkit.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_ALLOW_USER_INTERACTION 1u
#define CANCELLATION_ID_MAX 48

struct Polkit {
        sd_bus *bus;
        uint64_t n_asked; /* ever: makes cancellation IDs */
        PolkitQuestion *questions;
};

struct PolkitQuestion {
        Polkit *polkit;
        PolkitQuestion *next;
        uint32_t uid;
        PolkitHandler handler;
        void *userdata;
        sd_bus_slot *call, *left;
        bool is_open; /* polkit may still be at it */
        char cancellation_id[CANCELLATION_ID_MAX];
};

const char *polkit_action_id(PolkitAction a) {
        static const char *const ids[_POLKIT_ACTION_MAX] = {
                [POLKIT_SUBMIT] = "org.penstock1.submit",
                [POLKIT_MANAGE_QUERIES] = "org.penstock1.manage-queries",
                [POLKIT_RAISE_PRIORITY] = "org.penstock1.raise-priority",
                [POLKIT_PAUSE] = "org.penstock1.pause",
                [POLKIT_RELOAD] = "org.penstock1.reload",
                [POLKIT_SHUTDOWN] = "org.penstock1.shutdown",
        };

        return ids[a];
}

int polkit_new(sd_bus *bus, Polkit **ret) {
        Polkit *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->bus = sd_bus_ref(bus);
        *ret = p;
        return 0;
}

Polkit *polkit_free(Polkit *p) {
        if (!p)
                return NULL;
        assert(!p->questions);
        sd_bus_unref(p->bus);
        free(p);
        return NULL;
}

/* polkit need not be started to be told; nobody waits for the answer. */
static void withdraw(PolkitQuestion *q) {
        sd_bus_message *m = NULL;
        int r;

        if (!q->is_open)
                return;
        q->is_open = false;
        r = sd_bus_message_new_method_call(q->polkit->bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                           "CancelCheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", q->cancellation_id);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(m, false);
        if (r >= 0)
                (void) sd_bus_send(q->polkit->bus, m, NULL);
        sd_bus_message_unref(m);
}

PolkitQuestion *polkit_question_free(PolkitQuestion *q) {
        PolkitQuestion **p;

        if (!q)
                return NULL;
        withdraw(q);
        for (p = &q->polkit->questions; *p != q;)
                p = &(*p)->next;
        *p = q->next;
        sd_bus_slot_unref(q->call);
        sd_bus_slot_unref(q->left);
        free(q);
        return NULL;
}

/* The handler may free @q. */
static void answer(PolkitQuestion *q, PolkitAnswer a) {
        q->left = sd_bus_slot_unref(q->left);
        q->call = sd_bus_slot_unref(q->call);
        q->handler(a, q->userdata);
}

static bool starts_with(const char *s, const char *prefix) {
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

static PolkitAnswer answer_of_error(const char *name) {
        if (strcmp(name, SD_BUS_ERROR_SERVICE_UNKNOWN) == 0 || strcmp(name, SD_BUS_ERROR_NAME_HAS_NO_OWNER) == 0 ||
            starts_with(name, "org.freedesktop.DBus.Error.Spawn.") || starts_with(name, "org.freedesktop.systemd1."))
                return POLKIT_ABSENT;
        if (strcmp(name, SD_BUS_ERROR_NO_REPLY) == 0 || strcmp(name, SD_BUS_ERROR_TIMEOUT) == 0 ||
            strcmp(name, "org.freedesktop.DBus.Error.TimedOut") == 0)
                return POLKIT_SILENT;
        if (strcmp(name, "org.freedesktop.PolicyKit1.Error.Cancelled") == 0)
                return POLKIT_DISMISSED;
        return POLKIT_FAILED;
}

static PolkitAnswer answer_of_reply(sd_bus_message *m) {
        int yes, challenge;
        const char *key;
        bool dismissed = false;
        int r = sd_bus_message_enter_container(m, 'r', "bba{ss}");

        if (r > 0)
                r = sd_bus_message_read(m, "bb", &yes, &challenge);
        if (r > 0)
                r = sd_bus_message_enter_container(m, 'a', "{ss}");
        if (r <= 0)
                return POLKIT_FAILED;
        while ((r = sd_bus_message_read(m, "{ss}", &key, NULL)) > 0)
                dismissed = dismissed || strcmp(key, "polkit.dismissed") == 0;
        if (r < 0)
                return POLKIT_FAILED;
        if (yes)
                return POLKIT_YES;
        return dismissed ? POLKIT_DISMISSED : challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        PolkitAnswer a = e ? answer_of_error(e->name) : answer_of_reply(m);
        PolkitQuestion *q = userdata;

        (void) ret_error;
        if (a == POLKIT_SILENT)
                withdraw(q);
        q->is_open = false;
        answer(q, a);
        return 0;
}

static int on_left(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        PolkitQuestion *q = userdata;

        (void) m, (void) ret_error;
        withdraw(q);
        answer(q, POLKIT_LEFT);
        return 0;
}

/* The match goes out before the question on the same connection: one who left before it is told of is unknown to polkit, too. */
static int watch_sender(PolkitQuestion *q, const char *sender) {
        char match[512];

        if (sender[0] == '\0')
                return 0;
        snprintf(match, sizeof(match),
                 "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                 "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='%s'",
                 sender);
        return sd_bus_add_match_async(q->polkit->bus, &q->left, match, on_left, NULL, q);
}

static int append_subject(sd_bus_message *m, const char *sender) {
        return sd_bus_message_append(m, "(sa{sv})", "system-bus-name", 1, "name", "s", sender);
}

static int append_details(sd_bus_message *m, const PairList *details) {
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        for (size_t i = 0; r >= 0 && details && i < details->n; i++)
                r = sd_bus_message_append(m, "{ss}", details->v[i].key, details->v[i].value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int send_question(PolkitQuestion *q, const char *sender, PolkitAction action, const PairList *details,
                         bool interactive) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(q->polkit->bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                               "CheckAuthorization");

        if (r >= 0)
                r = append_subject(m, sender);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", polkit_action_id(action));
        if (r >= 0)
                r = append_details(m, details);
        if (r >= 0)
                r = sd_bus_message_append(m, "us", interactive ? POLKIT_ALLOW_USER_INTERACTION : 0u,
                                          q->cancellation_id);
        if (r >= 0)
                r = sd_bus_call_async(q->polkit->bus, &q->call, m, on_reply, q,
                                      interactive ? POLKIT_INTERACTIVE_TIMEOUT_USEC : POLKIT_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        q->is_open = r >= 0;
        return r < 0 ? r : 0;
}

static int check_bounds(const Polkit *p, uint32_t uid) {
        size_t n = 0, of_user = 0;

        for (const PolkitQuestion *q = p->questions; q; q = q->next) {
                n++;
                of_user += q->uid == uid;
        }
        if (of_user >= POLKIT_QUESTIONS_PER_USER_MAX)
                return -EUSERS;
        return n >= POLKIT_QUESTIONS_MAX ? -EBUSY : 0;
}

int polkit_ask(Polkit *p, sd_bus_message *m, uint32_t uid, PolkitAction action, const PairList *details,
               PolkitHandler handler, void *userdata, PolkitQuestion **ret) {
        const char *sender = sd_bus_message_get_sender(m) ?: "";
        PolkitQuestion *q;
        int r = check_bounds(p, uid);

        if (r < 0)
                return r;
        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (PolkitQuestion) { .polkit = p, .next = p->questions, .uid = uid, .handler = handler, .userdata = userdata };
        p->questions = q;
        snprintf(q->cancellation_id, sizeof(q->cancellation_id), "penstock-%llu", (unsigned long long) p->n_asked++);
        r = watch_sender(q, sender);
        if (r >= 0)
                r = send_question(q, sender, action, details,
                                  sd_bus_message_get_allow_interactive_authorization(m) > 0);
        if (r < 0) {
                polkit_question_free(q);
                return r;
        }
        *ret = q;
        return 0;
}

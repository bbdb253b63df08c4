/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/spares.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/spares.h"
#include "host/journal.h"
#include "host/state_files.h"

/* The making of one takes PID 1 and a processor: not in the first moments of the query that took the last one. */
#define PAUSE_USEC (100 * USEC_PER_MSEC)
/* Kinds that are remembered. */
#define KINDS_MAX 64u
/* Spares that PID 1 is asked for at one time, if its pace allows, and only while no query wants a unit of it. */
#define STARTING_MAX 2u

static const RateLimitRule of_complaints = { .burst = 5, .interval_usec = 60 * USEC_PER_SEC };

struct UnitKind {
        char *key; /* what is known of it when a query comes */
        UnitPlan plan;
        SpareKind use;
};

typedef struct UnitKind Kind;

static void kind_free(Kind *k) {
        free(k->key);
        unit_plan_done(&k->plan);
        free(k);
}

static Kind *find_kind(const Manager *m, const char *key) {
        for (size_t i = 0; i < m->n_kinds; i++)
                if (strcmp(m->kinds[i]->key, key) == 0)
                        return m->kinds[i];
        return NULL;
}

void spares_look_soon(Manager *m) {
        m->spares_due_usec = 0;
        if (!m->draining)
                manager_arm_timer(m);
}

size_t spares_count(const Manager *m) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_kinds; i++)
                n += m->kinds[i]->use.n;
        return n;
}

/* It goes, and is nobody's any more. */
static void drop(Manager *m, Entry *spare) {
        spare->kind->use.n--;
        spare->kind = NULL;
        manager_release_unit(m, spare);
}

/* How soon a query could run in it. */
static unsigned readiness(const Entry *e) {
        return e->conn ? 2 + e->worker_ready : e->starting ? 1 : 0;
}

/* The readiest one of @k's, or the least ready; of equals the oldest. NULL: there is none. */
static Entry *spare_of(const Manager *m, const Kind *k, bool readiest) {
        Entry *found = NULL;

        for (size_t i = 0; i < m->n_entries; i++) {
                Entry *e = m->entries[i];

                if (e->kind == k && (!found || (readiest ? readiness(e) > readiness(found) : readiness(e) < readiness(found))))
                        found = e;
        }
        return found;
}

static void forget_kind(Manager *m, Kind *k) {
        size_t i = 0;

        for (Entry *e; (e = spare_of(m, k, true));)
                drop(m, e);
        while (m->kinds[i] != k)
                i++;
        m->kinds[i] = m->kinds[--m->n_kinds];
        kind_free(k);
}

static void forget_all(Manager *m) {
        while (m->n_kinds > 0)
                forget_kind(m, m->kinds[0]);
}

void spares_forget(Manager *m) {
        forget_all(m);
        mounts_close(&m->mounts);
}

/* A unit has the mounts that there were when it was made; what is mounted later it gets as the host has it, not read-only. Returns
 * true when changes from now on will be told; what was made before the last one is forgotten, or does not fit. */
static bool watch_mounts(Manager *m) {
        uint64_t before = m->mounts.n_changes;
        bool told = mounts_look(&m->mounts);

        if (m->mounts.n_changes != before)
                forget_all(m);
        return told;
}

static void copy_uses(const Manager *m, SpareKind kinds[static KINDS_MAX]) {
        for (size_t i = 0; i < m->n_kinds; i++)
                kinds[i] = m->kinds[i]->use;
}

static Kind *make_place(Manager *m, uint32_t uid) {
        SpareKind kinds[KINDS_MAX];
        Kind **v;

        if (m->n_kinds < KINDS_MAX) {
                v = realloc(m->kinds, (m->n_kinds + 1) * sizeof(*v));
                if (!v)
                        return NULL;
                m->kinds = v;
        } else {
                copy_uses(m, kinds);
                forget_kind(m, m->kinds[spares_forget_for(kinds, m->n_kinds, uid)]);
        }
        m->kinds[m->n_kinds] = calloc(1, sizeof(Kind));
        return m->kinds[m->n_kinds];
}

static char *key_of(Entry *e) {
        CLEANUP(unit_plan_done) UnitPlan plan = {};

        return unit_plan_guess(e, &plan) < 0 ? NULL : unit_plan_key(&plan, false);
}

/* As queries like @e were seen before; NULL: they were not. */
static Kind *kind_of(const Manager *m, Entry *e) {
        char *key = m->n_kinds > 0 ? key_of(e) : NULL;
        Kind *k = key ? find_kind(m, key) : NULL;

        free(key);
        return k;
}

/* What a unit that is made of @plan now comes to: also which mounts it has, what it hides, and the limit of its compile/, which is not
 * its plan's. The caller frees it; NULL: no memory. */
static char *made_of(const Manager *m, const UnitPlan *plan) {
        char *key = unit_plan_key(plan, true), *hidden = systemd_hidden_paths(), *made = NULL;

        if (!key || !hidden ||
            asprintf(&made, "%smounts %llu\nhidden %s\ncompile %llu\n", key, (unsigned long long) m->mounts.n_changes, hidden,
                     (unsigned long long) m->config->compile_memory_bytes) < 0)
                made = NULL;
        free(key);
        free(hidden);
        return made;
}

static void used(Manager *m, Kind *k, const Entry *e) {
        uint64_t now = manager_now(m);

        spares_used(&k->use, e->record.request.uid, now);
        if (m->spares_not_before_usec <= now)
                m->spares_not_before_usec = now + PAUSE_USEC;
        spares_look_soon(m);
}

static bool is_same(const UnitPlan *a, const UnitPlan *b) {
        char *x = unit_plan_key(a, true), *y = unit_plan_key(b, true);
        bool same = x && y && strcmp(x, y) == 0;

        free(x);
        free(y);
        return same;
}

void spares_learn(Manager *m, Entry *e, UnitPlan *plan) {
        SpareKind use = {};
        char *key;
        Kind *k;

        if (m->config->warm_units == 0 || m->config->warm_units_idle_usec == 0 || !unit_plan_keeps(plan) || !watch_mounts(m))
                return;
        key = key_of(e);
        if (!key)
                return;
        k = find_kind(m, key);
        if (k && is_same(&k->plan, plan)) {
                free(key);
                used(m, k, e);
                return;
        }
        if (k) {
                use = k->use;
                forget_kind(m, k);
                use.n = 0;
        }
        k = make_place(m, e->record.request.uid);
        if (!k) {
                free(key);
                return;
        }
        *k = (Kind) { .key = key, .plan = *plan, .use = use };
        *plan = (UnitPlan) {};
        m->n_kinds++;
        used(m, k, e);
}

/* Those that wait in the queue with one keep it, however long. */
static size_t n_taken(const Manager *m) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_entries; i++)
                n += m->entries[i]->unit_unasked;
        return n;
}

Entry *spares_find(Manager *m, Entry *e) {
        Entry *spare;
        Kind *k;

        if (m->n_kinds == 0 || !watch_mounts(m) || n_taken(m) >= m->config->warm_units)
                return NULL;
        k = kind_of(m, e);
        spare = k ? spare_of(m, k, true) : NULL;
        if (spare && readiness(spare) == 0) /* its worker is lost, and its unit about to be */
                spare = NULL;
        return spare;
}

void spares_take(Manager *m, Entry *e, Entry *spare) {
        spare->kind->use.n--;
        used(m, spare->kind, e);
        e->taken_key = spare->taken_key;
        spare->taken_key = NULL;
        e->unit_unasked = true;
        manager_move_unit(m, e, spare);
        entry_free(spare);
}

bool spares_fits(Manager *m, Entry *e) {
        CLEANUP(unit_plan_done) UnitPlan plan = {};
        char *made = watch_mounts(m) && unit_plan_make(e, &plan) >= 0 ? made_of(m, &plan) : NULL;
        bool fits = made && strcmp(made, e->taken_key) == 0;
        Kind *k = fits ? NULL : kind_of(m, e);

        free(made);
        if (k) /* its others would not fit either */
                forget_kind(m, k);
        return fits;
}

void spares_lost(Manager *m, Entry *e) {
        Kind *k = e->kind;

        if (!k)
                return;
        k->use.n--;
        e->kind = NULL;
        if (k->use.used_usec <= e->unit_wanted_usec) /* until a query shows that such a unit can be made */
                forget_kind(m, k);
        spares_look_soon(m);
}

static int make(Manager *m, Kind *k) {
        Request none = REQUEST_INIT;
        SubmitFds no_fds = { -1, -1 };
        Error error = {};
        Entry *e;
        uint64_t id;
        int r = manager_make_room(m);

        if (r < 0)
                return r;
        r = entry_new(m, &none, &no_fds, &e);
        if (r < 0)
                return r;
        id = engine_reserve_id(m->engine);
        e->taken_key = made_of(m, &k->plan); /* before it is made: what comes meanwhile is not part of it */
        r = e->taken_key ? state_reserve_id(id) : -ENOMEM;
        if (r >= 0)
                r = unit_plan_start(&k->plan, m->systemd, id, "Penstock query (unit made ahead of it)", &error);
        if (r < 0) {
                entry_free(e);
                return r;
        }
        e->record.id = id;
        e->kind = k;
        e->unit_wanted_usec = manager_now(m);
        e->is_spare = true;
        e->fallen = true; /* it goes with its unit */
        k->use.n++;
        m->entries[m->n_entries++] = e; /* no ID is higher */
        manager_unit_asked(m, e, k->plan.spec.memory_max_bytes);
        return 0;
}

static size_t n_starting(const Manager *m) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_entries; i++)
                n += m->entries[i]->kind && m->entries[i]->starting;
        return n;
}

static bool a_start_waits(const Manager *m) {
        for (size_t i = 0; i < m->n_entries; i++)
                if (m->entries[i]->start_waits)
                        return true;
        return false;
}

/* One of @k's, in place of one of @from's (NULL: there is room). Returns true if there may be more to do at once. */
static bool make_when_quiet(Manager *m, Kind *k, Kind *from, uint64_t now) {
        size_t n = n_starting(m);
        uint64_t ignored;
        int r;

        if (now < m->spares_not_before_usec) {
                m->spares_due_usec = m->spares_not_before_usec;
                return false;
        }
        if (n >= MIN(STARTING_MAX, m->pace.allowed) || m->n_units_starting > n || a_start_waits(m))
                return false; /* its end is heard of */
        r = make(m, k);
        if (r >= 0) {
                if (from)
                        drop(m, spare_of(m, from, false));
                return true;
        }
        if (rate_limit_take(&m->spare_failures, &of_complaints, now, &ignored))
                journal_write(LOG_WARNING, JOURNAL_UNIT_FAILED, 0, "A unit can't be made ahead of need: %s", strerror(-r));
        forget_kind(m, k);
        return true; /* others may do better */
}

static void forget_idle(Manager *m, uint64_t now) {
        for (size_t i = m->n_kinds; i > 0; i--)
                if (m->kinds[i - 1]->use.n == 0 &&
                    now >= add_saturating(m->kinds[i - 1]->use.used_usec, m->config->warm_units_idle_usec))
                        forget_kind(m, m->kinds[i - 1]);
}

void spares_settle(Manager *m) {
        uint64_t now, max = engine_is_shut_down(m->engine) ? 0 : m->config->warm_units;
        SpareKind kinds[KINDS_MAX];
        bool more = true;

        if (m->spares_due_usec == USEC_INFINITY || (now = manager_now(m)) < m->spares_due_usec)
                return;
        while (more) {
                SparesAdvice advice;
                size_t i = 0, from = 0;

                copy_uses(m, kinds);
                m->spares_due_usec = spares_deadline(kinds, m->n_kinds, m->config->warm_units_idle_usec);
                advice = spares_next(kinds, m->n_kinds, max, m->config->warm_units_idle_usec, now, &i, &from);
                if (advice == SPARES_DROP)
                        drop(m, spare_of(m, m->kinds[i], false));
                more = advice == SPARES_DROP ||
                       (advice != SPARES_STAY &&
                        make_when_quiet(m, m->kinds[i], advice == SPARES_MOVE ? m->kinds[from] : NULL, now));
        }
        forget_idle(m, now);
}

void spares_end(Manager *m) {
        for (size_t i = 0; i < m->n_entries; i++)
                if (m->entries[i]->kind && m->entries[i]->conn)
                        (void) worker_conn_send_release(m->entries[i]->conn);
        while (m->n_kinds > 0)
                kind_free(m->kinds[--m->n_kinds]);
        free(m->kinds);
        mounts_close(&m->mounts);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a query stands, so that a step costs what it changes and not what is known: those that compile or execute, few and
 * looked at in each step; those that wait, in their order; the deadlines of those to whom nothing happens meanwhile; what is
 * counted of each state and each user. engine_move() is the one way from one state to another. */
#include "core/engine_private.h"

#include <errno.h>
#include <string.h>

typedef struct User {
        TreeNode node;
        uint32_t uid;
        uint64_t n_known, n_live;
        TreeNode *ended;
} User;

static bool user_is_before(const TreeNode *a, const TreeNode *b) {
        return TREE_ENTRY(a, const User, node)->uid < TREE_ENTRY(b, const User, node)->uid;
}

static bool is_before_in_queue(const TreeNode *a, const TreeNode *b) {
        return query_is_before(TREE_ENTRY(a, const Query, place), TREE_ENTRY(b, const Query, place));
}

static bool is_before_in_time(const TreeNode *a, const TreeNode *b) {
        return query_is_older(TREE_ENTRY(a, const Query, place), TREE_ENTRY(b, const Query, place));
}

static bool is_known_before(const TreeNode *a, const TreeNode *b) {
        return TREE_ENTRY(a, const Query, known)->id < TREE_ENTRY(b, const Query, known)->id;
}

static bool is_submitted_before(const TreeNode *a, const TreeNode *b) {
        return query_is_older(TREE_ENTRY(a, const Query, submitted), TREE_ENTRY(b, const Query, submitted));
}

static bool is_due_before(const TreeNode *a, const TreeNode *b) {
        const Query *x = TREE_ENTRY(a, const Query, quiet), *y = TREE_ENTRY(b, const Query, quiet);

        return x->quiet_until_usec != y->quiet_until_usec ? x->quiet_until_usec < y->quiet_until_usec : query_is_older(x, y);
}

static bool is_busy(const Query *q) {
        return q->state == QUERY_COMPILING || q->state == QUERY_EXECUTING;
}

/* The line that it stands in; NULL: in none, as one whose dependencies have not answered. */
static TreeNode **line_of(Engine *e, const Query *q) {
        if (q->dependencies == DEPENDENCIES_CHECKING)
                return NULL;
        return q->state == QUERY_CREATED ? &e->created : q->state == QUERY_QUEUEING ? &e->queueing : NULL;
}

static bool waits_with_unit(const Query *q) {
        return (q->state == QUERY_COMPILING || q->state == QUERY_QUEUEING) && q->unit != UNIT_NONE;
}

/* Where @q stands among the busy, or would. */
static size_t busy_position(const Engine *e, const Query *q) {
        size_t low = 0, high = e->n_busy;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (query_is_older(e->busy[middle], q))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void busy_add(Engine *e, Query *q) {
        size_t i = busy_position(e, q);

        memmove(&e->busy[i + 1], &e->busy[i], (e->n_busy++ - i) * sizeof(*e->busy));
        e->busy[i] = q;
}

static void busy_drop(Engine *e, const Query *q) {
        size_t i = busy_position(e, q);

        memmove(&e->busy[i], &e->busy[i + 1], (--e->n_busy - i) * sizeof(*e->busy));
}

static void enter(Engine *e, Query *q) {
        TreeNode **line = line_of(e, q);

        e->n_line_changes += !!line;
        e->n_in_state[q->state]++;
        e->n_units_waiting += waits_with_unit(q);
        q->user->n_live += query_is_live(q);
        if (is_busy(q)) {
                busy_add(e, q);
                return;
        }
        if (line)
                tree_insert(line, &q->place, is_before_in_queue);
        else if (!query_is_live(q))
                tree_insert(&q->user->ended, &q->place, is_before_in_time);
        q->quiet_until_usec = query_is_live(q) ? admit_queue_timeout(q) : q->forget_usec ? q->forget_usec : USEC_INFINITY;
        if (q->quiet_until_usec != USEC_INFINITY)
                tree_insert(&e->quiet, &q->quiet, is_due_before);
}

static void leave(Engine *e, Query *q) {
        TreeNode **line = line_of(e, q);

        e->n_line_changes += !!line;
        e->n_in_state[q->state]--;
        e->n_units_waiting -= waits_with_unit(q);
        q->user->n_live -= query_is_live(q);
        if (is_busy(q)) {
                busy_drop(e, q);
                return;
        }
        if (line)
                tree_remove(line, &q->place, is_before_in_queue);
        else if (!query_is_live(q))
                tree_remove(&q->user->ended, &q->place, is_before_in_time);
        if (q->quiet_until_usec != USEC_INFINITY)
                tree_remove(&e->quiet, &q->quiet, is_due_before);
}

static User *find_user(const Engine *e, uint32_t uid) {
        TreeNode *n = e->users;

        while (n && TREE_ENTRY(n, User, node)->uid != uid)
                n = TREE_ENTRY(n, User, node)->uid < uid ? n->right : n->left;
        return n ? TREE_ENTRY(n, User, node) : NULL;
}

static int make_room(Engine *e) {
        size_t n = MAX(2 * e->allocated, 16u);
        Query **busy, **some;
        Claim *claims;

        if (e->n_known < e->allocated)
                return 0;
        claims = realloc(e->claims, (n + 2) * sizeof(*claims));
        if (!claims)
                return -ENOMEM;
        e->claims = claims;
        busy = realloc(e->busy, n * sizeof(*busy));
        if (!busy)
                return -ENOMEM;
        e->busy = busy;
        some = realloc(e->some, n * sizeof(*some));
        if (!some)
                return -ENOMEM;
        e->some = some;
        e->allocated = n;
        return 0;
}

int sets_add(Engine *e, Query *q) {
        int r = make_room(e);

        if (r < 0)
                return r;
        q->user = find_user(e, q->spec.uid);
        if (!q->user) {
                q->user = calloc(1, sizeof(*q->user));
                if (!q->user)
                        return -ENOMEM;
                q->user->uid = q->spec.uid;
                tree_insert(&e->users, &q->user->node, user_is_before);
        }
        q->user->n_known++;
        q->number = e->n_added++;
        tree_insert(&e->known, &q->known, is_known_before);
        tree_insert(&e->submitted, &q->submitted, is_submitted_before);
        e->n_known++;
        enter(e, q);
        return 0;
}

void sets_drop(Engine *e, Query *q) {
        leave(e, q);
        tree_remove(&e->known, &q->known, is_known_before);
        tree_remove(&e->submitted, &q->submitted, is_submitted_before);
        e->n_known--;
        if (--q->user->n_known == 0) {
                tree_remove(&e->users, &q->user->node, user_is_before);
                free(q->user);
        }
        q->user = NULL;
}

void engine_move(Engine *e, Query *q, QueryState to) {
        leave(e, q);
        query_move(q, to, e->now_usec);
        enter(e, q);
}

void sets_checked(Engine *e, Query *q) {
        leave(e, q);
        q->dependencies = DEPENDENCIES_HELD;
        enter(e, q);
}

/* Or will: nobody asks once more whether there is room. */
static bool unit_exists(UnitPhase unit) {
        return unit == UNIT_CHECKING || unit == UNIT_STARTING || unit == UNIT_READY || unit == UNIT_LEAVING;
}

void engine_set_unit(Engine *e, Query *q, UnitPhase unit) {
        e->n_units = e->n_units - unit_exists(q->unit) + unit_exists(unit);
        e->n_units_leaving = e->n_units_leaving - (q->unit == UNIT_LEAVING) + (unit == UNIT_LEAVING);
        e->n_units_waiting -= waits_with_unit(q);
        q->unit = unit;
        e->n_units_waiting += waits_with_unit(q);
}

Query *sets_find(const Engine *e, uint64_t id) {
        TreeNode *n = e->known;

        while (n && TREE_ENTRY(n, Query, known)->id != id)
                n = TREE_ENTRY(n, Query, known)->id < id ? n->right : n->left;
        return n ? TREE_ENTRY(n, Query, known) : NULL;
}

Query *sets_next(const Engine *e, const Query *previous) {
        TreeNode *n = previous ? tree_after(e->submitted, &previous->submitted, is_submitted_before)
                               : tree_first(e->submitted);

        return n ? TREE_ENTRY(n, Query, submitted) : NULL;
}

size_t sets_all(Engine *e) {
        size_t n = 0;

        for (Query *q = NULL; (q = sets_next(e, q));)
                e->some[n++] = q;
        return n;
}

static Query *query_at(TreeNode *place) {
        return place ? TREE_ENTRY(place, Query, place) : NULL;
}

/* NULL gives the first. */
static Query *next_in_line(TreeNode *line, const Query *after) {
        return query_at(after ? tree_after(line, &after->place, is_before_in_queue) : tree_first(line));
}

Query *sets_next_created(const Engine *e, const Query *after) {
        return next_in_line(e->created, after);
}

Query *sets_next_queueing(const Engine *e, const Query *after) {
        return next_in_line(e->queueing, after);
}

uint64_t sets_live(const Engine *e) {
        uint64_t n = 0;

        for (unsigned s = 0; !query_state_is_end((QueryState) s); s++)
                n += e->n_in_state[s];
        return n;
}

uint64_t sets_live_of(const Engine *e, uint32_t uid) {
        const User *u = find_user(e, uid);

        return u ? u->n_live : 0;
}

uint64_t sets_ended_of(const Engine *e, uint32_t uid, Query **ret_oldest) {
        const User *u = find_user(e, uid);

        *ret_oldest = u ? query_at(tree_first(u->ended)) : NULL;
        return u ? u->n_known - u->n_live : 0;
}

uint64_t sets_quiet_until(const Engine *e) {
        TreeNode *first = tree_first(e->quiet);

        return first ? TREE_ENTRY(first, Query, quiet)->quiet_until_usec : USEC_INFINITY;
}

/* NULL: no other one has anything due. */
static Query *next_due(const Engine *e, const Query *after) {
        TreeNode *n = after ? tree_after(e->quiet, &after->quiet, is_due_before) : tree_first(e->quiet);
        Query *q = n ? TREE_ENTRY(n, Query, quiet) : NULL;

        return q && q->quiet_until_usec <= e->now_usec ? q : NULL;
}

size_t sets_count_due(const Engine *e) {
        size_t n = 0;

        for (const Query *q = NULL; (q = next_due(e, q));)
                n++;
        return n;
}

static int youngest_first(const void *a, const void *b) {
        const Query *x = *(Query *const *) a, *y = *(Query *const *) b;

        return query_is_older(x, y) - query_is_older(y, x);
}

/* The youngest first, as they may leave over it. */
void sets_each_due(Engine *e, void (*each)(Engine *e, Query *q)) {
        size_t n = 0, i = e->n_busy, k = 0;

        for (Query *q = NULL; (q = next_due(e, q));)
                e->some[n++] = q;
        if (n > 1)
                qsort(e->some, n, sizeof(*e->some), youngest_first);
        while (i > 0 || k < n) {
                /* One that ends leaves the busy behind the place that is looked at. */
                if (k == n || (i > 0 && query_is_older(e->some[k], e->busy[i - 1])))
                        each(e, e->busy[--i]);
                else
                        each(e, e->some[k++]);
        }
}

void sets_free(Engine *e) {
        for (Query *q; (q = sets_next(e, NULL));) {
                lease_done(&q->lease);
                sets_drop(e, q);
                query_free(q);
        }
        free(e->busy);
        free(e->some);
        free(e->claims);
}

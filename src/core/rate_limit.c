/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/rate_limit.h"

/* Give back what time has given back. */
static void refill(RateLimit *l, const RateLimitRule *rule, uint64_t now_usec) {
        uint64_t n;

        if (l->spent == 0)
                return;
        n = (now_usec - MIN(now_usec, l->since_usec)) / rule->interval_usec;
        if (n >= l->spent)
                l->spent = 0;
        else {
                l->spent -= n;
                l->since_usec += n * rule->interval_usec;
        }
}

bool rate_limit_take(RateLimit *l, const RateLimitRule *rule, uint64_t now_usec, uint64_t *ret_suppressed) {
        refill(l, rule, now_usec);
        if (l->spent >= rule->burst) {
                l->suppressed = add_saturating(l->suppressed, 1);
                return false;
        }
        if (l->spent++ == 0)
                l->since_usec = now_usec;
        *ret_suppressed = rate_limit_drain(l);
        return true;
}

uint64_t rate_limit_drain(RateLimit *l) {
        uint64_t n = l->suppressed;

        l->suppressed = 0;
        return n;
}

/* The bucket of @uid; a new one in place of the one that was quiet longest. */
static RateLimit *user_limit(UserLimits *l, uint32_t uid, uint64_t now_usec) {
        size_t oldest = 0, i;

        for (i = 0; i < l->n; i++) {
                if (l->v[i].uid == uid)
                        break;
                if (l->v[i].used_usec < l->v[oldest].used_usec)
                        oldest = i;
        }
        if (i == l->n) {
                if (l->n < USER_LIMITS_MAX)
                        l->n++;
                else
                        i = oldest;
                l->all.suppressed = add_saturating(l->all.suppressed, l->v[i].limit.suppressed);
                l->v[i].uid = uid;
                l->v[i].limit = (RateLimit) {};
        }
        l->v[i].used_usec = now_usec;
        return &l->v[i].limit;
}

bool user_limits_take(UserLimits *l, uint32_t uid, const RateLimitRule *rule, const RateLimitRule *rule_all,
                      uint64_t now_usec, uint64_t *ret_suppressed) {
        RateLimit *one = user_limit(l, uid, now_usec);
        uint64_t of_user, of_all;

        /* The user's own limit first: who is over it takes nothing from the others. */
        if (!rate_limit_take(one, rule, now_usec, &of_user))
                return false;
        if (!rate_limit_take(&l->all, rule_all, now_usec, &of_all)) {
                /* Counted there; what the user's bucket had to tell must not be lost. */
                l->all.suppressed = add_saturating(l->all.suppressed, of_user);
                return false;
        }
        *ret_suppressed = add_saturating(of_user, of_all);
        return true;
}

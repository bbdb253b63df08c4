/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/rate_limit: how many entries one query, or one user, may put into the log. Token buckets; time is an argument.
 * Invariant: what is refused is counted, and the count is handed out once, with the next that is let through. */
#pragma once

#include "core/base.h"

/* So many at once, and one more after each @interval_usec. */
typedef struct RateLimitRule {
        uint64_t burst, interval_usec;
} RateLimitRule;

/* One bucket. Zero-initialise: it is full when it is first asked. */
typedef struct RateLimit {
        uint64_t spent;       /* of the burst */
        uint64_t since_usec;  /* when the interval began that gives the next one back */
        uint64_t suppressed;  /* since the last that was let through */
} RateLimit;

/* May one more pass at @now_usec? True: *@ret_suppressed is how many were refused since the last. False: it is counted,
 * and *@ret_suppressed is untouched. */
bool rate_limit_take(RateLimit *l, const RateLimitRule *rule, uint64_t now_usec, uint64_t *ret_suppressed);
/* The count of those refused; it starts again at 0. For the last word on a query, which is always let through. */
uint64_t rate_limit_drain(RateLimit *l);

/* Buckets of users, and one for all of them: however many users there are, the log has a bound. */
#define USER_LIMITS_MAX 64u

typedef struct UserLimits {
        struct {
                uint32_t uid;
                uint64_t used_usec;
                RateLimit limit;
        } v[USER_LIMITS_MAX];
        size_t n;
        RateLimit all;
} UserLimits;

/* As rate_limit_take(), for @uid by @rule and for all by @rule_all. The user who was quiet longest gives way to a new
 * one, and what was suppressed of him is told with the next entry of anybody. */
bool user_limits_take(UserLimits *l, uint32_t uid, const RateLimitRule *rule, const RateLimitRule *rule_all,
                      uint64_t now_usec, uint64_t *ret_suppressed);

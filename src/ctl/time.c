/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/time: times of day as people write them. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"

/* The whole of @text is in @format; what it does not name stays as it is in @tm. */
static bool is_in_format(const char *text, const char *format, struct tm *tm) {
        struct tm read = *tm;
        const char *end = strptime(text, format, &read);

        if (!end || *end != '\0')
                return false;
        *tm = read;
        return true;
}

static int from_local(const struct tm *wanted, uint64_t *ret) {
        struct tm tm = *wanted;
        time_t t;

        tm.tm_isdst = -1;
        t = mktime(&tm);
        if (t < 0)
                return -EINVAL;
        if (tm.tm_mday != wanted->tm_mday || tm.tm_mon != wanted->tm_mon) /* there is no such day */
                return -EINVAL;
        *ret = (uint64_t) t * USEC_PER_SEC;
        return 0;
}

/* "today", "yesterday": where that day begins. */
static int from_day(const struct tm *now, int days_before, uint64_t *ret) {
        struct tm tm = {
                .tm_year = now->tm_year, .tm_mon = now->tm_mon, .tm_mday = now->tm_mday - days_before, .tm_isdst = -1
        };
        time_t t = mktime(&tm);

        if (t < 0)
                return -EINVAL;
        *ret = (uint64_t) t * USEC_PER_SEC;
        return 0;
}

static int from_date(const char *text, const struct tm *now, uint64_t *ret) {
        static const char *const dates[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S" };
        static const char *const of_today[] = { "%H:%M", "%H:%M:%S" };
        struct tm tm = {};

        for (size_t i = 0; i < ELEMENTSOF(dates); i++)
                if (is_in_format(text, dates[i], &tm))
                        return from_local(&tm, ret);
        tm = (struct tm) { .tm_year = now->tm_year, .tm_mon = now->tm_mon, .tm_mday = now->tm_mday };
        for (size_t i = 0; i < ELEMENTSOF(of_today); i++)
                if (is_in_format(text, of_today[i], &tm))
                        return from_local(&tm, ret);
        return -EINVAL;
}

/* "-1h", "1h ago": so long before now. */
static int from_span(const char *text, uint64_t now_usec, uint64_t *ret) {
        static const char ago[] = " ago";
        size_t len = strlen(text);
        char span[TEXT_MAX];
        uint64_t usec;

        if (text[0] == '-')
                text++;
        else if (len > strlen(ago) && strcmp(text + len - strlen(ago), ago) == 0)
                len -= strlen(ago);
        else
                return -EINVAL;
        if (len >= sizeof(span))
                return -EINVAL;
        snprintf(span, sizeof(span), "%.*s", (int) len, text);
        if (duration_parse(span, &usec) < 0 || usec > now_usec)
                return -EINVAL;
        *ret = now_usec - usec;
        return 0;
}

int time_parse(const char *text, uint64_t now_usec, uint64_t *ret) {
        time_t t = (time_t) (now_usec / USEC_PER_SEC);
        struct tm now;

        if (!localtime_r(&t, &now))
                return -EINVAL;
        if (strcmp(text, "now") == 0) {
                *ret = now_usec;
                return 0;
        }
        if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0)
                return from_day(&now, text[0] == 'y', ret);
        if (text[0] == '@') {
                uint64_t s;

                if (u64_parse(text + 1, &s) < 0 || s > UINT64_MAX / USEC_PER_SEC)
                        return -EINVAL;
                *ret = s * USEC_PER_SEC;
                return 0;
        }
        return from_span(text, now_usec, ret) == 0 ? 0 : from_date(text, &now, ret);
}

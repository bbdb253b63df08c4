/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/format.h"

#include <stdio.h>
#include <time.h>

#include "core/base.h"

const char *format_duration(uint64_t usec, char buf[static TEXT_MAX]) {
        unsigned long long s = usec / USEC_PER_SEC, ms = usec / USEC_PER_MSEC;

        if (usec == USEC_INFINITY)
                snprintf(buf, TEXT_MAX, "infinity");
        else if (usec < USEC_PER_MSEC)
                snprintf(buf, TEXT_MAX, "%lluus", (unsigned long long) usec);
        else if (usec < USEC_PER_SEC)
                snprintf(buf, TEXT_MAX, "%llums", ms);
        else if (s < 60)
                snprintf(buf, TEXT_MAX, "%llu.%llus", s, ms % 1000 / 100);
        else if (s < 3600)
                snprintf(buf, TEXT_MAX, "%llumin %llus", s / 60, s % 60);
        else
                snprintf(buf, TEXT_MAX, "%lluh %llumin", s / 3600, s % 3600 / 60);
        return buf;
}

const char *format_time(uint64_t realtime_usec, char buf[static TEXT_MAX]) {
        time_t t = (time_t) (realtime_usec / USEC_PER_SEC);
        struct tm tm;

        if (realtime_usec == 0 || !localtime_r(&t, &tm) || strftime(buf, TEXT_MAX, "%Y-%m-%d %H:%M:%S %Z", &tm) == 0)
                snprintf(buf, TEXT_MAX, "-");
        return buf;
}

const char *format_size(uint64_t bytes, char buf[static TEXT_MAX]) {
        char text[SIZE_TEXT_MAX];

        snprintf(buf, TEXT_MAX, "%s", bytes == 0 ? "-" : size_format(bytes, text));
        return buf;
}

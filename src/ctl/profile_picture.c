/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/picture.h"

/* draw/facts.h has the keys. */
static int add_facts(const PenstockInfo *i, uint64_t id, StrList *to) {
        static const char *const texts[] = { "language", "state", "verdict" };
        static const char *const numbers[] = { "memory_peak_bytes", "memory_max_bytes", "raises", "retries",
                                               "execute_usec", "frozen_usec" };
        PenstockError error = {};
        char line[512];
        int r;

        snprintf(line, sizeof(line), "id=%llu", (unsigned long long) id);
        r = strlist_add(to, line);
        for (size_t k = 0; k < ELEMENTSOF(texts) && r == 0; k++) {
                snprintf(line, sizeof(line), "%s=%s", texts[k], info_string(i, texts[k]));
                r = strlist_add(to, line);
        }
        for (size_t k = 0; k < ELEMENTSOF(numbers) && r == 0; k++) {
                snprintf(line, sizeof(line), "%s=%llu", numbers[k], (unsigned long long) info_u64(i, numbers[k]));
                r = strlist_add(to, line);
        }
        if (r < 0 || penstock_info_get_error(i, &error) < 0)
                return r;
        snprintf(line, sizeof(line), "error=%s", error.name);
        return strlist_add(to, line);
}

int picture_of_profile(const Verb *verb, const Picture *p, PenstockQuery *q, int fd) {
        CLEANUP(strlist_done) StrList facts = {};
        CLEANUP(info_freep) PenstockInfo *i = NULL;
        PenstockError error = {};

        if (penstock_query_describe(q, &i, &error) < 0)
                return report_error(&error, verb->failure);
        if (add_facts(i, penstock_query_id(q), &facts) < 0) {
                report("out of memory");
                return verb->failure;
        }
        return picture_make(verb, p, fd, &facts);
}

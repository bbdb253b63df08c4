/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ctl/id: the ways to write a query's ID. Pure. */
#include <errno.h>
#include <string.h>

#include "ctl/ctl.h"

int id_parse(const char *text, uint64_t *ret) {
        static const char prefix[] = "penstock-", suffix[] = ".service";
        char digits[24];
        uint64_t id;
        size_t len;

        if (strncmp(text, prefix, strlen(prefix)) == 0)
                text += strlen(prefix);
        if (text[0] == 'q')
                text++;
        len = strspn(text, "0123456789");
        if (len == 0 || len >= sizeof(digits) || (text[len] != '\0' && strcmp(text + len, suffix) != 0))
                return -EINVAL;
        memcpy(digits, text, len);
        digits[len] = '\0';
        if (u64_parse(digits, &id) < 0 || id == 0)
                return -EINVAL;
        *ret = id;
        return 0;
}

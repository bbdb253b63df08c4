/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pwd.h>

#include "ctl/ctl.h"

/* Of many rows most are of the one before: a name service is asked once for them. */
const char *user_name(uint64_t uid, char buf[static TEXT_MAX]) {
        static uint64_t last_uid = UINT64_MAX;
        static char last[TEXT_MAX];

        if (uid != last_uid) {
                struct passwd *pw = getpwuid((uid_t) uid);

                if (pw)
                        snprintf(last, sizeof(last), "%s", pw->pw_name);
                else
                        snprintf(last, sizeof(last), "%llu", (unsigned long long) uid);
                last_uid = uid;
        }
        snprintf(buf, TEXT_MAX, "%s", last);
        return buf;
}

int user_parse(const char *text, uid_t *ret) {
        struct passwd *pw = getpwnam(text);
        uint64_t n;

        if (pw)
                *ret = pw->pw_uid;
        else if (u64_parse(text, &n) < 0 || n >= UINT32_MAX)
                return -EINVAL;
        else
                *ret = (uid_t) n;
        return 0;
}

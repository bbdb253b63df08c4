/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-cpu: says how many nanoseconds of CPU time its process has had so far: what was done in it before it was executed, as
 * the sandbox of a unit is. */
#include <stdio.h>
#include <sys/resource.h>

int main(void) {
        struct rusage u;

        if (getrusage(RUSAGE_SELF, &u) < 0)
                return 1;
        printf("%lld\n", ((long long) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
                          u.ru_stime.tv_usec) * 1000);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/precedence.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

int precedence_realtime(void) {
        struct sched_param lowest = { .sched_priority = sched_get_priority_min(SCHED_RR) };

        if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) < 0)
                return -errno;
        return setrlimit(RLIMIT_RTPRIO, &(struct rlimit) {}) < 0 ? -errno : 0;
}

int precedence_lock_memory(void) {
        return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno : 0;
}

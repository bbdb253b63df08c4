/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/precedence.h"

/* A number of /proc/self/status in KiB; -1: there is no such line. */
static long status_kib(const char *key) {
        FILE *f = fopen("/proc/self/status", "re");
        char line[256];
        long v = -1;

        assert_non_null(f);
        while (v < 0 && fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0)
                        assert_int_equal(sscanf(line + strlen(key), ": %ld", &v), 1);
        fclose(f);
        return v;
}

static void *scheduling_of_a_thread(void *ret) {
        *(int *) ret = sched_getscheduler(0);
        return NULL;
}

/* In a child, which is thrown away. @check returns what is not as promised; 0: nothing; 77: this machine does not grant it.
 * Then it is skipped here; the guest's test does not skip. */
static void passes_in_a_child(int (*check)(void)) {
        pid_t pid = fork();
        int status;

        if (pid == 0)
                _exit(check());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

static int check_realtime(void) {
        struct rlimit limit;
        pthread_t thread;
        int policy, status;
        pid_t pid;

        if (setpriority(PRIO_PROCESS, 0, -20) < 0)
                return 77;
        policy = precedence_realtime();
        if (policy == -EPERM)
                return 77;
        if (policy < 0 || sched_getscheduler(0) != (SCHED_RR | SCHED_RESET_ON_FORK))
                return 1;
        if (getrlimit(RLIMIT_RTPRIO, &limit) < 0 || limit.rlim_max != 0)
                return 2;
        if (pthread_create(&thread, NULL, scheduling_of_a_thread, &policy) != 0 || pthread_join(thread, NULL) != 0 ||
            policy != SCHED_OTHER)
                return 3;
        pid = fork();
        if (pid == 0)
                _exit(sched_getscheduler(0) != SCHED_OTHER || getpriority(PRIO_PROCESS, 0) != 0);
        return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 4;
}

static void real_time_is_the_caller_s_alone(void **state) {
        (void) state;
        passes_in_a_child(check_realtime);
}

/* What is locked is what there is, not what may be: 8 MiB of LimitMEMLOCK= are enough here. */
static int check_locked(void) {
        int status, r = precedence_lock_memory();
        long locked = status_kib("VmLck");
        pid_t pid;

        if (r == -EPERM || r == -ENOMEM)
                return 77;
#ifdef __SANITIZE_ADDRESS__
        return r; /* AddressSanitizer lets mlockall() do nothing */
#endif
        if (r < 0 || locked <= 0)
                return 1;
        if (status_kib("VmRSS") > locked)
                return 2;
        pid = fork();
        if (pid == 0)
                _exit(status_kib("VmLck") != 0);
        return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 3;
}

static void locked_memory_is_the_caller_s_alone(void **state) {
        (void) state;
        passes_in_a_child(check_locked);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(real_time_is_the_caller_s_alone),
                cmocka_unit_test(locked_memory_is_the_caller_s_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

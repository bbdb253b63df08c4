/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/child_fence.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base.h"

#ifndef LANDLOCK_ACCESS_FS_REFER /* Linux 5.19 */
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#define LANDLOCK_SCOPE_ABSTRACT (1ULL << 0) /* Linux 6.12 */
#define ABI_REFER 2
#define ABI_SCOPE 6
#define SHM_HUGETLB_FLAG 04000 /* of shmget(2); in a header that clashes with others */

/* As of Linux 6.12; an older kernel takes it when what it does not know is 0. */
typedef struct Ruleset {
        uint64_t fs, net, scoped;
} Ruleset;

static int restrict_self(int ruleset, int root) {
        struct landlock_path_beneath_attr beneath = { .allowed_access = LANDLOCK_ACCESS_FS_REFER, .parent_fd = root };

        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ||
            syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return -errno;
        return 0;
}

/* A ruleset must handle something: making block devices, which nobody here can. Renaming from one directory to another is denied
 * by every ruleset that does not allow it. */
int fence_processes(void) {
        Ruleset attr = { .fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_REFER };
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        int ruleset, root, r;

        if (abi < ABI_REFER)
                return 0;
        if (abi >= ABI_SCOPE)
                attr.scoped = LANDLOCK_SCOPE_ABSTRACT;
        ruleset = (int) syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        if (ruleset < 0)
                return -errno;
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = root < 0 ? -errno : restrict_self(ruleset, root);
        if (root >= 0)
                close(root);
        close(ruleset);
        return r;
}

#define LOW_WORD(n) (offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0))
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define UNLESS_CALL(nr, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, (skip))
#define DENY(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* Five steps: @nr with any of @flags in its argument @n is denied. */
#define DENY_FLAGS(nr, n, flags, error)                                                                              \
        UNLESS_CALL(nr, 4), LOAD(LOW_WORD(n)), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (flags), 0, 1), DENY(error), ALLOW

/* The numbers are those of this architecture alone, which SystemCallArchitectures=native lets through. */
int fence_system_calls(void) {
        static struct sock_filter steps[] = {
                LOAD(offsetof(struct seccomp_data, nr)),
#ifdef __x86_64__ /* x32, which has the same architecture and other numbers */
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40000000, 0, 1),
                DENY(ENOSYS),
#endif
                UNLESS_CALL(SYS_io_uring_setup, 1),
                DENY(ENOSYS),
#ifdef SYS_mmap
                DENY_FLAGS(SYS_mmap, 3, MAP_HUGETLB, ENOMEM),
#endif
#ifdef SYS_mmap2
                DENY_FLAGS(SYS_mmap2, 3, MAP_HUGETLB, ENOMEM),
#endif
                DENY_FLAGS(SYS_memfd_create, 1, MFD_HUGETLB, ENOMEM),
#ifdef SYS_shmget
                DENY_FLAGS(SYS_shmget, 2, SHM_HUGETLB_FLAG, ENOMEM),
#endif
                ALLOW,
        };
        const struct sock_fprog program = { .len = ELEMENTSOF(steps), .filter = steps };

        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
                return errno == EINVAL ? 0 : -errno; /* a kernel without it */
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/child_creds.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int creds_become(const Launch *l) {
        uid_t ruid, euid, suid;
        gid_t rgid, egid, sgid;

        if (setgroups(l->n_gids, l->gids) < 0 || setresgid(l->gid, l->gid, l->gid) < 0 ||
            setresuid(l->uid, l->uid, l->uid) < 0)
                return -errno;
        if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
                return -errno;
        if (ruid != l->uid || euid != l->uid || suid != l->uid || rgid != l->gid || egid != l->gid || sgid != l->gid)
                return -EPERM;
        /* The session keyring is the service's; possession gives rights whatever the uid. No keyrings in the kernel,
         * or a full quota of the caller's, is no reason not to run. */
        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
        return 0;
}

int creds_drop_bounding_set(void) {
        for (unsigned long cap = 0; cap < 64; cap++) {
                int have = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

                if (have < 0)
                        break; /* above the last one */
                if (have == 0)
                        continue;
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
                        /* Without CAP_SETPCAP: no_new_privs, which creds_drop_capabilities() insists on, does it. */
                        if (errno == EPERM)
                                break;
                        return -errno;
                }
        }
        return 0;
}

void creds_give_up_mounting(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = {};

        if (syscall(SYS_capget, &header, data) < 0)
                return;
        data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
        data[CAP_TO_INDEX(CAP_SYS_ADMIN)].permitted &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
        syscall(SYS_capset, &header, data);
}

int creds_drop_capabilities(const Launch *l) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = {};

        /* Unprivileged, one way, and what systemd's NoNewPrivileges= set already. A program with file capabilities or
         * setuid, or any program of a query that runs as root, gets no more than the process has: nothing. */
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
                return -errno;
        if (syscall(SYS_capset, &header, data) < 0)
                return -errno;
        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(data); i++)
                if (data[i].permitted || data[i].effective || data[i].inheritable)
                        return -EPERM;
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
                return -EPERM;
        if (l->uid != 0 && (setresuid(0, 0, 0) == 0 || (l->gid != 0 && setgid(0) == 0)))
                return -EPERM;
        return 0;
}

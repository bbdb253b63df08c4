/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/launch.h"

/* Make the directories of LAUNCH_CHECK_WRITABLE, which the unit has read-only, writable in it, as far as the caller may write there;
 * what is mounted below one stays as it is. Needs CAP_SYS_ADMIN and a way back to root, before the process becomes the caller.
 *
 * Not by ReadWritePaths= of the unit: systemd mounts by path, and the caller, who can rename what his directories have in them, can
 * make a path lead elsewhere between two steps of it, and so have what is his mounted over any program that root runs there. Here
 * each directory is opened as the caller and compared by device and inode, and what is mounted is mounted on what was opened.
 *
 * Returns 0, or -errno: -ESTALE for another directory than the one that was checked; then @ret_which is the index of the check. */
int mounts_make_writable(const Launch *l, uint32_t *ret_which);

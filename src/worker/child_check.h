/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/launch.h"

/* Is @fd what @c says that penstockd saw? Returns 0, -ESTALE if not, or -errno of statx(2). */
int check_identity(const LaunchCheck *c, int fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/exec: find a program the way execvp(3) does, but in the PATH of the environment it will get. libc only. */
#pragma once

#include "worker/launch.h"

/* Become @m's program. Only returns on failure: -ENOENT, -EACCES when a match could not be executed and no other was
 * found, or what execve(2) said. A file in no known format is given to /bin/sh, which overwrites @m's argv. */
int exec_launch(LaunchMap *m);

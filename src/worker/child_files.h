/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker/child_files: the administrator's files that a query gets a private copy of. libc only. */
#pragma once

#include "worker/launch.h"

/* As root: open each credential of @l into @fds; only a plain file is. Returns 0 or -errno, with its index in @ret_which. */
int files_open(const Launch *l, int fds[static LAUNCH_CREDENTIALS_MAX], uint32_t *ret_which);
/* As the caller: copy what files_open() gave into the directory of @l, each of mode 0400, and close it. A copy that an
 * earlier process of the query has made is replaced. Returns 0; -EFBIG above CREDENTIALS_BYTES_MAX; -EPERM when the
 * directory is another's; or -errno. */
int files_copy(const Launch *l, const int fds[static LAUNCH_CREDENTIALS_MAX], uint32_t *ret_which);

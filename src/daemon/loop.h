/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* daemon/loop: sd_event_loop(3), whose turns wait for no stranger. Whoever sends us a message may leave a descriptor with us, and what
 * closes the last one of a socket with SO_LINGER waits until its peer has read all, or as long as the sender has set (Linux,
 * inet_release(); O_NONBLOCK does not count there). open(2) waits in the same way for a lease to be given back
 * (fcntl(2)). Both can be interrupted, and a turn that takes long is.
 * A file system in user space can't be interrupted: docs/security.md. */
#pragma once

#include <systemd/sd-event.h>

/* Until sd_event_exit(). Returns what that was told, or -errno. Takes SIGALRM on the calling thread. */
int loop_run(sd_event *e);

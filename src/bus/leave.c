/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>

#include "bus/bus.h"
#include "host/clock.h"

/* sd_bus_flush() waits without a limit. Reading is not waited for: who calls now is for the next penstockd, or told by the daemon that
 * there is none. (While a message is written in part sd_bus_process() may read a call all the same, and says that there is no such object.) */
void bus_leave(sd_bus *bus) {
        uint64_t end = now_usec() + BUS_LEAVE_USEC, now, n = 0;

        while (bus && sd_bus_get_n_queued_write(bus, &n) >= 0 && n > 0 && (now = now_usec()) < end) {
                struct pollfd fd = { .fd = sd_bus_get_fd(bus), .events = POLLOUT };

                if (poll(&fd, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) > 0 && sd_bus_process(bus, NULL) < 0)
                        break;
        }
        sd_bus_close_unref(bus);
}

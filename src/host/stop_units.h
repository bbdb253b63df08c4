/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host/stop_units: end the units of all queries, for one who is no controller. Blocking, by a connection of its own. */
#pragma once

/* Ask PID 1 to stop each; their end is not waited for. @ret_n: how many there were. Returns 0 or -errno; then the others have been
 * asked for nevertheless. */
int stop_units_of_queries(unsigned *ret_n);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/pace.h"

void pace_answered(Pace *p, uint64_t took_usec, uint64_t now_usec) {
        uint64_t sent_usec = now_usec - MIN(took_usec, now_usec);

        if (took_usec > PACE_QUICK_USEC)
                p->n_quick = 0;
        else if (p->allowed < PACE_MAX && ++p->n_quick >= p->allowed) {
                p->allowed++;
                p->n_quick = 0;
        }
        if (took_usec >= PACE_SLOW_USEC && sent_usec >= p->slowed_usec) {
                p->allowed = MAX(p->allowed / 2, 1u);
                p->slowed_usec = now_usec;
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes quota back from one who does not use it. Blocks, for seconds at worst: never on the loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/governor.h"
#include "host/cgroup_private.h"
#include "host/clock.h"

/* A task that memory.high put to sleep finishes that first, at most 2 s (mm/memcontrol.c, MEMCG_MAX_HIGH_DELAY_JIFFIES). */
#define FREEZE_WAIT_USEC (2500 * USEC_PER_MSEC)
/* Between usage and the new limit. What can still be charged to a frozen group are packets that arrive for its sockets,
 * and the kernel's counters are exact to 64 pages a CPU. */
#define LOWER_MARGIN_DIVISOR 32
#define LOWER_MARGIN_MIN_BYTES (1 * MIB)

typedef struct Lowering {
        int freeze, events, current, stat, max, high;
        uint64_t old_max_bytes, old_high_bytes;
        bool was_frozen;
} Lowering;

static const char *const names[] = { "cgroup.freeze", "cgroup.events", "memory.current",
                                     "memory.stat",   "memory.max",    "memory.high" };
static const int modes[] = { O_RDWR, O_RDONLY, O_RDONLY, O_RDONLY, O_RDWR, O_RDWR };

static int gone(int r) {
        return r == -ENOENT ? -ENODEV : r;
}

static void lowering_done(Lowering *l) {
        const int fds[] = { l->freeze, l->events, l->current, l->stat, l->max, l->high };

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static int lowering_open(Lowering *l, int engine_fd) {
        int *const fds[] = { &l->freeze, &l->events, &l->current, &l->stat, &l->max, &l->high };
        uint64_t frozen;
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                *fds[i] = -1;
        for (size_t i = 0; i < ELEMENTSOF(fds) && r == 0; i++) {
                *fds[i] = openat(engine_fd, names[i], modes[i] | O_CLOEXEC);
                r = *fds[i] < 0 ? -errno : 0;
        }
        if (r == 0)
                r = cgroup_read_value_fd(l->max, &l->old_max_bytes);
        if (r == 0)
                r = cgroup_read_value_fd(l->high, &l->old_high_bytes);
        if (r == 0)
                r = cgroup_read_value_fd(l->freeze, &frozen);
        if (r == 0)
                l->was_frozen = frozen != 0;
        else
                lowering_done(l);
        return r;
}

static int is_frozen(const Lowering *l, bool *ret) {
        bool populated, frozen = false;
        char text[256];
        int r = cgroup_read_text(l->events, text, sizeof text);

        if (r == 0)
                r = sample_parse_cgroup_events(text, &populated, &frozen);
        *ret = frozen;
        return r;
}

static int wait_frozen(const Lowering *l, int give_up_fd) {
        uint64_t now, end = now_usec() + FREEZE_WAIT_USEC;
        struct pollfd fds[] = { { .fd = l->events, .events = POLLPRI }, { .fd = give_up_fd, .events = POLLIN } };
        bool frozen;
        int r;

        for (;;) {
                r = is_frozen(l, &frozen);
                if (r < 0 || frozen)
                        return r;
                now = now_usec();
                if (now >= end)
                        return -EBUSY;
                r = poll(fds, ELEMENTSOF(fds), (int) ((end - now) / USEC_PER_MSEC) + 1);
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (fds[1].revents)
                        return -ECANCELED;
        }
}

/* What it can't give back fits below @room_bytes. */
static int look(const Lowering *l, uint64_t room_bytes) {
        char text[GROUP_TEXT_MAX];
        Sample s = {};
        int r = cgroup_read_text(l->stat, text, sizeof text);

        if (r == 0)
                r = sample_parse_memory_stat(text, &s);
        if (r < 0)
                return r;
        return governor_need(&s, room_bytes) > room_bytes ? -EBUSY : 0;
}

static int write_value(int fd, uint64_t value) {
        char buf[24];

        return cgroup_write_text(fd, cgroup_value_text(value, buf));
}

/* With all its tasks frozen: memory.high makes room and never kills; memory.max, which would, is written only when all
 * that is used fits. */
static int lower_frozen(const Lowering *l, uint64_t max_bytes, uint64_t high_bytes) {
        uint64_t margin = MAX(max_bytes / LOWER_MARGIN_DIVISOR, LOWER_MARGIN_MIN_BYTES);
        uint64_t room = max_bytes > margin ? max_bytes - margin : 0, current;
        int r = look(l, room);

        if (r == 0)
                r = write_value(l->high, room);
        if (r == 0)
                r = cgroup_read_value_fd(l->current, &current);
        if (r == 0 && current > room)
                r = -EBUSY;
        if (r == 0)
                r = write_value(l->max, max_bytes);
        if (r == 0)
                return write_value(l->high, high_bytes);
        (void) write_value(l->high, l->old_high_bytes); /* as if we had never been here */
        return r;
}

int cgroup_lower(int engine_fd, uint64_t max_bytes, uint64_t high_bytes, int give_up_fd) {
        Lowering l;
        int r = lowering_open(&l, engine_fd);

        if (r < 0)
                return gone(r);
        if (max_bytes >= l.old_max_bytes) {
                lowering_done(&l);
                return -EINVAL; /* raising is not for us: the ledger must know of it first */
        }
        r = cgroup_write_text(l.freeze, "1");
        if (r == 0)
                r = wait_frozen(&l, give_up_fd);
        if (r == 0)
                r = lower_frozen(&l, max_bytes, high_bytes);
        if (!l.was_frozen) /* whoever froze it before us thaws it */
                (void) cgroup_write_text(l.freeze, "0");
        lowering_done(&l);
        return gone(r);
}

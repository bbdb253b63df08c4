/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* penstock.slice's limit. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/cgroup.h"
#include "host/systemd_private.h"

#define SLICE_CGROUP "/" SYSTEMD_SLICE
/* PID 1 writes to the kernel in its loop, after it has answered: each further question takes it round once more. */
#define SLICE_LOOKS 8

typedef struct SliceSet {
        SystemdLink *link;
        uint64_t max_bytes, low_bytes, generation;
        unsigned looks;
        void (*on_done)(int r, void *userdata);
        void *userdata;
} SliceSet;

static void slice_done(SliceSet *s, int r) {
        if (s->on_done)
                s->on_done(r, s->userdata);
        free(s);
}

static int heard_errno(sd_bus_message *reply) {
        return systemd_reply_is_heard(reply) ? systemd_reply_errno(reply) : -EHOSTUNREACH;
}

static void on_slice_look(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply);

static int slice_look(SliceSet *s) {
        return systemd_call_get(s->link, SYSTEMD_SLICE, "org.freedesktop.systemd1.Slice", "MemoryMax", on_slice_look, 0, s,
                                free);
}

/* The kernel rounds down to pages. */
static bool slice_is_in_force(const SliceSet *s, int *ret_r) {
        uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE), value;
        uint64_t expected = s->max_bytes == SIZE_INFINITY ? SIZE_INFINITY : s->max_bytes - s->max_bytes % page;

        *ret_r = cgroup_read_value(SLICE_CGROUP, "memory.max", &value);
        if (*ret_r == 0 && value != expected)
                *ret_r = -EIO;
        return *ret_r == 0;
}

static void on_slice_look(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        SliceSet *s = data;
        int r = heard_errno(reply);

        (void) id;
        if (r == 0 && s->generation == l->slice_generation && !slice_is_in_force(s, &r) && ++s->looks < SLICE_LOOKS &&
            slice_look(s) >= 0)
                return;
        slice_done(s, r);
}

static void on_slice_properties(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        SliceSet *s = data;
        int r = heard_errno(reply);

        (void) l, (void) id;
        if (r == 0)
                r = slice_look(s);
        if (r < 0)
                slice_done(s, r);
}

static int slice_properties(SliceSet *s) {
        sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(s->link->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                               "SetUnitProperties");

        if (r >= 0)
                r = sd_bus_message_append(m, "sba(sv)", SYSTEMD_SLICE, 1, 6, "MemoryAccounting", "b", 1, "CPUAccounting", "b",
                                          1, "IOAccounting", "b", 1, "TasksAccounting", "b", 1, "MemoryMax", "t",
                                          s->max_bytes, "MemoryLow", "t", s->low_bytes);
        if (r < 0) {
                sd_bus_message_unref(m);
                return r;
        }
        return systemd_call(s->link, m, on_slice_properties, 0, s, free);
}

static void on_slice_started(SystemdLink *l, uint64_t id, void *data, sd_bus_message *reply) {
        SliceSet *s = data;
        int r = heard_errno(reply);

        (void) l, (void) id;
        if (r == 0)
                r = slice_properties(s);
        if (r < 0)
                slice_done(s, r);
}

int systemd_slice_set(SystemdLink *l, uint64_t memory_max_bytes, uint64_t memory_low_bytes,
                      void (*on_done)(int r, void *userdata), void *userdata) {
        SliceSet *s = calloc(1, sizeof *s);
        sd_bus_message *m = NULL;
        int r;

        if (!s)
                return -ENOMEM;
        *s = (SliceSet) { .link = l,
                          .max_bytes = memory_max_bytes,
                          .low_bytes = memory_low_bytes,
                          .on_done = on_done,
                          .userdata = userdata,
                          .generation = ++l->slice_generation };
        r = sd_bus_message_new_method_call(l->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH, SYSTEMD_MANAGER,
                                           "StartUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", SYSTEMD_SLICE, "fail");
        if (r < 0) {
                sd_bus_message_unref(m);
                free(s);
                return r;
        }
        r = systemd_call(l, m, on_slice_started, 0, s, free);
        if (r < 0)
                free(s);
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of what the engine learns: one query that comes again and again. */
#pragma once

#include "engine-kit.h"

#define FINGERPRINT { 11, 12 }

static const uint64_t fingerprint[2] = FINGERPRINT;

static inline int setup(void **state) {
        Config c = kit_config();

        (void) state;
        c.initial_quota = INITIAL_QUOTA_LEARNED;
        kit_open(&kit, &c);
        return 0;
}

static inline uint64_t submit_as(QuerySpec spec) {
        spec.uid = 1000;
        memcpy(spec.language, "test", sizeof("test"));
        spec.fingerprint[0] = fingerprint[0];
        spec.fingerprint[1] = fingerprint[1];
        return kit_submit(&kit, spec);
}

static inline uint64_t submit(void) {
        return submit_as((QuerySpec) {});
}

static inline void finish(uint64_t id, uint64_t peak_bytes) {
        kit_report(&kit, id, (EndedReport) { .numbers.memory_peak_bytes = peak_bytes }, NULL);
}

/* It holds more and more, up to @bytes, with a look at every 8M; returns how many raises that took. */
static inline uint64_t grow_to(uint64_t id, uint64_t bytes) {
        for (uint64_t b = 8 * MIB; b < bytes; b += 8 * MIB) {
                kit_need(&kit, id, b);
                kit_pass(&kit, USEC_PER_SEC); /* so that it is not thought to grow on at once */
        }
        kit_need(&kit, id, bytes);
        return kit_query(&kit, id)->n_raises;
}

/* One that grew to @bytes and ended; returns its raises. */
static inline uint64_t run_of(uint64_t bytes) {
        uint64_t id = submit(), raises = grow_to(id, bytes);

        finish(id, bytes);
        return raises;
}

static inline uint64_t end_canceled(uint64_t id) {
        kit_event(&kit, EVENT_CANCEL, id);
        kit_report(&kit, id, (EndedReport) { .exit_status = -1, .exit_signal = SIGTERM }, NULL);
        assert_int_equal(kit_state(&kit, id), QUERY_CANCELED);
        return kit_query(&kit, id)->needed_bytes;
}

static inline void recall(uint64_t needed_bytes) {
        kit.n_log = 0;
        kit_step(&kit,
                 (Event) { .type = EVENT_LEARNED,
                           .lesson = { .fingerprint = FINGERPRINT, .needed_bytes = needed_bytes, .raises = 3 } });
        assert_int_equal(kit.n_log, 0);
}

#define LEARNED_TEST(f) cmocka_unit_test_setup_teardown(f, setup, kit_teardown)

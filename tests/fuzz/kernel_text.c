/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of memory.stat, memory.events, memory.pressure and their neighbours: core/sample. */
#include "fuzz.h"

#include "core/governor.h"

/* A last line without its newline was cut by a short buffer: what is read must not depend on it. */
static void cut_line_is_ignored(const char *text, int (*parse)(const char *, Sample *)) {
        Sample whole = {}, cut = {};
        char *copy = strdup(text), *nl;
        int r = parse(text, &whole);

        if (!copy)
                abort();
        nl = strrchr(copy, '\n');
        nl ? (void) (nl[1] = 0) : (void) (copy[0] = 0);
        PROMISE(parse(copy, &cut) == r, "a cut line changes the verdict");
        PROMISE(memcmp(&whole, &cut, sizeof(cut)) == 0, "a cut line changes what was read");
        PROMISE(r == 0 || memcmp(&whole, &(Sample) {}, sizeof(whole)) == 0, "it fails and sets something");
        free(copy);
}

static void parse_values(const char *text) {
        uint64_t value = 7, reads = 7, writes = 7;
        bool populated = true, frozen = true;

        if (sample_parse_value(text, &value) < 0)
                PROMISE(value == 7, "a refused value was set");
        value = 7;
        if (sample_parse_keyed(text, "max", &value) < 0)
                PROMISE(value == 7, "a refused value was set");
        (void) sample_parse_cpu_stat(text, &value);
        if (sample_parse_io_stat(text, &reads, &writes) < 0)
                PROMISE(reads == 7 && writes == 7, "refused numbers were set");
        if (sample_parse_cgroup_events(text, &populated, &frozen) < 0)
                PROMISE(populated && frozen, "refused events were set");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = bytes_text(data, size);
        GovernorState state = {};
        Sample s = {};

        cut_line_is_ignored(text, sample_parse_memory_stat);
        cut_line_is_ignored(text, sample_parse_memory_events);
        cut_line_is_ignored(text, sample_parse_pressure);
        parse_values(text);

        /* Whatever numbers came of it, the governor judges them. */
        (void) sample_parse_memory_stat(text, &s);
        (void) sample_parse_memory_events(text, &s);
        (void) sample_parse_pressure(text, &s);
        (void) sample_parse_keyed(text, "current", &s.current_bytes);
        (void) sample_parse_keyed(text, "pids", &s.pids);
        s.max_bytes = 64 * MIB;
        PROMISE(sample_residual(&s) <= s.current_bytes, "more is left than is charged");
        for (unsigned i = 0; i < 3; i++) {
                GovernorDecision d = governor_judge(&state, &s, 64 * MIB, GIB, i * USEC_PER_SEC);

                PROMISE(d.cause == RAISE_NONE || (d.want_bytes > 64 * MIB && d.want_bytes <= GIB),
                        "it wants %llu of at most 1G", (unsigned long long) d.want_bytes);
        }
        free(text);
        return 0;
}

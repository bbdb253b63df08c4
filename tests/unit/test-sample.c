/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/sample.h"

/* system.slice of Debian 12's kernel 6.1, whole. */
static const char memory_stat_6_1[] =
                "anon 3354624\nfile 17047552\nkernel 1814528\nkernel_stack 65536\npagetables 352256\nsec_pagetables "
                "0\n"
                "percpu 70704\nsock 8192\nvmalloc 217088\nshmem 5210112\nfile_mapped 3350528\nfile_dirty 36864\n"
                "file_writeback 12288\nswapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 8515584\n"
                "active_anon 28672\ninactive_file 9158656\nactive_file 2678784\nunevictable 4096\nslab_reclaimable "
                "510080\n"
                "slab_unreclaimable 427200\nslab 937280\nworkingset_refault_anon 3\nworkingset_refault_file 17\n"
                "workingset_activate_anon 0\nworkingset_activate_file 0\nworkingset_restore_anon 0\n"
                "workingset_restore_file 0\nworkingset_nodereclaim 0\npgscan 0\npgsteal 0\npgscan_kswapd 0\n"
                "pgscan_direct 0\npgsteal_kswapd 0\npgsteal_direct 0\npgfault 9693\npgmajfault 81\npgrefill 0\n"
                "pgactivate 424\npgdeactivate 0\npglazyfree 0\npglazyfreed 0\nthp_fault_alloc 0\nthp_collapse_alloc "
                "0\n";

/* … of Debian 13's kernel 6.12: more keys, in another order. */
static const char memory_stat_6_12[] =
                "anon 3690496\nfile 16707584\nkernel 1953792\nkernel_stack 65536\npagetables 466944\nsec_pagetables "
                "0\n"
                "percpu 74160\nsock 0\nvmalloc 200704\nshmem 5201920\nfile_mapped 3895296\nfile_dirty 4096\n"
                "file_writeback 0\nswapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 0\nactive_anon "
                "8867840\n"
                "inactive_file 1540096\nactive_file 9953280\nunevictable 0\nslab_reclaimable 594112\n"
                "slab_unreclaimable 462232\nslab 1056344\nworkingset_refault_anon 0\nworkingset_refault_file 0\n"
                "workingset_activate_anon 0\nworkingset_activate_file 0\nworkingset_restore_anon 0\n"
                "workingset_restore_file 0\nworkingset_nodereclaim 0\npgdemote_kswapd 0\npgdemote_direct 0\n"
                "pgdemote_khugepaged 0\npgpromote_success 0\npgscan 0\npgsteal 0\npgscan_kswapd 0\npgscan_direct 0\n"
                "pgscan_khugepaged 0\npgsteal_kswapd 0\npgsteal_direct 0\npgsteal_khugepaged 0\npgfault 17435\n"
                "pgmajfault 85\npgrefill 0\npgactivate 0\npgdeactivate 0\npglazyfree 0\npglazyfreed 0\nswpin_zero 0\n"
                "swpout_zero 0\nthp_fault_alloc 0\nthp_collapse_alloc 0\nthp_swpout 0\nthp_swpout_fallback 0\n"
                "numa_pages_migrated 0\nnuma_pte_updates 0\nnuma_hint_faults 0\n";

static void memory_stat_of_6_1_is_read(void **state) {
        Sample s = {};

        (void) state;
        assert_int_equal(sample_parse_memory_stat(memory_stat_6_1, &s), 0);
        assert_int_equal(s.anon_bytes, 3354624);
        assert_int_equal(s.file_bytes, 17047552);
        assert_int_equal(s.kernel_bytes, 1814528);
        assert_int_equal(s.sock_bytes, 8192);
        assert_int_equal(s.shmem_bytes, 5210112);
        assert_int_equal(s.file_dirty_bytes, 36864);
        assert_int_equal(s.file_writeback_bytes, 12288);
        assert_int_equal(s.inactive_anon_bytes, 8515584);
        assert_int_equal(s.active_anon_bytes, 28672);
        assert_int_equal(s.inactive_file_bytes, 9158656);
        assert_int_equal(s.active_file_bytes, 2678784);
        assert_int_equal(s.unevictable_bytes, 4096);
        assert_int_equal(s.slab_reclaimable_bytes, 510080);
        assert_int_equal(s.workingset_refault_anon, 3);
        assert_int_equal(s.workingset_refault_file, 17);
}

static void memory_stat_of_6_12_is_read(void **state) {
        Sample s = {};

        (void) state;
        assert_int_equal(sample_parse_memory_stat(memory_stat_6_12, &s), 0);
        assert_int_equal(s.anon_bytes, 3690496);
        assert_int_equal(s.kernel_bytes, 1953792); /* not kernel_stack, not the last "…kernel…" */
        assert_int_equal(s.active_anon_bytes, 8867840);
        assert_int_equal(s.inactive_anon_bytes, 0);
        assert_int_equal(s.active_file_bytes, 9953280);
}

static void what_is_not_named_keeps_its_value(void **state) {
        Sample s = { .anon_bytes = 1, .shmem_bytes = 2, .current_bytes = 3 };

        (void) state;
        assert_int_equal(sample_parse_memory_stat("anon 77\n", &s), 0);
        assert_int_equal(s.anon_bytes, 77);
        assert_int_equal(s.shmem_bytes, 2);
        assert_int_equal(s.current_bytes, 3);
}

/* A number that was cut reads as a smaller one: "shmem 5210112\n" must never be "shmem 521". */
static void a_cut_line_is_ignored_wherever_the_cut_is(void **state) {
        char text[sizeof memory_stat_6_1];

        (void) state;
        for (size_t n = 0; n < sizeof memory_stat_6_1; n++) {
                Sample s = {};
                int r;

                memcpy(text, memory_stat_6_1, n);
                text[n] = '\0';
                r = sample_parse_memory_stat(text, &s);
                assert_true(r == (n >= strlen("anon 3354624\n") ? 0 : -EBADMSG));
                assert_true(s.anon_bytes == 0 || s.anon_bytes == 3354624);
                assert_true(s.shmem_bytes == 0 || s.shmem_bytes == 5210112);
                assert_true(s.unevictable_bytes == 0 || s.unevictable_bytes == 4096);
                assert_true(s.workingset_refault_file == 0 || s.workingset_refault_file == 17);
        }
}

static void garbage_is_not_read(void **state) {
        static const char *const texts[] = {
                "",
                "\n",
                "anon\n",
                "anon \n",
                "anon -1\n",
                "anon 1 2\n",
                "anon 0x10\n",
                "anon 1.5\n",
                "anon  1\n",
                " anon 1\n",
                "anon\t1\n",
                "ANON 1\n",
                "anonymous 1\n",
                "xanon 1\n",
                "anon 99999999999999999999999\n",
                "anon 18446744073709551616\n",
                "anon 1",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                Sample s = { .anon_bytes = 42 };

                assert_int_equal(sample_parse_memory_stat(texts[i], &s), -EBADMSG);
                assert_int_equal(s.anon_bytes, 42);
        }
}

static void the_largest_number_is_read(void **state) {
        Sample s = {};

        (void) state;
        assert_int_equal(sample_parse_memory_stat("anon 18446744073709551615\nanon bad\n", &s), 0);
        assert_true(s.anon_bytes == UINT64_MAX);
}

static void over_long_lines_are_stepped_over(void **state) {
        char text[70000];
        Sample s = {};

        (void) state;
        memset(text, 'x', sizeof text);
        memcpy(text + 65000, "\nanon 5\n", 9);
        assert_int_equal(sample_parse_memory_stat(text, &s), 0);
        assert_int_equal(s.anon_bytes, 5);
}

static void memory_events_are_read(void **state) {
        Sample s = {};

        (void) state;
        assert_int_equal(sample_parse_memory_events("low 1\nhigh 1378\nmax 25\noom 4\noom_kill 3\noom_group_kill 1\n",
                                                    &s),
                         0);
        assert_int_equal(s.events_high, 1378);
        assert_int_equal(s.events_max, 25);
        assert_int_equal(s.events_oom, 4); /* not oom_kill's */
        assert_int_equal(s.events_oom_kill, 3);
        assert_int_equal(s.events_oom_group_kill, 1);
        assert_int_equal(sample_parse_memory_events("low 1\n", &s), -EBADMSG);
}

static void pressure_is_read(void **state) {
        Sample s = {};

        (void) state;
        assert_int_equal(sample_parse_pressure("some avg10=12.34 avg60=1.00 avg300=0.10 total=4711\n"
                                               "full avg10=0.00 avg60=0.00 avg300=0.00 total=4000\n",
                                               &s),
                         0);
        assert_true(s.has_psi);
        assert_int_equal(s.stall_some_usec, 4711);
        assert_int_equal(s.stall_full_usec, 4000);
}

static void pressure_without_a_total_is_none(void **state) {
        static const char *const texts[] = { "",
                                             "some avg10=1\n",
                                             "some total=\n",
                                             "some total=x\n",
                                             "some total=1x\n",
                                             "some xtotal=1\n",
                                             "some total=1",
                                             "none total=1\n",
                                             "some total=18446744073709551616\n" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                Sample s = {};

                assert_int_equal(sample_parse_pressure(texts[i], &s), -EBADMSG);
                assert_false(s.has_psi);
        }
}

static void values_are_read(void **state) {
        uint64_t v = 1;

        (void) state;
        assert_int_equal(sample_parse_value("max\n", &v), 0);
        assert_true(v == SIZE_INFINITY);
        assert_int_equal(sample_parse_value("0\n", &v), 0);
        assert_int_equal(v, 0);
        assert_int_equal(sample_parse_value("67108864", &v), 0);
        assert_int_equal(v, 67108864);
        assert_int_equal(sample_parse_value("18446744073709551614\n", &v), 0);
        assert_true(v == UINT64_MAX - 1);
}

static void bad_values_are_refused_and_change_nothing(void **state) {
        static const char *const bad[] = { "",       "\n",   "maximum\n", "-1\n",  "1 2\n",
                                           "1\n2\n", " 1\n", "1\n\n",     "0x1\n", "1k\n" };
        uint64_t v = 7;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(sample_parse_value(bad[i], &v), -EBADMSG);
        assert_int_equal(sample_parse_value("18446744073709551615\n", &v), -ERANGE);
        assert_int_equal(sample_parse_value("18446744073709551616\n", &v), -ERANGE);
        assert_int_equal(v, 7);
}

static void cpu_stat_is_read(void **state) {
        uint64_t v = 0;

        (void) state;
        assert_int_equal(sample_parse_cpu_stat("usage_usec 9937734\nuser_usec 4611729\nsystem_usec 5326004\n", &v),
                         0);
        assert_int_equal(v, 9937734);
        assert_int_equal(sample_parse_cpu_stat("user_usec 1\nusage_usec 15242047\nsystem_usec 9104016\nnice_usec 0\n",
                                               &v),
                         0);
        assert_int_equal(v, 15242047);
        assert_int_equal(sample_parse_cpu_stat("user_usec 1\n", &v), -EBADMSG);
        assert_int_equal(v, 15242047);
}

static void io_stat_is_summed_over_devices(void **state) {
        uint64_t rd = 9, wr = 9;

        (void) state;
        assert_int_equal(sample_parse_io_stat("254:0 rbytes=1234944 wbytes=4096 rios=30 wios=1 dbytes=7 dios=0\n"
                                              "8:16 rbytes=6 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n"
                                              "7:0 \n",
                                              &rd, &wr),
                         0);
        assert_int_equal(rd, 1234950);
        assert_int_equal(wr, 4106);
        assert_int_equal(sample_parse_io_stat("", &rd, &wr), 0); /* no device was used */
        assert_int_equal(rd, 0);
        assert_int_equal(wr, 0);
        assert_int_equal(sample_parse_io_stat("8:0 rbytes=18446744073709551615 wbytes=1\n8:1 rbytes=5 wbytes=1\n",
                                              &rd, &wr),
                         0);
        assert_true(rd == UINT64_MAX);
        assert_int_equal(sample_parse_io_stat("what is this\n", &rd, &wr), -EBADMSG);
}

static void cgroup_events_are_read(void **state) {
        bool populated = false, frozen = true;

        (void) state;
        assert_int_equal(sample_parse_cgroup_events("populated 1\nfrozen 0\n", &populated, &frozen), 0);
        assert_true(populated);
        assert_false(frozen);
        assert_int_equal(sample_parse_cgroup_events("populated 0\nfrozen 1\n", &populated, &frozen), 0);
        assert_false(populated);
        assert_true(frozen);
        assert_int_equal(sample_parse_cgroup_events("populated 1\n", &populated, &frozen), -EBADMSG);
        assert_false(populated);
}

static void pids_events_are_read_by_key(void **state) {
        uint64_t v = 0;

        (void) state;
        assert_int_equal(sample_parse_keyed("max 12\n", "max", &v), 0);
        assert_int_equal(v, 12);
        assert_int_equal(sample_parse_keyed("max.imposed 3\n", "max", &v), -EBADMSG);
}

/* 40 MiB in tmpfs that a dead query left, with page cache around it. */
static void residual_is_what_cannot_be_dropped(void **state) {
        Sample s = { .current_bytes = 100 * MIB,
                     .file_bytes = 90 * MIB,
                     .shmem_bytes = 40 * MIB,
                     .inactive_file_bytes = 50 * MIB,
                     .kernel_bytes = 3 * MIB,
                     .slab_reclaimable_bytes = 2 * MIB };

        (void) state;
        assert_int_equal(sample_residual(&s), 41 * MIB);
        s.slab_reclaimable_bytes = 4 * MIB; /* counted at another moment */
        assert_int_equal(sample_residual(&s), 40 * MIB);
        s.current_bytes = 1 * MIB;
        assert_int_equal(sample_residual(&s), 1 * MIB);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(memory_stat_of_6_1_is_read),
                cmocka_unit_test(memory_stat_of_6_12_is_read),
                cmocka_unit_test(what_is_not_named_keeps_its_value),
                cmocka_unit_test(a_cut_line_is_ignored_wherever_the_cut_is),
                cmocka_unit_test(garbage_is_not_read),
                cmocka_unit_test(the_largest_number_is_read),
                cmocka_unit_test(over_long_lines_are_stepped_over),
                cmocka_unit_test(memory_events_are_read),
                cmocka_unit_test(pressure_is_read),
                cmocka_unit_test(pressure_without_a_total_is_none),
                cmocka_unit_test(values_are_read),
                cmocka_unit_test(bad_values_are_refused_and_change_nothing),
                cmocka_unit_test(cpu_stat_is_read),
                cmocka_unit_test(io_stat_is_summed_over_devices),
                cmocka_unit_test(cgroup_events_are_read),
                cmocka_unit_test(pids_events_are_read_by_key),
                cmocka_unit_test(residual_is_what_cannot_be_dropped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config-kit.h"

/* No host is so small that the shipped file is refused; there the defaults give way. */
static void defaults_fit_any_host(void **state) {
        static const uint64_t hosts[] = { 16 * MIB, 64 * MIB, 512 * MIB + 123, GIB - 1, GIB, 2 * GIB, 3 * GIB, RAM };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
                Config c;

                accepted(&c, hosts[i], LINES());
                assert_true(c.max_memory_bytes <= hosts[i] / 2);
                config_done(&c);
        }
        {
                Config c;

                accepted(&c, GIB, LINES());
                assert_true(c.per_query_bytes == 512 * MIB);
                assert_true(c.initial_bytes == 64 * MIB);
                config_done(&c);
                accepted(&c, 256 * MIB, LINES());
                assert_true(c.initial_bytes == 32 * MIB);
                config_done(&c);
                accepted(&c, 0, LINES()); /* memory unknown */
                assert_true(c.max_memory_bytes == 4 * GIB);
                config_done(&c);
        }
}

static void empty_values_are_derived(void **state) {
        Config c;

        (void) state;
        accepted(&c, RAM, LINES("InitialMemoryBytesQuotaPerQuery="));
        assert_true(c.initial_bytes == GIB);
        config_done(&c);
        accepted(&c, RAM, LINES("MaxMemoryBytes=", "ConcurrencyQuota=3", "MemoryBytesQuotaPerQuery=512M"));
        assert_true(c.max_memory_bytes == 3 * 512 * MIB);
        config_done(&c);
        accepted(&c, RAM, LINES("QueueSize=5", "QueueSize="));
        assert_true(c.queue_size == 64);
        assert_false(c.is_set[CONFIG_QUEUE_SIZE]);
        assert_null(c.origin[CONFIG_QUEUE_SIZE].file);
        config_done(&c);
        refused(2 * GIB, LINES("MaxMemoryBytes="), "/etc/penstock/penstock.conf:1: MaxMemoryBytes=4G (derived)");
}

static void explicit_values_make_defaults_give_way(void **state) {
        Config c;

        (void) state;
        accepted(&c, RAM, LINES("MaxMemoryBytes=100M"));
        assert_true(c.per_query_bytes == 100 * MIB);
        assert_true(c.initial_bytes == 25 * MIB);
        config_done(&c);
        accepted(&c, RAM, LINES("MemoryBytesQuotaPerQuery=32M"));
        assert_true(c.initial_bytes == 32 * MIB);
        config_done(&c);
        accepted(&c, RAM, LINES("ReserveMemoryBytes=14G"));
        assert_true(c.max_memory_bytes == 2 * GIB);
        config_done(&c);
        accepted(&c, RAM, LINES("MaxMemoryBytes=4194303", "ConcurrencyQuota=1")); /* pages round down */
        assert_true(c.max_memory_bytes == 4194303 - 4095);
        config_done(&c);
}

static void the_budget_covers_every_initial_quota(void **state) {
        Config c;

        (void) state;
        accepted(&c, RAM, LINES("ConcurrencyQuota=4", "InitialMemoryBytesQuotaPerQuery=64M", "MaxMemoryBytes=256M"));
        config_done(&c);
        refused(RAM, LINES("ConcurrencyQuota=4", "InitialMemoryBytesQuotaPerQuery=64M", "MaxMemoryBytes=262140K"),
                "/etc/penstock/penstock.conf:3: MaxMemoryBytes=262140K is less than ConcurrencyQuota × "
                "InitialMemoryBytesQuotaPerQuery (4 × 64M = 256M); raise MaxMemoryBytes or lower one of the others");
        refused(RAM, LINES("ConcurrencyQuota=100000"), "penstock.conf:1: MaxMemoryBytes=8G (default) is less than");
        refused(RAM, LINES("MaxMemoryBytes=3M"), "(default) (4 × 1M = 4M)");
        accepted(&c, RAM, LINES("MaxMemoryBytes=4M"));
        config_done(&c);
}

static void products_that_overflow_are_refused(void **state) {
        (void) state;
        refused(RAM, LINES("ConcurrencyQuota=18446744073709551614"), "more than 2^64");
        refused(RAM,
                LINES("ConcurrencyQuota=8388608", "InitialMemoryBytesQuotaPerQuery=4T", "MemoryBytesQuotaPerQuery=4T",
                      "MaxMemoryBytes=4T", "AllowOvercommit=yes"),
                "more than 2^64");
        refused(RAM, LINES("MaxMemoryBytes=", "ConcurrencyQuota=8388608", "MemoryBytesQuotaPerQuery=4T"),
                "MaxMemoryBytes=infinity (derived) needs AllowOvercommit=yes");
}

static void one_query_gets_at_most_the_budget(void **state) {
        Config c;

        (void) state;
        accepted(&c, RAM,
                 LINES("MaxMemoryBytes=2G", "MemoryBytesQuotaPerQuery=2G")); /* 4 × 2G would not fit, and may not */
        config_done(&c);
        refused(RAM, LINES("MaxMemoryBytes=2G", "MemoryBytesQuotaPerQuery=2097156K"),
                "penstock.conf:2: MemoryBytesQuotaPerQuery=2097156K is more than MaxMemoryBytes=2G");
        refused(RAM, LINES("MemoryBytesQuotaPerQuery=infinity"), "MaxMemoryBytes=8G (default)");
        refused(RAM, LINES("InitialMemoryBytesQuotaPerQuery=1025M"),
                "penstock.conf:1: InitialMemoryBytesQuotaPerQuery=1025M is more than MemoryBytesQuotaPerQuery=1G "
                "(default)");
}

static void the_budget_leaves_the_reserve(void **state) {
        Config c;

        (void) state;
        accepted(&c, RAM, LINES("ReserveMemoryBytes=6G", "MaxMemoryBytes=10G"));
        config_done(&c);
        refused(RAM, LINES("ReserveMemoryBytes=6G", "MaxMemoryBytes=10485764K"), "set AllowOvercommit=yes");
        refused(RAM, LINES("MaxMemoryBytes=100%"), "penstock.conf:1: MaxMemoryBytes=16G is more than");
        accepted(&c, RAM, LINES("ReserveMemoryBytes=0", "MaxMemoryBytes=100%"));
        config_done(&c);
        accepted(&c, RAM, LINES("MaxMemoryBytes=1T", "AllowOvercommit=yes"));
        config_done(&c);
        refused(RAM, LINES("ReserveMemoryBytes=17G"), "penstock.conf:1: ReserveMemoryBytes=17G leaves no budget");
}

static void no_limit_needs_overcommit_and_no_queue(void **state) {
        Config c;

        (void) state;
        refused(RAM, LINES("MaxMemoryBytes=infinity"), "needs AllowOvercommit=yes");
        accepted(&c, RAM, LINES("MaxMemoryBytes=infinity", "AllowOvercommit=yes"));
        assert_true(c.per_query_bytes == GIB);
        config_done(&c);
        accepted(&c, RAM, LINES("ConcurrencyQuota=infinity", "AllowOvercommit=yes"));
        assert_true(c.queue_size == 0);
        assert_true(c.max_memory_bytes == SIZE_INFINITY);
        config_done(&c);
        refused(RAM, LINES("ConcurrencyQuota=infinity"), "AllowOvercommit");
        refused(RAM, LINES("ConcurrencyQuota=infinity", "AllowOvercommit=yes", "QueueSize=1"),
                "penstock.conf:3: QueueSize=1 makes no sense");
        accepted(&c, RAM, LINES("ConcurrencyQuota=infinity", "AllowOvercommit=yes", "QueueSize=0"));
        config_done(&c);
        refused(RAM, LINES("ConcurrencyQuota=infinity", "AllowOvercommit=yes", "MaxMemoryBytes=8G"),
                "penstock.conf:3: MaxMemoryBytes is limited");
}

/* Two queries are the same by a key that lies in the history. */
static void to_learn_needs_a_history(void **state) {
        Config c;

        (void) state;
        accepted(&c, RAM, LINES("InitialQuota=learned"));
        assert_int_equal(c.initial_quota, INITIAL_QUOTA_LEARNED);
        config_done(&c);
        refused(RAM, LINES("HistoryMaxEntries=0", "InitialQuota=learned"),
                "penstock.conf:2: InitialQuota=learned needs a history, and HistoryMaxEntries=0 keeps none");
        accepted(&c, RAM, LINES("HistoryMaxEntries=1", "InitialQuota=learned"));
        config_done(&c);
        accepted(&c, RAM, LINES("HistoryMaxEntries=0", "InitialQuota=fixed"));
        assert_int_equal(c.initial_quota, INITIAL_QUOTA_FIXED);
        config_done(&c);
        refused(RAM, LINES("InitialQuota=guessed"), "it must be one of: fixed learned");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults_fit_any_host),
                cmocka_unit_test(empty_values_are_derived),
                cmocka_unit_test(explicit_values_make_defaults_give_way),
                cmocka_unit_test(the_budget_covers_every_initial_quota),
                cmocka_unit_test(products_that_overflow_are_refused),
                cmocka_unit_test(one_query_gets_at_most_the_budget),
                cmocka_unit_test(the_budget_leaves_the_reserve),
                cmocka_unit_test(no_limit_needs_overcommit_and_no_queue),
                cmocka_unit_test(to_learn_needs_a_history),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config-kit.h"

static void shipped_defaults_are_the_decided_ones(void **state) {
        Config c;

        (void) state;
        accepted(&c, RAM, LINES());
        assert_true(c.concurrency_quota == 4);
        assert_true(c.initial_bytes == 64 * MIB);
        assert_true(c.per_query_bytes == GIB);
        assert_true(c.max_memory_bytes == RAM / 2);
        assert_true(c.queue_size == 64);
        assert_true(c.queue_timeout_usec == 600 * USEC_PER_SEC);
        assert_true(c.max_queries_per_user == 64);
        assert_int_equal(c.exhaustion_policy, EXHAUSTION_FREEZE);
        assert_int_equal(c.memory_protection, PROTECTION_LOW);
        assert_false(c.allow_overcommit);
        assert_false(c.allow_root_queries);
        assert_int_equal(c.metric_label_keys.n, 0);
        config_done(&c);
}

static void bad_values_are_refused_with_place_and_rule(void **state) {
        static const struct {
                const char *line, *text;
        } cases[] = {
                { "ConcurrencyQuota=0",
                  "penstock.conf:1: ConcurrencyQuota=0 is refused: it must be a whole number, from 1" },
                { "ConcurrencyQuota=-1", "ConcurrencyQuota=-1" },
                { "ConcurrencyQuota=4.5", "whole number" },
                { "ConcurrencyQuota=18446744073709551616", "ConcurrencyQuota" },
                { "InitialMemoryBytesQuotaPerQuery=0", "from 1M" },
                { "InitialMemoryBytesQuotaPerQuery=1048575", "from 1M" },
                { "MemoryBytesQuotaPerQuery=1048575", "from 1M" },
                { "MaxMemoryBytes=-1G", "a size" },
                { "MaxMemoryBytes=101%", "a size" },
                { "MaxMemoryBytes=lots", "a size" },
                { "QueueSize=-1", "from 0 to 100000" },
                { "QueueSize=100001", "from 0 to 100000" },
                { "QueueSize=infinity", "from 0 to 100000" },
                { "MaxQueriesPerUser=0", "from 1 to infinity" },
                { "QueueTimeoutSec=soon", "a time span" },
                { "FreezeTimeoutSec=999ms", "from 1s" },
                { "CompileTimeoutSec=0", "from 1ms" },
                { "CompileMemoryBytes=8388607", "from 8M to 8388607T" },
                { "CompileMemoryBytes=infinity", "from 8M" },
                { "CompileConcurrency=0", "from 1 to 1024" },
                { "CompileConcurrency=1025", "from 1 to 1024" },
                { "TasksMaxPerQuery=7", "from 8" },
                { "CancelGraceSec=3601", "to 1h" },
                { "WarmUnits=65", "from 0 to 64" },
                { "ReserveMemoryBytes=infinity", "from 0" },
                { "ExhaustionPolicy=thaw", "one of: freeze fail" },
                { "ExhaustionPolicy=fre", "one of: freeze fail" },
                { "MemoryProtection=max", "one of: low min" },
                { "AllowOvercommit=perhaps", "yes or no" },
                { "Logger=syslog", "one of: journal" },
                { "MetricLabelKeys=team 1st", "at most 32 names" },
                { "MetricLabelKeys=team result", "metrics' own labels" },
                { "MetricLabelKeys=__team", "nor __ first" },
                { "ExecutorDependencies=a/b", "at most 32 names" },
                { "ExecutorDependencies=missing", "there is no [Dependency missing]" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                refused(RAM, LINES(cases[i].line), cases[i].text);
}

static void boundaries_are_accepted(void **state) {
        static const char *const lines[] = { "QueueSize=0",
                                             "QueueSize=100000",
                                             "FreezeTimeoutSec=1",
                                             "CompileTimeoutSec=1ms",
                                             "CompileMemoryBytes=8M",
                                             "CompileConcurrency=1024",
                                             "CancelGraceSec=0",
                                             "CancelGraceSec=1h",
                                             "WarmUnits=64",
                                             "WarmUnits=0",
                                             "TasksMaxPerQuery=8",
                                             "MaxQueriesPerUser=infinity",
                                             "QueryTimeoutSec=infinity",
                                             "Logger=journal",
                                             "ExhaustionPolicy=fail",
                                             "MemoryProtection=min",
                                             "ResultsMaxBytes=infinity",
                                             "MemoryBytesQuotaPerQuery=1M",
                                             "InitialMemoryBytesQuotaPerQuery=1M" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                Config c;

                accepted(&c, RAM, LINES(lines[i]));
                config_done(&c);
        }
}

static void lists_grow_and_are_emptied_by_nothing(void **state) {
        Config c;
        char many[1024] = "MetricLabelKeys=";

        (void) state;
        accepted(&c, RAM, LINES("MetricLabelKeys=team project", "MetricLabelKeys=team  site"));
        assert_int_equal(c.metric_label_keys.n, 3);
        assert_string_equal(c.metric_label_keys.v[2], "site");
        config_done(&c);
        accepted(&c, RAM, LINES("MetricLabelKeys=team", "MetricLabelKeys=", "MetricLabelKeys=site"));
        assert_int_equal(c.metric_label_keys.n, 1);
        config_done(&c);
        for (unsigned i = 0; i < REQUEST_LABELS_MAX; i++)
                snprintf(many + strlen(many), sizeof(many) - strlen(many), " k%u", i);
        accepted(&c, RAM, LINES(many));
        config_done(&c);
        strcat(many, " one_more");
        refused(RAM, LINES(many), "at most 32");
}

static void unknown_keys_and_sections_are_told_apart_from_bad_values(void **state) {
        CLEANUP(config_done) Config c;
        Error e = {};

        (void) state;
        config_init(&c, RAM);
        assert_int_equal(config_set(&c, RAM, "Controller", "QueueLength", "1", "f", 1, &e), -ENOENT);
        assert_int_equal(config_set(&c, RAM, "Controllers", "QueueSize", "1", "f", 1, &e), -ENOENT);
        assert_int_equal(config_set(&c, RAM, "", "QueueSize", "1", "f", 1, &e), -ENOENT);
        assert_int_equal(config_set(&c, RAM, "Controller", "queuesize", "1", "f", 1, &e), -ENOENT);
        assert_int_equal(e.code, ERROR_NONE);
        assert_true(c.queue_size == 64);
}

static void dependencies_are_read(void **state) {
        CLEANUP(config_done) Config c;
        const Dependency *d;
        Error e = {};

        (void) state;
        config_init(&c, RAM);
#define SET(key, value) config_set(&c, RAM, "Dependency lake", key, value, "/etc/d.conf", 7, &e)
        assert_int_equal(SET("Environment", "URL=s3://x 'OPTS=a b'"), 0);
        assert_int_equal(SET("LoadCredential", "TOKEN:/etc/lake/token"), 0);
        assert_int_equal(SET("BindReadOnlyPaths", "/srv/lake /srv/more"), 0);
        assert_int_equal(SET("Requires", "lake.mount proxy.service"), 0);
        assert_int_equal(SET("CheckCommand", "/usr/bin/test -e /srv/lake"), 0);
        assert_int_equal(SET("EnvironmentFile", "/etc/lake/env -/etc/lake/more"), 0);
        assert_int_equal(SET("After", "net.target"), 0);
        assert_int_equal(SET("ReleaseCommand", "/usr/bin/logger gone"), 0);
        assert_int_equal(SET("CheckTimeoutSec", "1min"), 0);
        assert_int_equal(SET("User", "lake-check"), 0);
        assert_int_equal(SET("Colour", "blue"), -ENOENT);
        d = dependency_find(&c.dependencies, "lake");
        assert_non_null(d);
        assert_string_equal(pairlist_get(&d->environment, "OPTS"), "a b");
        assert_string_equal(pairlist_get(&d->credentials, "TOKEN"), "/etc/lake/token");
        assert_int_equal(d->bind_read_only_paths.n, 2);
        assert_string_equal(d->requires_units.v[0], "lake.mount");
        assert_int_equal(d->check_command.n, 3);
        assert_string_equal(d->environment_files.v[1], "-/etc/lake/more");
        assert_string_equal(d->after_units.v[0], "net.target");
        assert_int_equal(d->release_command.n, 2);
        assert_int_equal(d->check_timeout_usec, 60 * USEC_PER_SEC);
        assert_string_equal(d->user, "lake-check");
        assert_false(d->requestable); /* safe unless the administrator says so */
        assert_null(dependency_find(&c.dependencies, "lak"));
        assert_int_equal(config_set(&c, RAM, "Controller", "ExecutorDependencies", "lake", "/etc/d.conf", 9, &e), 0);
        assert_int_equal(config_finish(&c, RAM, &e), 0);
        assert_int_equal(SET("Environment", ""), 0);
        assert_int_equal(d->environment.n, 0);
        assert_int_equal(SET("User", ""), 0);
        assert_null(d->user);
        assert_int_equal(SET("CheckTimeoutSec", ""), 0);
        assert_int_equal(d->check_timeout_usec, 10 * USEC_PER_SEC);
        assert_int_equal(SET("Requestable", "yes"), 0);
        assert_true(d->requestable);
        assert_int_equal(SET("Requestable", ""), 0);
        assert_false(d->requestable);
}

static void bad_dependencies_are_refused(void **state) {
        static const struct {
                const char *section, *key, *value;
        } cases[] = {
                { "Dependency a b", "Environment", "A=1" },
                { "Dependency ", "Environment", "A=1" },
                { "Dependency abcdefghijklmnopqrstuvwxyz0123456", "Environment", "A=1" },
                { "Dependency a", "Environment", "A" },
                { "Dependency a", "Environment", "1=A" },
                { "Dependency a", "Environment", "'A=1" },
                { "Dependency a", "Environment", "A=\xff" },
                { "Dependency a", "EnvironmentFile", "x" },
                { "Dependency a", "EnvironmentFile", "--/x" },
                { "Dependency a", "LoadCredential", "A=/etc/x" },
                { "Dependency a", "LoadCredential", "A:x" },
                { "Dependency a", "LoadCredential", "A:/tmp/x" },
                { "Dependency a", "LoadCredential", "A:/home/x/y" },
                { "Dependency a", "BindPaths", "x" },
                { "Dependency a", "BindPaths", "/x/../y" },
                { "Dependency a", "BindPaths", "/" },
                { "Dependency a", "BindPaths", "\"/x'y\"" },
                { "Dependency a", "BindReadOnlyPaths", "\"/x\\ny\"" },
                { "Dependency a", "Requires", "sshd" },
                { "Dependency a", "Requires", ".service" },
                { "Dependency a", "Requires", "a/b.service" },
                { "Dependency a", "Requires", "a.conf" },
                { "Dependency a", "After", "'a b.service'" },
                { "Dependency a", "CheckTimeoutSec", "0" },
                { "Dependency a", "CheckTimeoutSec", "infinity" },
                { "Dependency a", "CheckTimeoutSec", "soon" },
                { "Dependency a", "User", "a:b" },
                { "Dependency a", "Requestable", "perhaps" },
                { "Dependency a", "ReleaseCommand", "./true" },
                { "Dependency a", "CheckCommand", "true" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CLEANUP(config_done) Config c;
                Error e = {};

                config_init(&c, RAM);
                assert_int_equal(config_set(&c, RAM, cases[i].section, cases[i].key, cases[i].value, "/etc/d.conf", 7,
                                            &e),
                                 -EINVAL);
                print_message("%s\n", e.message);
                assert_non_null(strstr(e.message, "/etc/d.conf:7: "));
        }
}

/* What is printed can be read again, and gives the same. */
static void printed_values_read_back(void **state) {
        Config a, b;
        char text[256];

        (void) state;
        accepted(&a, RAM,
                 LINES("MetricLabelKeys=team site", "ExhaustionPolicy=fail", "MemoryProtection=min",
                       "QueueTimeoutSec=90", "MaxMemoryBytes=33%", "AllowRootQueries=yes"));
        config_init(&b, RAM);
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++) {
                Error e = {};

                config_value_text(&a, (ConfigKey) i, text, sizeof(text));
                assert_int_equal(config_set(&b, RAM, "Controller", config_key_name((ConfigKey) i), text, "f", 1, &e),
                                 0);
        }
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++) {
                char again[256];

                config_value_text(&a, (ConfigKey) i, text, sizeof(text));
                assert_string_equal(config_value_text(&b, (ConfigKey) i, again, sizeof(again)), text);
        }
        assert_string_equal(config_origin_text(&a, CONFIG_QUEUE_TIMEOUT_SEC, text, sizeof(text)),
                            "/etc/penstock/penstock.conf:4");
        assert_string_equal(config_origin_text(&a, CONFIG_QUEUE_SIZE, text, sizeof(text)), "default");
        config_done(&a);
        config_done(&b);
}

static void every_key_has_its_default_and_sentence(void **state) {
        (void) state;
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++) {
                const ConfigKeyInfo *k = config_key_info((ConfigKey) i);
                CLEANUP(config_done) Config c;
                Error e = {};

                assert_non_null(k->name);
                assert_non_null(k->what);
                config_init(&c, RAM);
                assert_int_equal(config_set(&c, RAM, "Controller", k->name, k->fallback, "f", 1, &e), 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(shipped_defaults_are_the_decided_ones),
                cmocka_unit_test(bad_values_are_refused_with_place_and_rule),
                cmocka_unit_test(boundaries_are_accepted),
                cmocka_unit_test(lists_grow_and_are_emptied_by_nothing),
                cmocka_unit_test(unknown_keys_and_sections_are_told_apart_from_bad_values),
                cmocka_unit_test(dependencies_are_read),
                cmocka_unit_test(bad_dependencies_are_refused),
                cmocka_unit_test(printed_values_read_back),
                cmocka_unit_test(every_key_has_its_default_and_sentence),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

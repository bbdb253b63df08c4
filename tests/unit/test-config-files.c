/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree-kit.h"

static void nothing_there_gives_the_defaults(void **state) {
        Config c = load(*state);

        assert_true(c.concurrency_quota == 4);
        assert_true(c.max_memory_bytes == 8 * GIB);
        config_done(&c);
}

static void etc_wins_over_run_over_lib(void **state) {
        Tree *t = *state;
        Config c;

        put(t, "/usr/lib/penstock/penstock.conf", "[Controller]\nQueueSize=1\nWarmUnits=1\n");
        c = load(t);
        assert_true(c.queue_size == 1);
        config_done(&c);
        put(t, "/run/penstock/penstock.conf", "[Controller]\nQueueSize=2\n");
        c = load(t);
        assert_true(c.queue_size == 2);
        assert_true(c.warm_units == 2); /* the whole file is replaced */
        config_done(&c);
        put(t, "/etc/penstock/penstock.conf", "[Controller]\nQueueSize=3\n");
        c = load(t);
        assert_true(c.queue_size == 3);
        assert_non_null(strstr(c.origin[CONFIG_QUEUE_SIZE].file, "/etc/penstock/penstock.conf"));
        assert_int_equal(c.origin[CONFIG_QUEUE_SIZE].line, 2);
        config_done(&c);
        mask(t, "/etc/penstock/penstock.conf");
        c = load(t);
        assert_true(c.queue_size == 64);
        config_done(&c);
}

static void drop_ins_of_all_places_are_sorted_by_name(void **state) {
        Tree *t = *state;
        Config c;

        put(t, "/etc/penstock/penstock.conf", "[Controller]\nQueueSize=1\nWarmUnits=1\nMetricLabelKeys=a\n");
        put(t, "/etc/penstock/penstock.conf.d/20-b.conf", "[Controller]\nQueueSize=20\nMetricLabelKeys=b\n");
        put(t, "/usr/lib/penstock/penstock.conf.d/30-c.conf", "[Controller]\nQueueSize=30\n");
        put(t, "/run/penstock/penstock.conf.d/10-a.conf", "[Controller]\nQueueSize=10\nWarmUnits=10\n");
        put(t, "/etc/penstock/penstock.conf.d/.hidden.conf", "[Controller]\nQueueSize=0\n");
        put(t, "/etc/penstock/penstock.conf.d/99.conf~", "[Controller]\nQueueSize=0\n");
        put(t, "/etc/penstock/penstock.conf.d/README", "not for us");
        c = load(t);
        assert_true(c.queue_size == 30);
        assert_true(c.warm_units == 10);
        assert_int_equal(c.metric_label_keys.n, 2);
        config_done(&c);
        put(t, "/etc/penstock/penstock.conf.d/30-c.conf", "[Controller]\nQueueSize=31\n");
        c = load(t);
        assert_true(c.queue_size == 31);
        config_done(&c);
        mask(t, "/etc/penstock/penstock.conf.d/30-c.conf");
        put(t, "/etc/penstock/penstock.conf.d/10-a.conf", ""); /* an empty file masks too */
        c = load(t);
        assert_true(c.queue_size == 20);
        assert_true(c.warm_units == 1);
        config_done(&c);
}

static void unknown_keys_warn_with_file_and_line(void **state) {
        Tree *t = *state;
        Config c;

        put(t, "/etc/penstock/penstock.conf", "Stray=1\n[Controller]\n\nQueueLength=5\n[Controllers]\nQueueSize=5\n");
        c = load(t);
        assert_true(c.queue_size == 64);
        config_done(&c);
        print_message("%s", t->warnings);
        assert_non_null(strstr(t->warnings, "/etc/penstock/penstock.conf:1: Stray= stands before any [Section]"));
        assert_non_null(strstr(t->warnings, "penstock.conf:4: there is no key QueueLength in [Controller]"));
        assert_non_null(strstr(t->warnings, "penstock.conf:6: there is no key QueueSize in [Controllers]"));
}

static void bad_values_refuse_with_file_and_line(void **state) {
        Tree *t = *state;

        put(t, "/etc/penstock/penstock.conf", "[Controller]\nQueueSize=5\n");
        put(t, "/etc/penstock/penstock.conf.d/x.conf", "# comment\n\n[Controller]\n  ConcurrencyQuota = 0  \n");
        refused(t, "/etc/penstock/penstock.conf.d/x.conf:4: ConcurrencyQuota=0 is refused");
        put(t, "/etc/penstock/penstock.conf.d/x.conf", "[Controller]\nMaxMemoryBytes=32G\n");
        refused(t, "x.conf:2: MaxMemoryBytes=32G is more than the host's memory");
}

static void syntax_is_that_of_systemd(void **state) {
        Tree *t = *state;
        Config c;

        put(t, "/etc/penstock/penstock.conf",
            "\xef\xbb\xbf# BOM\r\n[Controller]\r\n"
            "QueueSize = 7 \r\n"
            "; comment\r\n"
            "MetricLabelKeys=a \\\r\n"
            "   # a comment between\r\n"
            "   b\\\r\n"
            "\tc\r\n"
            "\r\n"
            "  WarmUnits=3\r\n"
            "QueueTimeoutSec=5\n"
            "QueueTimeoutSec=6\n"
            "CompileTimeoutSec=\n"
            "MaxQueriesPerUser=8");
        c = load(t);
        assert_true(c.queue_size == 7);
        assert_int_equal(c.metric_label_keys.n, 3);
        assert_string_equal(c.metric_label_keys.v[2], "c");
        assert_true(c.warm_units == 3);
        assert_true(c.queue_timeout_usec == 6 * USEC_PER_SEC);
        assert_true(c.max_queries_per_user == 8);
        assert_int_equal(c.origin[CONFIG_WARM_UNITS].line, 10); /* continuations do not shift the count */
        assert_int_equal(c.origin[CONFIG_MAX_QUERIES_PER_USER].line, 14);
        config_done(&c);
        assert_string_equal(t->warnings, "");
}

static void what_inih_would_cut_is_refused_or_whole(void **state) {
        static const struct {
                const char *text, *what;
        } cases[] = {
                { "[Controller\nQueueSize=1\n", ":1: a section is written [Name]" },
                { "[Controller] x\n", ":1: a section is written [Name]" },
                { "[]\n", ":1: a section is written [Name]" },
                { "[Controller]\nQueueSize\n", ":2: this line is neither" },
                { "[Controller]\nQueueSize: 5\n", ":2: this line is neither" },
                { "[Controller]\n=5\n", ":2: this line is neither" },
                { "[Controller]\nQueue Size=5\n", ":2: this line is neither" },
                { "[Controller]\nQueueSize=5 ; my choice\n", ":2: " },
                { "[Controller]\nQueueSize=5 # my choice\n", ":2: QueueSize=5 # my choice is refused" },
                { "[Dependency 0123456789012345678901234567890123456789]\nEnvironment=A=1\n",
                  ":1: this section's name is too long" },
                { "[Controller]\nMetricLabelKeys=\xff\n", ":2: this line is not valid UTF-8" },
        };
        Tree *t = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                put(t, "/etc/penstock/penstock.conf", cases[i].text);
                refused(t, cases[i].what);
        }
        put_bytes(t, "/etc/penstock/penstock.conf", "[Controller]\nQueueSize=5\0\n", 26);
        refused(t, ":2: a NUL byte");
}

/* [Dependency d] with an Environment= line of @len bytes. */
static void put_long_line(const Tree *t, size_t len) {
        static const char head[] = "[Dependency d]\n", key[] = "Environment=A=";
        static char text[66000];

        strcpy(text, head);
        memset(text + strlen(head), 'x', len);
        memcpy(text + strlen(head), key, strlen(key));
        put_bytes(t, "/etc/penstock/penstock.conf", text, strlen(head) + len);
}

/* 65,534 bytes where inih can be told so, else about 200: whole up to there, refused beyond, never cut. */
static void long_lines_are_whole_or_refused(void **state) {
        static const size_t lengths[] = { 190, 65534 };
        Tree *t = *state;
        bool was_refused = false;

        for (size_t i = 0; i < ELEMENTSOF(lengths); i++) {
                Error e = {};
                Config c;

                put_long_line(t, lengths[i]);
                if (config_files_load(t->root, NULL, NULL, NULL, &c, &e) < 0) {
                        assert_non_null(strstr(e.message, ":2: this line is too long"));
                        was_refused = true;
                        continue;
                }
                assert_false(was_refused);
                assert_int_equal(strlen(pairlist_get(&c.dependencies.v[0].environment, "A")),
                                 lengths[i] - strlen("Environment=A="));
                config_done(&c);
        }
        put_long_line(t, 65535);
        refused(t, ":2: this line is too long");
}

static void what_is_no_file_is_refused(void **state) {
        Tree *t = *state;
        char full[512];

        path_make(t, "/etc/penstock/penstock.conf.d/a.conf", full);
        assert_int_equal(mkfifo(full, 0600), 0);
        refused(t, "a.conf: cannot be read: not a regular file");
        assert_int_equal(unlink(full), 0);
        assert_int_equal(mkdir(full, 0700), 0);
        refused(t, "a.conf: cannot be read: not a regular file");
        assert_int_equal(rmdir(full), 0);
        assert_int_equal(symlink("/nowhere/at/all", full), 0);
        refused(t, "a.conf: cannot be read: No such file");
        assert_int_equal(unlink(full), 0);
        put(t, "/etc/penstock/penstock.conf.d/a.conf", "#\n");
        assert_int_equal(truncate(full, (off_t) MIB + 1), 0);
        refused(t, "a.conf: cannot be read: larger than 1 MiB");
}

static void a_place_that_cannot_be_looked_into_is_not_passed_over(void **state) {
        Tree *t = *state;
        char full[512];

        put(t, "/usr/lib/penstock/penstock.conf", "[Controller]\nQueueSize=5\n");
        path_make(t, "/etc/penstock", full);
        assert_int_equal(symlink(full, full), 0);
        refused(t, "penstock.conf: cannot be looked for: Too many levels of symbolic links");
}

static void one_file_can_be_loaded_alone(void **state) {
        Tree *t = *state;
        char full[512];
        Error e = {};
        Config c;

        put(t, "/etc/penstock/penstock.conf", "[Controller]\nQueueSize=1\n");
        put(t, "/tmp/mine.conf", "[Controller]\nWarmUnits=1\n");
        path_make(t, "/tmp/mine.conf", full);
        assert_int_equal(config_files_load(t->root, full, NULL, NULL, &c, &e), 0);
        assert_true(c.queue_size == 64);
        assert_true(c.warm_units == 1);
        config_done(&c);
        path_make(t, "/tmp/none.conf", full);
        assert_int_equal(config_files_load(t->root, full, NULL, NULL, &c, &e), -ENOENT);
        assert_non_null(strstr(e.message, "none.conf"));
}

static void the_hosts_memory_is_known(void **state) {
        (void) state;
        assert_true(config_files_ram_bytes() == 16 * GIB);
        setenv("PENSTOCK_RAM_BYTES", "lots", 1);
        assert_true(config_files_ram_bytes() == 0);
        unsetenv("PENSTOCK_RAM_BYTES");
        assert_true(config_files_ram_bytes() > 16 * MIB);
        assert_true(config_files_ram_bytes() % KIB == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                WITH_TREE(nothing_there_gives_the_defaults),
                WITH_TREE(etc_wins_over_run_over_lib),
                WITH_TREE(drop_ins_of_all_places_are_sorted_by_name),
                WITH_TREE(unknown_keys_warn_with_file_and_line),
                WITH_TREE(bad_values_refuse_with_file_and_line),
                WITH_TREE(syntax_is_that_of_systemd),
                WITH_TREE(what_inih_would_cut_is_refused_or_whole),
                WITH_TREE(long_lines_are_whole_or_refused),
                WITH_TREE(what_is_no_file_is_refused),
                WITH_TREE(a_place_that_cannot_be_looked_into_is_not_passed_over),
                WITH_TREE(one_file_can_be_loaded_alone),
                WITH_TREE(the_hosts_memory_is_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

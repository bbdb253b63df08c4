/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config_report.h"
#include "tree-kit.h"

#include <jansson.h>

static int check_as(Tree *t, const char *text, bool json, char **ret) {
        char full[512];
        size_t len;
        FILE *f = open_memstream(ret, &len);
        int r;

        put(t, "/mine.conf", text);
        path_make(t, "/mine.conf", full);
        r = config_report_check(full, f, json);
        fclose(f);
        return r;
}

static int check(Tree *t, const char *text, char **ret) {
        return check_as(t, text, false, ret);
}

static void a_file_is_checked_alone(void **state) {
        CLEANUP(freep) char *good = NULL, *odd = NULL, *bad = NULL;

        assert_int_equal(check(*state, "[Controller]\nQueueSize=1\n", &good), 0);
        assert_string_equal(good, "ok\n");
        assert_int_equal(check(*state, "[Controller]\nQueueLength=1\n", &odd), 0);
        assert_non_null(strstr(odd, "warning: "));
        assert_non_null(strstr(odd, "mine.conf:2: there is no key QueueLength"));
        assert_non_null(strstr(odd, "\nok\n"));
        assert_int_equal(check(*state, "[Controller]\nQueueSize=-1\n", &bad), 1);
        assert_non_null(strstr(bad, "mine.conf:2: QueueSize=-1 is refused"));
        assert_null(strstr(bad, "ok\n"));
}

static void expect_found(Tree *t, const char *text, bool valid, const char *error, const char *warning) {
        CLEANUP(freep) char *said = NULL;
        json_t *all, *errors, *warnings;

        assert_int_equal(check_as(t, text, true, &said), !valid);
        all = json_loads(said, 0, NULL);
        assert_non_null(all);
        errors = json_object_get(all, "errors");
        warnings = json_object_get(all, "warnings");
        assert_true(valid ? json_is_true(json_object_get(all, "valid")) : json_is_false(json_object_get(all, "valid")));
        assert_int_equal(json_array_size(errors), error ? 1 : 0);
        if (error)
                assert_non_null(strstr(json_string_value(json_array_get(errors, 0)), error));
        assert_int_equal(json_array_size(warnings), warning ? 1 : 0);
        if (warning)
                assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), warning));
        json_decref(all);
}

static void what_a_check_finds_is_an_object(void **state) {
        expect_found(*state, "[Controller]\nQueueSize=1\n", true, NULL, NULL);
        expect_found(*state, "[Controller]\nQueueLength=1\n", true, NULL, "mine.conf:2: there is no key QueueLength");
        expect_found(*state, "[Controller]\nQueueLength=1\nQueueSize=-1\n", false, "mine.conf:3: QueueSize=-1 is refused",
                     "mine.conf:2: there is no key QueueLength");
}

static void every_key_is_shown_with_its_origin(void **state) {
        CLEANUP(freep) char *text = NULL, *lines = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        json_t *all;

        (void) state;
        assert_int_equal(config_report_show(NULL, f, true), 0);
        fclose(f);
        all = json_loads(text, 0, NULL);
        assert_non_null(all);
        f = open_memstream(&lines, &len);
        assert_int_equal(config_report_show(NULL, f, false), 0);
        fclose(f);
        for (unsigned i = 0; i < _CONFIG_KEY_MAX; i++) {
                json_t *o = json_object_get(all, config_key_name((ConfigKey) i));
                char line[512];

                assert_true(json_is_string(json_object_get(o, "value")));
                assert_true(json_is_string(json_object_get(o, "origin")));
                snprintf(line, sizeof(line), "\n%s=%s\n", config_key_name((ConfigKey) i),
                         json_string_value(json_object_get(o, "value")));
                assert_non_null(strstr(lines, line));
        }
        assert_true(json_is_integer(json_object_get(json_object_get(all, "WarmUnits"), "number")));
        assert_int_equal(json_integer_value(json_object_get(json_object_get(all, "ResultsMaxBytes"), "number")), GIB);
        assert_non_null(strstr(lines, "; 1073741824 bytes\nResultsMaxBytes=1G\n"));
        json_decref(all);
}

static void dependencies_are_shown_by_their_names(void **state) {
        CLEANUP(freep) char *text = NULL, *lines = NULL;
        char full[512];
        size_t len;
        FILE *f;
        json_t *all, *dependencies;

        put(*state, "/mine.conf",
            "[Dependency sales]\nRequestable=yes\nEnvironment=PASSWORD=hunter2\n[Dependency audit]\nRequires=a.service\n");
        path_make(*state, "/mine.conf", full);
        f = open_memstream(&text, &len);
        assert_int_equal(config_report_show(full, f, true), 0);
        fclose(f);
        all = json_loads(text, 0, NULL);
        dependencies = json_object_get(all, "dependencies");
        assert_int_equal(json_object_size(dependencies), 2);
        assert_true(json_is_true(json_object_get(json_object_get(dependencies, "sales"), "requestable")));
        assert_true(json_is_false(json_object_get(json_object_get(dependencies, "audit"), "requestable")));
        json_decref(all);
        f = open_memstream(&lines, &len);
        assert_int_equal(config_report_show(full, f, false), 0);
        fclose(f);
        assert_non_null(strstr(lines, "\n[Dependency sales]\nRequestable=yes\n"));
        assert_non_null(strstr(lines, "\n[Dependency audit]\nRequestable=no\n"));
        assert_null(strstr(lines, "hunter2"));
        assert_null(strstr(text, "hunter2"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                WITH_TREE(a_file_is_checked_alone),
                WITH_TREE(what_a_check_finds_is_an_object),
                WITH_TREE(every_key_is_shown_with_its_origin),
                WITH_TREE(dependencies_are_shown_by_their_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

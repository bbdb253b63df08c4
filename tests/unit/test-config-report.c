/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/config_report.h"
#include "tree-kit.h"

#include <jansson.h>

static int check(Tree *t, const char *text, char **ret) {
        char full[512];
        size_t len;
        FILE *f = open_memstream(ret, &len);
        int r;

        put(t, "/mine.conf", text);
        path_make(t, "/mine.conf", full);
        r = config_report_check(full, f);
        fclose(f);
        return r;
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

static void every_key_is_shown_with_its_origin(void **state) {
        CLEANUP(freep) char *text = NULL, *lines = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);
        json_t *all;

        (void) state;
        assert_int_equal(config_report_show(f, true), 0);
        fclose(f);
        all = json_loads(text, 0, NULL);
        assert_non_null(all);
        f = open_memstream(&lines, &len);
        assert_int_equal(config_report_show(f, false), 0);
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

int main(void) {
        const struct CMUnitTest tests[] = {
                WITH_TREE(a_file_is_checked_alone),
                WITH_TREE(every_key_is_shown_with_its_origin),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

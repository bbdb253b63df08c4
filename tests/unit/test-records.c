/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written of a query is read back the same; what is not such a file is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define RECORDS_DIRECTORY "queries"
#include "../../src/host/records.c"
#include "../../src/host/record_request.c"

static char scratch[] = "/tmp/test-records.XXXXXX";

static int set_up(void **state) {
        (void) state;
        return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
        (void) state;
        (void) rmdir(RECORDS_DIRECTORY);
        return chdir("/") == 0 && rmdir(scratch) == 0 ? 0 : -1;
}

static void fill(RequestRecord *r) {
        *r = (RequestRecord) { .request = REQUEST_INIT, .created_realtime_usec = 1, .ended_realtime_usec = UINT64_MAX };
        r->request.language = strdup("sqlite");
        r->request.query_len = 9;
        assert_int_equal(strlist_add(&r->request.argv, "--\n\"'\\ é \x01"), 0);
        assert_int_equal(strlist_add(&r->request.argv, ""), 0);
        r->request.database = strdup("/a b");
        r->request.file = strdup("/f");
        r->request.working_directory = strdup("/");
        assert_int_equal(pairlist_set(&r->request.parameters, "p", "1"), 0);
        assert_int_equal(pairlist_set(&r->request.labels, "team", "rot"), 0);
        assert_int_equal(pairlist_set(&r->request.environment, "B", "2"), 0);
        assert_int_equal(pairlist_set(&r->request.environment, "A", "="), 0);
        r->request.memory_initial_bytes = 3;
        r->request.memory_max_bytes = SIZE_INFINITY;
        r->request.priority = -5;
        r->request.queue_timeout_usec = 0;
        assert_int_equal(strlist_add(&r->request.dependencies, "d"), 0);
        r->request.user = strdup("alice");
        r->request.umask = 077;
        r->request.limits[0] = (RequestLimit) { 7, 8, UINT64_MAX };
        r->request.n_limits = 1;
        r->request.detach = r->request.once = r->request.has_stderr = true;
        r->request.uid = UINT32_MAX - 1;
        r->request.gid = 100;
        r->request.gids = calloc(2, sizeof(uint32_t));
        r->request.gids[0] = 100;
        r->request.gids[1] = UINT32_MAX - 1;
        r->request.n_gids = 2;
        r->stderr_tail = strdup("two\nlines");
}

static void assert_same_pairs(const PairList *a, const PairList *b) {
        assert_int_equal(a->n, b->n);
        for (size_t i = 0; i < a->n; i++) {
                assert_string_equal(a->v[i].key, b->v[i].key);
                assert_string_equal(a->v[i].value, b->v[i].value);
        }
}

static void assert_same(const Member *these, size_t n, const void *a, const void *b) {
        for (size_t i = 0; i < n; i++) {
                const char *p = (const char *) a + these[i].offset, *q = (const char *) b + these[i].offset;

                switch (these[i].kind) {
                case MEMBER_STRING: assert_string_equal(*(char *const *) p, *(char *const *) q); break;
                case MEMBER_STRINGS:
                        assert_int_equal(((const StrList *) p)->n, ((const StrList *) q)->n);
                        for (size_t k = 0; k < ((const StrList *) p)->n; k++)
                                assert_string_equal(((const StrList *) p)->v[k], ((const StrList *) q)->v[k]);
                        break;
                case MEMBER_PAIRS: assert_same_pairs((const PairList *) p, (const PairList *) q); break;
                case MEMBER_U64: assert_memory_equal(p, q, 8); break;
                case MEMBER_U32:
                case MEMBER_I32: assert_memory_equal(p, q, 4); break;
                case MEMBER_BOOL: assert_memory_equal(p, q, 1); break;
                }
        }
}

static void a_request_comes_back_whole(void **state) {
        RequestRecord a, b;
        size_t written, len;

        (void) state;
        fill(&a);
        assert_int_equal(record_write_request(7, &a, SIZE_MAX, &written), 0);
        assert_int_equal(record_write_request(7, &a, written - 1, &len), -EFBIG);
        assert_int_equal(record_write_request(7, &a, written, &len), 0);
        assert_int_equal(len, written);
        assert_int_equal(record_read_request(7, &b, &len), 0);
        assert_int_equal(len, written);
        assert_same(members, ELEMENTSOF(members), &a, &b);
        assert_null(b.language);
        assert_int_equal(b.request.n_limits, 1);
        assert_memory_equal(b.request.limits, a.request.limits, sizeof(a.request.limits[0]));
        assert_int_equal(b.request.n_gids, 2);
        assert_memory_equal(b.request.gids, a.request.gids, 2 * sizeof(uint32_t));
        request_record_done(&a);
        request_record_done(&b);
        record_remove(7);
        assert_int_equal(record_read_request(7, &b, &len), -ENOENT);
}

static Language *make_language(const char *name) {
        static const char *const lines[][3] = {
                { "Language", "Compile", "/bin/check '{query_file}' {{" },  { "Language", "Execute", "/bin/run --set=a {param:p} {database} \"{query_file}\"" },
                { "Language", "QueryFrom", "file" },                         { "Language", "Database", "optional-file" },
                { "Language", "DatabaseDefault", ":memory:" },               { "Language", "Arguments", "yes" },
                { "Language", "TransparentHugePages", "yes" },               { "Language", "Environment", "B={tmpdir} 'A=é {memory_max_mib}'" },
                { "Language", "Tmp", "memory" },                             { "Sandbox", "WorkingDirectory", "read-write" },
                { "Sandbox", "DatabaseAccess", "hidden" },                   { "Sandbox", "Home", "read-only" },
                { "Sandbox", "Network", "yes" },                             { "Sandbox", "SystemCallFilter", "@mount ptrace" },
        };
        Error error = {};
        Language *l;

        assert_int_equal(language_new(name, &l), 0);
        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                assert_int_equal(language_set(l, lines[i][0], lines[i][1], lines[i][2], "f", 1, &error), 0);
        assert_int_equal(language_finish(l, &error), 0);
        return l;
}

static void assert_same_command(const LanguageCommand *a, const LanguageCommand *b) {
        assert_int_equal(a->argv.n, b->argv.n);
        for (size_t i = 0; i < a->argv.n; i++)
                assert_string_equal(a->argv.v[i], b->argv.v[i]);
        assert_same_pairs(&a->environment, &b->environment);
        assert_int_equal(a->stdin_from, b->stdin_from);
        assert_int_equal(a->query_on_fd, b->query_on_fd);
}

/* Whatever has become of its language since. */
static void one_that_waits_makes_the_commands_that_it_made_when_it_was_submitted(void **state) {
        LanguageContext x = { .memory_max_bytes = 300 * MIB, .tmpdir = "/tmp" };
        Language *l = make_language("sqlite");
        LanguageCommand made[4] = {};
        RequestRecord a, b;
        Error error = {};
        size_t len;

        (void) state;
        fill(&a);
        a.language = l;
        assert_int_equal(record_write_request(7, &a, SIZE_MAX, &len), 0);
        assert_int_equal(record_read_request(7, &b, &len), 0);
        assert_same(language_members, ELEMENTSOF(language_members), l, b.language);
        assert_string_equal(b.language->name, "sqlite");
        assert_int_equal(language_compile_command(l, &a.request, &x, &made[0], &error), 0);
        assert_int_equal(language_execute_command(l, &a.request, &x, &made[1], &error), 0);
        request_record_done(&a);
        assert_int_equal(language_compile_command(b.language, &b.request, &x, &made[2], &error), 0);
        assert_int_equal(language_execute_command(b.language, &b.request, &x, &made[3], &error), 0);
        assert_same_command(&made[0], &made[2]);
        assert_same_command(&made[1], &made[3]);
        assert_true(made[1].argv.n > 4 && made[0].argv.n == 3);
        for (size_t i = 0; i < ELEMENTSOF(made); i++)
                language_command_done(&made[i]);
        request_record_done(&b);
        record_remove(7);
}

static void write_text(const char *text) {
        assert_int_equal(record_write_file(8, REQUEST_SUFFIX, text, strlen(text)), 0);
}

/* What is told of a query's end is what it had, whatever has become of the section since. */
static void its_dependencies_come_back_as_they_were(void **state) {
        static const char *const lines[][3] = {
                { "told", "Requestable", "yes" },        { "told", "Environment", "B=2 A=1" },   { "told", "EnvironmentFile", "-/e /f" },
                { "told", "LoadCredential", "C:/c" },    { "told", "BindPaths", "/b" },          { "told", "BindReadOnlyPaths", "/r '/s t'" },
                { "told", "Requires", "x.service" },     { "told", "After", "y.service" },       { "told", "CheckCommand", "/bin/check a" },
                { "told", "ReleaseCommand", "/bin/release 'a b'" }, { "told", "User", "alice" }, { "told", "CheckTimeoutSec", "7s" },
                { "other", "Environment", "SECRET=x" },
        };
        RequestRecord a, b;
        Error error = {};
        size_t len;

        (void) state;
        fill(&a);
        a.language = make_language("sqlite");
        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                assert_int_equal(dependency_set(&a.dependencies, lines[i][0], lines[i][1], lines[i][2], "f", 1, &error), 0);
        assert_int_equal(record_write_request(7, &a, SIZE_MAX, &len), 0);
        assert_int_equal(record_read_request(7, &b, &len), 0);
        assert_int_equal(b.dependencies.n, 2);
        for (size_t i = 0; i < 2; i++) {
                assert_string_equal(b.dependencies.v[i].name, a.dependencies.v[i].name);
                assert_true(dependency_is_same(&a.dependencies.v[i], &b.dependencies.v[i]));
        }
        request_record_done(&b);

        a.language = language_free((Language *) a.language); /* it has started */
        assert_int_equal(record_write_request(7, &a, SIZE_MAX, &len), 0);
        assert_int_equal(record_read_request(7, &b, &len), 0);
        assert_int_equal(b.dependencies.n, 2);
        assert_true(dependency_is_same(&a.dependencies.v[0], &b.dependencies.v[0]));
        assert_string_equal(b.dependencies.v[1].name, "other");
        assert_int_equal(b.dependencies.v[1].environment.n, 0);
        request_record_done(&a);
        request_record_done(&b);
        record_remove(7);
}

#define WITH_DEPENDENCIES(text) "{\"version\":1,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1,\"dependencies\":" text "}"
#define WITH_LANGUAGE(text) "{\"version\":1,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1,\"language\":" text "}"

static void what_is_no_request_is_refused(void **state) {
        static const char *const texts[] = {
                "", "{", "[]", "{}", "{\"version\":1}", "{\"version\":2,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1}",
                "{\"version\":1,\"request.language\":\"exec\",\"request.gid\":1}",
                "{\"version\":1,\"request.language\":7,\"request.uid\":1,\"request.gid\":1}",
                "{\"version\":1,\"request.language\":\"exec\",\"request.uid\":\"0\",\"request.gid\":1}",
                "{\"version\":1,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1,\"gids\":[\"0\"]}",
                "{\"version\":1,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1,\"limits\":[[1]]}",
                "{\"version\":1,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1,\"request.argv\":[1]}",
                "{\"version\":1,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1,\"request.labels\":[[\"a\"]]}",
                WITH_DEPENDENCIES("{}"),
                WITH_DEPENDENCIES("[7]"),
                WITH_DEPENDENCIES("[{\"user\":\"alice\"}]"),
                WITH_DEPENDENCIES("[{\"name\":\"a\"},{\"name\":\"b\\n\"}]"),
                WITH_DEPENDENCIES("[{\"name\":\"a\",\"release_command\":[7]}]"),
                WITH_LANGUAGE("7"),
                WITH_LANGUAGE("{}"), /* a program is missing */
                WITH_LANGUAGE("{\"execute\":\"e\",\"query_from\":1}"),
                WITH_LANGUAGE("{\"execute\":[\"e\",\"{nope}\"],\"query_from\":1}"),
                WITH_LANGUAGE("{\"execute\":[\"e\"],\"query_from\":4}"),
                WITH_LANGUAGE("{\"execute\":[\"e\"],\"query_from\":1,\"unit_properties\":[[\"User\",\"root\"]]}"),
        };
        RequestRecord r;
        size_t len;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                write_text(texts[i]);
                if (record_read_request(8, &r, &len) != -EBADMSG)
                        fail_msg("%s is taken for a request", texts[i]);
        }
        write_text("{\"version\":1,\"request.language\":\"exec\",\"request.uid\":1,\"request.gid\":1,\"later\":true}");
        assert_int_equal(record_read_request(8, &r, &len), 0);
        assert_int_equal(r.request.umask, 022);
        request_record_done(&r);
        write_text(WITH_LANGUAGE("{\"execute\":[\"e\"],\"query_from\":1,\"later\":true}"));
        assert_int_equal(record_read_request(8, &r, &len), 0);
        assert_int_equal(r.language->query_from, QUERY_FROM_STDIN);
        request_record_done(&r);
        record_remove(8);
}

static void states_are_listed_in_the_order_of_ids(void **state) {
        static const uint64_t written[] = { 100, 9, 18446744073709551614u };
        uint64_t *ids = NULL;
        char line[64], path[PATH_LEN];
        size_t n = 7;

        (void) state;
        assert_int_equal(record_list(&ids, &n), 0);
        assert_int_equal(n, 0);
        for (size_t i = 0; i < ELEMENTSOF(written); i++)
                assert_int_equal(record_write_state(written[i], "old"), 0);
        assert_int_equal(record_write_state(9, "e 1 adopt 9"), 0);
        assert_int_equal(record_write_file(3, REQUEST_SUFFIX, "", 0), 0); /* without a state it is nobody's */
        assert_int_equal(record_list(&ids, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(ids[0], 9);
        assert_int_equal(ids[1], 100);
        assert_true(ids[2] == written[2]);
        assert_int_equal(record_read_state(9, line, sizeof(line)), 0);
        assert_string_equal(line, "e 1 adopt 9");
        assert_int_equal(record_read_state(9, line, 5), -EBADMSG);
        assert_int_equal(access(record_path(3, REQUEST_SUFFIX, path), F_OK), -1);
        free(ids);
        for (size_t i = 0; i < ELEMENTSOF(written); i++)
                record_remove(written[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_request_comes_back_whole),
                cmocka_unit_test(one_that_waits_makes_the_commands_that_it_made_when_it_was_submitted),
                cmocka_unit_test(its_dependencies_come_back_as_they_were),
                cmocka_unit_test(what_is_no_request_is_refused),
                cmocka_unit_test(states_are_listed_in_the_order_of_ids),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}

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
        r->request.detach = r->request.has_stderr = true;
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
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                const char *p = (const char *) &a + members[i].offset, *q = (const char *) &b + members[i].offset;

                switch (members[i].kind) {
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
        assert_int_equal(b.request.n_limits, 1);
        assert_memory_equal(b.request.limits, a.request.limits, sizeof(a.request.limits[0]));
        assert_int_equal(b.request.n_gids, 2);
        assert_memory_equal(b.request.gids, a.request.gids, 2 * sizeof(uint32_t));
        request_record_done(&a);
        request_record_done(&b);
        record_remove(7);
        assert_int_equal(record_read_request(7, &b, &len), -ENOENT);
}

static void write_text(const char *text) {
        assert_int_equal(record_write_file(8, REQUEST_SUFFIX, text, strlen(text)), 0);
}

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
                cmocka_unit_test(what_is_no_request_is_refused),
                cmocka_unit_test(states_are_listed_in_the_order_of_ids),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}

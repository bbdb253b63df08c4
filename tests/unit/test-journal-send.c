/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries against a socket that plays journald. */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base.h"
#include "host/journal.h"
#include "host/journal_send.h"

static char directory[] = "/tmp/test-journal-send.XXXXXX";
static char path[64];
static int journald = -1;
static sd_event *loop;

static void journald_starts(void) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
        (void) unlink(path);
        journald = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(journald >= 0);
        assert_int_equal(bind(journald, (struct sockaddr *) &sa, sizeof(sa)), 0);
}

static int set_up(void **state) {
        (void) state;
        if (!mkdtemp(directory))
                return -1;
        snprintf(path, sizeof(path), "%s/socket", directory);
        return sd_event_default(&loop) < 0 ? -1 : 0;
}

static int tear_down(void **state) {
        (void) state;
        sd_event_unref(loop);
        close(journald);
        (void) unlink(path);
        return rmdir(directory);
}

/* The next entry as it came; its length, 0: there is none. */
static size_t hear(char text[static 8192]) {
        ssize_t n = recv(journald, text, 8191, 0);

        text[n < 0 ? 0 : n] = 0;
        return n < 0 ? 0 : (size_t) n;
}

static void an_entry_has_its_fields(void **state) {
        uint32_t uid = 1000;
        char text[8192] = "";

        (void) state;
        journald_starts();
        journal_attach(loop, path);
        journal_write_entry(&(JournalEntry) { .priority = LOG_NOTICE, .message = JOURNAL_END, .query_id = 7, .uid = &uid },
                            "Query %d: ended", 7);
        assert_true(hear(text) > 0);
        assert_string_equal(text, "SYSLOG_IDENTIFIER=test-journal-send\nMESSAGE=Query 7: ended\nPRIORITY=5\n"
                                  "MESSAGE_ID=0b5e6b0cf3d14a0fb6c3a3d9b2b0e106\nPENSTOCK_QUERY_ID=7\n"
                                  "UNIT=penstock-q7.service\nOBJECT_SYSTEMD_UNIT=penstock-q7.service\nPENSTOCK_USER_ID=1000\n");
        assert_int_equal(hear(text), 0);
        journal_detach();
        close(journald);
}

static void a_value_with_a_newline_is_no_other_field(void **state) {
        static const char wanted[] = "PRIORITY=6\nPENSTOCK_QUERY_TEXT\n\x0b\0\0\0\0\0\0\0a\nEVIL=yes\n\n";
        char text[8192] = "";
        size_t n;

        (void) state;
        journald_starts();
        journal_attach(loop, path);
        journal_write_entry(&(JournalEntry) { .priority = LOG_INFO, .query_text = "a\nEVIL=yes\n" }, "text");
        n = hear(text);
        assert_true(n >= sizeof(wanted) - 1);
        assert_memory_equal(text + n - (sizeof(wanted) - 1), wanted, sizeof(wanted) - 1);
        journal_detach();
        close(journald);
}

/* Nothing blocks, nothing within the bound is lost, the order stays, and what was lost is told. */
static void while_journald_stands_still_entries_wait(void **state) {
        enum { MANY = 20000 };
        unsigned heard = 0, lost = 0;
        char text[8192], wanted[64];

        (void) state;
        journald_starts();
        journal_attach(loop, path);
        for (unsigned i = 0; i < MANY; i++)
                journal_write(LOG_INFO, JOURNAL_PLAIN, 0, "entry %u of many, some longer than others", i);
        while (heard + lost < MANY)
                if (hear(text) == 0)
                        assert_true(sd_event_run(loop, 10 * USEC_PER_SEC) > 0);
                else if (sscanf(text, "MESSAGE=%u entries were lost", &lost) != 1) {
                        snprintf(wanted, sizeof(wanted), "MESSAGE=entry %u of", heard++);
                        assert_non_null(strstr(text, wanted));
                }
        assert_true(lost > 0 && heard > MIB / 2 / 128); /* the bound was reached, and not much earlier */
        journal_write(LOG_INFO, JOURNAL_PLAIN, 0, "as before");
        assert_true(hear(text) > 0);
        assert_non_null(strstr(text, "MESSAGE=as before\n"));
        journal_detach();
        close(journald);
}

static void another_journald_gets_what_waits(void **state) {
        unsigned n = 0;
        char text[8192] = "";

        (void) state;
        journald_starts();
        journal_attach(loop, path);
        for (unsigned i = 0; i < 3000; i++)
                journal_write(LOG_INFO, JOURNAL_PLAIN, 0, "entry %u", i);
        close(journald); /* with what it had not read */
        journald_starts();
        while (!strstr(text, "MESSAGE=entry 2999\n"))
                if (hear(text) == 0)
                        assert_true(sd_event_run(loop, 10 * USEC_PER_SEC) > 0);
                else
                        n++;
        assert_true(n > 1000);
        journal_detach();
        close(journald);
}

static void without_journald_nothing_is_kept_and_the_next_one_is_told(void **state) {
        char text[8192] = "";

        (void) state;
        (void) unlink(path);
        journal_attach(loop, path);
        for (unsigned i = 0; i < 100; i++)
                journal_write(LOG_INFO, JOURNAL_PLAIN, 0, "entry %u", i);
        journald_starts();
        journal_write(LOG_INFO, JOURNAL_PLAIN, 0, "heard");
        assert_true(hear(text) > 0);
        assert_non_null(strstr(text, "MESSAGE=100 entries were lost"));
        assert_true(hear(text) > 0);
        assert_non_null(strstr(text, "MESSAGE=heard\n"));
        assert_int_equal(hear(text), 0);
        journal_detach();
        close(journald);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_entry_has_its_fields),
                cmocka_unit_test(a_value_with_a_newline_is_no_other_field),
                cmocka_unit_test(while_journald_stands_still_entries_wait),
                cmocka_unit_test(another_journald_gets_what_waits),
                cmocka_unit_test(without_journald_nothing_is_kept_and_the_next_one_is_told),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}

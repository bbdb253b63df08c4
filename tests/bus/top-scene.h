/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests of `penstockctl top` in a terminal begin with: a stand-in with queries of all kinds. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "terminal.h"

#define RUN_TOP "\"$PENSTOCKCTL\" top -d 0.2; echo status=$?"

/* A query that only seems to be. */
static inline void pose_list(const char *const words[]) {
        const char *args[32] = { "submit", "-l", "pose", "x" };
        Ctl c;

        for (size_t i = 0; words[i]; i++)
                args[i + 4] = words[i];
        ctl_start(&c, args);
        ctl_finish(&c, "", 0);
        if (ctl_exit_status(&c) != 0)
                fail_msg("submit: %s", c.err_text);
        ctl_done(&c);
}

#define pose(...) pose_list((const char *const[]) { __VA_ARGS__, NULL })

/* A service of its own for each test, with eight queries in all states. */
static inline int setup(void **state) {
        (void) state;
        harness_stop_standin();
        harness_start_standin();
        pose("state=executing", "quota=512M", "used=433M", "need=402M", "raises=3", "cpu=187", "stall=2",
             "label=ads");
        pose("state=executing", "quota=64M", "used=12M", "need=9M", "cpu=3");
        pose("state=executing", "frozen=yes", "quota=256M", "used=240M", "need=231M", "raises=2", "stall=31",
             "wait=memory: frozen at 256M, wants 512M (nothing unused; MaxMemoryBytes)");
        pose("state=queueing", "position=1", "wait=a free slot (ConcurrencyQuota=4, 0 ahead of it)");
        pose("state=compiling");
        pose("state=created", "wait=the check of dependency lake");
        pose("state=errored", "error=MemoryLimitExceeded", "raises=4");
        pose("state=finished");
        return 0;
}

static inline int teardown(void **state) {
        (void) state;
        terminal_close();
        return 0;
}

static inline void open_top(unsigned width, unsigned height) {
        terminal_open(width, height, "");
        terminal_enter(RUN_TOP);
        terminal_expect("F1 Help");
        terminal_expect("402M"); /* details are there */
}

static inline void assert_on_screen(const char *text) {
        const char *screen = terminal_screen();

        if (!strstr(screen, text))
                fail_msg("no \"%s\" on:\n%s", text, screen);
}

static inline void quit(const char *key) {
        terminal_press(key);
        terminal_expect("status=0");
}

#define TOP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

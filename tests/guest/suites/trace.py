# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the service records of itself (Trace=), decided again by penstock-sim."""

import os
import re
import stat

from lib import cgroups, harness
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.service import DAEMON, ctl, run, submit, system, wait_for_state
from lib.traced import TRACE, Replay, lines, traced


@test("what was recorded is decided the same again, whatever ended the queries, also across a reload and a pause", slow=True)
def ways_of_ending():
    with traced():
        expect_equal(stat.S_IMODE(os.stat(TRACE).st_mode), 0o600, "the mode of the trace")
        run("--", "true").expect(0)
        run("--", "sh", "-c", "exit 3").expect(3)
        run("--language", "sqlite", "select nonsense").expect(125)
        run("--language", "python", "--memory-max", "80M", "bytearray(200<<20)").expect(137)
        run("--language", "python", "len(bytearray(200<<20))").expect(0)
        run("--timeout", "1", "--", "sleep", "1000").expect(124)
        ctl("pause", user="root").expect(0)
        q = submit("--", "sleep", "1000")
        wait_for_state(q, "queueing")
        system("systemctl", "reload", DAEMON)
        ctl("resume", user="root").expect(0)
        wait_for_state(q, "executing")
        ctl("cancel", str(q)).expect(0)
        ctl("done", str(q)).expect(0)
        wait_for(lambda: not cgroups.unit_groups(), "all units are gone")
        Replay()
        seen = lines()
        for word in ("pause", "resume", "config", "cancel", "done", "sample", "unit-gone"):
            expect(any(re.match(rf"e \d+ {word} ", line) for line in seen), f"the trace has an event {word}")
        for secret in ("nonsense", "bytearray", "sleep"):
            expect(not any(secret in line for line in seen), f"no line has a word of a query's text: {secret}")


@test("a trace ends at the size that Trace= allows, says so, and what is there can be replayed", slow=True)
def bounded():
    with traced(Trace="4K"):
        for _ in range(harness.repeats(12, 40)):
            run("--", "true").expect(0)
        expect(os.stat(TRACE).st_size <= 4096, f"its size: {os.stat(TRACE).st_size}")
        Replay()
        journal = system("journalctl", "--unit", DAEMON, "--output=cat", "--since=-10min").text
        expect_in("the size that Trace= allows", journal, "the journal")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the service records of itself (Trace=), decided again by penstock-sim."""

import contextlib
import fcntl
import os
import re
import stat

from lib import cgroups, harness
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.service import DAEMON, DROP_IN, ctl, ctl_json, run, status, submit, system, wait_for_state, write_drop_in

TRACE = "/run/penstock/trace"
SIM = "/usr/lib/penstock/penstock-sim"


@contextlib.contextmanager
def traced(**keys):
    """penstockd, started anew with a trace; afterwards without."""
    write_drop_in({"Trace": "64M", **keys})
    try:
        system("systemctl", "restart", DAEMON)
        yield
    finally:
        os.unlink(DROP_IN)
        system("systemctl", "restart", DAEMON)


def replay():
    done = system(SIM, "replay", TRACE, check=False)
    expect_equal(done.status, 0, f"the replay of what the service recorded ({done})")
    note(done.text)
    return done.text


def lines():
    with open(TRACE, encoding="utf-8") as f:
        return f.read().splitlines()


GATE = "/home/alice/gate"
# A small process that waits for the gate to be unlocked, grows past its quota and says so.
GROW = """use Fcntl ":flock";
open(my $gate, "<", $ARGV[0]) or die; flock($gate, LOCK_SH) or die;
my $x = ""; vec($x, $ARGV[1] - 1, 8) = 1; print length($x), "\\n"
"""


@test("a hundred queries that grow at once never push the promised sum past the budget, by the service's own ordered record")
def storm_of_a_hundred():
    n, size, budget = 100, 6 * MIB, 1100 * MIB
    with traced(
        ConcurrencyQuota=n,
        MaxQueriesPerUser=2 * n,
        InitialMemoryBytesQuotaPerQuery="8M",
        MemoryBytesQuotaPerQuery="64M",
        MaxMemoryBytes=budget,
    ):
        observer = cgroups.Observer(budget)
        with locked_gate() as gate:
            queries = [submit("--", "perl", "-e", GROW, GATE, str(size)) for _ in range(n)]
            wait_for(lambda: status()["executing"] == n, f"all of them execute ({status()})", 600)
            observer.start()
            try:
                fcntl.flock(gate, fcntl.LOCK_UN)
                for q in queries:
                    wait_for_state(q, "finished", limit=600)
            finally:
                observer.finish()
        note(observer)
        expect_equal(observer.over, [], "scans whose sum passed the budget")
        raises = [ctl_json("stats", str(q))["raises"] for q in queries]
        expect(min(raises) >= 1, f"each of them was raised: {raises}")
        expect_equal(ctl("results", str(queries[-1])).expect(0).text, f"{size}\n", "the output of the last")
        for q in queries:
            ctl("done", str(q)).expect(0)
        wait_for(lambda: not cgroups.unit_groups(), "all units are gone")
        said = replay()
        expect(int(re.search(r"(\d+) raises", said)[1]) >= sum(raises), f"the record has each raise ({sum(raises)}): {said}")
        promised, of = re.search(r"at most (\w+) of (\w+) promised", said).groups()
        expect_equal(of, "1100M", "the budget in the replay")
        # The pool pays for 37 raises of a hundred: it was all given out, and the others waited for what came back.
        expect(int(re.match(r"(\d+)M", promised)[1]) > 1100 - 8, f"the budget was all given out: {said}")


@contextlib.contextmanager
def locked_gate():
    """A file that alice's queries can lock only when it has been unlocked here."""
    with open(GATE, "wb") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        os.chmod(GATE, 0o644)
        try:
            yield gate
        finally:
            os.unlink(GATE)


@test("what was recorded is decided the same again, whatever ended the queries, also across a reload and a pause")
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
        replay()
        seen = lines()
        for word in ("pause", "resume", "config", "cancel", "done", "sample", "unit-gone"):
            expect(any(re.match(rf"e \d+ {word} ", line) for line in seen), f"the trace has an event {word}")
        for secret in ("nonsense", "bytearray", "sleep"):
            expect(not any(secret in line for line in seen), f"no line has a word of a query's text: {secret}")


@test("a trace ends at the size that Trace= allows, says so, and what is there can be replayed")
def bounded():
    with traced(Trace="4K"):
        for _ in range(harness.repeats(12, 40)):
            run("--", "true").expect(0)
        expect(os.stat(TRACE).st_size <= 4096, f"its size: {os.stat(TRACE).st_size}")
        replay()
        journal = system("journalctl", "--unit", DAEMON, "--output=cat", "--since=-10min").text
        expect_in("the size that Trace= allows", journal, "the journal")

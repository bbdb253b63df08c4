# SPDX-License-Identifier: LGPL-2.1-or-later
"""RetryOnExhaustion=: whom the budget ended before he had delivered a byte runs once more, with what he needed."""

import os
import re
import signal

from lib import cgroups
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.kept import row_of
from lib.service import DAEMON, Gated, configured, ctl, ctl_json, ctl_start, daemon_pid, home, state, submit, system, unit_property, wait_for_state

JOURNAL_RETRY = "d478864a010a4989a00d93f03abd05d0"
# Two slots of 64M and 128M beside them, which one query takes all of; nobody waits frozen for longer than a second.
KEYS = {
    "ConcurrencyQuota": 2, "InitialMemoryBytesQuotaPerQuery": "64M", "MemoryBytesQuotaPerQuery": "192M", "MaxMemoryBytes": "256M",
    "FreezeTimeoutSec": "1s", "RetryOnExhaustion": "yes",
}
BEGIN = "import os, time\nopen('runs', 'ab').write(b'x')\nb = []\n"
GATE = "while not os.path.exists('go-on'): time.sleep(0.05)\n"
# Slowly, so that it wants no more than the next quota.
GROW = "while len(b) < {0}: b.append(bytearray(1 << 20)); time.sleep(0.01)\n"
GROWN = GROW.format(100) + "print(len(b))\n"
SAID = "100\n"


def marks():
    """In it a query puts a byte for each time that it began."""
    return f"{home('alice')}/runs"


def go_on_file():
    return f"{home('alice')}/go-on"


class Taken:
    """The pool, taken by one that holds it until it is told to go."""

    def __init__(self, size="192M"):
        for path in (marks(), go_on_file()):
            if os.path.exists(path):
                os.unlink(path)
        self.query = Gated("", "--memory-initial", size, "--memory-max", size)

    def leave(self):
        self.query.go()
        self.query.wait().expect(0)


def script(code, *options):
    return (*options, "--language", "python", BEGIN + code)


def go_on():
    with open(go_on_file(), "wb"):
        pass


def runs():
    return os.path.getsize(marks())


def metric(name):
    found = re.search(rf"^{name} (\S+)$", ctl("metrics").expect(0).text, re.M)
    return float(found[1]) if found else 0  # it is not there before the first


def wait_until_it_serves(killed):
    wait_for(lambda: daemon_pid() not in (0, killed), "there is another penstockd")
    wait_for(lambda: ctl("status", user="root").status == 0, "it serves")


def show(query):
    return ctl_json("show", str(query))


def wait_for_retry(query):
    def waits():
        seen = show(query)
        expect(seen["state"] in ("compiling", "queueing", "executing"), f"it has not ended: {seen}")
        return seen["retries"] == 1

    wait_for(waits, f"query {query} is to run once more")
    expect_equal(state(query), "queueing", "its state then")


def expect_finished(query):
    wait_for_state(query, "finished", "errored")
    seen = ctl_json("stats", str(query))
    expect_equal((seen["state"], seen["error"], seen["verdict"], seen["retries"]), ("finished", None, "", 1), f"how it ended: {seen}")
    expect_equal(ctl("results", str(query)).expect(0).text, SAID, "its results")
    expect_equal(runs(), 2, "how often it ran")
    ctl("done", str(query)).expect(0)


def expect_ended(query, retries, results=""):
    wait_for_state(query, "finished", "errored")
    seen = ctl_json("stats", str(query))
    expect_equal((seen["state"], seen["verdict"], seen["retries"]), ("errored", "budget", retries), f"how it ended: {seen}")
    expect_equal(seen["error"]["name"], "MemoryBudgetExhausted", "its error")
    expect_equal(ctl("results", str(query)).expect(0).text, results, "its results")
    expect_equal(runs(), retries + 1, "how often it ran")
    ctl("done", str(query)).expect(0)


@test("a victim that has delivered nothing runs once more with what it needed; who waits for it hears of the good end alone, and all that is told agrees", slow=True)
def once_more():
    with configured(**KEYS):
        taken, before = Taken(), metric("penstock_retries_total")
        query = submit(*script(GROWN))
        client = ctl_start("wait", str(query))
        wait_for_retry(query)
        wait_for(lambda: "initial quota of 128" in ctl("why", str(query)).text, "it says what it waits for")
        expect(client.is_running(), "its client waits on")
        taken.leave()
        done = client.wait().expect(0)
        expect_equal((done.text, done.errors), ("", ""), "what its client was told")
        used = ctl_json("stats", str(query))
        expect_equal((used["initial_bytes"], used["retries"], used["runtime_errors"]), (128 * MIB, 1, []), "its statistics")
        expect(used["frozen_usec"] > 0 and used["memory_peak_bytes"] >= 100 * MIB, f"both runs count: {used}")
        expect_finished(query)
        expect_equal(metric("penstock_retries_total") - before, 1, "what is counted")
        row = row_of(query)
        expect_equal((row["state"], row["retries"]), ("finished", 1), "the history's row, the only one")
        entries = system("journalctl", "--quiet", f"--unit={DAEMON}", f"MESSAGE_ID={JOURNAL_RETRY}", f"PENSTOCK_QUERY_ID={query}",
                         "--output=cat").text
        expect_in("it is run once more, with 128M", entries, "the journal")


@test("one that has delivered a byte, that its caller reads, or that is to run once, ends with MemoryBudgetExhausted; so does any where the key is not set", slow=True)
def not_again():
    with configured(**KEYS):
        taken = Taken()
        expect_ended(submit(*script("print('begun', flush=True)\n" + GROWN)), 0, "begun\n")
        os.unlink(marks())
        ctl("run", *script(GROWN)).expect(137, "MemoryBudgetExhausted")
        expect_equal(runs(), 1, "how often it ran")
        os.unlink(marks())
        expect_ended(submit("--once", *script(GROWN)), 0)
        taken.leave()
    with configured(**{k: v for k, v in KEYS.items() if k != "RetryOnExhaustion"}):
        taken = Taken()
        expect_ended(submit(*script(GROWN)), 0)
        taken.leave()


@test("one that the budget ends a second time ends", slow=True)
def second_time():
    with configured(**KEYS):
        taken = Taken()
        query = submit(*script(GROW.format(70) + GATE + GROW.format(130), "--priority", "-1"))
        wait_for_retry(query)
        taken.leave()
        wait_for_state(query, "executing")
        other = Gated("", "--memory-initial", "128M", "--memory-max", "128M")
        go_on()
        expect_ended(query, 1)
        other.go()
        other.wait().expect(0)


@test("it is once, and not forgotten, when penstockd is killed between the death and its report, and between the report and the second run", slow=True)
def across_kills():
    with configured(**KEYS):
        taken = Taken()
        query = submit(*script(GATE + GROWN))
        wait_for(lambda: os.path.exists(marks()), "it runs")
        worker = int(unit_property(f"penstock-q{query}.service", "MainPID"))
        os.kill(worker, signal.SIGSTOP)  # it can't say yet that the query is dead
        try:
            go_on()
            wait_for(lambda: not cgroups.is_populated(cgroups.engine_group(query)), "it is killed")
            before = daemon_pid()
            os.kill(before, signal.SIGKILL)
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_until_it_serves(before)
        wait_for_retry(query)
        expect_equal(runs(), 1, "how often it ran")
        before = daemon_pid()
        os.kill(before, signal.SIGKILL)
        wait_until_it_serves(before)
        wait_for_retry(query)
        taken.leave()
        expect_finished(query)


@test("a cancel while it waits for its second run is the end of it", slow=True)
def canceled():
    with configured(**KEYS):
        taken = Taken()
        query = submit(*script(GROWN))
        wait_for_retry(query)
        ctl("cancel", str(query)).expect(0)
        wait_for_state(query, "canceled")
        taken.leave()
        expect_equal(runs(), 1, "how often it ran")
        ctl("done", str(query)).expect(0)

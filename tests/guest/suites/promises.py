# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the contract promises of many queries together, and of each error: seen from outside the service."""

import contextlib
import os
import re

from lib import attached, cgroups, harness
from lib.attached import Attached
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.grower import storm
from lib.leftovers import counts_at_rest, expect_counts
from lib.service import (
    DAEMON,
    Gated,
    configured,
    ctl,
    ctl_json,
    ctl_start,
    daemon_pid,
    home,
    language,
    list_queries,
    run,
    state,
    status,
    submit,
    system,
    wait_for_state,
)

PAGE = os.sysconf("SC_PAGE_SIZE")


def idle_bytes():
    """Used memory when nothing runs: what the slots have reserved, by the configuration in force."""
    seen = status()
    return seen["concurrency_quota"] * seen["initial_memory_bytes_quota_per_query"]


def wait_until_whole():
    wait_for(lambda: status()["used_memory_bytes"] == idle_bytes(), "the pool is whole")


@test("success, compile error, runtime error and queue error each end in the right state, and nothing stays active", slow=True)
def ends_and_states():
    first = status()
    good = submit("--", "true")
    compiles_not = submit("--language", "python", "def (")
    fails = submit("--", "sh", "-c", "exit 9")
    for query_id, wanted, error, verdict in (
        (good, "finished", None, ""),
        (compiles_not, "errored", "CompilationFailed", "compile"),
        (fails, "errored", "ExecutionFailed", "exit"),
    ):
        wait_for_state(query_id, "finished", "errored", "canceled")
        seen = ctl_json("stats", str(query_id))
        name = seen["error"] and seen["error"]["name"]
        expect_equal((seen["state"], name, seen["verdict"]), (wanted, error, verdict), f"how query {query_id} ended")
        ctl("done", str(query_id)).expect(0)
    with configured(ConcurrencyQuota=1, QueueSize=1):
        q = Gated()
        late = submit("--queue-timeout", "1", "--", "true")
        wait_for_state(late, "errored")
        seen = ctl_json("stats", str(late))
        expect_equal((seen["error"]["name"], seen["verdict"]), ("QueueTimeout", "queue"), "how the one that waited ended")
        ctl("done", str(late)).expect(0)
        ctl("pause", user="root", cwd="/").expect(0)
        try:
            waiting = submit("--", "true")
            run("--", "true").expect(125, "QueueLengthExceeded")
            ctl("done", str(waiting)).expect(0)
        finally:
            ctl("resume", user="root", cwd="/").expect(0)
        q.go()
        q.wait().expect(0)
    last = status()
    for name in ("created", "compiling", "queueing", "executing"):
        expect_equal((first[name], last[name]), (0, 0), f"{name} before and afterwards")


HAS = {
    "CompilationFailed": ["CompileTimeoutSec"],
    "Timeout": ["timeout_usec", "QueryTimeoutSec"],
    "QueueTimeout": ["queue_timeout_usec", "QueueTimeoutSec"],
    "QueueLengthExceeded": ["ConcurrencyQuota", "QueueSize"],
    "MemoryLimitExceeded": ["memory_max_bytes"],
    "InvalidArgument": ["MemoryBytesQuotaPerQuery"],
    "MemoryBudgetExhausted": ["MaxMemoryBytes"],
    "ExecutionFailed": ["TasksMaxPerQuery"],
}


def provoke():
    """(error, what it said) for each that has a setting."""
    with language("hangs", "[Language]\nQueryFrom=argument\nCompile=sleep 1000\nExecute=echo {query}\n"):
        with configured(CompileTimeoutSec="1s"):
            yield "CompilationFailed", run("--language", "hangs", "x")
    yield "Timeout", run("--timeout", "1", "--", "sleep", "1000")
    yield "MemoryLimitExceeded", run("--memory-max", "32M", "--", "python3", "-c", "bytearray(200<<20)")
    yield "InvalidArgument", run("--memory-max", "1T", "--", "true")
    with configured(TasksMaxPerQuery="8"):
        yield "ExecutionFailed", run("--", "python3", "-c", "import os, time\nwhile 1:\n if os.fork() == 0: time.sleep(1000)")
    with configured(ConcurrencyQuota=1, QueueSize=1):
        q = Gated()
        yield "QueueTimeout", run("--queue-timeout", "1", "--", "true")
        waiting = submit("--", "true")
        yield "QueueLengthExceeded", run("--", "true")
        q.go()
        q.wait().expect(0)
        ctl("wait", str(waiting)).expect(0)
        ctl("done", str(waiting)).expect(0)
    with configured(ExhaustionPolicy="fail", MaxMemoryBytes="320M", MemoryBytesQuotaPerQuery="320M"):
        yield "MemoryBudgetExhausted", run("--", "python3", "-c", "bytearray(300<<20)")


@test("each error says what happened, in numbers, and which setting changes it", slow=True)
def errors_have_numbers():
    seen = set()
    for name, done in provoke():
        expect(done.status != 0, f"{name}: {done}")
        found = re.search(rf"\b{name}: (.*)", done.errors)
        expect(found, f"wanted the error {name}, got {done}")
        expect(re.search(r"\d", found[1]), f"{name} has a number: {found[1]}")
        for word in HAS[name]:
            expect_in(word, found[1], f"{name} names what changes it")
        seen.add(name)
    expect_equal(seen, set(HAS), "the errors that were seen")


@test("a runtime error tells exit status, signal, verdict, and the last lines of stderr to its owner alone", slow=True)
def runtime_errors():
    status_id = submit("--", "sh", "-c", "echo first line >&2; echo the reason >&2; exit 42")
    signal_id = submit("--", "sh", "-c", "kill -SEGV $$")
    for query_id, wanted in ((status_id, (42, 0, "exit", "42")), (signal_id, (-1, 11, "signal", "11"))):
        wait_for_state(query_id, "errored")
        seen = ctl_json("stats", str(query_id))
        expect_equal((seen["exit_status"], seen["exit_signal"], seen["verdict"]), wanted[:3], "status, signal and verdict")
        expect_equal(seen["error"]["name"], "ExecutionFailed", "the error")
        expect_in(wanted[3], seen["error"]["message"], "the message")
    for user, wanted in (("alice", "first line\nthe reason\n"), ("root", "first line\nthe reason\n"), ("bob", None)):
        seen = ctl_json("stats", str(status_id), user=user)
        expect_equal(seen.get("stderr_tail"), wanted, f"the last lines as {user} sees them")
        expect("the reason" not in seen["error"]["message"], "the engine's words are not in ours")
    for query_id in (status_id, signal_id):
        ctl("done", str(query_id)).expect(0)


CRASHES = "[Language]\nQueryFrom=argument\nCompile=sh -c 'kill -SEGV $$' {query}\nExecute=echo {query}\n"
HOGS = "[Language]\nQueryFrom=argument\nCompile=python3 -c 'b = bytearray(1 << 30)' {query}\nExecute=echo {query}\n"
SLOW_HOGS = """[Language]
QueryFrom=argument
Compile=python3 -c 'import time; b = bytearray(50 << 20); time.sleep(1000)' {query}
Execute=echo {query}
"""


@test("a compile command that crashes, hangs or allocates without bound fails only its own query", slow=True)
def hostile_compiles():
    pid = daemon_pid()
    neighbour = Gated("print('unharmed')")
    with language("crashes", CRASHES), language("hogs", HOGS), language("hangs", SLOW_HOGS):
        with configured(CompileTimeoutSec="20s", CompileMemoryBytes="64M"):
            hanging = ctl_start("run", "--language", "hangs", "x")
            compiling = wait_for(lambda: [q["id"] for q in list_queries() if q["state"] == "compiling"], "it compiles")
            group = f"{cgroups.unit_group(compiling[0])}/compile"
            wait_for(lambda: cgroups.is_populated(group), "its compiler runs")
            expect_equal(cgroups.limit(group), 64 * MIB, "memory.max of compile/")
            expect_equal(cgroups.limit(group, "memory.swap.max") or 0, 0, "its swap limit")
            run("--language", "crashes", "x").expect(125, "CompilationFailed", ["signal 11"])
            run("--language", "hogs", "x").expect(125, "CompilationFailed", ["CompileMemoryBytes"])
            expect_equal(run("--language", "python", "print(1)").expect(0).text, "1\n", "another query meanwhile")
            hanging.wait().expect(125, "CompilationFailed", ["CompileTimeoutSec"])
    neighbour.go()
    expect_equal(neighbour.wait().expect(0).text, "unharmed\n", "the neighbour's output")
    expect_equal(daemon_pid(), pid, "penstockd")


WAITS = """[Language]
QueryFrom=argument
Compile=sh -c 'while [ ! -e "$1" ]; do sleep 0.2; done' x {query}
Execute=echo {query}
[Sandbox]
Home=read-only
"""


def compiles_now():
    return sum(cgroups.is_populated(f"{g}/compile") for g in cgroups.unit_groups())


@test("no more than CompileConcurrency compile at once, and why says what each query waits for", slow=True)
def compile_concurrency_and_why():
    gate = f"{home('alice')}/gate"
    with language("waits", WAITS), configured(CompileConcurrency=2, MaxMemoryBytes="512M", MemoryBytesQuotaPerQuery="448M", ConcurrencyQuota=2):
        queries = [submit("--language", "waits", gate) for _ in range(5)]
        wait_for(lambda: compiles_now() == 2, "two compile")
        seen = status()
        expect_equal((seen["compiling"], seen["created"]), (2, 3), "compiling and created")
        why(queries[4], "CompileConcurrency=2")
        with open(gate, "w", encoding="ascii"):
            pass
        try:
            most = 0
            while any(state(q) in ("created", "compiling") for q in queries):
                most = max(most, compiles_now())
            expect(most <= 2, f"compiled at once: {most}")
            for q in queries:
                ctl("wait", str(q)).expect(0)
                ctl("done", str(q)).expect(0)
        finally:
            os.unlink(gate)

        big = Gated("b=bytearray(300<<20); print('got', flush=True); sys.stdin.readline()")
        big.go()
        big.wait_for_output(b"got\n")
        head, behind = submit("--memory-initial", "200M", "--", "true"), submit("--", "true")
        why(head, "MaxMemoryBytes", "200M")
        why(behind, "its turn", "1 ahead")
        ctl("pause", user="root", cwd="/").expect(0)
        why(head, "paused", "resume")
        ctl("cancel", str(head)).expect(0)
        ctl("resume", user="root", cwd="/").expect(0)
        ctl("wait", str(behind)).expect(0)

        small = Gated("b=bytearray(200<<20)")
        late = submit("--", "true")
        why(late, "ConcurrencyQuota=2")
        small.go()
        wait_for(lambda: cgroups.table(small.group, "cgroup.events").get("frozen") == 1, "it is frozen")
        why(small.id, "frozen", "MaxMemoryBytes")
        expect_equal(ctl_json("why", str(big.id))["wait_reason"], "", "what a query that runs waits for")
        big.go()
        for q in (big, small):
            q.wait().expect(0)
        ctl("wait", str(late)).expect(0)
        for q in (head, behind, late):
            ctl("done", str(q)).expect(0)


def why(query_id, *words):
    def said():
        text = ctl("why", str(query_id), user="root").expect(0).text.replace(".0", "")
        return all(word in text for word in words)

    wait_for(said, f"why {query_id} says {words}: {ctl('why', str(query_id), user='root')}")


@test("an engine that crashes at start is an error of that query alone", slow=True)
def crash_at_start():
    neighbour = Gated("print('unharmed')")
    directory = home("alice")
    files = {"empty": b"\x7fELF", "no-interpreter": b"#!/no/such/interpreter\n", "plain": b"#!/bin/sh\n"}
    try:
        for name, text in files.items():
            with open(f"{directory}/{name}", "wb") as f:
                f.write(text)
            os.chmod(f"{directory}/{name}", 0o644 if name == "plain" else 0o755)
            done = run("--", f"{directory}/{name}")
            expect(done.status not in (0, 124, 137), f"{name}: {done}")
            expect_in("ExecutionFailed", done.errors, name)
    finally:
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")
    run("--", "sh", "-c", "kill -ILL $$").expect(132, "ExecutionFailed", ["4"])
    neighbour.go()
    expect_equal(neighbour.wait().expect(0).text, "unharmed\n", "the neighbour's output")


@test("shutdown with a running query waits for its end, and a query after shutdown is refused", slow=True)
def shutdown_waits():
    q = Gated("print('released')")
    try:
        command = ctl_start("shutdown", "--timeout", "infinity", user="root", cwd="/")
        wait_for(lambda: "ShuttingDown" in run("--", "true").errors, "the door is closed")
        run("--", "true").expect(125, "ShuttingDown", ["restart"])
        expect(command.is_running(), f"shutdown waits: {command.err()}")
        expect_equal(state(q.id), "executing", "the query")
        q.go()
        expect_equal(q.wait().expect(0).text, "released\n", "the query's output")
        command.wait().expect(0)
    finally:
        system("systemctl", "restart", DAEMON)
    run("--", "true").expect(0)


TOUCH = """
import mmap, sys, os
m = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
page, limit, line = mmap.PAGESIZE, int(sys.argv[1]), b'%08d'
out = os.open('count', os.O_WRONLY | os.O_CREAT, 0o644)
for i in range(limit):
    m[i * page] = 1
    if i % 64 == 0 or i > limit - 3: os.pwrite(out, line % (i + 1), 0)
print(limit, flush=True)
"""


@test("one page more than the per-query maximum fails with MemoryLimitExceeded and shows in the statistics", slow=True)
def one_page_more():
    maximum = 64 * MIB
    directory = f"{home('alice')}/pages"
    os.mkdir(directory)
    os.chmod(directory, 0o777)

    def attempt(pages):
        query_id = submit("--memory-max", "64M", "--", "python3", "-c", TOUCH, str(pages), cwd=directory)
        wait_for_state(query_id, "finished", "errored")
        seen = ctl_json("stats", str(query_id))
        ctl("done", str(query_id)).expect(0)
        return seen

    try:
        # Too many at once: the page that did not fit was the one after the last whose touch was noted.
        over = attempt(20000)
        with open(f"{directory}/count", "rb") as f:
            fitted = int(f.read())
        expect_equal((over["error"]["name"], over["verdict"]), ("MemoryLimitExceeded", "maximum"), "how it ended")
        # The kernel lets the dying have a few pages more, and notes a peak a moment later.
        expect(abs(over["memory_peak_bytes"] - maximum) <= 64 * PAGE, f"the peak is the maximum: {over['memory_peak_bytes']}")
        expect_in("64M", over["error"]["message"].replace(".0", ""), "the message")
        slack = 512  # pages that one run of python may differ from another by
        under = attempt(fitted - slack)
        expect_equal((under["state"], under["verdict"]), ("finished", ""), f"{fitted - slack} pages, where {fitted} fitted before")
        expect(under["memory_peak_bytes"] <= maximum, f"its peak: {under['memory_peak_bytes']}")
        expect_equal(attempt(fitted + slack)["verdict"], "maximum", f"{fitted + slack} pages")
        note(f"{fitted} pages of {maximum // PAGE} fitted, beside the engine itself; peak {over['memory_peak_bytes']}")
    finally:
        system("rm", "-r", directory)


@test("with quota 2 exactly 2 execute at once, never 3", slow=True)
def exactly_two():
    with configured(ConcurrencyQuota=2, MaxMemoryBytes="512M", MemoryBytesQuotaPerQuery="448M"):
        observer = cgroups.Observer(512 * MIB)
        observer.start()
        try:
            queries = [submit("--", "python3", "-c", "b = bytearray(80 << 20)") for _ in range(6)]
            for q in queries:
                ctl("wait", str(q)).expect(0)
        finally:
            observer.finish()
        note(observer)
        expect_equal(observer.count_max, 2, "the most that the outside observer saw at once")
        expect_equal(observer.over, [], "scans over the budget")
        ctl("done", *map(str, queries)).expect(0)


@test("with the queue full the next is refused, and one finishing makes room", slow=True)
def queue_makes_room():
    with configured(ConcurrencyQuota=1, QueueSize=1):
        q = Gated()
        waiting = submit("--", "true")
        run("--", "true").expect(125, "QueueLengthExceeded", ["ConcurrencyQuota", "QueueSize", "2 queries"])
        q.go()
        q.wait().expect(0)
        ctl("wait", str(waiting)).expect(0)
        run("--", "true").expect(0)
        ctl("done", str(waiting)).expect(0)


HUNDRED = 100  # in the short form forty
LIMITED = {"ConcurrencyQuota": 4, "QueueSize": 100, "MaxQueriesPerUser": 200}
UNLIMITED = {
    "ConcurrencyQuota": "infinity", "QueueSize": 0, "MaxQueriesPerUser": "infinity", "MaxMemoryBytes": "infinity",
    "AllowOvercommit": "yes", "InitialMemoryBytesQuotaPerQuery": "8M", "MemoryBytesQuotaPerQuery": "64M",
}


def many_leave_nothing(keys, executing, release):
    run("--", "true").expect(0)
    wait_until_whole()
    before = counts_at_rest()
    slice_limit = cgroups.limit(cgroups.SLICE)
    n = harness.repeats(40, HUNDRED)
    with configured(**keys):
        queries = [Attached(["sleep", "1000"]) for _ in range(n)]
        # A larger budget is in force when PID 1 has raised the slice, so some may have been queued first.
        executing = min(n, executing)
        wait_for(lambda: status()["executing"] == executing, f"{executing} of them execute")
        expect_equal(len(list_queries()), n, "known at once")
        release(queries)
        wait_for(lambda: not list_queries(), "no query is listed")
        for q in queries:
            expect_equal(q.read_all(), b"", f"the results of query {q.id}")
        wait_for(lambda: not cgroups.unit_groups(), "no unit is left", 300)
        attached.close_all()
    after = expect_counts(before, f"the counts after {n} queries")
    wait_for(lambda: cgroups.limit(cgroups.SLICE) == slice_limit, "penstock.slice has its limit again")
    note(f"after {n}: {after}")


def cancel_then_done(queries):
    for q in queries:
        expect_equal(attached.call_on_query(q.id, "Cancel").error, None, f"Cancel of query {q.id}")
    done_without_reading(queries)


def done_without_reading(queries):
    """By several clients at once: Done answers only when a query's group is empty."""
    ids = [str(q.id) for q in queries]
    clients = [ctl_start("done", *ids[i::5], user="root", cwd="/") for i in range(5)]
    for c in clients:
        c.wait(400).expect(0)


def each_in_turn(queries):
    cancel_then_done(queries[::2])
    done_without_reading(queries[1::2])


@test("Cancel then Done for 100 queries at once with a limited quota leaves nothing", slow=True)
def hundred_canceled():
    many_leave_nothing(LIMITED, LIMITED["ConcurrencyQuota"], cancel_then_done)


@test("Done without reading for 100 queries at once with a limited quota leaves nothing", slow=True)
def hundred_done():
    many_leave_nothing(LIMITED, LIMITED["ConcurrencyQuota"], done_without_reading)


@test("Cancel then Done, and Done without reading, for 100 queries that execute at once with an unlimited quota leave nothing", slow=True)
def hundred_unlimited():
    many_leave_nothing(UNLIMITED, HUNDRED, each_in_turn)


@test("PID 1 is asked to start no more than eight units at one time, however many slots there are", slow=True)
def starts_are_paced():
    def starting():
        listed = system("systemctl", "list-units", "--all", "--plain", "--no-legend", "--state=activating", "penstock-q*")
        return len(listed.text.splitlines())

    with configured(ConcurrencyQuota=40, InitialMemoryBytesQuotaPerQuery="8M", MaxMemoryBytes="640M", WarmUnits=0):
        ctl("pause", user="root", cwd="/").expect(0)
        try:
            queries = [submit("--", "sleep", "1000") for _ in range(harness.repeats(16, 24))]
        finally:
            ctl("resume", user="root", cwd="/").expect(0)
        most = 0
        while not all(cgroups.is_populated(cgroups.engine_group(q)) for q in queries):
            most = max(most, starting())
        expect(0 < most <= 8, f"units that start at one time: {most}")
        ctl("cancel", *map(str, queries)).expect(0)
        ctl("done", *map(str, queries)).expect(0)


@test("ten queries inside their initial quota run untouched while a neighbour eats the pool and fails", slow=True)
def untouched():
    with configured(
        ConcurrencyQuota=11, InitialMemoryBytesQuotaPerQuery="32M", MaxMemoryBytes="600M", MemoryBytesQuotaPerQuery="600M",
        ExhaustionPolicy="fail",
    ):
        quiet = [Gated("print('untouched')") for _ in range(10)]
        events = {q.id: cgroups.table(q.group, "memory.events.local") for q in quiet}
        limits = {q.id: cgroups.limit(q.group) for q in quiet}
        glutton = Gated("b = []\nwhile True: b.append(bytearray(8 << 20))")
        glutton.go()
        glutton.wait().expect(137, "MemoryBudgetExhausted", ["MaxMemoryBytes"])
        for q in quiet:
            expect_equal(cgroups.table(q.group, "memory.events.local"), events[q.id], f"memory.events of query {q.id}")
            expect_equal(cgroups.limit(q.group), limits[q.id], f"memory.max of query {q.id}")
            q.go()
            expect_equal(q.wait().expect(0).text, "untouched\n", "the output")
            seen = ctl_json("stats", str(q.id))
            expect_equal((seen["raises"], seen["frozen_usec"], seen["verdict"]), (0, 0, ""), f"raises, frozen time and verdict of query {q.id}")


@test("under ExhaustionPolicy=fail a query that needs more than the pool has left ends with MemoryBudgetExhausted", slow=True)
def fail_policy():
    with configured(ExhaustionPolicy="fail", MaxMemoryBytes="512M", MemoryBytesQuotaPerQuery="448M", ConcurrencyQuota=2):
        holder = Gated("b=bytearray(200<<20); print('got', flush=True); sys.stdin.readline(); print('done')")
        holder.go()
        holder.wait_for_output(b"got\n")
        q = Gated("b=bytearray(400<<20)")
        q.go()
        q.wait().expect(137, "MemoryBudgetExhausted", ["MaxMemoryBytes"])
        seen = ctl_json("stats", str(q.id))
        expect_equal((seen["verdict"], seen["frozen_usec"]), ("budget", 0), "verdict and frozen time")
        holder.go()
        expect_equal(holder.wait().expect(0).text, "got\ndone\n", "the output of who was there first")


@test("memory given on top comes back whole at the end, whatever the end is", slow=True)
def memory_comes_back():
    wait_until_whole()  # a larger budget is in force a moment after the reload that brought it
    used = idle_bytes()
    grow = "b=bytearray(200<<20); print('got', flush=True); sys.stdin.readline()"
    for end in ("exit", "signal", "cancel", "limit", "client"):
        q = Gated(grow + ("; c=bytearray(200<<20)" if end == "limit" else ""), "--memory-max", "300M")
        q.go()
        q.wait_for_output(b"got\n")
        expect(status()["used_memory_bytes"] >= used + 128 * MIB, f"{end}: memory is given on top")
        if end == "signal":
            os.kill(cgroups.pids(q.group)[0], 9)
        elif end == "cancel":
            ctl("cancel", str(q.id)).expect(0)
        elif end == "client":
            q.run.signal(9)
        else:
            q.go()
        q.run.wait()
        wait_until_whole()


@test("a maximum that is not a power of two times the initial quota is reached exactly: 64M, 128M, 256M, 300M", slow=True)
def exact_maximum():
    q = Gated("b=[]\nfor i in range(270): b.append(bytearray(1<<20))\nprint(len(b))", "--memory-max", "300M")
    sampler = cgroups.Sampler(q.group)
    sampler.start()
    q.go()
    expect_equal(q.wait().expect(0).text, "270\n", "the output")
    sampler.finish()
    log = ctl_json("stats", str(q.id))["raise_log"]
    expect_equal([e["new_limit_bytes"] // MIB for e in log], [128, 256, 300], "the raises")
    expect_equal([e["new_limit_bytes"] % MIB for e in log], [0, 0, 0], "what is over whole MiB")
    expect_equal(max(sampler.maxima()), 300 * MIB, f"the largest memory.max that was seen ({sampler.maxima()})")


@test("a hundred queries growing at once never push the promised sum past the budget at any instant", long_only=True)
def storm_of_a_hundred():
    storm(HUNDRED, 1100 * MIB)


@test("a kill from above is told by whose limit it was: penstock.slice's is MemoryBudgetExhausted, verdict slice", slow=True)
def slice_limit():
    q = Gated("b=bytearray(300<<20)")
    limit = cgroups.limit(cgroups.SLICE)
    try:
        write(f"{cgroups.SLICE}/memory.max", 120 * MIB)
        q.go()
        q.wait().expect(137, "MemoryBudgetExhausted", ["penstock.slice"])
    finally:
        write(f"{cgroups.SLICE}/memory.max", limit)
    expect_equal(ctl_json("stats", str(q.id))["verdict"], "slice", "the verdict")


def write(path, value):
    with open(path, "w", encoding="ascii") as f:
        f.write(str(value))


@test("what systemd-oomd ends is ExecutionFailed with the verdict oomd, also when it took the worker with it", slow=True)
def ended_by_oomd():
    for whole_unit in (False, True):
        q = Gated()
        group = cgroups.unit_group(q.id) if whole_unit else q.group
        # As cg_kill_recursive() of systemd-oomd does: the note first, then the kill.
        os.setxattr(group, "user.oomd_kill", b"1")
        write(f"{group}/cgroup.kill", 1)
        done = q.wait()
        expect_in("ExecutionFailed", done.errors, f"stderr ({done})")
        expect_equal(ctl_json("stats", str(q.id))["verdict"], "oomd", "the verdict")


HOG = """
import mmap, os, sys
open('/proc/self/oom_score_adj', 'w').write('-1000')
group, kept = sys.argv[1], []
while True:
    try: populated = 'populated 1' in open(group + '/cgroup.events').read()
    except OSError: populated = False
    if not populated: break
    m = mmap.mmap(-1, 16 << 20)
    for i in range(0, len(m), 4096): m[i] = 1
    kept.append(m)
print(len(kept))
"""


@test("what the host's own OOM killer ends is ExecutionFailed with the verdict host", slow=True)
def ended_by_the_host():
    q = Gated("b=bytearray(500<<20); print('grown', flush=True); sys.stdin.readline(); print('spared')")
    q.go()
    q.wait_for_output(b"grown\n")
    before = daemon_pid()
    system("python3", "-c", HOG, q.group, limit=300)
    done = q.wait().expect(137, "ExecutionFailed", ["ReserveMemoryBytes"])
    seen = ctl_json("stats", str(q.id))
    expect_equal((seen["error"]["name"], seen["verdict"]), ("ExecutionFailed", "host"), f"how it ended ({done})")
    expect_equal(daemon_pid(), before, "penstockd")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""penstockd goes and comes back: no query is lost, and none notices."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time

from lib import cgroups, disks, harness, leftovers
from lib.cgroups import MIB
from lib.grower import Observer
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.processes import sleeps_for_good
from lib.profiles import profile
from lib.service import (
    DAEMON, LANGUAGES, Gated, Running, as_user, configured, ctl, ctl_json, ctl_start, daemon_pid, home, language, reload_daemon, run, state, status, submit,
    system, unit_property, wait_for_state,
)

# Long enough for a query to end within it on an emulated host.
TIMEOUT_SEC = 90
DISK = "/srv/standing"
GROWS = "b=bytearray({0}<<20); print(sum(b[i] == 0 for i in range(0, len(b), 4096)), flush=True)"


def restart():
    system("systemctl", "restart", DAEMON)


def kill():
    before = daemon_pid()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: daemon_pid() not in (0, before), "there is another penstockd")


def wait_until_it_serves():
    wait_for(lambda: ctl("status", user="root").status == 0, "it serves")


def both_ways(function):
    for way in (restart, kill):
        note(f"by {way.__name__}")
        function(way)


@test("a query that runs goes on across restart and kill -9 of penstockd, keeps its limit, grows, and its caller gets all of it", slow=True)
def running():
    def one(way):
        q = Gated(GROWS.format(70) + "; sys.stdin.readline(); " + GROWS.format(300))
        q.go()
        q.wait_for_output(b"17920\n")
        limit, before = cgroups.limit(q.group), ctl_json("stats", str(q.id))
        way()
        wait_until_it_serves()
        shown = ctl_json("show", str(q.id))
        expect_equal((shown["state"], shown["memory_quota_bytes"], cgroups.limit(q.group)), ("executing", limit, limit),
                     "state, quota and limit afterwards")
        q.run.say()
        expect_equal(q.wait().expect(0).text, "17920\n76800\n", "what its caller read")
        after = ctl_json("stats", str(q.id))
        expect_equal((after["error"], after["verdict"]), (None, ""), "the error and the verdict")
        expect(after["raises"] > before["raises"], f"raises count on: {before['raises']}, {after['raises']}")
        expect(after["execute_usec"] > before["execute_usec"], "its time goes on")
        expect_equal(ctl("done", str(q.id)).status, 0, "done")

    both_ways(one)


FIXED = (
    "id", "language", "state", "unit", "memory_max_bytes", "error", "verdict", "runtime_errors", "exit_status", "exit_signal",
    "compile_usec", "queue_usec", "initial_bytes", "learned", "raises_saved", "retries"
)
RISING = (
    "total_usec", "execute_usec", "frozen_usec", "stall_usec", "cpu_usec", "io_read_bytes", "io_write_bytes", "memory_peak_bytes",
    "raises"  # who is taken over is taken to have grown until then
)


@test("all statistics and the profile of a query that runs go on over a restart and a kill of penstockd, with what was before", slow=True)
def figures():
    code = Gated.PROLOGUE + GROWS.format(100) + "; sys.stdin.readline()"

    def one(way):
        with configured(ConcurrencyQuota=1):
            first = Gated()
            client = ctl_start("run", "--language", "python", "--stdin", code, stdin=subprocess.PIPE)
            query = wait_for(lambda: [q["id"] for q in ctl_json("list") if q["state"] == "queueing"], "it waits")[0]
            first.go()
            first.wait().expect(0)
            wait_for(lambda: b"/engine\n" in client.out(), "it runs")
            client.say()
            wait_for(lambda: b"25600\n" in client.out(), "it has grown")
            rows, before = profile(query), ctl_json("stats", str(query))
            way()
            wait_until_it_serves()
            after, then = ctl_json("stats", str(query)), profile(query)
            expect_equal(sorted(after), sorted(before), "the keys")
            expect_equal(sorted(set(after) - set(FIXED)), sorted((*RISING, "memory_need_bytes", "raise_log")), "the keys that may change")
            expect_equal([after[k] for k in FIXED], [before[k] for k in FIXED], "what must not change")
            expect(all(before[k] > 0 for k in ("compile_usec", "queue_usec", "raises")), f"each is there: {before}")
            for key in RISING:
                expect(after[key] >= before[key], f"{key}: {before[key]}, then {after[key]}")
            expect_equal(after["raise_log"][: before["raises"]], before["raise_log"], "the raises before")
            expect_equal(len(after["raise_log"]), after["raises"], "how many are in the log")
            events = [r for r in rows if r["event"] != "sample"]
            expect_equal([r for r in then if r["event"] != "sample"][: len(events)], events, "the events of its profile")
            expect_equal([r["event"] for r in then].count("start"), 1, "how often it starts")
            expect(all(a["time_usec"] <= b["time_usec"] for a, b in zip(then, then[1:])), "time rises")
            client.say()
            client.wait().expect(0)
            done = profile(query)
            way()
            wait_until_it_serves()
            expect_equal(profile(query), done, "the profile of one that has ended")
            expect_equal(ctl("done", str(query)).status, 0, "done")

    both_ways(one)


@test("queries that wait, with input, output and errors of their callers', run after a restart as if there had been none", slow=True)
def waiting():
    def one(way):
        with configured(ConcurrencyQuota=1):
            first = Gated()
            script = "cat; echo wrong >&2; exit 3"
            queue = [ctl_start("run", "--language", "shell", "--stdin", script, stdin=open("/etc/passwd", "rb")),
                     ctl_start("run", "--language", "sqlite", "select 40+2"), ctl_start("run", "--", "id", "-un", user="bob")]
            detached = submit("--label", "team=red", "--env", "WORD=word", "--", "sh", "-c", "echo $WORD")
            wait_for(lambda: status()["queueing"] == 4, "four wait")
            way()
            wait_until_it_serves()
            expect_equal((status()["queueing"], status()["executing"]), (4, 1), "how many wait and execute afterwards")
            first.go()
            first.wait().expect(0)
            with open("/etc/passwd", encoding="utf-8") as f:
                done = queue[0].wait().expect(3)
                expect_equal(done.text, f.read(), "what it read from its caller")
            expect_in("wrong", done.errors, "its caller's stderr")
            expect_equal(queue[1].wait().expect(0).text, "42\n", "the sum")
            expect_equal(queue[2].wait().expect(0).text, "bob\n", "who ran it")
            wait_for_state(detached, "finished")
            expect_equal(ctl("results", str(detached)).expect(0).text, "word\n", "the detached results")

    both_ways(one)


ECHO = "[Language]\nQueryFrom=argument\nExecute=/bin/sh -c {query}\n"


@test("a query that compiles, and one that waits, run as they were submitted, though their language has another form by then, or none", slow=True)
def language_of_submission():
    def one(way):
        with tempfile.TemporaryDirectory(prefix="penstock-test.", dir="/srv") as d:
            os.chmod(d, 0o755)
            gated = f"{ECHO}Compile=/bin/sh -c \"while ! test -e {d}/go; do sleep 0.2; done\"\nEnvironment=WORD=old\n"
            gone = f"{ECHO}Environment=WORD=gone\n"
            with configured(ConcurrencyQuota=1, CompileTimeoutSec="10min"), language("changed", gated), language("gone", gone):
                first = Gated()
                compiling = submit("--language", "changed", "echo $WORD")
                waiting = submit("--language", "gone", "echo $WORD")
                wait_for_state(compiling, "compiling")
                wait_for_state(waiting, "queueing")
                os.unlink(f"{LANGUAGES}/gone.conf")
                with open(f"{LANGUAGES}/changed.conf", "w", encoding="ascii") as f:
                    f.write("[Language]\nQueryFrom=argument\nExecute=/bin/false {query}\n")
                reload_daemon()
                way()
                wait_until_it_serves()
                run("--language", "gone", "true").expect(125, "UnknownLanguage")
                expect_equal([state(q) for q in (compiling, waiting)], ["compiling", "queueing"], "their states afterwards")
                open(f"{d}/go", "w", encoding="ascii").close()
                wait_for_state(compiling, "queueing")
                first.go()
                first.wait().expect(0)
                for query, word in ((compiling, "old"), (waiting, "gone")):
                    wait_for_state(query, "finished", "errored")
                    expect_equal(ctl("results", str(query)).expect(0).text, f"{word}\n", "its results")
                run("--language", "changed", "true").expect(1)
                ctl("done", str(compiling), str(waiting)).expect(0)

    both_ways(one)


@test("results, errors and statistics of queries that have ended are there after a restart; what was Done stays done", slow=True)
def ended():
    def one(way):
        unread = submit("--", "sh", "-c", "echo unread; exit 5")
        done = submit("--", "true")
        for query in (unread, done):
            wait_for_state(query, "finished", "errored")
        ctl("done", str(done)).expect(0)
        before = [ctl_json("stats", str(query)) for query in (unread, done)]
        way()
        wait_until_it_serves()
        after = [ctl_json("stats", str(query)) for query in (unread, done)]
        expect_equal(after, before, "the statistics")
        expect_equal([q["id"] for q in ctl_json("list", user="root") if q["id"] in (unread, done)], [unread], "who is listed")
        expect_equal(ctl("results", str(unread)).text, "unread\n", "the results")
        expect_equal(ctl("wait", str(unread)).status, 5, "the exit status that wait tells")
        expect(run("--", "true").status == 0, "it serves")
        expect(submit("--", "true") > unread, "IDs go on rising")
        ctl("done", str(unread)).expect(0)

    both_ways(one)


@test("a query can be canceled, times out, and ends with its caller, after a restart as before it", slow=True)
def controlled():
    def one(way):
        canceled, timed, held = Gated("sys.stdin.readline()"), Gated("sys.stdin.readline()", "--timeout", "30s"), Gated("sys.stdin.readline()")
        way()
        wait_until_it_serves()
        ctl("cancel", str(canceled.id)).expect(0)
        canceled.run.wait().expect(125, "Canceled")
        held.run.signal(signal.SIGKILL)
        wait_for(lambda: not cgroups.is_populated(held.group), "the query of a caller who died is gone")
        timed.run.wait().expect(124, "Timeout")

    both_ways(one)


@test("who waits frozen for memory waits on after a restart, and goes on when there is some", slow=True)
def frozen():
    keys = {"MaxMemoryBytes": "256M", "InitialMemoryBytesQuotaPerQuery": "64M", "MemoryBytesQuotaPerQuery": "160M",
            "ConcurrencyQuota": 2, "FreezeTimeoutSec": "10min"}

    def one(way):
        with configured(**keys):
            first = Gated(GROWS.format(120) + "; sys.stdin.readline()")  # it has little to give
            first.go()
            first.wait_for_output(b"30720\n")
            second = Gated(GROWS.format(130))
            second.go()
            wait_for(lambda: cgroups.table(second.group, "cgroup.events").get("frozen") == 1, "the second is frozen")

            def frozen_usec():
                return ctl_json("stats", str(second.id))["frozen_usec"]

            wait_for(lambda: frozen_usec() > 2_000_000, "it has been so for longer than what counts anew may have by then")
            before = frozen_usec()
            way()
            wait_until_it_serves()
            after = frozen_usec()
            expect(after > before, "its frozen time goes on")
            expect_equal(cgroups.table(second.group, "cgroup.events").get("frozen"), 1, "it is frozen")
            expect_equal(cgroups.table(first.group, "cgroup.events").get("frozen"), 0, "and the other is not")
            expect_in("memory", ctl("why", str(second.id)).text, "what it waits for")
            first.run.say()
            expect_equal(first.wait().expect(0).text, "30720\n", "the output of the first")
            expect_equal(second.wait().expect(0).text, "33280\n", "the output of the second")
            expect(frozen_usec() >= after, "and is no less in the end")

    both_ways(one)


@test("who sleeps in the kernel while all are frozen for a restart is thawed afterwards, although it was never seen frozen", slow=True)
def sleeping():
    os.makedirs(DISK, exist_ok=True)
    body = 'import os, time\nprint("up", flush=True)\nfor _ in range(100):\n    os.write(0, b"x")\n    time.sleep(0.05)\nprint("done")'
    with disks.on_disk(DISK), open(f"{DISK}/file", "w+b") as file:

        def one(way):
            q = ctl_start("run", "--", "python3", "-c", body, stdin=file)
            wait_for(lambda: b"up" in q.out(), "it runs")
            query_id = ctl_json("list")[-1]["id"]
            group = cgroups.engine_group(query_id)
            with disks.standing(DISK):
                wait_for(lambda: sleeps_for_good(group), "it sleeps")
                way()
                wait_until_it_serves()
                expect_equal(cgroups.table(group, "cgroup.events").get("frozen"), 0, "it is frozen already")
            expect_equal(q.wait().expect(0).text, "up\ndone\n", "what its caller read")

        both_ways(one)


@contextlib.contextmanager
def unable_to_start():
    """penstockd is killed, and what should come after it fails each time."""
    bad = "/etc/penstock/penstock.conf.d/99-bad.conf"
    os.makedirs(os.path.dirname(bad), exist_ok=True)
    with open(bad, "w", encoding="ascii") as f:
        f.write("[Controller]\nConcurrencyQuota=0\n")
    starts = {unit_property(DAEMON, "InvocationID")}

    def again():  # PID 1's NRestarts begins anew whenever the worker's socket starts it
        starts.add(unit_property(DAEMON, "InvocationID"))
        return len(starts) > 3

    try:
        os.kill(daemon_pid(), signal.SIGKILL)
        wait_for(again, "it fails to start")
        yield
    finally:
        os.unlink(bad)
    wait_until_it_serves()


@test("penstockd that can't start again leaves nothing frozen, and goes on with all queries when it can", slow=True)
def cannot_start():
    q = Gated()
    with unable_to_start():
        wait_for(lambda: cgroups.table(q.group, "cgroup.events").get("frozen") == 0, "the query is not frozen")
        expect(cgroups.is_populated(q.group), "it runs")
    q.go()
    q.wait().expect(0)


@test("who has ended before its timeout while penstockd could not start is told how it ended, not that it timed out", slow=True)
def ended_before_its_timeout():
    go = f"{home('alice')}/go"
    begun = time.monotonic()
    body = f"import os, time\nwhile not os.path.exists({go!r}): time.sleep(0.1)\nprint('all of it')"
    query_id = submit("--timeout", f"{TIMEOUT_SEC}s", "--", "python3", "-c", body)
    wait_for(lambda: cgroups.is_populated(cgroups.engine_group(query_id)), "it runs")
    group = cgroups.engine_group(query_id)
    try:
        with unable_to_start():
            wait_for(lambda: cgroups.table(group, "cgroup.events").get("frozen") == 0, "the query is not frozen")
            as_user("alice", lambda: open(go, "w", encoding="ascii").close())
            wait_for(lambda: not cgroups.is_populated(group), "it has ended")
            expect(time.monotonic() - begun < TIMEOUT_SEC, "in time")
            wait_for(lambda: time.monotonic() - begun > TIMEOUT_SEC + 1, "its time is over")
    finally:
        os.unlink(go)
    ctl("wait", str(query_id)).expect(0)
    expect_equal(ctl_json("stats", str(query_id))["verdict"], "", "the verdict")
    expect_equal(ctl("results", str(query_id)).text, "all of it\n", "its results")
    ctl("done", str(query_id)).expect(0)


@test("a stop between a crash of penstockd and its next start is one: each query ends, and nobody but an operator starts it", slow=True)
def stopped_in_between():
    drop_in = "/run/systemd/system/penstockd.service.d/test.conf"
    os.makedirs(os.path.dirname(drop_in), exist_ok=True)
    with open(drop_in, "w", encoding="ascii") as f:
        f.write("[Service]\nRestartSec=1h\n")
    system("systemctl", "daemon-reload")
    try:
        with configured(ConcurrencyQuota=2):
            attached, running = Gated(), submit("--", "sleep", "1000")
            wait_for_state(running, "executing")
            waiting = submit("--", "echo", "never")
            os.kill(daemon_pid(), signal.SIGKILL)
            wait_for(lambda: unit_property(DAEMON, "SubState") == "auto-restart", "it is to be started again")
            expect(cgroups.is_populated(attached.group), "its queries are there")
            system("systemctl", "stop", DAEMON)
            wait_for(lambda: not cgroups.unit_groups(), "the units of all queries are gone")
            attached.run.wait(300).expect(125)  # it waits 90 s for a service to come back, once
            for unit in (DAEMON, "penstock-worker.socket"):
                expect_equal(unit_property(unit, "ActiveState"), "inactive", f"the state of {unit}")
            os.unlink(drop_in)
            system("systemctl", "daemon-reload")
            system("systemctl", "start", DAEMON)
            for query in (attached.id, running, waiting):
                ctl("wait", str(query)).expect(125, "ShuttingDown")
            expect_equal(run("--", "echo", "again").expect(0).text, "again\n", "a query afterwards")
    finally:
        if os.path.exists(drop_in):
            os.unlink(drop_in)
        system("systemctl", "daemon-reload")
        system("systemctl", "start", DAEMON)


BUDGET = 700 * MIB
STORM = {"MaxMemoryBytes": BUDGET, "InitialMemoryBytesQuotaPerQuery": "32M", "MemoryBytesQuotaPerQuery": "400M",
         "ConcurrencyQuota": 6, "FreezeTimeoutSec": "10min"}


def storm_of(n):
    """Queries of all kinds, with what each must answer."""
    kinds = [
        (["--", "python3", "-c", GROWS.format(150)], "38400\n"),
        (["--language", "python", GROWS.format(60)], "15360\n"),
        (["--language", "sqlite", "with recursive c(i) as (select 1 union all select i+1 from c where i<300000) select count(*) from c"],
         "300000\n"),
        (["--language", "shell", "sleep 1; seq 20000 | tail -1"], "20000\n"),
        (["--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], "x" * 3000000),
    ]
    return [(ctl_start("run", *options), wanted) for options, wanted in (kinds[i % len(kinds)] for i in range(n))]


@test("penstockd killed at any moment: twenty queries of all kinds end as if it had not been, within the budget", slow=True)
def killed_at_any_moment():
    before = leftovers.counts_at_rest()
    with configured(**STORM):
        kills = 0
        for _ in range(harness.repeats(1, 10)):
            storm = storm_of(20)
            observer = Observer(BUDGET)  # it begins when there is something to see
            for _ in range(3):
                time.sleep(harness.rng.uniform(0, 3))
                pid = daemon_pid()
                if pid:
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
            for query, wanted in storm:
                done = query.wait(300).expect(0)
                expect(done.text == wanted, f"its output: {done.text[:200]!r}, wanted {wanted[:200]!r}")
            observer.finish()
        note(f"{kills} kills")
    leftovers.release_all()
    leftovers.expect_counts(before, "what is left")


@test("restart of the bus and reexec of PID 1 under queries: they end as if there had been neither", slow=True)
def bus_and_pid1():
    q, other = Gated(GROWS.format(200)), submit("--", "sh", "-c", "sleep 3; echo fine")
    system("systemctl", "daemon-reexec")
    q.go()
    expect_equal(q.wait().expect(0).text, "51200\n", "the output")
    q = Gated(GROWS.format(200))
    system("systemctl", "restart", "dbus.service")
    q.go()
    expect_equal(q.wait().expect(0).text, "51200\n", "the output")
    wait_until_it_serves()
    wait_for_state(other, "finished")
    expect_equal(ctl("results", str(other)).expect(0).text, "fine\n", "the detached results")


@test("what a detached query had written before penstockd was restarted or killed is in its results, and what came later behind it", slow=True)
def detached_results():
    def one(way):
        q = submit("--", "sh", "-c", "echo before; sleep 3; echo after")
        wait_for(lambda: results_so_far(q) == b"before\n", "its first line is in its results")
        way()
        wait_until_it_serves()
        wait_for_state(q, "finished")
        expect_equal(ctl("results", str(q)).expect(0).text, "before\nafter\n", "its results")
        ctl("done", str(q)).expect(0)

    both_ways(one)


def results_so_far(query_id):
    with open(f"/var/lib/penstock/results/{query_id}", "rb") as f:
        return f.read()


@test("an upgrade: another binary takes over what the one before left", slow=True)
def another_binary():
    program = unit_property(DAEMON, "ExecStart").split("path=")[1].split(" ")[0]
    with open(program, "rb") as f:
        before = f.read()
    q = Gated(GROWS.format(200))
    waiting = submit("--", "echo", "fine")
    try:
        with open(f"{program}.new", "wb") as f:
            f.write(before + b"another build")  # what is behind an ELF file's sections means nothing
        os.chmod(f"{program}.new", 0o755)
        os.rename(f"{program}.new", program)
        restart()
        with open(f"/proc/{daemon_pid()}/exe", "rb") as f:
            expect(f.read().endswith(b"another build"), "it is the other binary that runs")
        q.go()
        expect_equal(q.wait().expect(0).text, "51200\n", "the output")
        wait_for_state(waiting, "finished")
        expect_equal(ctl("results", str(waiting)).expect(0).text, "fine\n", "the detached results")
    finally:
        with open(f"{program}.new", "wb") as f:
            f.write(before)
        os.chmod(f"{program}.new", 0o755)
        os.rename(f"{program}.new", program)
        restart()


@test("while PID 1 does not answer for ten seconds queries grow and end, and those that are submitted start afterwards", slow=True)
def pid1_stands_still():
    generator = "/run/systemd/system-generators/penstock-test"
    os.makedirs(os.path.dirname(generator), exist_ok=True)
    with open(generator, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\ntouch /run/penstock-test.begun\nsleep 10\n")  # PID 1 waits for it
    os.chmod(generator, 0o755)
    q = Gated(GROWS.format(300))
    try:
        reload = Running(["systemctl", "daemon-reload"], user="root", cwd="/")
        wait_for(lambda: os.path.exists("/run/penstock-test.begun"), "PID 1 is busy")
        q.go()
        later = ctl_start("run", "--", "echo", "later")
        q.wait_for_output(b"76800\n")
        expect(reload.is_running(), "PID 1 has not answered meanwhile")
        expect_equal(later.wait().expect(0).text, "later\n", "who was submitted meanwhile")
        q.wait().expect(0)
        reload.wait().expect(0)
    finally:
        os.unlink(generator)
        os.unlink("/run/penstock-test.begun")
        system("systemctl", "daemon-reload")

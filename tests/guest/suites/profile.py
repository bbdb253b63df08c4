# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a query used: its statistics, against measurements of its own, and its profile, against what is seen from outside."""

import json
import os
import subprocess

from lib import cgroups, harness
from lib.cgroups import MIB
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.leftovers import release_all
from lib.processes import pss_kib, switches
from lib.profiles import profile
from lib.service import (
    Gated,
    Running,
    as_user,
    configured,
    ctl,
    ctl_json,
    daemon_pid,
    home,
    submit,
    system,
    wait_for_state,
)

def check_profile(rows):
    """What holds in every profile of a query that ran and has ended."""
    expect_equal(rows[0]["event"], "start", "the first row")
    expect_equal(rows[-1]["event"], "end", "the last row")
    for before, after in zip(rows, rows[1:]):
        for name in ("time_usec", "limit_bytes", "stall_some_usec", "stall_full_usec", "cpu_usec", "io_read_bytes", "io_write_bytes"):
            expect(after[name] >= before[name], f"{name} never falls: {before} {after}")
    limit = rows[0]["limit_bytes"]
    for row in rows:
        if row["event"] == "raise":
            expect_equal(row["old_bytes"], limit, f"a raise begins where the one before ended: {row}")
            expect(row["new_bytes"] > limit and row["latency_usec"] > 0, f"a raise goes up, in some time: {row}")
            limit = row["new_bytes"]
        expect_equal(row["limit_bytes"], limit, f"the limit in force: {row}")
        expect(row["cause"] or row["event"] in ("start", "sample", "thaw", "end"), f"it has a cause: {row}")


def check_totals(rows, stats):
    """The last row and the statistics are the same numbers."""
    last = rows[-1]
    for name in ("cpu_usec", "io_read_bytes", "io_write_bytes"):
        expect_equal(last[name], stats[name], f"{name} of the last row, and of the statistics")
    expect_equal(last["stall_some_usec"], stats["stall_usec"], "the stall time of the last row, and of the statistics")
    expect_equal(last["time_usec"], stats["execute_usec"], "the time of the last row, and of the statistics")
    expect_equal(sum(r["event"] == "raise" for r in rows), stats["raises"], "raises in the profile, and counted")
    expect_equal(len(stats["raise_log"]), stats["raises"], "raises listed, and counted")
    told = [(r["time_usec"], r["cause"], r["old_bytes"], r["new_bytes"], r["latency_usec"]) for r in rows if r["event"] == "raise"]
    logged = [tuple(e[k] for k in ("at_usec", "cause", "old_limit_bytes", "new_limit_bytes", "latency_usec")) for e in stats["raise_log"]]
    expect_equal(told, logged, "the raises of the profile, and those of the statistics")


@test("the profile of a growing query has each raise with its cause, and the limits that an outsider saw in memory.max", slow=True)
def growing():
    q = Gated("b = bytearray(600 << 20); print(len(b))")
    sampler = cgroups.Sampler(q.group)
    sampler.start()
    q.go()
    q.wait().expect(0)
    sampler.finish()
    rows, stats = profile(q.id), ctl_json("stats", str(q.id))
    note("\n" + ctl("profile", str(q.id)).expect(0).text)
    check_profile(rows)
    check_totals(rows, stats)
    limits = [64 * MIB] + [r["limit_bytes"] for r in rows if r["event"] == "raise"]
    expect(len(limits) >= 3, f"it was raised more than once: {limits}")
    steps = iter(limits)
    seen = sampler.maxima()
    expect(len(seen) >= 2 and all(value in steps for value in seen), f"an outsider saw {seen}, and the profile tells {limits}")
    expect_equal(limits[-1], seen[-1], "the last limit")
    for row in rows:
        if row["event"] == "raise":
            expect(row["cause"] in ("need", "rate", "max", "refault"), f"its cause: {row}")
            expect(row["high_bytes"] < row["limit_bytes"] or row["high_bytes"] == cgroups.INFINITY, f"its headroom: {row}")
            expect(0 < row["need_bytes"] <= row["new_bytes"], f"its need: {row}")
    expect(max(r["anon_bytes"] for r in rows) > 64 * MIB, "its anonymous memory grew past the initial quota")
    expect_equal(rows[-1]["cause"], "", "the cause of a good end")


KINDS = {
    "anon_bytes": "b = bytearray(100 << 20)",
    "shmem_bytes": "f = open('/dev/shm/fill', 'wb')\nfor _ in range(100): f.write(bytes(1 << 20))\nf.flush()",
    "file_bytes": "f = open(PATH, 'rb', buffering=0)\nwhile f.read(1 << 20): pass\nb = bytearray(40 << 20)",
}


@test("usage is told by its kind: anonymous memory, files in memory and page cache each move their own column", slow=True)
def kinds():
    path = f"{home('alice')}/kinds.bin"
    as_user("alice", lambda: write_file(path, 60 * MIB))
    try:
        for kind, body in KINDS.items():
            system("sh", "-c", "echo 1 >/proc/sys/vm/drop_caches")  # else it stays charged to who wrote it
            q = Gated(body.replace("PATH", repr(path)))
            q.go()
            q.wait().expect(0)
            rows = profile(q.id)
            check_profile(rows)
            note(f"{kind}: " + " ".join(f"{r['event']} {r['anon_bytes'] // MIB}/{r['shmem_bytes'] // MIB}/{r['file_bytes'] // MIB}M" for r in rows))
            most = {name: max(r[name] for r in rows) for name in KINDS}
            for name, value in most.items():
                if name == kind:
                    expect(value >= 20 * MIB, f"the load of {kind} moves it: {most}")
                elif name != "anon_bytes" or kind == "shmem_bytes":  # Python itself has anonymous memory
                    expect(value < 20 * MIB, f"the load of {kind} does not move {name}: {most}")
            for r in rows:
                parts = r["anon_bytes"] + r["shmem_bytes"] + r["file_bytes"]
                # They are read one after the other while the query runs, and the kernel counts a batch a CPU late.
                expect(r["time_usec"] == 0 or parts <= r["current_bytes"] + 32 * MIB, f"the kinds are parts of the whole: {r}")
    finally:
        os.unlink(path)


def write_file(path, size):
    with open(path, "wb") as f:
        for _ in range(size // MIB):
            f.write(bytes(MIB))
        f.flush()
        os.fsync(f.fileno())  # dirty pages are not dropped


MEASURE = """
import json, mmap, resource, time
block = bytearray(b'x') * (100 << 20)
t = os.times()
while sum(os.times()[:2]) - sum(t[:2]) < 0.5: pass
pid = os.fork()
if pid == 0:
    t = os.times()
    while sum(os.times()[:2]) - sum(t[:2]) < 0.5: pass
    os._exit(0)
os.waitpid(pid, 0)
path = os.environ['TMPDIR'] + '/out'
f = os.open(path, os.O_CREAT | os.O_WRONLY)
for _ in range(24): os.write(f, os.urandom(1 << 20))
os.fsync(f)
os.posix_fadvise(f, 0, 0, os.POSIX_FADV_DONTNEED)
f = os.open(path, os.O_RDONLY)
n = 0
while part := os.read(f, 1 << 20): n += len(part)
r = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({
    'cpu_usec': int(1e6 * sum(os.times()[:4])), 'rss_bytes': r[0].ru_maxrss * 1024, 'read': n,
    'blocks_in': sum(x.ru_inblock for x in r) * 512, 'blocks_out': sum(x.ru_oublock for x in r) * 512}))
"""


@test("the statistics are what the query measures of itself: peak, CPU time of its children too, bytes read and written", slow=True)
def measured():
    q = Gated(MEASURE)
    q.go()
    own = json.loads(q.wait().expect(0).text)
    stats, rows = ctl_json("stats", str(q.id)), profile(q.id)
    note(f"the query says {own}, the statistics {stats}")
    check_profile(rows)
    check_totals(rows, stats)
    expect(own["cpu_usec"] >= 1000000, f"it used a second of CPU time and more: {own}")
    # Its start and its exit are not in its own times, and those come in ticks of 10 ms.
    expect(0.9 * own["cpu_usec"] <= stats["cpu_usec"] <= 1.5 * own["cpu_usec"] + 2000000, f"cpu_usec: {stats['cpu_usec']} for {own['cpu_usec']}")
    expect(100 * MIB <= stats["memory_peak_bytes"], f"memory_peak_bytes: {stats['memory_peak_bytes']}")
    expect(stats["memory_peak_bytes"] <= own["rss_bytes"] + 96 * MIB, f"memory_peak_bytes: {stats['memory_peak_bytes']} for {own}")
    expect(24 * MIB <= stats["io_write_bytes"] <= 32 * MIB, f"io_write_bytes: {stats['io_write_bytes']}")
    expect(24 * MIB <= stats["io_read_bytes"] <= 96 * MIB, f"io_read_bytes: {stats['io_read_bytes']}")
    expect(stats["execute_usec"] >= 1000000, f"execute_usec: {stats['execute_usec']}")


STATISTICS = {
    "total_usec", "compile_usec", "queue_usec", "execute_usec", "frozen_usec", "stall_usec", "cpu_usec", "io_read_bytes",
    "io_write_bytes", "memory_peak_bytes", "memory_need_bytes", "raises", "runtime_errors", "verdict",
}  # fmt: skip


def bus_keys(method, query_id):
    """The keys of a dictionary that the Controller answers with."""
    text = system("busctl", "--json=short", "call", "org.penstock1", "/org/penstock1", "org.penstock1.Controller", method, "t", str(query_id)).text
    return set(json.loads(text)["data"][0])


@test("every figure of the statistics is in Statistics, Describe, DoneQuery and stats --json", slow=True)
def every_figure():
    query_id = submit("--language", "python", "import sys; sys.exit('a line at the end')")
    wait_for_state(query_id, "errored")
    stats = ctl_json("stats", str(query_id))
    expect(STATISTICS | {"stderr_tail"} <= set(stats), f"stats --json: {STATISTICS - set(stats)} are missing")
    text = system("busctl", "--json=short", "call", "org.penstock1", f"/org/penstock1/query/_{query_id}", "org.penstock1.Query", "Statistics").text
    keys = set(json.loads(text)["data"][0])
    expect(STATISTICS | {"stderr_tail"} <= keys, f"Statistics: {STATISTICS - keys} are missing")
    expect(STATISTICS <= bus_keys("Describe", query_id), "Describe")
    expect(STATISTICS <= bus_keys("DoneQuery", query_id), "DoneQuery")
    expect_equal(len(stats["runtime_errors"]), 1, "runtime errors")
    expect_in("exit status 1", stats["runtime_errors"][0], "the runtime error")
    expect_equal(stats["verdict"], "exit", "the verdict")
    expect_in("a line at the end", stats["stderr_tail"], "the tail")


def check_durations(stats):
    booked = stats["compile_usec"] + stats["queue_usec"] + stats["execute_usec"]
    expect(booked <= stats["total_usec"], f"no microsecond is booked twice: {stats}")
    # What is missing is the moment from admission to the first of these states.
    expect(stats["total_usec"] - booked <= stats["total_usec"] // 2, f"the parts make the whole: {stats}")
    expect(stats["frozen_usec"] <= stats["execute_usec"], f"frozen time is part of it: {stats}")


@test("the durations add up: compiling, waiting for a slot and executing make the total, each where it was spent", slow=True)
def durations():
    with configured(ConcurrencyQuota="1"):
        first = Gated("print('ready', flush=True); sys.stdin.readline()")
        first.go()
        first.wait_for_output(b"ready\n")
        waiting = submit("--language", "python", "print(1)")
        wait_for_state(waiting, "queueing")
        before = ctl_json("stats", str(waiting))
        wait_for(lambda: ctl_json("stats", str(waiting))["queue_usec"] > before["queue_usec"], "its time in the queue goes on")
        first.go()
        first.wait().expect(0)
        wait_for_state(waiting, "finished")
    stats = ctl_json("stats", str(waiting))
    check_durations(stats)
    expect(stats["compile_usec"] > 0, f"it was compiled: {stats}")
    expect(stats["queue_usec"] > before["queue_usec"], f"it waited: {stats}")
    expect(stats["execute_usec"] > 0, f"it ran: {stats}")
    stats = ctl_json("stats", str(first.id))
    check_durations(stats)
    expect_equal(stats["compile_usec"], 0, "exec has no compile step")


@test("a query that reclaims at its maximum has stall time, and one that fits has next to none", slow=True)
def stalled():
    path = f"{home('alice')}/stall.bin"
    as_user("alice", lambda: write_file(path, 200 * MIB))
    body = f"""
import mmap
b = bytearray(b'x') * (24 << 20)
for _ in range(3):
    with open({path!r}, 'rb', buffering=0) as f:
        m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        for i in range(0, len(m), 4096): m[i]
        m.close()
"""
    try:
        seen = {}
        for maximum in ("48M", "1G"):
            system("sh", "-c", "echo 1 >/proc/sys/vm/drop_caches")
            q = Gated(body, "--memory-max", maximum, "--memory-initial", maximum)
            q.go()
            q.wait().expect(0)
            seen[maximum] = ctl_json("stats", str(q.id))["stall_usec"]
        note(f"stall_usec: {seen}")
        expect(seen["48M"] > 0, f"it waited for memory: {seen}")
        expect(seen["48M"] > 4 * seen["1G"], f"the one with room waited less: {seen}")
    finally:
        os.unlink(path)


@test("a query that waits frozen has a row for the freeze and one for the thaw, and its frozen time lies between them", slow=True)
def frozen():
    with configured(MaxMemoryBytes="384M", MemoryBytesQuotaPerQuery="384M"):
        body = "b=bytearray(150<<20); print('got', flush=True); sys.stdin.readline()"
        first, second = Gated(body), Gated(body)
        first.go()
        first.wait_for_output(b"got\n")
        second.go()
        wait_for(lambda: any(r["event"] == "freeze" for r in profile(second.id)), "the second is frozen, and its profile says so")
        while_frozen = ctl_json("stats", str(second.id))["frozen_usec"]
        wait_for(lambda: ctl_json("stats", str(second.id))["frozen_usec"] > while_frozen, "its frozen time goes on")
        first.go()
        first.wait().expect(0)
        second.wait_for_output(b"got\n")
        second.go()
        second.wait().expect(0)
        rows, stats = profile(second.id), ctl_json("stats", str(second.id))
    note("\n" + ctl("profile", str(second.id)).expect(0).text)
    check_profile(rows)
    check_totals(rows, stats)
    check_durations(stats)
    freezes = [r["time_usec"] for r in rows if r["event"] == "freeze"]
    thaws = [r["time_usec"] for r in rows if r["event"] == "thaw"]
    expect(freezes and len(freezes) == len(thaws), f"each freeze has its thaw: {freezes} {thaws}")
    expect_equal(sum(t - f for f, t in zip(freezes, thaws)), stats["frozen_usec"], "the time between them")
    expect(stats["frozen_usec"] > while_frozen, f"frozen_usec: {stats['frozen_usec']}")
    expect(any(r["event"] == "denied" and r["cause"] for r in rows), "why it was frozen")


@test("an end that was asked for is told with each step and its cause; a killed one with the limit it met", slow=True)
def ends():
    q = Gated("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); sys.stdin.readline()")
    q.go()
    q.wait_for_output(b"deaf\n")
    ctl("cancel", str(q.id)).expect(0)
    q.wait().expect(125, "Canceled")
    rows = profile(q.id)
    check_profile(rows)
    expect_equal([(r["event"], r["cause"]) for r in rows if r["event"] != "sample"],
                 [("start", ""), ("terminate", "cancel"), ("kill", "cancel"), ("end", "cancel")], "a cancel of a deaf one")
    q = Gated("b = bytearray(300 << 20)", "--memory-max", "128M")
    q.go()
    q.wait().expect(137, "MemoryLimitExceeded")
    rows, stats = profile(q.id), ctl_json("stats", str(q.id))
    check_profile(rows)
    check_totals(rows, stats)
    expect_equal((rows[-1]["event"], rows[-1]["cause"], rows[-1]["limit_bytes"]), ("end", "maximum", 128 * MIB), "the last row")


@test("a query without a single sample has a start and an end, and one that never ran has no rows", slow=True)
def short():
    query_id = submit("--", "true")
    wait_for_state(query_id, "finished")
    rows = profile(query_id)
    check_profile(rows)
    check_totals(rows, ctl_json("stats", str(query_id)))
    expect_equal([r["event"] for r in rows], ["start", "end"], "its rows")
    ctl("done", str(query_id)).expect(0)
    expect_equal(profile(query_id), rows, "its rows after Done")
    never = submit("--language", "python", "(")
    wait_for_state(never, "errored")
    expect_equal(profile(never), [], "the rows of one that did not compile")


@test("the profile is for its owner and root alone, and an ID that was never issued is NoSuchQuery", slow=True)
def whose():
    query_id = submit("--", "true")
    wait_for_state(query_id, "finished")
    for user in ("bob", "carol"):
        for form in ((), ("--csv",), ("--json",)):
            done = ctl("profile", *form, str(query_id), user=user).expect(1, "PermissionDenied")
            expect_equal(done.text, "", f"what {user} sees")
    expect_equal(len(profile(query_id, user="root")), 2, "what root sees")
    as_json = ctl_json("profile", str(query_id))
    expect_equal(as_json["id"], query_id, "the id in --json")
    expect_equal([r["event"] for r in as_json["rows"]], ["start", "end"], "the rows of --json")
    ctl("profile", "999999999").expect(1, "NoSuchQuery")


@test("a profile costs nothing at rest: penstockd is not woken up while ten queries sleep", slow=True)
def at_rest():
    release_all()  # the end of what an ended query left for its caller is a wake-up
    with configured(ConcurrencyQuota="10", InitialMemoryBytesQuotaPerQuery="32M"):
        ids = [submit("--", "sleep", "1000") for _ in range(10)]
        for query_id in ids:
            wait_for_state(query_id, "executing")
        pid = daemon_pid()
        # The last of them must be running, and what their start set off be over.
        wait_for(lambda: all(cgroups.is_populated(cgroups.engine_group(i)) for i in ids), "all of them run")
        last = [switches(pid)]

        def quiet():
            subprocess.run(["sleep", "1"], check=True)
            last.append(switches(pid))
            return last[-1] == last[-2]

        wait_for(quiet, "penstockd rests for a second")
        # Its rest lasts; the watchdog alone may end it, once in a while of this length.
        before = switches(pid)
        subprocess.run(["sleep", "10"], check=True)
        woken = switches(pid) - before
        note(f"{woken} wake-ups in 10 s")
        expect(woken <= 1, f"{woken} wake-ups of penstockd in 10 s of rest")
        rows = profile(ids[0])
        expect_equal([r["event"] for r in rows], ["start"], "the rows of one that sleeps")
        for query_id in ids:
            ctl("cancel", str(query_id)).expect(0)


@test("however often a query is looked at, its profile has 256 rows at most, and says how many were left out", slow=True)
def bounded():
    path = f"{home('alice')}/bounded.bin"
    as_user("alice", lambda: write_file(path, 96 * MIB))
    # At its maximum, page cache runs into memory.max over and over, and each time it is looked at and nothing is done.
    body = f"""
import select
while not select.select([sys.stdin], [], [], 0)[0]:
    with open({path!r}, 'rb', buffering=0) as f:
        while f.read(1 << 20): pass
"""
    try:
        system("sh", "-c", "echo 1 >/proc/sys/vm/drop_caches")
        q = Gated(body, "--memory-max", "32M")
        q.go()
        wait_for(lambda: sum(r["thinned_rows"] for r in profile(q.id)) > harness.repeats(150, 1500), "rows are left out", 300)
        expect(len(profile(q.id)) <= 256, "rows while it runs")
        q.go()
        q.wait().expect(0)
    finally:
        os.unlink(path)
    rows = profile(q.id)
    check_profile(rows)
    left_out = sum(r["thinned_rows"] for r in rows)
    note(f"{len(rows)} rows, {left_out} left out")
    expect(32 <= len(rows) <= 256, f"{len(rows)} rows after its end")
    expect_in(f"\n{left_out} more rows were left out", ctl("profile", str(q.id)).expect(0).text, "what the table says of it")


@test("penstockd with 1,000 queries known, each with its profile, takes 8 MiB at most", long_only=True)
def memory_of_a_thousand():
    pid = daemon_pid()
    first = submit("--", "true")
    seen = [(0, pss_kib(pid))]
    for _ in range(10):
        loop = "seq 100 | xargs -P 4 -I N penstockctl run -- sh -c 'exit $((N % 3))' 2>/dev/null; true"
        Running(["bash", "-c", loop]).wait(1200).expect(0)
        seen.append((seen[-1][0] + 100, pss_kib(pid)))
        note(f"{seen[-1][0]} queries: Pss {seen[-1][1]} KiB")
    last = submit("--", "true")
    wait_for_state(last, "finished")
    expect(last - first > 1000, f"a thousand were issued: {first} to {last}")
    for query_id in (first, (first + last) // 2, last):
        expect_equal([r["event"] for r in profile(query_id, user="root")], ["start", "end"], f"the profile of query {query_id}")
    expect_equal(daemon_pid(), pid, "penstockd")
    expect(seen[-1][1] <= 8 * 1024, f"Pss in KiB by queries known: {seen}")

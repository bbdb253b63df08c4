# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the host has not, or does at a bad moment: no room on disk, no descriptors, a unit's name taken, a swap file, workers
killed or stopped by root, a client that dies with a thousand queries."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import time

from lib import cgroups, harness
from lib.cgroups import MIB
from lib.disks import filled, small
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.leftovers import counts_at_rest, descriptors, expect_counts, worker_of
from lib.processes import cpu_nsec
from lib.service import (
    DAEMON,
    Gated,
    Running,
    as_user,
    configured,
    ctl,
    ctl_json,
    daemon_pid,
    language,
    list_queries,
    run,
    status,
    submit,
    system,
    wait_for_state,
)

RESULTS = "/var/lib/penstock/results"
RECORDS = "/run/penstock"


@test("with the disk of results full a detached query fails and says so, attached ones run, and room that comes back is used", slow=True)
def results_disk_full():
    def done_and_gone(q):
        ctl("done", str(q)).expect(0)
        wait_for(lambda: not os.path.exists(f"{RESULTS}/{q}"), "its results are gone")

    with small(RESULTS, "size=1m"):
        before = counts_at_rest()
        q = submit("--", "head", "-c", "8M", "/dev/zero")
        wait_for_state(q, "errored", "finished")
        error = ctl_json("stats", str(q))["error"]
        expect_equal(error and error["name"], "ExecutionFailed", f"the error ({error})")
        expect_in("the disk is full", error["message"], "the message")
        expect_equal(run("--", "echo", "attached").expect(0).text, "attached\n", "the output of an attached one")
        done_and_gone(q)
        q = submit("--", "head", "-c", "500K", "/dev/zero")
        wait_for_state(q, "finished")
        expect_equal(len(ctl("results", str(q)).expect(0).out), 500 << 10, "the bytes of the next one's results")
        done_and_gone(q)
        with filled(RESULTS):
            q = submit("--", "echo", "lost")
            wait_for_state(q, "errored")
            done_and_gone(q)
        expect_counts(before, "the counts")


@test("with no room for records a query is refused with the reason, or runs; when there is room again all run", slow=True)
def records_disk_full():
    with small(RECORDS, "size=256k"):
        pid = daemon_pid()
        with filled(RECORDS):
            for _ in range(3):
                done = run("--", "echo", "well")
                if done.status != 0:
                    done.expect(125, "Internal", ["No space left"])
                else:
                    expect_equal(done.text, "well\n", "the output")
        run("--", "true").expect(0)
        before = counts_at_rest()
        with filled(RECORDS):
            run("--", "echo", "well")
            submit_or_not()
        expect_equal(run("--", "echo", "well").expect(0).text, "well\n", "the output")
        expect_equal(daemon_pid(), pid, "penstockd")
        expect_counts(before, "the counts")


@test("the end of a query that found no room on record is on record when there is some: it is told so after a kill of penstockd", slow=True)
def end_without_room():
    with small(RECORDS, "size=256k"):
        before = counts_at_rest()
        q = Gated("print('well')")
        with filled(RECORDS):
            q.go()
            expect_equal(q.wait().expect(0).text, "well\n", "the output")
            expect(worker_of(q.id) > 0, "who alone knows of its end is there as long as there is no room")
        wait_for(lambda: not os.path.exists(cgroups.unit_group(q.id)), "its unit is gone once there is")
        pid = daemon_pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: daemon_pid() not in (0, pid) and ctl("status", user="root").status == 0, "another penstockd serves")
        told = ctl_json("stats", str(q.id))
        expect_equal((told["error"], told["verdict"]), (None, ""), "its end, as the next penstockd tells it")
        run("--", "true").expect(0)
        expect_counts(before, "the counts")


def submit_or_not():
    """A detached one, to its Done if it was taken."""
    done = ctl("submit", "--json", "--", "true")
    if done.status == 0:
        q = re.search(r'"id": *(\d+)', done.text)[1]
        ctl("wait", q)
        ctl("done", q).expect(0)


def descriptors_used(pid):
    return {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}


@contextlib.contextmanager
def descriptors_below(pid, limit):
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, old[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, old)


def none_free(pid):
    """The least number that is free is the first that may not be used."""
    used = descriptors_used(pid)
    return descriptors_below(pid, next(n for n in range(len(used) + 1) if n not in used))


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def expect_at_rest(pid):
    """A rate is of some time: this is none that anything is waited for."""
    before, begin = cpu_nsec(pid), time.monotonic()
    time.sleep(3)
    share = (cpu_nsec(pid) - before) / (time.monotonic() - begin) / 1e9
    note(f"penstockd uses {share:.0%} of a CPU meanwhile")
    expect(share < 0.5, "penstockd uses less than half a CPU with nothing to do")


@test("with no descriptor left penstockd refuses what is new, finishes what runs, and does not spin; later all is as before", slow=True)
def no_descriptors():
    before, pid = counts_at_rest(), daemon_pid()
    running = [Gated("print('unharmed')") for _ in range(2)]
    # None above those that are open. Where there is none between them either, the kernel cuts off what a message brings, and sd-bus
    # closes the connection: see not_one_descriptor().
    with descriptors_below(pid, max(descriptors_used(pid)) + 1):
        for _ in range(3):
            done = run("--", "true", limit=200)
            expect(done.status != 0 and done.errors.strip(), f"a query without a descriptor for it is refused ({done})")
        for q in running:
            q.go()
            expect_equal(q.wait().expect(0).text, "unharmed\n", "a running query's output")
        expect_at_rest(pid)
    expect_equal(run("--", "echo", "well", limit=200).expect(0).text, "well\n", "the output")
    expect_equal(daemon_pid(), pid, "penstockd")
    expect_counts(before, "the counts", 240)


@test("penstockd without a single descriptor starts anew when a request brings one, and goes on with its queries", slow=True)
def not_one_descriptor():
    before, pid = counts_at_rest(), daemon_pid()
    running = Gated("print('unharmed')")
    with none_free(pid):
        run("--", "true", limit=200)  # it is served by the next penstockd, or not
        wait_for(lambda: daemon_pid() not in (0, pid), "another penstockd is there")
    said = system("journalctl", "--quiet", f"_PID={pid}", "--output=cat").text
    expect_in("starts anew, and goes on with its queries", said, "what the first one said at its end")
    running.go()
    expect_equal(running.wait().expect(0).text, "unharmed\n", "a running query's output")
    expect_equal(run("--", "echo", "well", limit=200).expect(0).text, "well\n", "the output")
    expect_counts(before, "the counts", 240)


def n_not_accepted():
    """How many connections to the workers' socket wait: those in state SS_CONNECTING, unix_seq_show() in net/unix/af_unix.c."""
    lines = [line.split() for line in cgroups.read("/proc/net/unix").splitlines()]
    return sum(len(words) == 8 and words[5] == "02" and words[7] == "/run/penstock-worker/socket" for words in lines)


@test("workers that find penstockd without descriptors wait, do not keep it busy, and are served when there are some", slow=True)
def worker_without_descriptors():
    before, pid = counts_at_rest(), daemon_pid()
    client = Running(["penstockctl", "run", "--", "echo", "served"])
    end = time.monotonic() + harness.LIMIT
    while not cgroups.unit_groups():  # at once, not by wait_for(): its worker must not have come by
        expect(client.is_running() and time.monotonic() < end, "its unit is made")
    with contextlib.ExitStack() as stack:
        with stopped(pid):  # until the worker waits, and no other descriptor than its connection's is asked for
            wait_for(lambda: n_not_accepted() == 1, "its worker has come, and waits")
            stack.enter_context(none_free(pid))
        ctl("status", user="root").expect(0)
        expect_at_rest(pid)
        expect_equal(n_not_accepted(), 1, "workers that wait though penstockd has had time for them")
        expect(client.is_running(), "the client waits, too")
    expect_equal(client.wait(240).expect(0).text, "served\n", "the output")
    expect_equal(daemon_pid(), pid, "penstockd")
    expect_counts(before, "the counts", 240)


def next_id():
    q = submit("--", "true")
    ctl("wait", str(q)).expect(0)
    ctl("done", str(q)).expect(0)
    return q + 1


@test("a unit that somebody else started under a query's name costs that query alone, and is left alone; a failed one costs none", slow=True)
def unit_name_taken():
    before = counts_at_rest()
    query_id = next_id()
    unit = f"penstock-q{query_id}.service"
    system("systemd-run", f"--unit={unit}", "sleep", "1000")
    try:
        done = run("--", "true", limit=200)
        done.expect(125, "Internal")
        expect_equal(system("systemctl", "is-active", unit).text, "active\n", "the stranger's unit")
        expect_equal(run("--", "echo", "next").expect(0).text, "next\n", "the next one's output")
    finally:
        system("systemctl", "stop", unit)
    query_id = next_id()
    unit = f"penstock-q{query_id}.service"
    system("systemd-run", f"--unit={unit}", "false")
    wait_for(lambda: system("systemctl", "is-failed", unit, check=False).text == "failed\n", "there is a failed unit")
    expect_equal(run("--", "echo", "well").expect(0).text, "well\n", "the output")
    expect_counts(before, "the counts")


@test("penstockd that is killed twelve times in a row is started again each time: no start limit stops it", slow=True)
def start_limit():
    for _ in range(12):
        pid = wait_for(daemon_pid, "penstockd is there")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: daemon_pid() not in (0, pid), "another is there")
    wait_for(lambda: ctl("status", user="root").status == 0, "it answers")
    expect_equal(run("--", "echo", "well").expect(0).text, "well\n", "the output")


@contextlib.contextmanager
def swap(mib):
    name = "/var/tmp/penstock-test-swap"
    device = None
    with open(name, "wb") as f:
        os.posix_fallocate(f.fileno(), 0, mib << 20)
    os.chmod(name, 0o600)
    try:
        device = system("losetup", "--find", "--show", name).text.strip()
        system("mkswap", device)
        system("swapon", device)
        yield
    finally:
        if device:
            system("swapoff", device, check=False)
            system("losetup", "--detach", device)
        os.unlink(name)


@test("on a host with swap a query's limit is one of memory alone: nothing of it is swapped, and beyond its maximum it ends", slow=True)
def with_swap():
    if system("modprobe", "loop", check=False).status != 0 and not os.path.exists("/dev/loop-control"):
        raise harness.Skip("this kernel has no loop devices")
    with swap(256):
        q = Gated("b = bytearray(200 << 20)\nprint('grown', flush=True)\nsys.stdin.readline()\nprint(sum(b[::4096]))")
        q.go()
        q.wait_for_output(b"grown")
        expect_equal(cgroups.limit(q.group, "memory.swap.max"), 0, "memory.swap.max")
        expect_equal(cgroups.limit(q.group, "memory.swap.current"), 0, "memory.swap.current")
        q.go()
        q.wait().expect(0)
        run("--memory-max", "64M", "--", "python3", "-c", "bytearray(200 << 20)").expect(137, "MemoryLimitExceeded")


def in_stage(stage):
    """A query that stands still at STAGE of its life. Returns its ID and how to let it go on."""
    if stage == "waiting":
        running = [Gated() for _ in range(4)]
        q = submit("--", "true")
        wait_for(lambda: worker_of(q), "its worker is there")
        return q, lambda: [(r.go(), r.wait()) for r in running]
    if stage == "compiling":
        q = submit("--language", "slow-compile", "x")
        # Killed before that, it would get another unit.
        wait_for(lambda: cgroups.is_populated(f"{cgroups.unit_group(q)}/compile"), "its compiler runs")
        return q, lambda: None
    q = submit("--", "sleep", "1000" if stage == "executing" else "3")
    wait_for(lambda: cgroups.is_populated(cgroups.engine_group(q)), "its engine runs")
    return q, lambda: None


def signal_worker(q, number):
    pid = worker_of(q)
    expect(pid > 0, f"query {q} has a worker")  # 0 would be this process's own group
    os.kill(pid, number)


def ends(q):
    state = wait_for(lambda: next((s for s in ("finished", "errored", "canceled") if state_of(q) == s), None), f"query {q} ends")
    error = ctl_json("stats", str(q))["error"]
    ctl("done", str(q)).expect(0)
    return state, error


def state_of(q):
    return ctl_json("show", str(q), user="root")["state"]


SLOW_COMPILE = "[Language]\nQueryFrom=argument\nCompile=sh -c 'sleep 20' {query}\nExecute=echo {query}\n"


@test("a worker that root kills, at whatever stage of its query, costs that query alone, which ends and says so", slow=True)
def worker_killed():
    pid = daemon_pid()
    with language("slow-compile", SLOW_COMPILE):
        before = counts_at_rest()
        for stage in ("waiting", "compiling", "executing"):
            q, go = in_stage(stage)
            signal_worker(q, signal.SIGKILL)
            go()
            state, error = ends(q)
            note(f"{stage}: {state}, {error}")
            if stage != "waiting":
                expect_equal(state, "errored", f"the state of one whose worker was killed while {stage}")
            expect_counts(before, f"the counts after a kill while {stage}")
    expect_equal(daemon_pid(), pid, "penstockd")


@test("a worker that dies while its groups are made leaves no group, nor does one of a penstockd that is gone", slow=True)
def groups_of_the_dead():
    before = counts_at_rest()
    for i in range(harness.repeats(6, 60)):
        q = submit("--", "sleep", "2")
        seen = f"{cgroups.unit_group(q)}/{('worker', 'engine', 'compile')[i % 3]}"
        pids, end = [], time.monotonic() + harness.LIMIT
        while not pids and time.monotonic() < end:  # at once, not by wait_for(): it is the moment that counts
            pids = os.path.isdir(seen) and cgroups.pids(f"{cgroups.unit_group(q)}/worker")
        expect(pids, f"{seen} is seen, and its worker")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ends(q)
    expect_counts(before, "the counts after workers died early")
    ghost = cgroups.unit_group(999_999_999)
    os.makedirs(f"{ghost}/engine")
    os.makedirs(f"{ghost}/worker")
    system("systemctl", "restart", DAEMON)
    wait_for(lambda: not os.path.exists(ghost), "a group without a unit is gone")


@test("a worker that root stops holds its query up, others go on, cancel ends it, and continued it goes on", slow=True)
def worker_stopped():
    before = counts_at_rest()
    q, _go = in_stage("ending")
    signal_worker(q, signal.SIGSTOP)
    expect_equal(run("--", "echo", "others").expect(0).text, "others\n", "another's output")
    wait_for(lambda: not cgroups.is_populated(cgroups.engine_group(q)), "its engine has ended")
    signal_worker(q, signal.SIGCONT)
    expect_equal(ends(q), ("finished", None), "the end of one whose worker was continued")
    q, _go = in_stage("executing")
    signal_worker(q, signal.SIGSTOP)
    ctl("cancel", str(q)).expect(0)
    expect_equal(ends(q)[0], "canceled", "the state of one whose worker stands still")
    expect_counts(before, "the counts")


@test("a query's user cannot signal its worker, from inside the query or from outside")
def worker_and_its_user():
    q = Gated("print('unharmed')", user="alice")
    worker = worker_of(q.id)
    expect(worker > 0, "it has a worker")

    def attack():
        refused = 0
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
            try:
                os.kill(worker, number)
            except PermissionError:
                refused += 1
        return refused

    expect_equal(as_user("alice", attack), 3, "signals that were refused")
    code = f"import os\ntry: os.kill({worker}, 9); print('killed')\nexcept (PermissionError, ProcessLookupError): print('refused')"
    expect_equal(run("--", "python3", "-c", code).expect(0).text, "refused\n", "what another query of the user was told")
    q.go()
    expect_equal(q.wait().expect(0).text, "unharmed\n", "the output")


CLIENT = """
import os, resource, sys
sys.path.insert(0, {path!r})
from lib.rawbus import Connection
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
c = Connection()
kept = []
for i in range({n}):
    reply = c.query([("language", "s", "exec"), ("argv", "as", ["sleep", "1000"])])
    if reply.error:
        print(reply.error, reply.message(), flush=True)
        break
    kept += reply.fds
print("opened", len(kept) // 2, flush=True)
sys.stdin.readline()
"""


@test("a client that opened a thousand queries and died leaves nothing of them", slow=True)
def thousand_queries():
    n = harness.repeats(300, 1000)
    path = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    with configured(QueueSize=n, MaxQueriesPerUser=n):
        before, pid = counts_at_rest(), daemon_pid()
        limits = (resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[1][0], 4096), max(limits[1][1], 4096)))
        client = Running(["python3", "-c", CLIENT.format(path=path, n=n)], stdin=subprocess.PIPE)
        resource.setrlimit(*limits)
        wait_for(lambda: re.search(rb"opened \d+", client.out()) or not client.is_running(), "it has opened them", 400)
        expect_equal(client.out(), b"opened %d\n" % n, f"what the client says ({client.err()[-600:]})")
        note(f"{n} queries: {descriptors(pid).total()} descriptors of penstockd, {status()['queueing']} wait")
        client.signal(signal.SIGKILL)
        wait_for(lambda: not list_queries(), "no query is left", 400)
        expect_counts(before, "the counts", 240)
    expect_equal(daemon_pid(), pid, "penstockd")


@test("an engine that writes without end to a reader who never reads makes no memory grow: the pipe holds it back", slow=True)
def never_read():
    pid = daemon_pid()
    readable, writable = os.pipe()
    client = Running(["penstockctl", "run", "--", "head", "-c", "10G", "/dev/zero"], stdout=writable)
    os.close(writable)
    q = wait_for(lambda: next((x["id"] for x in list_queries() if x["state"] == "executing"), None), "it executes")
    group = cgroups.engine_group(q)
    written = wait_for(lambda: stands(group), "it has filled the pipes, and stands")
    first = memory(pid, client.pid)
    time.sleep(3)
    expect_equal(stands(group), written, "what it has written three seconds later")
    grown = memory(pid, client.pid) - first
    note(f"stood after {written} bytes of 10 GiB; memory of penstockd and penstockctl grew by {grown} KiB meanwhile")
    expect(grown < 1024, "no memory grows")
    expect(cgroups.limit(group, "memory.current") < 32 * MIB, "nor that of the query")
    os.close(readable)
    done = client.wait(120)
    expect(done.status != 0, f"its end ({done})")


def stands(group):
    """What its processes have written, if that does not change; 0 or None otherwise."""

    def written():
        total = 0
        for pid in cgroups.pids(group):
            total += cgroups_io(pid)
        return total

    before = written()
    time.sleep(0.5)
    return before if before and written() == before else 0


def cgroups_io(pid):
    for line in (cgroups.read(f"/proc/{pid}/io") or "").splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    return 0


def memory(*pids):
    """Resident memory in KiB."""
    total = 0
    for pid in pids:
        for line in (cgroups.read(f"/proc/{pid}/status") or "").splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total

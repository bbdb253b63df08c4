# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory that a query leaves behind: what it can, is gone with its unit; what somebody else holds, the budget knows."""

import contextlib
import os
import resource
import select
import shutil
import socket
import subprocess

from lib import cgroups
from lib.cgroups import MIB, SLICE
from lib.harness import Skip, expect, expect_equal, note, test, wait_for
from lib.service import Gated, configured, ctl, ctl_start, environment, home, identity, run, status, submit, system, wait_for_state

# What the kernel may not have summed up yet, of two CPUs.
NOISE = 2 * MIB
RESULTS = "/var/lib/penstock/results"


def held_by_slice():
    """Memory of the slice that can't be reclaimed."""
    stat = cgroups.table(SLICE, "memory.stat")
    return stat["anon"] + stat["shmem"]


def leftover_metric():
    line = next(line for line in ctl("metrics", user="root").text.splitlines() if line.startswith("penstock_memory_leftover_bytes"))
    return int(float(line.split()[-1]))


FILL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
size = 16 << 20
block = bytes(1 << 20)
def fill(fd):
    for _ in range(16): os.write(fd, block)
for path in ("/dev/shm/left", "/tmp/left"):
    fill(os.open(path, os.O_CREAT | os.O_WRONLY))
segment = libc.shmget(0, size, 0o1600)
assert segment >= 0, ctypes.get_errno()
libc.shmat.restype = ctypes.c_void_p
ctypes.memset(libc.shmat(segment, None, 0), 1, size)
fill(os.memfd_create("left"))
print("filled", flush=True)
sys.stdin.readline()
"""


@test("a query that fills /dev/shm, /tmp, System V shared memory and a memfd leaves nothing charged once its unit is gone")
def own_leftovers():
    before = held_by_slice()
    q = Gated(FILL)
    q.go()
    q.wait_for_output(b"filled")
    expect(held_by_slice() >= before + 48 * MIB, "it is charged while the query runs")
    q.go()
    q.wait().expect(0)
    wait_for(lambda: not cgroups.unit_groups(), "its unit is gone")
    wait_for(lambda: held_by_slice() <= before + NOISE, "nothing of it is charged to the slice")
    wait_for(lambda: leftover_metric() == 0, "the budget is short of nothing")


SMALL = {
    "MaxMemoryBytes": "320M",
    "MemoryBytesQuotaPerQuery": "320M",
    "InitialMemoryBytesQuotaPerQuery": "32M",
    "ConcurrencyQuota": 2,
    "CompileConcurrency": 1,
    "CompileMemoryBytes": "16M",
    "ExhaustionPolicy": "fail",
}
LEAK = 160 * MIB


@contextlib.contextmanager
def small_budget():
    """Waits at its end, since a larger budget is in force when the slice has been raised, after the reload was answered."""
    before = status()["unused_memory_bytes"]
    with configured(**SMALL):
        yield
    wait_for(lambda: status()["unused_memory_bytes"] == before, "the budget is as before")


def leak():
    """The caller passes a memfd as stderr, the query fills it, and the caller keeps it. Returns the memfd."""
    held = os.memfd_create("held")
    body = f"import os\nfor _ in range({LEAK // MIB}): os.write(2, bytes(1 << 20))"
    argv = ["penstockctl", "run", "--", "python3", "-c", body]
    subprocess.run(argv, stderr=held, cwd=home("alice"), env=environment("alice"), timeout=120, check=True, **identity("alice"))
    expect_equal(os.fstat(held).st_size, LEAK, "what the caller holds")
    return held


@test("memory that a caller holds after his query is taken off the budget and told; another's query is not killed for it", slow=True)
def held_from_outside():
    with small_budget():
        unused, events = status()["unused_memory_bytes"], cgroups.table(SLICE, "memory.events.local")
        held = leak()
        try:
            wait_for(lambda: not cgroups.unit_groups(), "its unit is gone")
            wait_for(lambda: leftover_metric() >= LEAK - NOISE, "the metric tells of it")
            lost = unused - status()["unused_memory_bytes"]
            note(f"{lost / MIB:.1f}M less for {LEAK / MIB:.0f}M held")
            expect(abs(lost - LEAK) <= NOISE, f"unused memory is less by {lost}")
            # More than is left, but not more than the budget: the slice's limit would be met, the budget's is.
            run("--", "python3", "-c", "bytearray(300 << 20)", user="bob").expect(137, "MemoryBudgetExhausted")
            run("--", "python3", "-c", "bytearray(100 << 20)", user="bob").expect(0)
            expect_equal(cgroups.table(SLICE, "memory.events.local"), events, "events of the slice's own limit")
        finally:
            os.close(held)
        run("--", "true").expect(0)
        wait_for(lambda: leftover_metric() == 0, "it is back when it is let go")
        wait_for(lambda: status()["unused_memory_bytes"] == unused, "unused memory is as before")


# Each socket takes what it may, and its other end goes to who holds the end of standard input.
SOCKETS = '''
import socket
outside = socket.socket(fileno=0)
outside.recv(1)
block = bytes(64 << 10)
current = "/sys/fs/cgroup" + open("/proc/self/cgroup").read().strip().split(":", 2)[2] + "/memory.current"
while int(open(current).read()) < {0}:
    a, b = socket.socketpair()
    a.setblocking(False)
    try:
        while True: a.send(block)
    except BlockingIOError:
        pass
    socket.send_fds(outside, [b"s"], [b.fileno()])
    a.close()
    b.close()
print("sent", flush=True)
'''


def kernel_held_by_slice():
    stat = cgroups.table(SLICE, "memory.stat")
    return stat["kernel"] - stat["slab_reclaimable"] + stat["sock"]


@test("what the kernel holds for a dead query, as data in sockets that somebody else has, is taken off the budget as far as no slack is there for it", slow=True)
def sockets_held_from_outside():
    keys = SMALL | {"MaxMemoryBytes": "640M", "MemoryBytesQuotaPerQuery": "512M"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    before, limit = status()["unused_memory_bytes"], cgroups.limit(SLICE)
    ours, its = socket.socketpair()
    held = []
    with configured(**keys):
        wait_for(lambda: cgroups.limit(SLICE) < limit, "the slice's limit is that of the smaller budget")
        slack = cgroups.limit(SLICE) - 640 * MIB
        amount = slack // 2 + 128 * MIB
        if amount > 448 * MIB:
            raise Skip("half of the slack does not fit into one query's maximum: a sanitizer's units are allowed more")
        unused, events = status()["unused_memory_bytes"], cgroups.table(SLICE, "memory.events.local")
        try:
            q = ctl_start("run", "--", "python3", "-c", "import sys\n" + SOCKETS.format(amount), stdin=its)
            ours.send(b"g")
            while q.is_running() and b"sent" not in q.out():
                if select.select([ours], [], [], 1)[0]:
                    held += socket.recv_fds(ours, 1, 1)[1]
            q.wait().expect(0)
            wait_for(lambda: not cgroups.unit_groups(), "its unit is gone")
            note(f"{len(held)} sockets hold {kernel_held_by_slice() / MIB:.0f}M; the slack is {slack / MIB:.0f}M")
            wait_for(lambda: leftover_metric() >= 96 * MIB, "the metric tells of it")
            lost = unused - status()["unused_memory_bytes"]
            expect(lost >= 96 * MIB, f"unused memory is less by {lost / MIB:.0f}M")
            run("--", "python3", "-c", "bytearray(600 << 20)", user="bob").expect(137)
            expect_equal(cgroups.table(SLICE, "memory.events.local"), events, "events of the slice's own limit")
        finally:
            for fd in held:
                os.close(fd)
            ours.close()
            its.close()
        run("--", "true").expect(0)
        wait_for(lambda: leftover_metric() == 0, "it is back when it is let go")
        wait_for(lambda: status()["unused_memory_bytes"] == unused, "unused memory is as before")
    wait_for(lambda: status()["unused_memory_bytes"] == before, "the budget is as before")


def make_results(names):
    for name in names:
        with open(f"{RESULTS}/{name}", "wb") as f:
            f.write(bytes(64 << 10))


@test("results that an earlier boot left, large ones too, are removed and in nobody's way: no query has the ID of one of them", slow=True)
def results_of_another_boot():
    system("systemctl", "stop", "penstockd")
    for entry in os.scandir("/run/penstock"):
        shutil.rmtree(entry) if entry.is_dir() else os.unlink(entry)
    make_results([*range(1, 901), "no-id"])
    os.truncate(f"{RESULTS}/3", 40 * MIB)  # more than the loop may remove by itself
    system("systemctl", "start", "penstockd")
    queries = [submit("--", "echo", str(i)) for i in range(4)]
    expect(min(queries) > 900, f"their IDs: {queries}")
    for q in queries:
        wait_for_state(q, "finished")
    system("systemctl", "restart", "penstockd")
    for i, q in enumerate(queries):
        expect_equal(ctl("results", str(q)).expect(0).text, f"{i}\n", "the results")
        ctl("done", str(q)).expect(0)
    wait_for(lambda: not os.listdir(RESULTS), "nothing is left")

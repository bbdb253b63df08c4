# SPDX-License-Identifier: LGPL-2.1-or-later
"""A query's quota starts small and grows under pressure; the kernel enforces each step."""

import os

from lib import cgroups, harness
from lib.cgroups import MIB, SLICE
from lib.harness import Skip, expect, expect_equal, expect_in, note, test, wait_for
from lib.service import Gated, as_user, ctl, ctl_json, home, run, system

BIG = "b=bytearray(600<<20); print(len(b))"
BIG_ANSWER = "629145600\n"


def kernel_log():
    return system("dmesg").text


def check_raise_log(stats, first, last_at_least):
    """Each raise begins where the one before it ended."""
    log = stats["raise_log"]
    expect_equal(len(log), stats["raises"], "entries of raise_log, which is as long as raises says")
    limit, at = first, 0
    for entry in log:
        expect_equal(entry["old_limit_bytes"], limit, f"the old limit in {log}")
        expect(entry["new_limit_bytes"] > limit, f"a raise goes up: {entry}")
        expect(entry["at_usec"] >= at, f"raises are in order: {log}")
        expect(entry["cause"], f"a raise has a cause: {entry}")
        limit, at = entry["new_limit_bytes"], entry["at_usec"]
    expect(limit >= last_at_least, f"the last limit is {limit}, which is not {last_at_least} or more")


@test("penstockctl run --language python with 600 MiB prints 629145600 under the default initial quota and maximum", slow=True)
def as_the_issue_says():
    done = run("--language", "python", BIG).expect(0)
    expect_equal(done.text, BIG_ANSWER, "the output")


@test("a query starts with memory.max=64M in its unit's engine/, grows by doubling as it needs, and says so in stats", slow=True)
def grows_from_initial():
    q = Gated(BIG)
    expect_equal(cgroups.limit(q.group), 64 * MIB, "memory.max at the start")
    high = cgroups.limit(q.group, "memory.high")
    expect(high < 64 * MIB, f"memory.high leaves headroom while it can grow, it is {high}")
    expect_equal(cgroups.read(f"{q.group}/memory.oom.group"), "1\n", "memory.oom.group")
    swap = cgroups.read(f"{q.group}/memory.swap.max")
    expect(swap in (None, "0\n"), f"memory.swap.max is {swap!r}")
    expect_equal(ctl_json("show", str(q.id))["memory_quota_bytes"], 64 * MIB, "the quota that show tells")

    sampler = cgroups.Sampler(q.group)
    sampler.start()
    q.go()
    done = q.wait().expect(0)
    sampler.finish()
    expect_equal(done.text, BIG_ANSWER, "the output")

    stats = ctl_json("stats", str(q.id))
    note(f"raises: {[(e['cause'], e['old_limit_bytes'] // MIB, e['new_limit_bytes'] // MIB) for e in stats['raise_log']]}")
    expect(stats["raises"] >= 1, "there were raises")
    check_raise_log(stats, 64 * MIB, 600 * MIB)
    expect(stats["memory_peak_bytes"] >= 600 * MIB, f"the peak: {stats['memory_peak_bytes']}")
    # What the kernel was seen to enforce is what the log tells, in its order.
    told = [64 * MIB] + [e["new_limit_bytes"] for e in stats["raise_log"]]
    seen = sampler.maxima()
    steps = iter(told)
    expect(all(value in steps for value in seen), f"memory.max was seen as {seen}, and the log tells {told}")
    expect(len(seen) >= 2, f"memory.max was seen to change: {seen}")
    for value, high in sampler.seen:
        expect(high <= value or high == cgroups.INFINITY, f"memory.high {high} under memory.max {value}")
    expect(all(value <= 1024 * MIB for value in told), f"no step is above the maximum: {told}")


@test("the same query with --memory-max 256M exits 137 with MemoryLimitExceeded, and the kernel killed its whole group", slow=True)
def over_its_maximum():
    before = cgroups.table(SLICE, "memory.events")
    q = Gated("import subprocess; subprocess.Popen(['sleep', '1000'])\n" + BIG, "--memory-max", "256M")
    sampler = cgroups.Sampler(q.group)
    sampler.start()
    q.go()
    done = q.wait().expect(137, "MemoryLimitExceeded", ["256M", "memory_max_bytes"])
    sampler.finish()
    expect_equal(done.out, b"", "the output")
    expect(max(sampler.maxima()) <= 256 * MIB, f"memory.max was never above 256M: {sampler.maxima()}")
    after = cgroups.table(SLICE, "memory.events")
    expect_equal(after["oom_group_kill"] - before["oom_group_kill"], 1, "group kills that the slice's memory.events counted")
    expect(after["oom_kill"] - before["oom_kill"] >= 2, f"processes killed: {before} {after}")
    expect_in(f"penstock-q{q.id}.service/engine are going to be killed due to memory.oom.group", kernel_log(), "the kernel's log")
    stats = ctl_json("stats", str(q.id))
    expect_equal(stats["error"]["name"], "MemoryLimitExceeded", "the error in stats")
    # The kernel lets a dying task have a few pages more.
    expect(192 * MIB <= stats["memory_peak_bytes"] <= 257 * MIB, f"the peak: {stats['memory_peak_bytes']}")
    check_raise_log(stats, 64 * MIB, 256 * MIB)


@test("without raises the same query dies: with --memory-max 64M it is killed at 64M", slow=True)
def negative_control():
    done = run("--language", "python", "--memory-max", "64M", BIG).expect(137, "MemoryLimitExceeded", ["64M"])
    expect_equal(done.out, b"", "the output")


@test("a query that fits its initial quota is never raised", slow=True)
def no_need_no_raise():
    q = Gated("b=bytearray(20<<20); print(len(b))")
    q.go()
    expect_equal(q.wait().expect(0).text, "20971520\n", "the output")
    expect_equal(ctl_json("stats", str(q.id))["raises"], 0, "raises")


@test("page cache is no need: reading a file three times as large as the quota raises nothing", slow=True)
def page_cache_is_no_need():
    path = f"{home('alice')}/cache.bin"
    as_user("alice", lambda: write_file(path, 192 * MIB))
    try:
        system("sh", "-c", "echo 1 >/proc/sys/vm/drop_caches")  # else it stays charged to who wrote it
        q = Gated(f"n=0\nwith open({path!r},'rb',buffering=0) as f:\n while (b:=f.read(1<<20)): n+=len(b)\nprint(n)")
        q.go()
        expect_equal(q.wait().expect(0).text, f"{192 * MIB}\n", "the output")
        stats = ctl_json("stats", str(q.id))
        expect(stats["memory_peak_bytes"] > 40 * MIB, f"the file was read through this group: {stats['memory_peak_bytes']}")
        expect_equal(stats["raises"], 0, "raises")
    finally:
        os.unlink(path)


def write_file(path, size):
    with open(path, "wb") as f:
        for _ in range(size // MIB):
            f.write(bytes(MIB))
        f.flush()
        os.fsync(f.fileno())  # dirty pages are not dropped


SHAPES = {
    "sixteen threads": """
import threading, mmap
def touch():
    m = mmap.mmap(-1, 20 << 20)
    for i in range(0, len(m), 4096): m[i] = 1
    kept.append(m)
kept = []
threads = [threading.Thread(target=touch) for _ in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(kept))
""",
    "eight processes": """
children = []
r, w = os.pipe()
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        b = bytearray(40 << 20); os.write(w, b'x'); sys.stdin.readline(); os._exit(0)
    children.append(pid)
n = 0
while n < 8: n += len(os.read(r, 8))
for pid in children: os.kill(pid, 9); os.waitpid(pid, 0)
print(n)
""",
    "MAP_POPULATE": """
import mmap
m = mmap.mmap(-1, 300 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
print(m[0])
""",
    "files in /dev/shm": """
with open('/dev/shm/fill', 'wb') as f:
    for _ in range(300): f.write(bytes(1 << 20))
print(os.stat('/dev/shm/fill').st_size)
""",
    "one string that doubles": """
s = b'x' * (1 << 20)
while len(s) < 256 << 20: s = s + s
print(len(s))
""",
}
ANSWERS = {
    "sixteen threads": "16\n",
    "eight processes": "8\n",
    "MAP_POPULATE": "0\n",
    "files in /dev/shm": f"{300 * MIB}\n",
    "one string that doubles": f"{256 * MIB}\n",
}


@test("a query is not killed below its maximum, whatever its way of taking memory", slow=True)
def ways_of_growing():
    names = list(SHAPES)
    for name in names if harness.is_long else harness.rng.sample(names, 3):
        q = Gated(SHAPES[name])
        q.go()
        done = q.wait()
        stats = ctl_json("stats", str(q.id))
        note(f"{name}: {stats['raises']} raises, peak {stats['memory_peak_bytes'] // MIB}M")
        done.expect(0)
        expect_equal(done.text, ANSWERS[name], f"the output of {name}")
        expect(stats["raises"] >= 1, f"{name}: it grew")


@test("a query whose pressure stall information is switched off while it runs grows all the same", slow=True)
def growth_without_psi():
    q = Gated(BIG)
    if cgroups.read(f"{q.group}/cgroup.pressure") is None:
        raise Skip("the kernel has no pressure stall information at all")
    with open(f"{q.group}/cgroup.pressure", "w", encoding="ascii") as f:
        f.write("0")
    expect_equal(cgroups.read(f"{q.group}/memory.pressure"), None, "its file of pressure, which is gone")
    q.go()
    expect_equal(q.wait().expect(0).text, BIG_ANSWER, "the output")
    expect(ctl_json("stats", str(q.id))["raises"] >= 1, "it grew")


@test("another initial quota is in force from the start, and its whole is paid from the budget", slow=True)
def larger_initial():
    used = ctl_json("status")["used_memory_bytes"]
    q = Gated("", "--memory-initial", "200M")
    expect_equal(cgroups.limit(q.group), 200 * MIB, "memory.max at the start")
    expect_equal(ctl_json("status")["used_memory_bytes"] - used, 136 * MIB, "used memory beyond the initial quota")
    q.go()
    q.wait().expect(0)
    wait_for(lambda: ctl_json("status")["used_memory_bytes"] == used, "used memory is as before")


@test("a maximum below the configured initial quota lowers the initial quota", slow=True)
def smaller_maximum():
    q = Gated("", "--memory-max", "32M")
    expect_equal(cgroups.limit(q.group), 32 * MIB, "memory.max at the start")
    expect_equal(cgroups.limit(q.group, "memory.high"), cgroups.INFINITY, "memory.high at the maximum")
    q.go()
    q.wait().expect(0)


@test("a maximum above the configured one, and an initial quota above the maximum, are InvalidArgument with the numbers")
def bad_sizes_of_quotas():
    run("--memory-max", "2G", "--", "true").expect(125, "InvalidArgument", ["memory_max_bytes", "MemoryBytesQuotaPerQuery"])
    run("--memory-initial", "512M", "--memory-max", "256M", "--", "true").expect(125, "InvalidArgument", ["memory_initial_bytes"])
    ctl("status").expect(0)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hostile engine cannot lift its limits, leave its group, or reach what is not its caller's. Each probe runs in a real
query and tells what the kernel answered; the same probe outside shows that it would have worked there."""

import json
import os

from lib import cgroups
from lib.harness import expect, expect_equal, test
from lib.service import Gated, run

# try_*(…) return "worked" or the error's name.
TOOLS = """
import errno, json, os, socket, stat, ctypes
libc = ctypes.CDLL(None, use_errno=True)
answers = {}
def attempt(name, function, *a):
    try:
        r = function(*a)
        answers[name] = "worked"
    except OSError as e:
        answers[name] = errno.errorcode.get(e.errno, str(e.errno))
def call(name, *a):
    if getattr(libc, name)(*a) < 0:
        e = ctypes.get_errno(); raise OSError(e, name)
def write(path, text):
    fd = os.open(path, os.O_WRONLY)
    try: os.write(fd, text.encode())
    finally: os.close(fd)
def connect(path):
    s = socket.socket(socket.AF_UNIX); s.connect(path)
own = open("/proc/self/cgroup").read().strip().split(":", 2)[2]
group = "/sys/fs/cgroup" + own
"""


def probe(body, *options, argument="", user="alice"):
    q = Gated(TOOLS + f"argument = {argument!r}\n" + body + "\nprint(json.dumps(answers))", *options, user=user)
    return q


def answers(body, *options):
    q = probe(body, *options)
    q.go()
    return json.loads(q.wait().expect(0).text)


def expect_refused(seen):
    for what, answer in seen.items():
        expect(answer != "worked", f"{what} is refused: {seen}")


@test("an engine cannot write its limits, leave its group or make one")
def own_limits():
    q = probe("""
parent = os.path.dirname(group)
for name in ("memory.max", "memory.high", "memory.oom.group", "cgroup.freeze", "pids.max", "memory.swap.max"):
    attempt("write " + name, write, group + "/" + name, "max" if name.endswith(("max", "high")) else "0")
for name in (parent, parent + "/worker", os.path.dirname(parent), "/sys/fs/cgroup"):
    attempt("leave for " + name, write, name + "/cgroup.procs", "0")
attempt("memory.max of the unit", write, parent + "/memory.max", "max")
attempt("make a group", os.mkdir, group + "/own")
attempt("mount cgroup2", call, "mount", b"none", b"/tmp", b"cgroup2", 0, None)
""")
    before = {n: cgroups.read(f"{q.group}/{n}") for n in ("memory.max", "memory.high", "memory.oom.group", "pids.max")}
    expect_equal(before["memory.max"], f"{64 << 20}\n", "memory.max")
    q.go()
    seen = json.loads(q.wait().expect(0).text)
    expect_refused(seen)


@test("an engine cannot signal, trace or watch its worker, the service or PID 1")
def other_processes():
    q = probe("""
for pid in [int(p) for p in sys.stdin.readline().split()]:
    attempt("signal %d" % pid, os.kill, pid, 0)
    attempt("trace %d" % pid, call, "ptrace", 16, pid, None, None)
    attempt("memory of %d" % pid, os.open, "/proc/%d/mem" % pid, os.O_RDWR)
    answers["see %d" % pid] = "worked" if os.path.exists("/proc/%d" % pid) else "ENOENT"
""")
    workers = cgroups.pids(f"{cgroups.unit_group(q.id)}/worker")
    expect_equal(len(workers), 1, "processes in worker/")
    daemon = cgroups.pids(f"{cgroups.ROOT}/system.slice/penstockd.service")
    expect(daemon, "penstockd has a process")
    q.go()
    q.run.say(" ".join(str(p) for p in [1, *workers, *daemon]).encode() + b"\n")
    seen = json.loads(q.wait().expect(0).text)
    expect_equal(len(seen), 4 * (1 + len(workers) + len(daemon)), "attempts")
    expect_refused(seen)


@test("an engine can reach neither the system bus, nor PID 1, nor Penstock's own sockets and records")
def sockets():
    paths = [
        "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/penstock-worker/socket",
        "/run/systemd/journal/io.systemd.journal", "/run/docker.sock", "/run/user/0/bus",
    ]
    seen = answers(f"for path in {paths!r}: attempt(path, connect, path)\n"
                   "attempt('list /run/penstock', os.listdir, '/run/penstock')\n"
                   "attempt('list /run/penstock-worker', os.listdir, '/run/penstock-worker')")
    expect_refused(seen)
    expect(os.path.exists("/run/penstock") and os.path.exists("/run/dbus/system_bus_socket"), "they exist outside")
    done = run("--", "penstockctl", "run", "--", "true")
    expect(done.status != 0, f"a query cannot submit a query: {done}")


@test("an engine has no capability, cannot gain one, and set-user-ID programs give it none")
def privileges():
    status = run("--", "cat", "/proc/self/status").expect(0).text
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        expect_equal(int(fields[name], 16), 0, name)
    expect_equal(fields["NoNewPrivs"], "1", "NoNewPrivs")
    expect_equal(fields["Seccomp"], "2", "Seccomp")
    expect(os.stat("/usr/bin/su").st_mode & 0o4000, "su is set-user-ID outside")
    seen = answers("""
attempt("setuid 0", os.setuid, 0)
attempt("setgid 0", os.setgid, 0)
attempt("setgroups", os.setgroups, [0])
path = os.environ["TMPDIR"] + "/s"
open(path, "w").close()
attempt("chmod u+s", os.chmod, path, 0o4755)
attempt("user namespace", call, "unshare", 0x10000000)
attempt("mount namespace", call, "unshare", 0x00020000)
attempt("mount", call, "mount", b"/", b"/mnt", None, 4096, None)
attempt("reboot", call, "reboot", 0)
attempt("oom_score_adj", write, "/proc/self/oom_score_adj", "-1000")
attempt("device node", os.mknod, os.environ["TMPDIR"] + "/m", stat.S_IFCHR | 0o600, os.makedev(1, 1))
""")
    expect_refused(seen)


@test("an engine cannot write to the system, to kernel settings or to its worker")
def system_is_read_only():
    q = probe("""
for path in ("/etc", "/usr", "/var/lib", "/var/log", "/boot", "/root", "/opt", "/srv"):
    attempt("file in " + path, os.open, path + "/penstock-was-here", os.O_CREAT | os.O_WRONLY)
attempt("sysctl", write, "/proc/sys/vm/overcommit_memory", "1")
attempt("kernel log", os.open, "/dev/kmsg", os.O_RDWR)
attempt("memory device", os.open, "/dev/mem", os.O_RDWR)
attempt("disk", os.open, "/dev/vda", os.O_RDONLY)
""")
    q.go()
    expect_refused(json.loads(q.wait().expect(0).text))


@test("an engine that inherited nothing cannot be made unkillable: its oom_score_adj is 0 or above")
def oom_score():
    seen = run("--", "cat", "/proc/self/oom_score_adj").expect(0).text
    expect(int(seen) >= 0, f"oom_score_adj is {seen}")


@test("one user's query cannot read another user's home")
def other_homes():
    done = run("--", "ls", "/home/bob")
    expect(done.status not in (0, 125), f"ls /home/bob by alice: {done}")

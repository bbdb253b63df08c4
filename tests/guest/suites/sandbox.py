# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hostile engine cannot lift its limits, leave its group, or reach what is not its caller's. Each probe runs in a real
query and tells what the kernel answered; the same probe outside shows that it would have worked there."""

import ctypes
import json
import os
import signal

from lib import cgroups
from lib.every_language import LANGUAGES, words
from lib.harness import EACH, expect, expect_equal, note, test, wait_for
from lib.service import Gated, Running, as_user, ctl, environment, home, identity, processes_with, run, submit, system
from lib.surroundings import CONTAINER_SOCKETS, answers_inside, answers_outside, probe_file, surroundings

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


# Of each mount that is not read-only all that the query could write to, but for what /proc has of itself.
WRITABLE = r"""
import os, stat
own = set()
for line in open("/proc/self/mountinfo"):
    place, options = line.split()[4:6]
    if "ro" in options.split(",") or place == "/proc" or place.startswith("/proc/"):
        continue
    device = os.stat(place).st_dev
    for path, names, files in os.walk(place):
        names[:] = [n for n in names if os.lstat(f"{path}/{n}").st_dev == device]
        for name in ("", *files):
            one = f"{path}/{name}" if name else path
            if not stat.S_ISLNK(os.lstat(one).st_mode) and not stat.S_ISSOCK(os.lstat(one).st_mode) and os.access(one, os.W_OK):
                own.add(one)
print("\n".join(sorted(own)))
"""


@test("a query can write to its own directories and nowhere else", slow=EACH)
def writable():
    expect(as_user("alice", lambda: os.access("/run/lock", os.W_OK)), "outside alice can write to /run/lock")
    seen = run("--", "python3", "-c", WRITABLE).expect(0).text.split()
    places = ("/home/alice", "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")
    others = [p for p in seen if not f"{p}/".startswith(tuple(f"{place}/" for place in places))]
    expect_equal(others, [], f"what else it can write to, of {seen}")
    expect(set(places) <= set(seen), f"all of {places} is in {seen}")


@test("an engine cannot write its limits, leave its group or make one", slow=True)
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


@test("an engine cannot signal, trace or watch its worker, the service or PID 1", slow=True)
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


@test("an engine can reach neither the system bus, nor PID 1, nor Penstock's own sockets and records", slow=True)
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


@test("an engine has no capability, cannot gain one, and set-user-ID programs give it none", slow=True)
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


@test("an engine cannot write to the system, to kernel settings or to its worker", slow=True)
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


@test("an engine that inherited nothing cannot be made unkillable: its oom_score_adj is 0 or above", slow=True)
def oom_score():
    seen = run("--", "cat", "/proc/self/oom_score_adj").expect(0).text
    expect(int(seen) >= 0, f"oom_score_adj is {seen}")


@test("one user's query cannot read another user's home", slow=True)
def other_homes():
    done = run("--", "ls", "/home/bob")
    expect(done.status not in (0, 125), f"ls /home/bob by alice: {done}")


# The whole of lib/probe.py, in every language's own sandbox and outside of any.
# What would have worked: the sandbox alone stands before it.
OUTSIDE = [
    "socket: /run/dbus/system_bus_socket", "socket: AF_NETLINK", *[f"socket: {p}" for p in CONTAINER_SOCKETS], "process: see bob's query",
    "process: write memory of the user's own outside", "process: root of the user's own outside",
    "process: process_vm_writev of the user's own outside", "process: take a descriptor of the user's own outside",
    "memory: huge pages", "memory: huge pages of a memfd", "memory: huge pages of a file", "memory: io_uring", "namespace: user",
    "file: System V memory", "program: at", "program: crontab", "program: penstockctl",
]


# A language may write where its query is.
ALLOWED = {"exec": {"file: in /home/alice"}, "shell": {"file: in /home/alice"}, "python": {"file: in /home/alice"}, "sqlite": set()}


@test("a hundred and more ways out of a query are closed in every language's sandbox, and the same ways are open outside", slow=EACH)
def all_the_ways_out():
    path = probe_file()
    with surroundings() as facts:
        outside = answers_outside(path, facts)
        note(f"{len(outside)} attempts, {sum(a == 'worked' for a in outside.values())} of which work outside")
        for what in OUTSIDE:
            if what != "memory: huge pages of a file" or os.path.ismount("/dev/hugepages"):
                expect_equal(outside.get(what), "worked", f"outside, {what}")
        system("crontab", "-u", "alice", "-r")
        system("sh", "-c", "atrm $(atq | cut -f 1)")
        wrong = {}
        for name in LANGUAGES:
            inside = answers_inside(name, path, facts)
            expect(len(inside) > 100, f"{name}: attempts: {len(inside)}")
            wrong[name] = sorted(w for w, a in inside.items() if a == "worked" and w not in ALLOWED[name])
        expect(not any(wrong.values()), f"what worked and should not: {wrong}")
    os.unlink(path)


@test("a caller's own OOM score is not inherited, and a query cannot lower its own, whatever it was outside", slow=True)
def inherited_oom_score():
    script = "for v in -1 -500 -1000; do echo $v 2>/dev/null > /proc/self/oom_score_adj && echo lowered; done; cat /proc/self/oom_score_adj"
    who = identity("alice")
    groups = ",".join(map(str, who["extra_groups"]))
    command = ["setpriv", f"--reuid={who['user']}", f"--regid={who['group']}", f"--groups={groups}", "--", "penstockctl", "run", "--", "sh", "-c", script]
    done = Running(["choom", "-n", "-500", "--", *command], user="root", cwd=home("alice"), env=environment("alice")).wait()
    expect_equal(done.expect(0).text, "0\n", "the score in a query whose caller has -500")


@test("the user of a query can neither signal nor trace its worker from outside, nor write to its groups", slow=True)
def worker_from_outside():
    q = Gated()
    worker = cgroups.pids(f"{cgroups.unit_group(q.id)}/worker")[0]
    engine = cgroups.pids(q.group)[0]

    def attempts():
        seen = {}
        libc = ctypes.CDLL(None, use_errno=True)

        def attempt(name, function, *a):
            try:
                function(*a)
                seen[name] = "worked"
            except OSError as e:
                seen[name] = str(e)

        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, 0):
            attempt(f"signal {number}", os.kill, worker, number)
        attempt("memory", os.open, f"/proc/{worker}/mem", os.O_RDWR)
        attempt("root", os.listdir, f"/proc/{worker}/root/")
        attempt("descriptors", os.listdir, f"/proc/{worker}/fd")
        attempt("its OOM score", os.open, f"/proc/{worker}/oom_score_adj", os.O_WRONLY)
        seen["trace"] = "worked" if libc.ptrace(16, worker, None, None) == 0 else "refused"
        for group in (cgroups.unit_group(q.id), q.group, f"{cgroups.unit_group(q.id)}/worker"):
            for name in ("memory.max", "cgroup.procs", "cgroup.kill", "cgroup.freeze", "memory.oom.group"):
                if os.path.exists(f"{group}/{name}"):
                    attempt(f"{group}/{name}", os.open, f"{group}/{name}", os.O_WRONLY)
        # Into the group of another: what a query is charged is its own.
        attempt("join", lambda: open(f"{q.group}/cgroup.procs", "w", encoding="ascii").write(str(os.getpid())))
        os.kill(engine, 0)  # one's own engine may be signaled
        return seen

    expect_refused(as_user("alice", attempts))
    q.go()
    q.wait().expect(0)


# Each in its own way does not want to go.
ORPHANS = """
import os, signal, sys, time
marker = sys.argv[1]
def detach(work):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for n in range(1, 65):
                try: signal.signal(n, signal.SIG_IGN)
                except (OSError, ValueError): pass
            work()
        os._exit(0)
def runner():
    print("runs", flush=True)
    while True:
        try:
            if os.fork() > 0: os._exit(0)
        except OSError: pass  # the dead ones before were not reaped yet, and count as tasks
        time.sleep(0.001)
detach(lambda: time.sleep(1000))
detach(lambda: os.kill(os.getpid(), signal.SIGSTOP) or time.sleep(1000))
detach(runner)
detach(lambda: os.execvp("nohup", ["nohup", "sh", "-c", "sleep 1000; :", marker]))
for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)
print("up", flush=True)
time.sleep(1000)
"""


@test("nothing that an engine leaves outlives its cancel: double forks, runners, the stopped and those that ignore every signal", slow=True)
def outlives_nothing():
    path = f"{home('alice')}/orphans.py"
    with open(path, "w", encoding="ascii") as f:
        f.write(ORPHANS)
    for name in LANGUAGES:
        marker = f"orphan-{name}-{os.getpid()}"
        query_id = submit(*words(name, f"python3 {path} {marker}"))
        group = cgroups.engine_group(query_id)
        # The one that runs away is somebody else each time that one looks.
        wait_for(lambda m=marker: len(processes_with(m)) >= 4, f"{name}: the orphans are there")
        wait_for(lambda q=query_id: "runs" in ctl("results", str(q)).text, f"{name}: one runs away")
        ctl("cancel", str(query_id)).expect(0)
        expect_equal(processes_with(marker), [], f"{name}: processes after the cancel")
        expect(not cgroups.is_populated(group), f"{name}: its group is empty")
        ctl("done", str(query_id)).expect(0)
    os.unlink(path)


@test("two queries of one user share neither /tmp nor /var/tmp, /dev/shm, System V memory nor message queues", slow=True)
def private_places():
    body = """
import ctypes
libc = ctypes.CDLL(None)
paths = ["/tmp/shared", "/var/tmp/shared", "/dev/shm/shared"]
seen = [p for p in paths if os.path.exists(p)] + (["shm"] if libc.shmget(0x50454E54, 0, 0) >= 0 else []) + (["mq"] if libc.mq_open(b"/shared", 0) >= 0 else [])
print("seen", seen, flush=True)
for p in paths: open(p, "w").close()
libc.shmget(0x50454E54, 4096, 0o1600)
libc.mq_open(b"/shared", 0o100, 0o600, None)
sys.stdin.readline()
"""
    first, second = Gated(body), Gated(body)
    for q in (first, second):
        q.go()
        q.wait_for_output(b"seen []")
    for q in (first, second):
        q.go()
        q.wait().expect(0)
    for path in ("/tmp/shared", "/var/tmp/shared", "/dev/shm/shared", "/dev/mqueue/shared"):
        expect(not os.path.exists(path), f"{path} on the host")


@test("a terminal that a query is given is no way to type into the session of its caller", slow=True)
def callers_terminal():
    primary, terminal = os.openpty()
    body = ("import fcntl, os, termios\nfor n in (termios.TIOCSTI, 0x541C):\n"
            "    for fd in (0, 2):\n"
            "        try: fcntl.ioctl(fd, n, b'x'); print('typed')\n"
            "        except OSError as e: print(e.errno)\n"
            "try: fcntl.ioctl(0, termios.TIOCSCTTY, 1); print('taken')\n"
            "except OSError as e: print(e.errno)\n")
    argv = ["script", "--quiet", "--return", "--command", "exec penstockctl run --quiet -- python3 -c \"$BODY\" >out.txt", "/dev/null"]
    done = Running(argv, stdin=terminal, env=environment("alice", BODY=body, TERM="dumb")).wait()
    os.close(primary)
    os.close(terminal)
    out = f"{home('alice')}/out.txt"
    with open(out, encoding="ascii") as f:
        seen = f.read().split()
    os.unlink(out)
    expect_equal(len(seen), 5, f"attempts ({done})")
    expect("typed" not in seen and "taken" not in seen, f"what the terminal let the query do: {seen}")


@test("files may still be renamed and linked from one directory to another, and a query's processes see each other", slow=True)
def what_must_work():
    script = ("set -e; mkdir -p way/a way/b; echo x >way/a/f; mv way/a/f way/b/g; ln way/b/g way/a/h; mv way/a/h way; cat way/h; rm -r way; "
              "mkdir /tmp/a /tmp/b; echo y >/tmp/a/f; mv /tmp/a/f /tmp/b/; cat /tmp/b/f; sleep 100 & "
              "while [ \"$(cat /proc/$!/comm)\" = sh ]; do sleep 0.1; done; cat /proc/$!/comm; ls /proc/$!/root >/dev/null; kill $!")
    expect_equal(run("--", "sh", "-c", script).expect(0).text, "x\ny\nsleep\n", "the output")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an engine finds when it starts: its caller's surroundings, and nothing of the service's."""

import grp
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile

from lib.harness import Skip, expect, expect_equal, expect_in, test
from lib.service import (
    Gated,
    Running,
    as_user,
    ctl_start,
    environment,
    home,
    identity,
    language,
    run,
    system,
)

# Prints what it finds, as JSON. Run by exec, so no descriptor of a language's is there.
PROBE = """
import json, os, resource
names = [n for n in dir(resource) if n.startswith("RLIMIT_")]
print(json.dumps({
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": sorted(os.getgroups()),
    "cwd": os.getcwd(), "umask": os.umask(0), "fds": sorted(int(f) for f in os.listdir("/proc/self/fd"))[:-1],
    "limits": {n[7:]: resource.getrlimit(getattr(resource, n)) for n in names},
    "stdin": os.readlink("/proc/self/fd/0"), "session": os.getsid(0), "pid": os.getpid(),
}))
"""


def probe(*options, **more):
    return json.loads(run(*options, "--", "python3", "-c", PROBE, **more).expect(0).text)


def environ(*options, **more):
    raw = run(*options, "--", "cat", "/proc/self/environ", **more).expect(0).out
    return dict(entry.decode().split("=", 1) for entry in raw.split(b"\0") if entry)


@test("an engine runs as its caller, with the caller's group and all supplementary groups, and with no other", slow=True)
def credentials():
    entry = pwd.getpwnam("alice")
    seen = probe()
    expect_equal(seen["uid"], [entry.pw_uid] * 3, "the uids")
    expect_equal(seen["gid"], [entry.pw_gid] * 3, "the gids")
    expect_equal(seen["groups"], sorted(os.getgrouplist("alice", entry.pw_gid)), "the groups")


@test("an engine has the groups of its caller's process, also those that are in no file")
def extra_groups():
    who = identity("alice")
    who["extra_groups"] = [*who["extra_groups"], 54321]
    command = ["penstockctl", "run", "--", "id", "-G"]
    done = subprocess.run(command, cwd="/", env=environment("alice"), stdout=subprocess.PIPE, check=True, timeout=120, **who)
    expect_in("54321", done.stdout.decode().split(), "its groups")


@test("an engine starts in the caller's directory, also in one that only the caller may enter", slow=True)
def working_directory():
    expect_equal(probe()["cwd"], home("alice"), "the directory")
    path = f"{home('alice')}/deep/er"
    as_user("alice", lambda: (os.makedirs(path), os.chmod(f"{home('alice')}/deep", 0o700)))
    try:
        expect_equal(probe(cwd=path)["cwd"], path, "the directory")
    finally:
        shutil.rmtree(f"{home('alice')}/deep")
    expect_equal(probe("--working-directory", "/usr")["cwd"], "/usr", "the directory that was asked for")


@test("an engine finds a working directory that lies under /tmp", slow=True)
def working_directory_in_tmp():
    path = as_user("alice", lambda: tempfile.mkdtemp(dir="/tmp"))
    try:
        expect_equal(probe(cwd=path)["cwd"], path, "the directory")
    finally:
        os.rmdir(path)


@test("a working directory that the caller may not enter is refused")
def foreign_directory():
    run("--working-directory", home("bob"), "--", "pwd").expect(125, "InvalidArgument", ["working_directory"])


@test("an engine has the caller's umask", slow=True)
def umask():
    for mask in (0o077, 0o002):
        expect_equal(probe(umask=mask)["umask"], mask, "the umask")


@test("an engine's environment is the caller's PATH, LANG, LC_*, TZ, HOME and USER, what --env names, and TMPDIR: no more")
def environment_is_exact():
    mine = environment("alice", LC_TIME="C", TZ="Europe/Oslo", SECRET="x", LD_PRELOAD="", PASSED="from here", NOTIFY_SOCKET="/x")
    seen = environ("--env", "PASSED", "--env", "GIVEN=a=b c", "--env", "EMPTY=", env=mine)
    wanted = {k: mine[k] for k in ("PATH", "LANG", "LC_TIME", "TZ", "HOME", "USER", "PASSED")}
    wanted |= {"GIVEN": "a=b c", "EMPTY": ""}
    expect("TMPDIR" in seen, f"there is a TMPDIR in {seen}")
    del seen["TMPDIR"]
    expect_equal(seen, wanted, "the environment")


@test("TMPDIR is there, writable, private and not the host's", slow=True)
def tmpdir():
    script = 'touch "$TMPDIR/penstock-was-here" && ls "$TMPDIR"; touch /tmp/penstock-was-here; touch /dev/shm/penstock-was-here'
    expect_equal(run("--", "sh", "-c", script).expect(0).text, "penstock-was-here\n", "files in it")
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        expect(not os.path.exists(f"{place}/penstock-was-here"), f"it is not the host's {place}")
    expect_equal(run("--", "sh", "-c", 'ls "$TMPDIR"').expect(0).text, "", "files that another query sees")


@test("signals are as after a login: none ignored, none blocked, and SIGPIPE kills", slow=True)
def signals():
    text = run("--", "cat", "/proc/self/status").expect(0).text
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    for name in ("SigIgn", "SigBlk", "SigPnd"):
        expect_equal(int(fields[name], 16), 0, name)
    done = run("--", "bash", "-c", "yes | head -n 1; echo ${PIPESTATUS[0]}").expect(0)
    expect_equal(done.text, f"y\n{128 + signal.SIGPIPE}\n", "the end of a writer without a reader")


@test("an engine has no controlling terminal, and leads its own session", slow=True)
def no_terminal():
    text = run("--", "cat", "/proc/self/stat").expect(0).text
    expect_equal(text.rsplit(") ", 1)[1].split()[4], "0", "tty_nr")
    seen = probe()
    expect_equal(seen["session"], seen["pid"], "its session")
    done = run("--", "sh", "-c", ": </dev/tty && echo opened")
    expect_equal(done.out, b"", "what came of opening /dev/tty")


@test("an engine has the descriptors 0, 1 and 2, and no other", slow=True)
def descriptors():
    expect_equal(probe()["fds"], [0, 1, 2], "the descriptors")


@test("standard input is the caller's for exec and with --stdin, and else /dev/null", slow=True)
def stdin():
    data = bytes(range(256)) * 1000
    expect_equal(run("--", "cat", text=data).expect(0).out, data, "what exec read")
    expect_equal(run("--language", "python", "import os; print(os.readlink('/proc/self/fd/0'))", text=b"no").expect(0).text, "/dev/null\n", "descriptor 0 of python")
    done = run("--language", "python", "--stdin", "import sys; print(len(sys.stdin.buffer.read()))", text=data).expect(0)
    expect_equal(done.text, f"{len(data)}\n", "what python read with --stdin")


READS_QUERY = "[Language]\nQueryFrom=stdin\nExecute=cat\n"


@test("a language that takes its query from standard input never eats the caller's", slow=True)
def query_on_stdin():
    readable, writable = os.pipe()
    os.write(writable, b"mine\n")
    os.close(writable)
    with language("reads", READS_QUERY):
        done = ctl_start("run", "--language", "reads", "the query", stdin=readable).wait()
    expect_equal(done.expect(0).text, "the query", "what the engine read")
    expect_equal(os.read(readable, 100), b"mine\n", "what is left of the caller's input")
    os.close(readable)


@test("an engine has the caller's soft limits, no core files, and memory locking bounded by memory.max alone", slow=True)
def limits():
    script = "ulimit -S -n 321; ulimit -S -s 4096; ulimit -S -t 777; exec penstockctl run -- python3 -c \"$1\""
    done = Running(["bash", "-c", script, "x", PROBE], cwd="/", env=environment("alice")).wait().expect(0)
    seen = json.loads(done.text)["limits"]
    expect_equal(seen["NOFILE"][0], 321, "open files")
    expect_equal(seen["STACK"][0], 4096 << 10, "stack")
    expect_equal(seen["CPU"][0], 777, "processor seconds")
    expect(seen["CORE"][1] <= 1, f"core files: {seen['CORE']}")
    expect_equal(seen["MEMLOCK"], [resource.RLIM_INFINITY] * 2, "locked memory")


@test("descriptors 0, 1 and 2 that the caller had closed are no way into the service")
def closed_descriptors():
    script = "exec 0<&- 2>&-; exec penstockctl run -- sh -c 'echo fine; echo lost >&2; cat; ls -l /proc/self/fd/0'"
    done = Running(["bash", "-c", script], cwd="/", env=environment("alice")).wait()
    lines = done.text.splitlines()
    expect_equal(lines[:1], ["fine"], f"the output ({done})")
    expect("bus" not in done.text and "socket" not in done.text, f"descriptor 0 is harmless: {done.text}")


@test("a user without an entry in passwd runs by number")
def unknown_uid():
    penstock = [grp.getgrnam("penstock").gr_gid]
    who = {"user": 61234, "group": 61234, "extra_groups": penstock}
    done = subprocess.run(
        ["penstockctl", "run", "--", "id", "-u"], cwd="/", env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=120, check=False, **who
    )
    if b"Transport endpoint is not connected" in done.stderr:
        raise Skip("this bus lets nobody connect who has no entry in passwd (dbus-daemon; dbus-broker does)")
    expect_equal((done.returncode, done.stdout), (0, b"61234\n"), f"status and uid ({done.stderr!r})")


@test("secrets in the environment, the text and parameters are in no unit property, journal line or other user's view", slow=True)
def secrets():
    secret = "hunter2-e31f"
    q = Gated(f"# {secret}", "--env", f"PASSWORD={secret}")
    unit = f"penstock-q{q.id}.service"
    for command in (("systemctl", "show", unit), ("systemctl", "cat", unit), ("journalctl", "--boot", "--output=export")):
        expect(secret not in system(*command, check=False).text, f"it is not in {' '.join(command)}")
    tree = system("busctl", "call", "org.penstock1", "/org/penstock1", "org.penstock1.Controller", "ListQueries")
    expect(secret not in tree.text, "it is not in ListQueries")
    q.go()
    q.wait().expect(0)
    found = system("grep", "-rlI", secret, "/run/systemd", "/run/penstock", "/var/lib/penstock", check=False).text
    expect_equal(found, "", "files that hold it")

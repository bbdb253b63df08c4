# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service as its users see it: penstockctl run by ordinary users, systemctl by root, and a configuration of its own
for a test."""

import contextlib
import json
import os
import pickle
import pwd
import re
import signal
import struct
import subprocess
import tempfile

from lib import cgroups
from lib.harness import LIMIT, Failure, expect, expect_equal, fail, wait_for
from lib.rawbus import CONTROLLER, Connection, Writer

DROP_IN = "/etc/penstock/penstock.conf.d/90-test.conf"
LANGUAGES = "/etc/penstock/languages.d"
BELOW_ALL = "/usr/lib/penstock/penstock.conf.d/00-test.conf"  # so that each test can say otherwise
DAEMON = "penstockd.service"
MIB = 1 << 20

_running = []  # processes that clean_up() must end
_scratch = tempfile.mkdtemp(prefix="penstock-test.", dir="/root" if os.path.isdir("/root") else None)


class Done:
    """How a command ended: its status as a shell would tell it, and what it said."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __str__(self):
        return f"status {self.status}, stdout {self.text[-600:]!r}, stderr {self.errors[-1500:]!r}"

    @property
    def text(self):
        return self.out.decode(errors="replace")

    @property
    def errors(self):
        return self.err.decode(errors="replace")

    def expect(self, status, error=None, words=()):
        """Fail unless it ended with STATUS and, when ERROR is given, said that name and WORDS on stderr."""
        if self.status != status:
            fail(f"wanted status {status}, got {self}")
        if error is not None and not re.search(rf"\b{error}: ", self.errors):
            fail(f"wanted the error {error}, got {self}")
        for word in words:
            # Sizes may be written 256M or 256.0M. A file's name may have ".0" in it.
            if word not in self.errors and word not in re.sub(r"(\d)\.0([KMGT])", r"\1\2", self.errors):
                fail(f"wanted {word!r} on stderr, got {self}")
        return self


class Running:
    """A command that runs while the test goes on; its output goes to files, so that it never waits for us."""

    def __init__(self, argv, user="alice", cwd=None, env=None, stdin=subprocess.DEVNULL, umask=0o022, stdout=None):
        self.out_file = tempfile.TemporaryFile(dir=_scratch) if stdout is None else None
        self.err_file = tempfile.TemporaryFile(dir=_scratch)
        self.argv = argv
        self.process = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=self.out_file or stdout,
            stderr=self.err_file,
            cwd=cwd or home(user),
            env=environment(user) if env is None else env,
            start_new_session=True,
            **identity(user, umask),
        )
        _running.append(self)

    @property
    def pid(self):
        return self.process.pid

    def out(self):
        return os.pread(self.out_file.fileno(), 1 << 26, 0) if self.out_file else b""

    def err(self):
        return os.pread(self.err_file.fileno(), 1 << 24, 0)

    def is_running(self):
        return self.process.poll() is None

    def wait(self, limit=LIMIT):
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            text = f"{limit} s passed, and still running: {' '.join(self.argv)[:200]}; so far: {Done(None, self.out(), self.err())}"
            raise Failure(text) from None
        return Done(128 - status if status < 0 else status, self.out(), self.err())

    def wait_and_forget(self, limit=LIMIT):
        """For a command that runs to its end: its files are closed at once, so that a condition may ask it again and again."""
        done = self.wait(limit)
        _running.remove(self)
        self.end()
        return done

    def say(self, text=b"\n"):
        """Write to its stdin, which must be a pipe."""
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        if self.is_running():
            self.process.kill()
        self.process.wait()
        self.err_file.close()
        if self.out_file:
            self.out_file.close()


@contextlib.contextmanager
def users():
    """alice and bob, in the group penstock, and carol, who is not; those that are not there are made for the while."""
    made = []
    try:
        for name, groups in (("alice", "penstock"), ("bob", "penstock"), ("carol", "")):
            try:
                pwd.getpwnam(name)
            except KeyError:
                system("useradd", "--key", "HOME_MODE=0700", "--create-home", "--user-group", "--groups", groups, name)
                made.append(name)
        yield
    finally:
        for name in made:
            system("userdel", "--remove", name, check=False)


def identity(user, umask=0o022):
    """What Popen needs to start a process as USER, with all of the user's groups."""
    if user == "root":
        return {"umask": umask}
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups, "umask": umask}


def home(user):
    return pwd.getpwnam(user).pw_dir


def environment(user, **more):
    """As after a login."""
    path = "/usr/local/bin:/usr/bin:/bin" + (":/usr/sbin:/sbin" if user == "root" else "")
    tools = {name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ}  # lib/sanitized
    return {"PATH": path, "HOME": home(user), "USER": user, "LOGNAME": user, "SHELL": "/bin/bash", "LANG": "C.UTF-8", **tools, **more}


def ctl_start(*words, **more):
    return Running(["penstockctl", *words], **more)


def ctl(*words, limit=LIMIT, text=None, **more):
    """Run penstockctl to its end. TEXT goes to its stdin."""
    if text is not None:
        source = tempfile.TemporaryFile(dir=_scratch)
        source.write(text)
        source.seek(0)
        more["stdin"] = source
    return ctl_start(*words, **more).wait_and_forget(limit)


def ctl_json(verb, *words, **more):
    done = ctl(verb, "--json", *words, **more)
    expect_equal(done.status, 0, f"penstockctl {verb} {' '.join(words)} ({done})")
    return json.loads(done.text)


def run(*words, **more):
    return ctl("run", *words, **more)


def submit(*words, **more):
    """A detached query; returns its ID."""
    return ctl_json("submit", *words, **more)["id"]


class Gated:
    """A query that is executing, and does BODY (Python) only when told to go on."""

    PROLOGUE = 'import sys, os\nprint(open("/proc/self/cgroup").read().strip(), flush=True)\nsys.stdin.readline()\n'

    def __init__(self, body="", *options, user="alice", limit=LIMIT, **more):
        self.run = ctl_start(
            "run", *options, "--", "python3", "-c", self.PROLOGUE + body, user=user, stdin=subprocess.PIPE, **more
        )
        self.id = wait_for(self._find_id, f"a query says that it runs ({body[:60]!r})", limit)
        self.group = cgroups.engine_group(self.id)

    def _find_id(self):
        found = re.search(rb"/penstock-q(\d+)\.service/engine\n", self.run.out())
        if found:
            return int(found[1])
        if not self.run.is_running():
            fail(f"the query ended before it ran: {self.run.wait()}")
        return None

    def go(self):
        self.run.say()

    def wait_for_output(self, word, limit=LIMIT):
        def seen():
            if not self.run.is_running() and word not in self.run.out():
                fail(f"the query ended before it said {word!r}: {self.run.wait()}")
            return word in self.run.out()

        wait_for(seen, f"query {self.id} says {word!r}", limit)

    def wait(self, limit=LIMIT):
        """How it ended, without the line of the prologue."""
        done = self.run.wait(limit)
        done.out = done.out.split(b"\n", 1)[1]
        return done


def as_user(user, function):
    """Run FUNCTION in a child that is USER, and return what it returned, which must pickle."""
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(readable)
            signal.alarm(0)
            os.setgroups(groups)
            os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
            os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
            try:
                answer = (True, function())
            except Exception as e:  # told to the parent
                answer = (False, f"{type(e).__name__}: {e}")
            with os.fdopen(writable, "wb") as f:
                pickle.dump(answer, f)
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as f:
        data = f.read()
    os.waitpid(child, 0)
    expect(data, f"the child that was {user} died")
    good, value = pickle.loads(data)
    if not good:
        fail(f"as {user}: {value}")
    return value


def list_queries():
    return ctl_json("list", user="root")


def state(query_id):
    return ctl_json("show", str(query_id), user="root")["state"]


def wait_for_state(query_id, *states, limit=LIMIT):
    return wait_for(lambda: state(query_id) in states, f"query {query_id} is {' or '.join(states)}", limit)


def status():
    return ctl_json("status", user="root")


def system(*argv, limit=LIMIT, check=True):
    """Run a command as root."""
    done = Running(list(argv), user="root", cwd="/").wait_and_forget(limit)
    if check and done.status != 0:
        fail(f"{' '.join(argv)}: {done}")
    return done


def unit_property(unit, name):
    return system("systemctl", "show", "--property", name, "--value", unit).text.strip()


def daemon_pid():
    """The oldest process of its group; 0 when there is none. (Asking PID 1 costs more than most tests.)"""
    return min(cgroups.pids(f"{cgroups.ROOT}/system.slice/{DAEMON}"), default=0)


def bus_property(name):
    """A property of the Controller as busctl prints it, without its type."""
    return system("busctl", "get-property", "org.penstock1", "/org/penstock1", "org.penstock1.Controller", name).text.split(
        maxsplit=1
    )[1].strip()


@contextlib.contextmanager
def configured(**keys):
    """Keys of [Controller] for the time of a test, brought in by a reload."""
    write_drop_in(keys)
    reload_daemon()
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(DROP_IN)
        reload_daemon()


@contextlib.contextmanager
def no_spares():
    """Without units that nobody has asked for: a test that counts would count them, and the suite `spares` has its own."""
    os.makedirs(os.path.dirname(BELOW_ALL), exist_ok=True)
    with open(BELOW_ALL, "w", encoding="ascii") as f:
        f.write("[Controller]\nWarmUnitsIdleSec=0\n")
    reload_daemon()
    try:
        yield
    finally:
        os.unlink(BELOW_ALL)
        reload_daemon()


def write_drop_in(keys):
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="ascii") as f:
        f.write("[Controller]\n" + "".join(f"{k}={v}\n" for k, v in keys.items()))


def reload_daemon():
    """By the method that answers when it is done, so that nothing has to be waited for."""
    system("busctl", "call", "org.penstock1", "/org/penstock1", "org.penstock1.Controller", "Reload")


def restart_daemon():
    system("systemctl", "restart", DAEMON)
    wait_for(lambda: ctl("status", user="root").status == 0, "it serves")


@contextlib.contextmanager
def language(name, text):
    """A language of the administrator's for the time of a test."""
    os.makedirs(LANGUAGES, exist_ok=True)
    path = f"{LANGUAGES}/{name}.conf"
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    reload_daemon()
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):  # a test may take it away
            os.unlink(path)
        reload_daemon()


def processes_with(marker):
    """PIDs of processes whose command line holds MARKER, ours aside."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    if marker.encode() in f.read():
                        found.append(int(entry))
    return found


def own_pids():
    return [r.pid for r in _running if r.is_running()]


def end_clients():
    while _running:
        _running.pop().end()


def _property(bus, name):
    """A number or a boolean of the Controller."""
    reply = bus.call("Get", "ss", Writer().string(CONTROLLER).string(name).data, interface="org.freedesktop.DBus.Properties")
    if reply.error:
        fail(f"penstockd's {name}: {reply.error}: {reply.message()}")
    return struct.unpack_from("=I", reply.body, 4)[0]  # behind the signature of the variant


def _known_ids(bus):
    """Of all queries that were not Done."""
    return [int(i) for i in re.findall(rb"/org/penstock1/query/_(\d+)\0", bytes(bus.call("Queries").body))]


def _call_on_all(bus, method):
    for i in _known_ids(bus):
        bus.call(method, "t", struct.pack("=Q", i))


def clean_up():
    """After each test: nothing of it is left, and what could be is ended, or the test failed. Without penstockctl, which would take
    more time than many a test."""
    end_clients()
    with contextlib.closing(Connection()) as bus:

        def is_left():
            return cgroups.unit_groups() or [n for n in ("Created", "Compiling", "Queueing", "Executing") if _property(bus, n)]

        was = [n for n in ("Paused", "ShuttingDown") if _property(bus, n)]
        if "Paused" in was:
            bus.call("Resume")
        if "ShuttingDown" in was:
            restart_daemon()
        left = is_left()
        if left:
            # Those of clients that were just killed are canceled by that; detached ones are not.
            _call_on_all(bus, "CancelQuery")
            wait_for(lambda: not is_left(), f"what the test left is gone ({left})")
        _call_on_all(bus, "DoneQuery")
        expect(not was, f"the test leaves penstockd as it was, and not {' and '.join(was)}")

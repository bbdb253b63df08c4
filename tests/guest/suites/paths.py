# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a caller names is his and can change while it is looked at. No change of it gives a query more than its user has, and none has
PID 1 run another program than the worker."""

import contextlib
import os
import shutil
import stat

from lib import cgroups
from lib.harness import expect, expect_equal, expect_in, note, test, wait_for
from lib.service import Gated, Running, as_user, ctl, ctl_json, daemon_pid, run, submit, system, unit_property

GENERATOR = "/run/systemd/system-generators/penstock-test"
BEGUN, GO = "/run/penstock-test.begun", "/run/penstock-test.go"
WORKER = "/usr/lib/penstock/penstock-worker"
CAP_SYS_ADMIN = 21


@contextlib.contextmanager
def pid1_stands_still():
    """Until the block is over."""
    os.makedirs(os.path.dirname(GENERATOR), exist_ok=True)
    with open(GENERATOR, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\ntouch {BEGUN}\nwhile ! test -e {GO}; do sleep 0.1; done\n")  # PID 1 waits for it
    os.chmod(GENERATOR, 0o755)
    reload = Running(["systemctl", "daemon-reload"], user="root", cwd="/")
    try:
        wait_for(lambda: os.path.exists(BEGUN), "PID 1 is busy")
        yield
        expect(reload.is_running(), "PID 1 has not answered meanwhile")
    finally:
        with open(GO, "w", encoding="ascii"):
            pass
        reload.wait()
        for path in (GENERATOR, BEGUN, GO):
            os.unlink(path)
        system("systemctl", "daemon-reload")


def wait_until_looked_at(query_id):
    """Its paths have been looked at as the caller, and PID 1 has been asked for its unit."""

    def is_asked():
        children = cgroups.read(f"/proc/{daemon_pid()}/task/{daemon_pid()}/children")
        return ctl_json("why", str(query_id))["wait_reason"] == "its unit to start" and not children.split()

    wait_for(is_asked, "its unit is asked for")


@contextlib.contextmanager
def directories(*paths):
    """Of alice's, gone afterwards."""
    try:
        as_user("alice", lambda: [os.makedirs(path) for path in paths])
        yield
    finally:
        for path in paths:
            top = "/".join(path.split("/")[: 3 if path.startswith("/tmp/") else 4])
            if os.path.islink(top):
                os.unlink(top)
            shutil.rmtree(top, ignore_errors=True)


def write(path, text, mode=0o644):
    def one():
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)

    as_user("alice", one)


@test("a path that leads elsewhere while PID 1 mounts has no other program run in the worker's place", slow=True)
def another_worker():
    # /tmp/s is a directory in the unit, and a link outside: one name leads to the worker there, and here to a program of alice's.
    work, outside = "/var/tmp/a/w", "/var/tmp/a/1/2"
    with directories(work, outside, "/tmp/s", "/var/tmp/a/usr/lib/penstock"):
        os.chmod(outside, 0o777)
        write(f"/var/tmp/a{WORKER}", "#!/bin/sh\nid -u >/tmp/s/ran-as\n", 0o755)
        write(f"{work}/q", "select 1;")
        write("/tmp/s/db", "")
        with pid1_stands_still():
            query_id = submit("-l", "sqlite", "-d", "/tmp/s/db", "--file", f"{work}/q", "--working-directory", work)
            wait_until_looked_at(query_id)

            def exchange():
                os.rename("/tmp/s", "/tmp/was-s")
                os.symlink(outside, "/tmp/s")
                os.unlink(f"{work}/q")
                os.symlink(f"/tmp/s/../..{WORKER}", f"{work}/q")

            as_user("alice", exchange)
        shutil.rmtree("/tmp/was-s")
        done = ctl("wait", str(query_id))
        ran = cgroups.read(f"{outside}/ran-as")
        expect(ran is None, f"a program of alice's was run in the place of the worker, as {ran}")
        done.expect(125, "InvalidArgument")
        ctl("done", str(query_id)).expect(0)


@test("a database's directory that is exchanged while PID 1 mounts is not given to the query: it is not run", slow=True)
def another_directory():
    hidden = "/home/bob/hidden/shown"  # anybody may enter it who gets that far
    with directories("/var/tmp/d/of", "/var/tmp/w/of"):
        system("mkdir", "-p", hidden)
        os.chmod("/home/bob/hidden", 0o700)
        try:
            write("/var/tmp/d/of/db", "")
            as_user("alice", lambda: os.link("/var/tmp/d/of/db", "/var/tmp/w/of/same"))
            os.symlink("/var/tmp/w/of/same", f"{hidden}/db")
            with pid1_stands_still():
                query_id = submit("-l", "sqlite", "-d", "/var/tmp/d/of/db", "--working-directory", "/var/tmp/w/of", "select 1;")
                wait_until_looked_at(query_id)

                def exchange():
                    os.rename("/var/tmp/d/of", "/var/tmp/d/was")
                    os.symlink(hidden, "/var/tmp/d/of")

                as_user("alice", exchange)
            ctl("wait", str(query_id)).expect(125, "InvalidArgument")
            ctl("done", str(query_id)).expect(0)
        finally:
            shutil.rmtree("/home/bob/hidden")


@test("a file and a database in the working directory are used where directories are a query's own, and what is written there is there")
def nested():
    with directories("/var/tmp/n/data/deep"):
        write("/var/tmp/n/q.sql", "create table t(x); insert into t values (42); select x from t;")
        write("/var/tmp/n/data/deep/db", "")
        done = run("-l", "sqlite", "-d", "data/deep/db", "--file", "q.sql", cwd="/var/tmp/n")
        expect_equal(done.expect(0).text, "42\n", "its output")
        expect(os.path.getsize("/var/tmp/n/data/deep/db") > 0, "the database was written")
        write("/var/tmp/n/q.py", "open('out', 'w').write('here'); print(open('q.py').read()[:4])")
        expect_equal(run("-l", "python", "--file", "q.py", cwd="/var/tmp/n").expect(0).text, "open\n", "its output")
        expect_equal(cgroups.read("/var/tmp/n/out"), "here", "the file that it wrote")
        # from below: what is named lies above, and beside
        done = run("-l", "sqlite", "-d", "/var/tmp/n/data/deep/db", "select x from t;", cwd="/var/tmp/n/data")
        expect_equal(done.expect(0).text, "42\n", "its output")


@test("the working directory alone is writable in a home; what is mounted below it is seen, and nothing read-only becomes writable", slow=True)
def writable():
    tries = """
def attempt(path):
    try:
        open(path, "w").close()
        print(path, "written")
    except OSError as e:
        print(path, e.strerror)
attempt("here"); attempt("../above"); attempt("below/file"); print(open("below/seen").read())
"""
    with directories("/home/alice/p/work/below", "/home/alice/p/ro"):
        system("mount", "-t", "tmpfs", "tmpfs", "/home/alice/p/work/below")
        system("mount", "--bind", "/home/alice/p/ro", "/home/alice/p/ro")
        system("mount", "-o", "remount,bind,ro", "/home/alice/p/ro")
        try:
            os.chmod("/home/alice/p/work/below", 0o777)
            write("/home/alice/p/work/below/seen", "seen")
            q = Gated(tries, "--working-directory", "/home/alice/p/work")
            expect("/alice" not in unit_property(f"penstock-q{q.id}.service", "ReadWritePaths"), "PID 1 mounts nothing of alice's by its name")
            worker = unit_property(f"penstock-q{q.id}.service", "MainPID")
            permitted = next(line.split()[1] for line in cgroups.read(f"/proc/{worker}/status").splitlines() if line.startswith("CapPrm:"))
            expect(not int(permitted, 16) >> CAP_SYS_ADMIN & 1, f"the worker of what runs can mount no more: {permitted}")
            q.go()
            expect_equal(q.wait().expect(0).text.splitlines(),
                         ["here written", "../above Read-only file system", "below/file Read-only file system", "seen"], "what it could write")
            done = run("--", "touch", "file", cwd="/home/alice/p/ro")
            expect(done.status != 0, "what is mounted read-only is so")
            expect_in("Read-only", done.errors, "what touch said")
        finally:
            system("umount", "/home/alice/p/work/below")
            system("umount", "/home/alice/p/ro")


@test("a directory that is removed and made anew while PID 1 mounts is another one, whatever its number", slow=True)
def made_anew():
    with directories("/var/tmp/r/work"):
        with pid1_stands_still():
            query_id = submit("--working-directory", "/var/tmp/r/work", "--", "true")
            wait_until_looked_at(query_id)
            before = os.stat("/var/tmp/r/work").st_ino
            as_user("alice", lambda: (os.rmdir("/var/tmp/r/work"), os.mkdir("/var/tmp/r/work")))
            note(f"its number was {before} and is {os.stat('/var/tmp/r/work').st_ino}")  # ext4 gives the same
        ctl("wait", str(query_id)).expect(125, "InvalidArgument")
        ctl("done", str(query_id)).expect(0)


@test("a working directory that is exchanged before the query begins is not its working directory, and nothing of another becomes writable", slow=True)
def another_working_directory():
    with directories("/home/alice/x/work", "/home/alice/x/other"):
        with pid1_stands_still():
            query_id = submit("--working-directory", "/home/alice/x/work", "--", "touch", "file")
            wait_until_looked_at(query_id)

            def exchange():
                os.rename("/home/alice/x/work", "/home/alice/x/was")
                os.rename("/home/alice/x/other", "/home/alice/x/work")

            as_user("alice", exchange)
        ctl("wait", str(query_id)).expect(125, "InvalidArgument")
        expect_equal([name for name in os.listdir("/home/alice/x/work") if stat.S_ISREG(os.stat(f"/home/alice/x/work/{name}").st_mode)],
                     [], "what was written to the other")
        ctl("done", str(query_id)).expect(0)


RENAMES = """
import os
while True:
    os.rename("/home/alice/m", "/home/alice/n")
    os.rename("/home/alice/n", "/home/alice/m")
"""


@test("what the host has mounted read-only stays so for one who renames the directory it lies in all the while", slow=True)
def renamed_all_the_while():
    with directories("/home/alice/m/ro"):
        system("mount", "--bind", "/home/alice/m/ro", "/home/alice/m/ro")
        system("mount", "-o", "remount,bind,ro", "/home/alice/m/ro")
        renames = Running(["python3", "-c", RENAMES])
        ends = []
        try:
            # A list of mounts that names places deceives one look in sixty.
            ends = [run("--working-directory", "/home/alice/m/ro", "--", "touch", "file") for _ in range(60)]
            expect(renames.is_running(), "it was renamed all the while")
        finally:
            renames.end()
            if os.path.exists("/home/alice/n"):
                os.rename("/home/alice/n", "/home/alice/m")
            system("umount", "/home/alice/m/ro")
        note(f"{sum('Read-only' in end.errors for end in ends)} of {len(ends)} found it read-only, the others did not find it")
        expect_equal(os.listdir("/home/alice/m/ro"), [], "what was written")
        expect(all(end.status != 0 for end in ends), "none of them wrote")

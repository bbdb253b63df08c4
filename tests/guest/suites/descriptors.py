# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others hold of penstockd: nobody can make it wait by that, change it, or fill its memory with it."""

import os
import subprocess

from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.service import Running, configured, ctl, ctl_json, submit, wait_for_state

LIB = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

# Of a detached query: what its owner can do with the descriptor of its results, beside reading.
OWNER = f"""
import fcntl, os, sys
sys.path.insert(0, {LIB!r})
from lib.rawbus import Connection, Reader, Writer
c = Connection()
reply = c.query([("language", "s", "exec"), ("argv", "as", ["echo", "mine"]), ("detach", "b", True), ("working_directory", "s", "/")])
assert not reply.error, reply.message()
fd = reply.fds[0]
def tried(name, f):
    try:
        f()
        print(name, flush=True)
    except OSError as e:
        pass
print("id", Reader(reply.body).number("Q"), flush=True)
sys.stdin.readline()  # until it has ended: nobody has it open for writing
tried("lease", lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK))
tried("read lease", lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK))
tried("mode", lambda: os.fchmod(fd, 0o600))
tried("write", lambda: os.open(f"/proc/self/fd/{{fd}}", os.O_WRONLY))
tried("truncate", lambda: os.truncate(f"/proc/self/fd/{{fd}}", 0))
tried("link", lambda: os.link(f"/proc/self/fd/{{fd}}", "/home/alice/results", follow_symlinks=True))
os.lseek(fd, 2, os.SEEK_SET)
print("tried", flush=True)
sys.stdin.readline()
"""


@test("the owner of results can read them, and can neither change them nor make penstockd wait for its own file", slow=True)
def results_of_their_owner():
    client = Running(["python3", "-c", OWNER], user="alice", stdin=subprocess.PIPE)
    wait_for(lambda: b"\n" in client.out() or not client.is_running(), "it is submitted")
    expect_in(b"id ", client.out(), f"what alice heard ({client.err()[-800:]})")
    query_id = int(client.out().split()[1])
    wait_for_state(query_id, "finished")
    client.say()
    wait_for(lambda: b"tried" in client.out() or not client.is_running(), "all was tried")
    expect_equal(client.out().split(b"\n")[1:], [b"tried", b""], f"what alice could do ({client.err()[-800:]})")
    expect_equal(ctl("results", str(query_id)).expect(0).text, "mine\n", "the results, from their start")
    ctl("done", str(query_id)).expect(0)


@test("texts of queries that wait are counted, too: a user's fill no memory", slow=True)
def texts():
    with configured(ConcurrencyQuota=1, MaxQueriesPerUser=60, QueueSize=100):
        first = submit("--", "sleep", "1000")
        taken = []
        while len(taken) < 20:
            done = ctl("submit", "--json", "--language", "shell", "-", user="bob", text=b"#" * (4000 << 10))
            if done.status != 0:
                break
            taken.append(done)
        done.expect(1, "QueueLengthExceeded", ["texts", "16 MiB"])
        expect(len(taken) == 4, f"{len(taken)} of 4,000 KiB were taken")
        second = submit("--", "true")
        ctl("cancel", str(first)).expect(0)
        for q in ctl_json("list", user="root"):
            ctl("wait", str(q["id"]), user="root")
            ctl("done", str(q["id"]), user="root").expect(0)
        expect(second > first, "others were let in")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the journal tells of queries: one structured entry for each decision, its remedy in the catalog, no flood, and no
query's text unless the configuration asks for it."""

import contextlib
import json
import os
import pwd
import signal
import socket
import time

from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.rawbus import Connection
from lib.service import (
    DAEMON, Gated, as_user, configured, ctl, ctl_json, list_queries, run, submit, system, unit_property, wait_for_state,
)

ID = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e1"
RAISED, DENIED, FROZEN, ENDED = (ID + n for n in ("01", "02", "03", "06"))
REFUSED, AT_MAXIMUM, BUDGET, OUT_OF_TIME, FAILED, TEXT = (ID + n for n in ("0a", "0b", "0c", "0d", "0e", "0f"))


def entries(*matches, since=0.0):
    """The journal's entries with all fields, oldest first."""
    system("journalctl", "--sync")
    text = system("journalctl", "--no-pager", "--quiet", "--all", "--output=json", f"--since=@{since:.0f}", *matches).text
    return [json.loads(line) for line in text.splitlines()]


def entries_of(query_id, message_id):
    return entries(f"PENSTOCK_QUERY_ID={query_id}", f"MESSAGE_ID={message_id}")


def one_of(query_id, message_id, error=None):
    """The one entry of that kind, which must have all its fields."""
    found = entries_of(query_id, message_id)
    expect_equal(len(found), 1, f"entries {message_id} of query {query_id}")
    e = found[0]
    expect_equal(e["UNIT"], f"penstock-q{query_id}.service", "UNIT=")
    expect_equal(e["PENSTOCK_USER_ID"], str(uid("alice")), "PENSTOCK_USER_ID=")
    expect_equal(e.get("PENSTOCK_ERROR"), error, "PENSTOCK_ERROR=")
    expect_equal(e["_SYSTEMD_UNIT"], DAEMON, "who wrote it")
    expect(f"Query {query_id}: " in e["MESSAGE"], f"the message: {e['MESSAGE']}")
    return e


def uid(user):
    return pwd.getpwnam(user).pw_uid


def explained(message_id, *matches):
    return system("journalctl", "--no-pager", "--quiet", "--catalog", f"MESSAGE_ID={message_id}", *matches).text


def expect_explained(query_id, message_id, *words):
    text = explained(message_id, f"PENSTOCK_QUERY_ID={query_id}")
    for word in (f"ubject: Query {query_id} ", f"penstock-q{query_id}.service", *words):
        expect_in(word, text, "the catalog's text")
    expect("@PENSTOCK" not in text and "@UNIT" not in text, f"fields are filled in: {text}")


@test("a raise and the end of a query are one journal entry each, with fields, and journalctl -x says what to do")
def raised():
    q = Gated("b=bytearray(200<<20); print('got', flush=True); sys.stdin.readline()")
    q.go()
    q.wait_for_output(b"got\n")
    raises = ctl_json("show", str(q.id))["raises"]
    expect(raises > 0, "it was raised")
    q.go()
    q.wait().expect(0)
    ended = one_of(q.id, ENDED)
    expect_equal(ended["PRIORITY"], "6", "the priority of an ordinary end")
    found = entries_of(q.id, RAISED)
    told = len(found) + sum(int(e.get("PENSTOCK_SUPPRESSED", 0)) for e in [*found, ended])
    expect_equal(told, ctl_json("stats", str(q.id), user="root")["raises"], "raises that the journal tells of")
    expect_equal(found[0]["UNIT"], f"penstock-q{q.id}.service", "UNIT= of a raise")
    expect_explained(q.id, RAISED, "InitialMemoryBytesQuotaPerQuery=", "--memory-initial")
    expect_in(f"Query {q.id}: ", system("journalctl", "--no-pager", "-u", f"penstock-q{q.id}").text, "journalctl -u UNIT")


def ended_id(*words):
    """The ID of a query that was run to its end."""
    query_id = submit(*words)
    ctl("wait", str(query_id))
    return query_id


@test("a query that ends at its maximum, by its timeout or by its own fault has an entry of that kind with the error's name")
def killed():
    memory = ended_id("--memory-max", "96M", "--", "python3", "-c", "b=bytearray(300<<20)")
    one_of(memory, AT_MAXIMUM, "MemoryLimitExceeded")
    expect_explained(memory, AT_MAXIMUM, "--memory-max", "MemoryBytesQuotaPerQuery=")
    late = ended_id("--timeout", "1", "--", "sleep", "1000")
    one_of(late, OUT_OF_TIME, "Timeout")
    expect_explained(late, OUT_OF_TIME, "QueryTimeoutSec=")
    failed = ended_id("--", "sh", "-c", "exit 3")
    one_of(failed, FAILED, "ExecutionFailed")
    expect_explained(failed, FAILED, "penstockctl why")


@test("with ExhaustionPolicy=fail the budget's end of a query is told as such, and the denied raise before it")
def exhausted():
    with configured(MaxMemoryBytes="256M", ExhaustionPolicy="fail", MemoryBytesQuotaPerQuery="256M"):
        query_id = ended_id("--", "python3", "-c", "b=bytearray(200<<20)")
        one_of(query_id, BUDGET, "MemoryBudgetExhausted")
        expect(entries_of(query_id, DENIED), "the denied raise is told")
        expect_explained(query_id, BUDGET, "MaxMemoryBytes=")


@test("a freeze is told in the journal, and the catalog says what makes room", slow=True)
def frozen():
    with configured(MaxMemoryBytes="384M", MemoryBytesQuotaPerQuery="384M"):
        first = Gated("b=bytearray(150<<20); print('got', flush=True); sys.stdin.readline()")
        first.go()
        first.wait_for_output(b"got\n")
        second = Gated("b=bytearray(150<<20); print('got', flush=True); sys.stdin.readline()")
        second.go()
        wait_for(lambda: entries_of(second.id, FROZEN) or entries_of(first.id, FROZEN), "a query is frozen, and it is told")
        which = second if entries_of(second.id, FROZEN) else first
        expect_explained(which.id, FROZEN, "FreezeTimeoutSec=", f"penstockctl why {which.id}")
        ctl("cancel", str(which.id)).expect(0)
        which.wait().expect(125, "Canceled")
        one_of(which.id, ENDED, "Canceled")


@test("a refusal is a journal entry with the error's name and who asked, and has no value of the request in it")
def refused():
    since = time.time() - 1
    run("--", "true", user="carol").expect(125, "PermissionDenied")
    found = wait_for(lambda: entries(f"MESSAGE_ID={REFUSED}", f"PENSTOCK_USER_ID={uid('carol')}", since=since), "it is told")
    expect_equal(found[-1]["PENSTOCK_ERROR"], "PermissionDenied", "PENSTOCK_ERROR=")
    text = explained(REFUSED, f"PENSTOCK_USER_ID={uid('carol')}")
    expect_in("group penstock", text, "the catalog's text")
    run("--language", "sqlite", "--env", "TOKEN=s3cr3t-env", "--param", "p=s3cr3t-param", "--memory-max", "999G",
        "select 's3cr3t-text'").expect(125, "InvalidArgument")
    wait_for(lambda: entries(f"MESSAGE_ID={REFUSED}", f"PENSTOCK_USER_ID={uid('alice')}", since=since), "it is told")
    everything = system("journalctl", "--no-pager", "--all", "--output=export", f"--since=@{since:.0f}").text
    expect("s3cr3t" not in everything, "no secret is in the journal")


@test("a flood of refused requests writes a bounded number of entries, and the next one says how many were left out", slow=True)
def flood():
    count = 400
    begin = time.time()

    def ask():
        c = Connection()
        for _ in range(count):
            reply = c.query([("language", "s", "no-such-language"), ("query", "s", "x")])
            if reply.error != "org.penstock1.Error.UnknownLanguage":
                return f"{reply.error}: {reply.message()}"
        c.close()
        return None

    # bob, since nobody else's refusals in this suite are his
    expect_equal(as_user("bob", ask), None, "an answer that is not UnknownLanguage")
    took = time.time() - begin

    expect_bounded(count, begin, took)


def expect_bounded(count, begin, took):
    """Of COUNT refusals or cheap ends of bob's since BEGIN few are in the journal, and the others are counted there."""

    def seen():
        found = entries(f"PENSTOCK_USER_ID={uid('bob')}", since=begin - 1)
        return [e for e in found if "PENSTOCK_ERROR" in e and int(e["__REALTIME_TIMESTAMP"]) >= begin * 1e6]

    written = len(seen())
    expect(written <= 20 + took / 5 + 2, f"{written} entries of {count} refusals in {took:.1f} s")

    asked = count
    while not (found := seen()) or not any("PENSTOCK_SUPPRESSED" in e for e in found[written:]):
        expect(time.time() - begin < 120 + took, "a later refusal tells of those that were left out")
        run("--language", "no-such-language", "x", user="bob").expect(125, "UnknownLanguage")
        asked += 1
    left_out = sum(int(e.get("PENSTOCK_SUPPRESSED", 0)) for e in found)
    expect_equal(len(found) + left_out, asked, "refusals that the journal tells of or counts")
    expect_in(f"{found[-1]['PENSTOCK_SUPPRESSED']} entries", found[-1]["MESSAGE"], "the message")


@test("a flood of queries that end before they ever run writes a bounded number of entries, too", slow=True)
def flood_of_ends():
    count = 150
    begin = time.time()

    def ask():
        c = Connection()
        for _ in range(count):
            reply = c.query([("language", "s", "sqlite"), ("query", "s", "x"), ("database", "s", "/no/such/x.db"), ("detach", "b", True)])
            if reply.error:
                return f"{reply.error}: {reply.message()}"
            for fd in reply.fds:
                os.close(fd)
        c.close()
        return None

    expect_equal(as_user("bob", ask), None, "an answer that is an error")
    wait_for(lambda: all(q["state"] == "errored" for q in list_queries() if q["user_id"] == uid("bob")), "all have ended")
    expect_bounded(count, begin, time.time() - begin)


def shut_down_with_queries():
    """A query of each form runs, one waits, and all are canceled by Shutdown. Returns their IDs."""
    executing = submit("--", "sh", "-c", "sleep 1000 # s3cr3t-argv")
    python = submit("--language", "python", "import time\ntime.sleep(1000) # s3cr3t-text \x1b[31m ä")
    wait_for_state(executing, "executing")
    wait_for_state(python, "executing")
    ctl("pause", user="root", cwd="/").expect(0)
    waiting = submit("--language", "python", "print('s3cr3t-waiting')")
    wait_for_state(waiting, "queueing")
    try:
        ctl("shutdown", "--timeout", "0", user="root", cwd="/").expect(0)
        for q in (executing, python, waiting):
            wait_for_state(q, "canceled")
            one_of(q, ENDED, "ShuttingDown")
    finally:
        system("systemctl", "restart", DAEMON)
        ctl("resume", user="root", cwd="/")  # a pause outlives a restart
    return executing, python, waiting


@test("the texts of queries that Shutdown cancels are in no journal entry by default", slow=True)
def no_texts():
    since = time.time() - 1
    ids = shut_down_with_queries()
    for q in ids:
        expect_equal(entries_of(q, TEXT), [], f"entries with the text of query {q}")
    everything = system("journalctl", "--no-pager", "--all", "--output=export", "_COMM=penstockd", f"--since=@{since:.0f}").text
    expect("s3cr3t" not in everything, "no text is in penstockd's entries")


@test("with LogQueryTextOnShutdown=yes Shutdown writes each canceled query's text into a field of its own, escaped", slow=True)
def texts():
    with configured(LogQueryTextOnShutdown="yes"):
        finished = ended_id("--language", "python", "print('s3cr3t-finished')")
        executing, python, waiting = shut_down_with_queries()
    expect_equal(entries_of(finished, TEXT), [], "entries of a query that had ended before")
    wanted = {
        executing: "sh -c sleep 1000 # s3cr3t-argv",
        python: "import time\ntime.sleep(1000) # s3cr3t-text \\x1b[31m ä",
        waiting: "print('s3cr3t-waiting')",
    }
    for q, text in wanted.items():
        e = one_of_texts(q)
        expect_equal(e["PENSTOCK_QUERY_TEXT"], text, f"the text of query {q}")
        expect("s3cr3t" not in e["MESSAGE"], "the message has no text")
    expect_in("LogQueryTextOnShutdown=no", explained(TEXT, f"PENSTOCK_QUERY_ID={python}"), "the catalog's text")


def one_of_texts(query_id):
    found = entries_of(query_id, TEXT)
    expect_equal(len(found), 1, f"entries with the text of query {query_id}")
    expect_equal(found[0]["PENSTOCK_USER_ID"], str(uid("alice")), "PENSTOCK_USER_ID=")
    return found[0]


@test("a text longer than 4 KiB is cut, and says so", slow=True)
def long_text():
    with configured(LogQueryTextOnShutdown="yes"):
        q = submit("--language", "python", "import time; time.sleep(1000)\n# " + "ä" * 5000)
        wait_for_state(q, "executing")
        try:
            ctl("shutdown", "--timeout", "0", user="root", cwd="/").expect(0)
            wait_for_state(q, "canceled")
        finally:
            system("systemctl", "restart", DAEMON)
    text = one_of_texts(q)["PENSTOCK_QUERY_TEXT"]
    expect(text.endswith("ä […]"), f"its end: {text[-20:]!r}")
    expect(3900 < len(text.encode()) <= 4096, f"its length: {len(text.encode())}")


@contextlib.contextmanager
def journald_stands_still():
    """… with a full socket, in which nobody's next entry has room."""
    pid = int(unit_property("systemd-journald.service", "MainPID"))
    os.kill(pid, signal.SIGSTOP)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            s.connect("/run/systemd/journal/socket")
            with contextlib.suppress(BlockingIOError):
                while True:
                    s.send(b"MESSAGE=filling\nPRIORITY=7\nSYSLOG_IDENTIFIER=test-penstock\n")
            yield
    finally:
        os.kill(pid, signal.SIGCONT)


@test("while journald stands still queries run and are raised as before, and it is told all of it afterwards")
def stalled():
    with journald_stands_still():
        q = Gated("b=bytearray(200<<20); print('got', flush=True); sys.stdin.readline()")
        q.go()
        q.wait_for_output(b"got\n")
        raises = ctl_json("show", str(q.id))["raises"]
        q.go()
        q.wait().expect(0)
    expect(raises > 0, "it was raised")
    wait_for(lambda: entries_of(q.id, ENDED), "the journal tells of its end")
    expect(entries_of(q.id, RAISED), "and of its raises")

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is kept of queries that have ended: all that is promised, nothing that is private, whatever happens to the disk."""

import csv
import io
import json
import os
import pwd
import re
import signal
import time

from lib import cgroups
from lib.disks import filled, on_disk, small, standing
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.kept import boot, ended, history, row_of
from lib.service import (
    DAEMON,
    DROP_IN,
    Gated,
    configured,
    ctl,
    daemon_pid,
    language,
    list_queries,
    restart_daemon,
    run,
    status,
    submit,
    system,
    write_drop_in,
)

DIRECTORY = "/var/lib/penstock"
DATABASE = f"{DIRECTORY}/history.db"
# Of the statistics and properties, what must be the same in both places.
SAME = (
    "id", "state", "language", "unit", "user_id", "priority", "memory_max_bytes", "memory_peak_bytes", "raises", "detached", "error",
    "exit_status", "exit_signal", "created_usec", "ended_usec", "total_usec",
)
SAME_STATISTICS = (
    "compile_usec", "queue_usec", "execute_usec", "frozen_usec", "stall_usec", "cpu_usec", "io_read_bytes", "io_write_bytes", "verdict",
    "initial_bytes", "learned", "raises_saved", "retries",
)

PARAMETER = "[Language]\nQueryFrom=argument\nExecute=printf %s {param:x} {query}\n"


def metric(name):
    return float(re.search(rf"^{name} (\S+)$", ctl("metrics").expect(0).text, re.M)[1])


def journal(since):
    return system("journalctl", "--quiet", f"--unit={DAEMON}", f"--since=@{since:.0f}", "--output=cat").text


@test("a query that has ended and was Done leaves list and stays in history, with the same figures, however it ended", slow=True)
def stays():
    ways = (
        (("--", "sh", "-c", "exit 3"), "errored", "ExecutionFailed", "exit"),
        (("--language", "python", "len(bytearray(150 << 20))"), "finished", None, ""),
        (("--language", "python", "--memory-max", "80M", "bytearray(200 << 20)"), "errored", "MemoryLimitExceeded", "maximum"),
        (("--language", "sqlite", "select nonsense"), "errored", "CompilationFailed", "compile"),
        (("--timeout", "1", "--", "sleep", "1000"), "errored", "Timeout", "timeout"),
    )
    for words, state, error, verdict in ways:
        row, shown, used = ended("--label", "team=ads", *words)
        expect(row["id"] not in [q["id"] for q in list_queries()], f"query {row['id']} has left list")
        expect_equal((row["state"], (row["error"] or {}).get("name"), row["verdict"]), (state, error, verdict), f"the end of {words}")
        expect_equal({k: row[k] for k in SAME}, {k: shown[k] for k in SAME}, "what show said")
        expect_equal({k: row[k] for k in SAME_STATISTICS}, {k: used[k] for k in SAME_STATISTICS}, "what stats said")
        expect_equal(row["labels"], {"team": "ads"}, "its labels")
        if error == "CompilationFailed":
            expect_equal((row["started_usec"], row["memory_quota_bytes"]), (0, 0), "start and quota of one that never ran")
        else:
            expect(row["created_usec"] <= row["started_usec"] <= row["ended_usec"], f"its times: {row}")
            expect(row["initial_bytes"] <= row["memory_quota_bytes"] <= row["memory_max_bytes"], f"its quotas: {row}")


@test("one that never ran is in the history: canceled in the queue, and one that was refused at once is not", slow=True)
def never_ran():
    with configured(ConcurrencyQuota=1, QueueSize=1):
        running = Gated()
        waiting = submit("--", "true")
        refused = metric("penstock_history_rows_total")
        run("--", "true").expect(125, "QueueLengthExceeded")
        ctl("cancel", str(waiting)).expect(0)
        row = row_of(waiting)
        expect_equal((row["state"], row["error"]["name"], row["started_usec"]), ("canceled", "Canceled", 0), "the row")
        wait_for(lambda: metric("penstock_history_rows_total") == refused + 1, "one row was written")
        running.go()
        running.wait().expect(0)


@test("filters by user, language, state, error, time, label and peak find what they say and nothing else", slow=True)
def filters():
    alice = ended("--label", "team=ads", "--", "true")[0]["id"]
    bob = ended("--label", "team=web", "--language", "shell", "exit 3", user="bob")[0]["id"]
    large = ended("--language", "python", "len(bytearray(120 << 20))")[0]["id"]
    uid = pwd.getpwnam("bob").pw_uid

    def found(*words):
        return [r["id"] for r in history("--since", "-1h", *words) if r["boot_id"] == boot() and r["id"] >= alice]

    expect_equal(found(), [large, bob, alice], "all, the last first")
    expect_equal(found("--user", "bob"), [bob], "of bob")
    expect_equal(found("--user", str(uid)), [bob], "of bob's uid")
    expect_equal(found("--language", "python"), [large], "in python")
    expect_equal(found("--state", "errored"), [bob], "errored")
    expect_equal(found("--error", "ExecutionFailed"), [bob], "by their error")
    expect_equal(found("--label", "team=ads"), [alice], "by a label")
    expect_equal(found("--min-peak", "100M"), [large], "by their peak")
    expect_equal(found("--limit", "2"), [large, bob], "two at most")
    expect_equal(found("--until", "1h ago"), [], "an hour before")
    for words in (("--since", "never"), ("--limit", "0"), ("--label", "x")):
        ctl("history", *words).expect(2)
    ctl("history", "--state", "executing").expect(1, "InvalidArgument")


@test("table, CSV and JSON say the same, and no control character of a label comes through", slow=True)
def forms():
    ended("--label", "team=a,\"b\"\x1b[31m\n", "--", "true")
    rows = history("--limit", "5", user="alice")
    text = ctl("history", "--limit", "5", "--csv").expect(0).text
    table = ctl("history", "--limit", "5").expect(0).text
    lines = list(csv.DictReader(io.StringIO(text)))
    expect_equal([int(line["id"]) for line in lines], [r["id"] for r in rows], "the IDs")
    for line, row in zip(lines, rows):
        for key, value in row.items():
            if key == "error":
                expect_equal(line["error_name"], value["name"] if value else "", "the error's name")
            elif isinstance(value, dict):
                expect_equal(json.loads(line[key]), value, key)
            elif isinstance(value, bool):
                expect_equal(line[key], "true" if value else "false", key)
            else:
                expect_equal(line[key], "" if value is None else str(value), key)
        expect_in(str(row["id"]), table, "the table")
    for what in (text, table, ctl("history", "--json", "--limit", "5").text):
        expect("\x1b" not in what, "no escape comes through")


@test("others see how a query ended and what it used, but none of its labels, unless they are public, nor its fingerprint; nor do they find out by a filter", slow=True)
def privacy():
    write_drop_in({"MetricLabelKeys": "team"})
    restart_daemon()
    try:
        query_id = ended("--label", "team=ads", "--label", "secret=x", "--", "true")[0]["id"]
        expect_equal(row_of(query_id, "alice")["labels"], {"team": "ads", "secret": "x"}, "what its owner sees")
        expect_equal(row_of(query_id, "root")["labels"], {"team": "ads", "secret": "x"}, "what root sees")
        expect(row_of(query_id, "alice")["fingerprint"], "its owner sees its fingerprint")
        for other in ("bob", "carol"):
            row = row_of(query_id, other)
            expect_equal((row["labels"], row["fingerprint"], row["state"]), ({"team": "ads"}, None, "finished"), f"what {other} sees")
            expect_equal([r for r in history("--label", "secret=x", user=other) if r["id"] == query_id], [], f"what {other} finds")
            expect(any(r["id"] == query_id for r in history("--label", "team=ads", user=other)), f"{other} finds it by a public label")
    finally:
        os.unlink(DROP_IN)
        restart_daemon()


@test("no word of a query's text, arguments, parameters, environment, paths, results or stderr is in the database, which is root's alone", slow=True)
def nothing_private():
    words = []

    def needle():
        words.append(f"needle{len(words)}in{os.getpid()}haystack")
        return words[-1]

    script = f"/home/alice/{needle()}.sql"
    with open(script, "w", encoding="ascii") as f:
        f.write("select 1;")
    os.chown(script, pwd.getpwnam("alice").pw_uid, -1)
    try:
        ended("--env", f"A={needle()}", "--", "sh", "-c", f"echo {needle()}; echo {needle()} >&2; exit 3", needle())
        ended("--language", "sqlite", "--file", script)
        ended("--language", "sqlite", f"select '{needle()}'")
        with language("parameter", PARAMETER):
            row, _shown, _used = ended("--language", "parameter", "--param", f"x={needle()}", needle())
            expect_equal(row["state"], "finished", "the end of one with a parameter")
    finally:
        os.unlink(script)
    # Of these penstockd tells the end in its own words, which everybody sees.
    for query in (
        ("--language", "sqlite", "--database", f"/home/alice/{needle()}.db", f"select '{needle()}'"),
        ("--language", "shell", "--file", f"/home/alice/{needle()}.sh"),
        ("--working-directory", f"/home/alice/{needle()}", "--", "true"),
        ("--", needle(), needle()),
        ("--language", "sqlite", f"select {needle()}"),
        ("--language", "python", f"{needle()} {needle()}"),
    ):
        row, _shown, _used = ended("--env", f"A={needle()}", *query)
        expect(row["state"] == "errored" and row["error"]["message"], f"the end of {query} is told: {row}")
    system("systemctl", "stop", DAEMON)  # all is in the file
    found = b""
    try:
        for name in os.listdir(DIRECTORY):
            if not name.startswith("history.db"):
                continue
            expect_equal(os.stat(f"{DIRECTORY}/{name}").st_mode & 0o777, 0o600, f"the mode of {name}")
            with open(f"{DIRECTORY}/{name}", "rb") as f:
                content = f.read()
            for word in words:
                expect(word.encode() not in content, f"{word} is not in {name}")
            found += content
    finally:
        system("systemctl", "start", DAEMON)
    expect(b"parameter" in found, "what is kept, as a language's name, would be found")
    expect_equal(os.stat(DIRECTORY).st_mode & 0o777, 0o700, "the mode of the directory")
    run("--", "cat", DATABASE).expect(1)


@test("the same query of the same user has one fingerprint, also after a restart, and no other has it", slow=True)
def fingerprints():
    def fingerprint(*words, user="alice"):
        return ended(*words, user=user)[0]["fingerprint"]

    one = fingerprint("--", "sh", "-c", "true")
    expect_equal(fingerprint("--memory-max", "100M", "--label", "a=b", "--", "sh", "-c", "true"), one, "the same with other limits")
    restart_daemon()
    wait_for(lambda: fingerprint("--", "sh", "-c", "true") == one, "it is the same after a restart")
    expect(fingerprint("--", "sh", "-c", "true;") != one, "another text has another one")
    expect(fingerprint("--", "sh", "-c", "true", user="bob") != one, "another user's is another one")
    expect(re.fullmatch("[0-9a-f]{32}", one), one)


@test("after restart and kill -9 of penstockd each query is in the history once, also one that ended while there was none", slow=True)
def once():
    before = ended("--", "true")[0]
    for way in ("restart", "kill", "while none is there"):
        q = Gated("sys.exit(7)")
        pid = daemon_pid()
        if way == "restart":
            system("systemctl", "restart", DAEMON)
        elif way == "kill":
            os.kill(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGSTOP)  # the worker's word is heard by the next one
            q.go()
            wait_for(lambda: not cgroups.is_populated(q.group), "its processes are gone")
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: daemon_pid() not in (0, pid), "there is another penstockd")
        wait_for(lambda: ctl("status", user="root").status == 0, "it serves")
        if way != "while none is there":
            q.go()
        q.wait().expect(7)
        row = row_of(q.id)
        expect_equal((row["state"], row["exit_status"]), ("errored", 7), f"the row after: {way}")
        expect_equal(row_of(before["id"])["row"], before["row"], "a row of before is the same one")


@test("HistoryMaxEntries and HistoryRetentionSec apply with a reload, the oldest go first, and 0 keeps nothing and says so", slow=True)
def bounds():
    for _ in range(6):
        run("--", "true").expect(0)
    wait_for(lambda: len(history()) >= 6, "six are in the history")
    last = history("--limit", "3")
    with configured(HistoryMaxEntries=3):
        wait_for(lambda: len(history("--limit", "1000")) == 3, "three are left")
        expect_equal(history(), last, "the last three")
        query_id = ended("--", "true")[0]["id"]
        wait_for(lambda: [r["id"] for r in history()] == [query_id] + [r["id"] for r in last[:2]], "the oldest has gone")
    with configured(HistoryRetentionSec=1):
        wait_for(lambda: history() == [], "all are too old a second later")
    with configured(HistoryMaxEntries=0):
        expect_in("HistoryMaxEntries", ctl("history").expect(1, "Internal").errors, "what it says")
        run("--", "true").expect(0)
    expect(ended("--", "true")[0], "it goes on")


@test("with its disk full rows are lost, counted and told, queries run as before, and room that comes back is used", slow=True)
def disk_full():
    with small(DIRECTORY, "size=4m"):
        since = time.time()
        run("--", "true").expect(0)
        wait_for(lambda: history("--since", f"@{since - 1:.0f}"), "it is there")
        with filled(DIRECTORY):
            done = 0
            while metric("penstock_history_rows_dropped_total") == 0:
                run("--", "true").expect(0)
                done += 1
                expect(done < 2000, "the disk is full at last")
            wait_for(lambda: "History: rows are lost" in journal(since), "the journal says so")
        expect(ended("--", "true")[0], "room is used again")


@test("with its directory read-only, and with a file that is no database, penstockd serves, says so, and the second is set aside", slow=True)
def unusable():
    since = time.time()
    with small(DIRECTORY, "ro"):
        run("--", "true").expect(0)
        expect_in("search the history", ctl("history").expect(1, "Internal").errors, "what it says")
        wait_for(lambda: "History: it can't be opened" in journal(since), "the journal says so")
    ended("--", "true")
    system("systemctl", "stop", DAEMON)
    for name in ("history.db-wal", "history.db.corrupt"):
        if os.path.exists(f"{DIRECTORY}/{name}"):
            os.unlink(f"{DIRECTORY}/{name}")
    with open(DATABASE, "r+b") as f:
        f.write(os.urandom(8192))
    system("systemctl", "start", DAEMON)
    expect(ended("--", "true")[0], "a new one was begun")
    expect(os.path.exists(f"{DATABASE}.corrupt"), "the old one is set aside")
    expect_in("no sound database", journal(since), "the journal")


@test("a database of a newer penstockd is left alone: nothing is kept, History and the journal say so, queries run", slow=True)
def too_new():
    kept = ended("--", "true")[0]
    since = time.time()
    system("systemctl", "stop", DAEMON)
    version = system("sqlite3", DATABASE, "pragma user_version").text.strip()
    system("sqlite3", DATABASE, "pragma user_version = 999")
    try:
        system("systemctl", "start", DAEMON)
        run("--", "true").expect(0)
        ctl("history").expect(1, "Internal", ("newer",))
        wait_for(lambda: "was written by a newer penstockd" in journal(since), "the journal says so")
        system("systemctl", "stop", DAEMON)
    finally:
        system("sqlite3", DATABASE, f"pragma user_version = {version}")
        system("systemctl", "start", DAEMON)
    expect(row_of(kept["id"]), "what was kept is there")


@test("while the history's disk stands still queries run to their end, and their rows are there when it goes on", slow=True)
def frozen_disk():
    with on_disk(DIRECTORY):
        ended("--", "true")
        since = time.time()
        with standing(DIRECTORY):
            for _ in range(5):
                run("--language", "shell", "echo well").expect(0)
            expect_equal(status()["executing"], 0, "queries that execute")
        wait_for(lambda: len(history("--language", "shell", "--since", f"@{since - 1:.0f}")) == 5, "all are there")


@test("a penstockd that can't end, since its history's disk stands still, has frozen who runs, and the next one lets him grow", slow=True)
def restart_over_a_disk():
    with on_disk(DIRECTORY):
        q = Gated("print(len(bytearray(200 << 20)))")
        leaving = daemon_pid()
        with standing(DIRECTORY):
            run("--", "true").expect(0)
            system("systemctl", "--no-block", "restart", DAEMON)
            wait_for(lambda: cgroups.table(q.group, "cgroup.events").get("frozen") == 1, "the query is frozen")
            expect(os.path.exists(f"/proc/{leaving}"), "penstockd has not ended")
        wait_for(lambda: ctl("status", user="root").status == 0, "the next one serves")
        q.go()
        expect_equal(q.wait().expect(0).text, f"{200 << 20}\n", "what it said")

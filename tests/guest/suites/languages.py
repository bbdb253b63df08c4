# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped languages do what their users expect of the engine itself."""

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile

from lib.harness import expect, expect_equal, expect_in, test
from lib.service import as_user, ctl, home, run


@contextlib.contextmanager
def files(user="alice", below=None):
    """A directory of USER's own, for the time of a test."""
    path = as_user(user, lambda: tempfile.mkdtemp(prefix="work.", dir=below or home(user)))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def make_sales(path):
    """A database of 1,000 rows, by alice."""

    def make():
        db = sqlite3.connect(path)
        db.execute("create table sale(id integer primary key, region text, amount integer)")
        db.executemany("insert into sale(region, amount) values(?, ?)", [("nesw"[i % 4], i) for i in range(1000)])
        db.commit()
        db.close()

    as_user("alice", make)


@test("sqlite answers from a database in the user's home, named relative to where the user is", slow=True)
def sqlite_from_home():
    with files() as d:
        make_sales(f"{d}/sales.db")
        done = run(
            "--language", "sqlite", "--database", "sales.db",
            "select region, sum(amount) from sale group by region order by region", cwd=d,
        ).expect(0)
        expect_equal(done.text.split(), ["e|124750", "n|124500", "s|125000", "w|125250"], "the sums")


@test("sqlite never creates a missing database, and says that it is missing")
def sqlite_missing_database():
    with files() as d:
        done = run("--language", "sqlite", "--database", "nothing.db", "select 1", cwd=d).expect(125, "InvalidArgument")
        expect_in("database", done.errors, "the message")
        expect_equal(os.listdir(d), [], "files in the directory")


@test("sqlite stops at the first error, exits non-zero, and ignores the user's .sqliterc", slow=True)
def sqlite_bail():
    with files() as d:
        make_sales(f"{d}/sales.db")
        as_user("alice", lambda: open(f"{home('alice')}/.sqliterc", "w").write(".mode json\n.print from sqliterc\n"))
        try:
            text = "select 'first';\nselect abs(-9223372036854775808);\nselect 'never';"
            done = run("--language", "sqlite", "--database", "sales.db", text, cwd=d)
            expect(done.status not in (0, 125), f"the engine's own failure is passed on: {done}")
            expect_equal(done.text.strip(), "first", "what was printed")
            expect_in("overflow", done.errors, "SQLite's message")
        finally:
            os.unlink(f"{home('alice')}/.sqliterc")


@test("sqlite answers without a database, too")
def sqlite_memory():
    expect_equal(run("--language", "sqlite", "select 6*7").expect(0).text, "42\n", "the answer")


@test("a database directly under /tmp is found, though a query has a /tmp of its own", slow=True)
def sqlite_in_tmp():
    with files(below="/tmp") as d:
        make_sales(f"{d}/sales.db")
        done = run("--language", "sqlite", "--database", f"{d}/sales.db", "select count(*) from sale").expect(0)
        expect_equal(done.text, "1000\n", "the answer")


@test("a database that its user may not read is refused, and is not read as root")
def sqlite_foreign_database():
    with files() as d:
        make_sales(f"{d}/sales.db")
        done = run("--language", "sqlite", "--database", f"{d}/sales.db", "select count(*) from sale", user="bob")
        done.expect(125, "InvalidArgument")
        expect_equal(done.out, b"", "what bob saw")


@test("python runs a text with arguments, from the query, from standard input and from a file", slow=True)
def python_sources():
    text = "import sys; print(sum(range(10)), sys.argv[1:])"
    expect_equal(run("--language", "python", text, "a", "b c").expect(0).text, "45 ['a', 'b c']\n", "from the query")
    expect_equal(run("--language", "python", "-", text=text.encode()).expect(0).text, "45 []\n", "from standard input")
    with files() as d:
        as_user("alice", lambda: open(f"{d}/q.py", "w").write(text))
        expect_equal(run("--language", "python", "--file", "q.py", cwd=d).expect(0).text, "45 []\n", "from a file")


@test("shell runs a script with arguments, in the caller's directory")
def shell_script():
    with files() as d:
        done = run("--language", "shell", 'pwd; echo "$1-$2"', "x", "y z", cwd=d).expect(0)
        expect_equal(done.text, f"{d}\nx-y z\n", "the output")


@test("exec runs any argv, found in the caller's PATH, with the caller's standard input")
def exec_argv():
    with files() as d:
        as_user("alice", lambda: (open(f"{d}/mine", "w").write("#!/bin/sh\necho mine $1; cat\n"), os.chmod(f"{d}/mine", 0o755)))
        done = run("--", "mine", "a", text=b"from stdin\n", cwd=d, env={"PATH": f"{d}:/usr/bin:/bin", "HOME": home("alice")})
        expect_equal(done.expect(0).text, "mine a\nfrom stdin\n", "the output")


@test("the shipped languages are listed with what they are")
def languages_listed():
    done = ctl("languages").expect(0)
    for name in ("awk", "clickhouse-local", "duckdb", "exec", "perl", "psql", "python", "r", "shell", "sqlite"):
        expect_in(name, done.text, "the list")
    notes = {l["name"]: l["memory_note"] for l in json.loads(ctl("languages", "--json").expect(0).text)}
    expect_in("page cache", notes["sqlite"], "how its engine treats memory")

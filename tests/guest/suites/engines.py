# SPDX-License-Identifier: LGPL-2.1-or-later
"""Engines that are no part of every Debian system, each run for real: docs/languages.md says of each what is asked here. What is
not installed is skipped; tools/guest --engines brings all that Debian and npm have."""

import contextlib
import functools
import glob
import os
import shutil
import tempfile

from lib.cgroups import MIB
from lib.harness import Skip, expect, expect_equal, expect_in, note, test, wait_for
from lib.service import Running, as_user, configured, ctl, ctl_json, environment, home, reload_daemon, run, state, submit, system

DUCKDB = "/usr/local/lib/node_modules/@duckdb/node-api"


def patiently(function):
    """For an engine that takes its time to load: emulated, on a busy host, a check of half a second may take longer than half a minute."""

    @functools.wraps(function)
    def patient():
        with configured(CompileTimeoutSec="10min"):
            function()

    return patient


def needs(path, why):
    if not (os.path.exists(path) if path.startswith("/") else shutil.which(path)):
        raise Skip(f"there is no {path}: {why}")


def needs_duckdb():
    needs("node", "tools/guest --engines brings Debian's nodejs")
    needs(DUCKDB, "tools/guest --engines brings npm's package")


@contextlib.contextmanager
def directory(below=None, **files):
    """A directory of alice's with FILES in it, for the time of a test."""
    path = as_user("alice", lambda: tempfile.mkdtemp(prefix="work.", dir=below or home("alice")))

    def write():
        for name, text in files.items():
            with open(f"{path}/{name}", "w", encoding="utf-8") as f:
                f.write(text)

    try:
        as_user("alice", write)
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def in_home(**files):
    """Files of alice's home, whose names begin with a dot that is left out here."""
    paths = {f"{home('alice')}/.{name}": text for name, text in files.items()}

    def write():
        for path, text in paths.items():
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)

    try:
        as_user("alice", write)
        yield
    finally:
        for path in paths:
            os.unlink(path)


class Ended:
    """A detached query that has ended: its results, and its statistics."""

    def __init__(self, *words, **more):
        query = submit(*words, **more)
        self.status = ctl("wait", str(query)).status
        self.text = ctl("results", str(query)).text
        self.stats = ctl_json("stats", str(query))
        note(f"{words[1]}: {self.stats['memory_peak_bytes'] / MIB:.0f} MiB at most, {self.stats['raises']} raises")
        ctl("done", str(query)).expect(0)

    def grew(self, mib):
        expect_equal(self.status, 0, f"the status of {self.stats}")
        expect(self.stats["raises"] > 0, f"it was raised: {self.stats}")
        expect(self.stats["memory_peak_bytes"] > mib * MIB, f"it took more than {mib}M: {self.stats}")
        return self


def check_failed(done, *words):
    """The compile step refused it, and nothing of it was run."""
    done.expect(125, "CompilationFailed", words)
    expect_equal(done.out, b"", "what came of it")


# PostgreSQL


@contextlib.contextmanager
def postgresql(name="sales"):
    """Debian's cluster, with a database of alice's, who is let in over the socket by her uid."""
    needs("pg_lsclusters", "tools/guest --engines brings Debian's postgresql")
    version, cluster = system("pg_lsclusters", "--no-header").text.split()[:2]
    unit = f"postgresql@{version}-{cluster}.service"
    system("systemctl", "start", unit, limit=300)
    admin = ("runuser", "-u", "postgres", "--")
    try:
        system(*admin, "createuser", "alice")
        system(*admin, "createdb", "--owner=alice", "--encoding=UTF8", "--locale=C.UTF-8", "--template=template0", name)
        yield unit
    finally:
        system("systemctl", "start", unit, limit=300)
        system(*admin, "dropdb", "--force", "--if-exists", name)
        system(*admin, "dropuser", "--if-exists", "alice")
        system("systemctl", "stop", unit, limit=300)


def psql(text, *options, database="sales", **more):
    return run("--language", "psql", "--database", database, *options, "--", text, **more)


@test("psql answers from a server on its socket, byte for byte, whether it is named as database, conninfo or URI", slow=True)
def psql_answers():
    with postgresql(), directory(**{"q.sql": "select 'from a file' as t;\n"}) as d:
        made = psql("create table t as select i, 'a,\"' || i || E'\\n' as s from generate_series(1, 2) i; select * from t; \\echo -- end")
        expect_equal(made.expect(0).text, 'i,s\n1,"a,""1\n"\n2,"a,""2\n"\n-- end\n', "the results")
        for name in ("dbname=sales", "host=/run/postgresql dbname=sales", "postgresql:///sales?host=/run/postgresql"):
            done = psql("select current_user as who, count(*) from t", database=name, cwd=d)
            expect_equal(done.expect(0).text, "who,count\nalice,2\n", f"as {name}")
        done = run("--language", "psql", "--database", "sales", "--file", "q.sql", cwd=d).expect(0)
        expect_equal(done.text, "t\nfrom a file\n", "from a file")
        run("--language", "psql", "select 1").expect(125, "InvalidArgument", ["database"])


@test("psql stops at the first error with status 3 and its line, takes no value for an option, and ignores the user's .psqlrc", long_only=True)
def psql_stops():
    with postgresql() as unit, in_home(psqlrc="\\echo from psqlrc\n\\set ON_ERROR_STOP 0\n"):
        done = psql("select 1 as a;\nselect 1/0;\nselect 'never';")
        expect_equal((done.status, done.text), (3, "a\n1\n"), "status and results")
        expect_in("<stdin>:2: ERROR:  division by zero", done.errors, "what psql says")
        expect_equal(psql("--version\nselect 7 as a;").expect(0).text, "a\n7\n", "a text that begins like an option")
        for name in ("-c", "--version", "--help"):
            done = psql("select 1", database=name)
            expect_equal((done.status, done.text), (2, ""), f"with the database {name}")
            expect_in(f'database "{name}" does not exist', done.errors, "what psql says")
        system("systemctl", "stop", unit, limit=300)
        done = psql("select 1")
        expect_equal((done.status, done.text), (2, ""), "without a server")


@test("psql holds some rows and not the result, and when it is told to hold all it grows, or ends at its maximum", long_only=True)
def psql_memory():
    rows = "select i, repeat('x', 4000) as s from generate_series(1, 15000) i;"
    bytes_wanted = len("i,s\n") + sum(len(str(i)) + 4002 for i in range(1, 15001))
    collect = f"\\unset FETCH_COUNT\n{rows}"
    with postgresql():
        few = psql(rows, "--memory-max", "40M").expect(0)
        expect_equal(len(few.out), bytes_wanted, "bytes of the result")
        all_of_it = Ended("--language", "psql", "--database", "sales", "--memory-initial", "32M", "--", collect).grew(60)
        expect_equal(len(all_of_it.text), bytes_wanted, "bytes of the collected result")
        psql(collect, "--memory-max", "40M").expect(137, "MemoryLimitExceeded", ["40M"])


@contextlib.contextmanager
def dependency(name, text):
    """A [Dependency] that requests may name, for the time of a test."""
    path = "/etc/penstock/penstock.conf.d/92-engines.conf"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as f:
        f.write(f"[Dependency {name}]\nRequestable=yes\n{text}\n")
    reload_daemon()
    try:
        yield
    finally:
        os.unlink(path)
        reload_daemon()


@test("psql gets a password from a dependency's credential, and asks for none", long_only=True)
def psql_password():
    with postgresql(), directory() as d:
        system("runuser", "-u", "postgres", "--", "psql", "-qc", "alter role alice password 'hunter2'")
        by_network = "host=127.0.0.1 dbname=sales user=alice"
        done = psql("select 1", database=by_network, cwd=d)
        expect_equal((done.status, done.text), (2, ""), "without a password")
        expect_in("no password supplied", done.errors, "what psql says")
        path = "/etc/penstock/test-pgpass"
        os.makedirs("/etc/penstock", exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write("127.0.0.1:*:sales:alice:hunter2\n")
        try:
            with dependency("warehouse", f"LoadCredential=PGPASSFILE:{path}"):
                done = psql("select current_user as who", "--dependency", "warehouse", database=by_network)
                expect_equal(done.expect(0).text, "who\nalice\n", "with the credential")
        finally:
            os.unlink(path)


# DuckDB


def duckdb(text, *options, **more):
    return run("--language", "duckdb", *options, "--", text, **more)


@test("duckdb answers as CSV, byte for byte, from a database that many may read, and writes where its sandbox lets it", slow=True)
@patiently
def duckdb_answers():
    needs_duckdb()
    with directory(**{"sales.csv": "region,amount\nB,3\nA,4\nB,5\n"}) as d:
        text = "attach 'sales.duckdb' as s; create table s.sale as from 'sales.csv'; copy (select 1 as a) to 'out.csv'; from s.sale;"
        made = duckdb(text, cwd=d).expect(0)
        expect_equal(made.text, "region,amount\nB,3\nA,4\nB,5\n", "what it read")
        expect_equal(as_user("alice", lambda: open(f"{d}/out.csv", encoding="ascii").read()), "a\n1\n", "what it wrote")
        text = "select region, sum(amount) as s from sale group by all order by all; select 0.1 + 0.2 as f, 1e16 as g, null as n, '' as e, 'a,\"b' as q, date 'infinity' as i"
        done = duckdb(text, "--database", "sales.duckdb", cwd=d).expect(0)
        expect_equal(done.text, 'region,s\nA,4\nB,8\nf,g,n,e,q,i\n0.3,1e+16,,"","a,""b",infinity\n', "the results")
        again = "insert into sale values ('n', 1)"
        done = duckdb(again, "--database", "sales.duckdb", cwd=d)
        expect_equal(done.status, 1, f"a database is opened read-only: {done}")
        expect_in("read-only", done.errors, "what DuckDB says")
        # A pipe of alice's own: to open /dev/stdin is to open anew what is there.
        csv = "read_csv('/dev/stdin', auto_detect=false, header=false, columns={'a': 'INT'})"
        piped = f"printf '1\n2\n39\n' | penstockctl run --language duckdb --stdin \"select sum(a) as s from {csv}\""
        expect_equal(Running(["sh", "-c", piped]).wait().expect(0).text, "s\n42\n", "from the caller's standard input")


@test("duckdb stops at the first error with status 1, takes no value for an option, and ignores the user's .duckdbrc", long_only=True)
@patiently
def duckdb_stops():
    needs_duckdb()
    with in_home(duckdbrc=".print from duckdbrc\n"), directory() as d:
        done = duckdb("select 1 as a; select error('stop here'); select 'never'")
        expect_equal((done.status, done.text), (1, "a\n1\n"), "status and results")
        expect_in("stop here", done.errors, "what DuckDB says")
        expect_equal(duckdb("--check\nselect 7 as a").expect(0).text, "a\n7\n", "a text that begins like an option")
        duckdb("select 1", "--database", "--check", cwd=d).expect(125, "InvalidArgument", ["database"])
        as_user("alice", lambda: open(f"{d}/--check", "w").close())
        done = duckdb("select 1", "--database", "--check", cwd=d)
        expect_equal(done.status, 1, f"a file that is no database: {done}")
        expect_in(f'"{d}/--check" exists, but it is not a valid DuckDB database', done.errors, "what DuckDB says")


@test("duckdb is checked before it waits: a wrong word anywhere, a table that is not there; and nothing of it is run", long_only=True)
@patiently
def duckdb_check():
    needs_duckdb()
    check_failed(duckdb("select 1; selec 2"), "CompilationFailed")
    check_failed(duckdb("select * from nowhere"))
    done = duckdb("create temp table t as select 1 as a; select a from t; -- and a comment")
    expect_equal(done.expect(0).text, "a\n1\n", "a table that the script makes")
    expect_equal(duckdb("-- nothing").expect(0).text, "", "no statement")


SORT = "create temp table t as select hash(i) as h, i, repeat('x', 100) || i as s from range(1200000) r(i) order by s, h; select count(*) as n from t"


@test("duckdb grows, spills to {tmpdir} beyond its share of the maximum, and fails by itself where it cannot spill", long_only=True)
@patiently
def duckdb_memory():
    needs_duckdb()
    query = submit("--language", "duckdb", "--memory-max", "160M", "--", SORT)
    unit = f"penstock-q{query}.service"

    def spilled():
        expect(state(query) not in ("finished", "errored", "canceled"), f"it ended, and nothing was seen in its TMPDIR: {ctl('stats', str(query))}")
        return glob.glob(f"/var/tmp/systemd-private-*-{unit}-*/tmp/duckdb_temp*")

    wait_for(spilled, "a file of DuckDB's in the query's own temporary directory", 400)
    ctl("wait", str(query), limit=600).expect(0)
    expect_equal(ctl("results", str(query)).text, "n\n1200000\n", "the results")
    stats = ctl_json("stats", str(query))
    note(f"duckdb: {stats['memory_peak_bytes'] / MIB:.0f} MiB at most of 160, {stats['raises']} raises")
    expect(stats["raises"] > 0 and stats["memory_peak_bytes"] > 64 * MIB, f"it was raised: {stats}")
    ctl("done", str(query)).expect(0)
    one_value = "select length(string_agg(repeat('x', 1000) || i, ',')) from range(400000) r(i)"
    done = duckdb(one_value, "--memory-max", "192M", limit=400)
    expect_equal(done.status, 1, f"one value of 400 MB: {done}")
    expect_in("Out of Memory Error", done.errors, "what DuckDB says")
    done = duckdb(f"set memory_limit = '8GB'; {one_value}", "--memory-max", "192M", limit=400)
    done.expect(137, "MemoryLimitExceeded", ["192M"])


# R


def rscript(text, *options, **more):
    return run("--language", "r", *options, "--", text, **more)


@test("R answers, byte for byte, with arguments that it takes for nothing else, and ignores .Rprofile, .Renviron and .RData", slow=True)
@patiently
def r_answers():
    needs("Rscript", "tools/guest --engines brings Debian's r-base-core")
    files = {"Rprofile": "cat('from Rprofile\\n')\n", "Renviron": "MARK=renviron\n"}
    with in_home(**files), directory(**{".Rprofile": "cat('from here\\n')\n", "q.R": "cat(sum(1:10), commandArgs(TRUE), '\\n')\n"}) as d:
        done = run("--language", "r", "--file", "q.R", "--", "-e", "--version", "--args", "a b", cwd=d)
        expect_equal(done.expect(0).text, "55 -e --version --args a b \n", "from a file")
        expect_equal(rscript("-1 + 43; Sys.getenv('MARK')", cwd=d).expect(0).text, '[1] 42\n[1] ""\n', "a text that begins like an option")
        done = run("--language", "r", "--stdin", "cat(readLines(file('stdin')), sep='|')", text=b"a\nb\n")
        expect_equal(done.expect(0).text, "a|b", "from the caller's standard input")


@test("R stops at the first error with status 1, and a script that does not parse is refused before it waits", long_only=True)
@patiently
def r_stops():
    needs("Rscript", "tools/guest --engines brings Debian's r-base-core")
    done = rscript("cat('first\\n')\nstop('here')\ncat('never\\n')")
    expect_equal((done.status, done.text), (1, "first\n"), "status and results")
    expect_in("Error: here", done.errors, "what R says")
    check_failed(rscript("cat('never\\n')\nx <- c(1,"))


@test("R grows, fails by itself beyond its share of the maximum, and by the kernel when it was told another", long_only=True)
@patiently
def r_memory():
    needs("Rscript", "tools/guest --engines brings Debian's r-base-core")
    Ended("--language", "r", "--", "x <- rep(1, 2e7); cat(sum(x))").grew(150)
    vector = "cat('first\\n'); x <- rep(1, 3e7); cat('never\\n')"
    done = rscript(vector, "--memory-max", "256M")
    expect_equal((done.status, done.text), (1, "first\n"), f"240 MB of 80 % of 256M: {done}")
    expect_in("limit", done.errors, "what R says")
    done = rscript(vector, "--memory-max", "192M", "--env", "R_MAX_VSIZE=8G").expect(137, "MemoryLimitExceeded", ["192M"])


# Logs

LOG = "".join(f'10.0.0.{i % 7} - - "GET /{i}" {200 if i % 5 else 500} {i * 10}\n' for i in range(1, 1001))
BYTES = sum(i * 10 for i in range(1, 1001))
SUM = "{ s += $NF } END { print s }"


@contextlib.contextmanager
def each_awk():
    """Environments of alice's in which awk is each of those that are there."""
    found = {name: os.path.realpath(shutil.which(name)) for name in ("mawk", "gawk") if shutil.which(name)}
    with directory() as d:
        environments = {}
        for name, program in found.items():
            os.makedirs(f"{d}/{name}")
            os.chmod(d, 0o755)
            os.symlink(program, f"{d}/{name}/awk")
            environments[name] = environment("alice", PATH=f"{d}/{name}:/usr/bin:/bin")
        yield environments


@test("awk reads a log that is named as database, as argument or comes from the caller, and no name is an option", slow=True)
def awk_answers():
    with each_awk() as environments, directory(**{"a.log": LOG, "-f": "x 5\n", "sum.awk": SUM}) as d:
        for name, env in environments.items():
            more = {"cwd": d, "env": env}
            done = run("--language", "awk", "--database", "a.log", SUM, **more).expect(0)
            expect_equal(done.text, f"{BYTES}\n", f"{name}: the log as database")
            done = run("--language", "awk", "--file", "sum.awk", "a.log", "./-f", "n=1", "a.log", **more).expect(0)
            expect_equal(done.text, f"{2 * BYTES + 5}\n", f"{name}: logs as arguments")
            done = run("--language", "awk", "--stdin", SUM, text=LOG.encode(), **more).expect(0)
            expect_equal(done.text, f"{BYTES}\n", f"{name}: the caller's")
            expect_equal(run("--language", "awk", SUM, **more).expect(0).text, "\n", f"{name}: none")
            done = run("--language", "awk", "--database", "-f", "--", SUM, **more).expect(0)
            expect_equal(done.text, "5\n", f"{name}: a file called -f as database")
            done = run("--language", "awk", "--", SUM, "-f", **more).expect(0)
            expect_equal(done.text, "5\n", f"{name}: a file called -f as argument")
    with directory(below="/tmp", **{"a.log": LOG}) as d:
        done = run("--language", "awk", "--database", f"{d}/a.log", SUM).expect(0)
        expect_equal(done.text, f"{BYTES}\n", "a log under /tmp, seen from elsewhere")


@test("awk is checked without running it, and ends at an error or as its program says", long_only=True)
def awk_stops():
    with each_awk() as environments:
        for env in environments.values():
            check_failed(run("--language", "awk", 'BEGIN { print "never" > "/dev/stderr" } { s += $1', env=env))
            done = run("--language", "awk", 'BEGIN { print "first"; exit 7 }', env=env)
            expect_equal((done.status, done.text), (7, "first\n"), "exit 7")
            done = run("--language", "awk", 'BEGIN { print "first"; x = "a" ~ ("[" n); print "never" }', env=env)
            expect_equal((done.status, done.text), (2, "first\n"), f"an error while it runs: {done}")
        counted = 'BEGIN { f = ENVIRON["TMPDIR"] "/runs"; print 1 >> f; close(f); while ((getline x < f) > 0) n++; print n }'
        expect_equal(run("--language", "awk", counted).expect(0).text, "1\n", "how often BEGIN was run, check and all")


@test("perl reads a log that is named as database, as argument or comes from the caller, by the switches of its first line", slow=True)
def perl_answers():
    text = "#!/usr/bin/perl -an\n$s += $F[-1]; END { print \"$s\\n\" }\n"
    with directory(**{"a.log": LOG, "-e": "x 5\n"}) as d:
        done = run("--language", "perl", "--database", "a.log", text, cwd=d).expect(0)
        expect_equal(done.text, f"{BYTES}\n", "the log as database")
        done = run("--language", "perl", "--", text, "a.log", "-e", "a.log", cwd=d).expect(0)
        expect_equal(done.text, f"{2 * BYTES + 5}\n", "logs as arguments, one of them called -e")
        done = run("--language", "perl", "--stdin", text, text=LOG.encode()).expect(0)
        expect_equal(done.text, f"{BYTES}\n", "the caller's")
        expect_equal(run("--language", "perl", "--", "-1; print 42").expect(0).text, "42", "a text that begins like an option")


@test("perl is checked without its statements, and ends where it dies", long_only=True)
def perl_stops():
    check_failed(run("--language", "perl", "print 'never'; my $x = ;"), "syntax")
    check_failed(run("--language", "perl", "use strict; print 'never'; $x = 1;"))
    done = run("--language", "perl", "$| = 1; print 'first'; die 'here'; print 'never'")
    expect_equal((done.status, done.text), (255, "first"), "status and results")


@test("awk and perl grow, and end at their maximum", long_only=True)
def logs_memory():
    fill = {"awk": "BEGIN { for (i = 0; i < 700000; i++) a[i] = i \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; print length(a) }",
            "perl": "my @a = map { ('x' x 90) . $_ } 1 .. 800000; print scalar(@a), \"\\n\""}
    for name, text in fill.items():
        Ended("--language", name, "--", text).grew(80)
        run("--language", name, "--memory-max", "72M", "--", text).expect(137, "MemoryLimitExceeded", ["72M"])


@test("clickhouse-local answers as CSV, stops at the first error, and refuses what passes its share of the maximum", slow=True)
def clickhouse():
    needs("clickhouse-local", "neither Debian 12 nor 13 nor npm has a package of it")
    done = run("--language", "clickhouse-local", "select 1 as a, 'x,y' as b; select throwIf(1); select 'never'")
    expect_equal(done.text, '"a","b"\n1,"x,y"\n', "the results")
    expect(done.status not in (0, 125), f"the engine's own failure is passed on: {done}")
    done = run("--language", "clickhouse-local", "--memory-max", "512M", "select length(groupArray(repeat('x', 1000))) from numbers(2000000)")
    expect_in("MEMORY_LIMIT_EXCEEDED", done.errors, "what ClickHouse says")


@test("a query whose engine is not installed ends before it runs, and says why", slow=True)
def not_installed():
    with directory() as d:
        os.symlink(shutil.which("penstockctl"), f"{d}/penstockctl")
        env = environment("alice", PATH=d)
        for words in (("psql", "--database", "sales", "select 1"), ("awk", "BEGIN {}")):  # without a check, and with one
            run("--language", *words, env=env).expect(125, "ExecutionFailed", ["could not be started", "PATH"])

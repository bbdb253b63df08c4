# SPDX-License-Identifier: LGPL-2.1-or-later
"""InitialQuota=learned: who ran before starts with what it came to need, and nobody waits for that."""

import os
import re
import time

from lib.cgroups import MIB
from lib.harness import expect, expect_equal, expect_in, test, wait_for
from lib.kept import ended, row_of
from lib.service import (
    DAEMON,
    DROP_IN,
    Gated,
    configured,
    ctl,
    ctl_json,
    restart_daemon,
    submit,
    system,
    wait_for_state,
    write_drop_in,
)

JOURNAL_LEARNED = "0b5e6b0cf3d14a0fb6c3a3d9b2b0e113"


def grows(mib, name):
    """A query of its own for each NAME: else the tests would teach each other."""
    return ("--language", "python", f"len(bytearray({mib} << 20))  # {name}")


def metric(name):
    found = re.search(rf"^{name} (\S+)$", ctl("metrics").expect(0).text, re.M)
    return float(found[1]) if found else 0  # it is not there before the first


def start_of(described):
    return described["initial_bytes"], described["learned"]


@test("the second of two starts with what the first came to need and is spared its raises; show, stats, history, the journal and the metrics say so", slow=True)
def second_run():
    with configured(InitialQuota="learned"):
        starts, saved, since = metric("penstock_learned_starts_total"), metric("penstock_saved_raises_total"), time.time()
        first = ended(*grows(200, "second run"))[0]
        expect_equal((start_of(first), first["raises_saved"]), ((64 * MIB, False), 0), "the first one's start")
        expect(first["raises"] >= 1, f"it was raised: {first}")
        row, shown, used = ended(*grows(200, "second run"))
        expect_equal(row["fingerprint"], first["fingerprint"], "the fingerprint")
        expect(row["learned"] and 200 * MIB <= row["initial_bytes"] <= first["memory_quota_bytes"], f"the second one's start: {row}")
        expect(row["raises"] < first["raises"], f"its raises: {row['raises']}, before {first['raises']}")
        expect(1 <= row["raises_saved"] <= first["raises"] - row["raises"], f"what it was spared: {row}")
        for other in (shown, used):
            expect_equal((start_of(other), other["raises_saved"]), (start_of(row), row["raises_saved"]), "what show and stats say")
        sheet = ctl("show", str(row["id"])).expect(0).text
        expect_in("learned, which saved", sheet, "the sheet")
        expect_equal(metric("penstock_learned_starts_total") - starts, 1, "starts that were counted")
        expect_equal(metric("penstock_saved_raises_total") - saved, row["raises_saved"], "raises that were counted")
        entries = system("journalctl", "--quiet", f"--unit={DAEMON}", f"--since=@{since:.0f}", f"MESSAGE_ID={JOURNAL_LEARNED}",
                         f"PENSTOCK_QUERY_ID={row['id']}", "--output=cat").text
        expect_in("which one like it came to need", entries, "the journal")


@test("its quota is in force in the kernel before it runs", slow=True)
def in_force():
    with configured(InitialQuota="learned"):
        body = "b = bytearray(150 << 20)  # in force"
        for learned in (False, True):
            q = Gated(body)
            shown = ctl_json("show", str(q.id))
            expect_equal(shown["learned"], learned, "whether it was learned")
            with open(f"{q.group}/memory.max", encoding="ascii") as f:
                expect_equal(int(f.read()), shown["initial_bytes"], "memory.max before it grows")
            q.go()
            q.wait().expect(0)
            row_of(q.id)


@test("what was learned outlives a restart of penstockd", slow=True)
def outlives():
    with configured(InitialQuota="learned"):
        first = ended(*grows(150, "outlives"))[0]
        expect_equal(start_of(first), (64 * MIB, False), "the first one's start")
        restart_daemon()
        # The database is opened off the loop: until then no query is known.
        wait_for(lambda: ended(*grows(150, "outlives"))[0]["learned"], "one is known again")


@test("one that the pool cannot give it at once starts with the usual quota at once, and is raised as any other", slow=True)
def nobody_waits():
    with configured(InitialQuota="learned", ConcurrencyQuota=2, MaxMemoryBytes="256M", MemoryBytesQuotaPerQuery="200M"):
        ended(*grows(110, "nobody waits"))
        expect(ended(*grows(110, "nobody waits"))[0]["learned"], "the pool can give it")
        other = Gated("", "--memory-initial", "128M", "--memory-max", "128M")
        query = submit(*grows(110, "nobody waits"))
        wait_for_state(query, "executing", "finished")
        expect_equal(start_of(ctl_json("show", str(query))), (64 * MIB, False), "its start")
        other.go()
        other.wait().expect(0)
        wait_for_state(query, "finished")
        expect(ctl_json("stats", str(query))["raises"] >= 1, "it was raised")
        ctl("done", str(query)).expect(0)


@test("what a request asks for wins, its maximum too, and nobody learns from another user", slow=True)
def who_asks():
    with configured(InitialQuota="learned"):
        ended(*grows(150, "who asks"))
        expect(ended(*grows(150, "who asks"))[0]["learned"], "it is known")
        expect_equal(start_of(ended("--memory-initial", "80M", *grows(150, "who asks"))[0]), (80 * MIB, False), "what it asked for")
        at_most = ended("--memory-max", "100M", *grows(150, "who asks"))[0]
        expect_equal((start_of(at_most), at_most["error"]["name"]), ((100 * MIB, True), "MemoryLimitExceeded"), "its maximum")
        expect_equal(start_of(ended(*grows(150, "who asks"), user="bob")[0]), (64 * MIB, False), "bob's")


@test("with InitialQuota=fixed nobody starts with more than the usual quota; what is learned meanwhile is used when it is wanted", slow=True)
def fixed():
    for _ in range(2):
        expect_equal(start_of(ended(*grows(150, "fixed"))[0]), (64 * MIB, False), "its start")
    with configured(InitialQuota="learned"):
        expect(ended(*grows(150, "fixed"))[0]["learned"], "it was seen meanwhile")


@test("without a history InitialQuota=learned is refused, and both keys are named")
def needs_a_history():
    write_drop_in({"InitialQuota": "learned", "HistoryMaxEntries": "0"})
    try:
        done = ctl("config", "check", user="root")
    finally:
        os.unlink(DROP_IN)
    expect(done.status != 0, f"it is refused: {done}")
    for word in (DROP_IN, "InitialQuota=learned", "HistoryMaxEntries=0"):
        expect_in(word, done.text + done.errors, "what is said")

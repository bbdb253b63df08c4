# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the history has of queries."""

from lib.harness import expect_equal, wait_for
from lib.service import ctl, ctl_json, submit, wait_for_state


def history(*words, user="root"):
    return ctl_json("history", *words, user=user)


def boot():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        return f.read().strip().replace("-", "")


def rows_of(query_id, user="root"):
    """Those of this boot with this ID: there must be one at most."""
    return [r for r in history("--limit", "1000", user=user) if r["id"] == query_id and r["boot_id"] == boot()]


def row_of(query_id, user="root"):
    """A thread writes it: it may come a moment later."""
    rows = wait_for(lambda: rows_of(query_id, user), f"query {query_id} is in the history")
    expect_equal(len(rows), 1, f"rows of query {query_id}")
    return rows[0]


def ended(*words, user="alice"):
    """Runs a detached query to its end, and returns its row, and what show and stats said of it before it was Done."""
    query_id = submit(*words, user=user)
    wait_for_state(query_id, "finished", "errored", "canceled")
    shown, used = ctl_json("show", str(query_id), user=user), ctl_json("stats", str(query_id), user=user)
    ctl("done", str(query_id), user=user).expect(0)
    return row_of(query_id, user), shown, used

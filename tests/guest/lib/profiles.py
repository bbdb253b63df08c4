# SPDX-License-Identifier: LGPL-2.1-or-later
"""The profile of a query, as penstockctl tells it, in numbers."""

import csv
import io

from lib import cgroups
from lib.harness import expect_equal
from lib.service import ctl

TEXT = ("event", "cause")


def number(cell):
    return None if cell == "" else cgroups.INFINITY if cell == "infinity" else int(cell)


def profile(query_id, user="alice"):
    """The rows of `profile --csv`."""
    text = ctl("profile", "--csv", str(query_id), user=user).expect(0).text
    names = text.splitlines()[0].split(",")
    rows = []
    for line in csv.reader(io.StringIO(text)):
        expect_equal(len(line), len(names), f"the values of {line}")
        rows.append(line)
    return [{k: v if k in TEXT else number(v) for k, v in zip(names, row)} for row in rows[1:]]

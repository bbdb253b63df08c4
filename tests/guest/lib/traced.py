# SPDX-License-Identifier: LGPL-2.1-or-later
"""penstockd with a record of what it is told and decides (Trace=), and penstock-sim, which decides it again."""

import contextlib
import os
import re

from lib.harness import expect_equal, note
from lib.service import DAEMON, DROP_IN, system, write_drop_in

TRACE = "/run/penstock/trace"
SIM = "/usr/bin/penstock-sim"


@contextlib.contextmanager
def traced(**keys):
    """penstockd, started anew with a trace; afterwards without."""
    write_drop_in({"Trace": "64M", **keys})
    try:
        system("systemctl", "restart", DAEMON)
        yield
    finally:
        os.unlink(DROP_IN)
        system("systemctl", "restart", DAEMON)


class Replay:
    """The engine, taken through the trace, asks for the same again, and no sum of limits passed the budget then in force."""

    def __init__(self):
        done = system(SIM, "replay", TRACE, check=False)
        expect_equal(done.status, 0, f"the replay of what the service recorded ({done})")
        note(done.text)
        self.text = done.text
        self.raises = int(re.search(r"(\d+) raises", done.text)[1])
        peak = re.search(r"at most (\w+) of (\w+) promised", done.text)
        self.promised_bytes, self.budget_bytes = (_bytes(text) for text in peak.groups())


def _bytes(text):
    number, unit = re.fullmatch(r"(\d+)([KMGT]?)B?", text).groups()
    return int(number) << (10 * " KMGT".index(unit or " "))


def lines():
    with open(TRACE, encoding="utf-8") as f:
        return f.read().splitlines()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Short queries a second, by 1 and by 16 clients, against systemd-run in the same number: without units that are made ahead, as
shipped, and a burst that finds a unit ready for each."""

import contextlib

from kit import starts
from kit.figures import Comparison, Goal
from lib.harness import Failure, wait_for
from lib.service import configured

RUN = "systemd-run --pipe --wait"
CROWDS = (1, 16)
COUNT = 16  # in a figure
KEYS = {"ConcurrencyQuota": "16", "InitialMemoryBytesQuotaPerQuery": "16M"}
COLD, SHIPPED, BURST = "Penstock, WarmUnits=0", "Penstock, WarmUnits=2 (shipped)", f"Penstock, a burst on WarmUnits={COUNT}"
WARM = {RUN: 0, COLD: 0, SHIPPED: 2, BURST: COUNT}


class Spares:
    """Whether units are made ahead here at all: else each wait for one is in vain."""

    def __init__(self):
        self.come = True

    def make_ready(self, alice, byte, units):
        """One query of the kind, and a wait for its spares. Returns how many there are."""
        if units > 0 and self.come:
            alice.ask("query", byte)
            self.come = starts.wait_for_spare()
            if self.come:
                with contextlib.suppress(Failure):
                    wait_for(lambda: len(starts.idle_units()) >= units, "the spares", starts.SPARE_SEC + 4 * units)
        starts.settle()
        return len(starts.idle_units())


def measure(bench, clients, who, byte, spares):
    alice, root = who
    query = ("query", byte)
    ways = {way: (alice, query) for way in WARM}
    ways[RUN] = (root, ("spawn", "systemd-run", "--quiet", "--collect", "--pipe", "--wait", byte))
    comparison = Comparison(f"rate.{clients}", f"starts a second, clients: {clients}", "a second", RUN)
    ready = {way: [] for way in WARM}

    def one(n, way):
        each = max(1, COUNT // clients) if n > 0 else 1
        with configured(WarmUnits=str(WARM[way]), **KEYS):
            found = spares.make_ready(alice, byte, WARM[way])
            (nsec,) = ways[way][0].ask("crowd", clients, each, *ways[way][1])
            starts.settle()
        if n > 0:
            comparison.add(way, clients * each / (nsec / 1e9), n)
            ready[way].append(found)

    starts.in_turn(ways, bench.few, one)
    bench.show(comparison)
    bench.say(f"units ready at the start: {ready[SHIPPED]} as shipped, {ready[BURST]} before a burst")
    return comparison, min(ready[BURST])


def run(bench):
    spares = Spares()
    with starts.starters() as who:
        for clients in CROWDS:
            comparison, ready = measure(bench, clients, who, starts.shortest(), spares)
            title = f"short queries a second of systemd-run's, clients: {clients}"
            burst = comparison.figure(BURST) if ready >= COUNT else None
            bench.judge(
                Goal(f"rate.{clients}", f"{title}, as shipped", comparison.figure(SHIPPED), least=3),
                Goal(f"rate.{clients}.burst", f"{title}, a burst", burst, least=3, why=f"{ready} units were ready for {COUNT} queries"),
            )

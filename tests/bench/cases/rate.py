# SPDX-License-Identifier: LGPL-2.1-or-later
"""Short queries a second, by 1 and by 16 clients, against systemd-run in the same number."""

from kit import starts
from kit.figures import Comparison, Goal
from lib.service import configured

RUN = "systemd-run --pipe --wait"
CROWDS = (1, 16)
KEYS = {"ConcurrencyQuota": "16", "InitialMemoryBytesQuotaPerQuery": "16M"}


def run(bench):
    byte, count = starts.shortest(), 16 if bench.quick else 32
    command = ("spawn", "systemd-run", "--quiet", "--collect", "--pipe", "--wait", byte)
    with starts.starters() as (alice, root):
        for clients in CROWDS:
            ways = {RUN: (root, "0", command), "Penstock, WarmUnits=0": (alice, "0", ("query", byte)),
                    "Penstock, WarmUnits=16": (alice, "16", ("query", byte))}
            title = f"{clients} client{'s' if clients > 1 else ''}"
            comparison = Comparison(f"rate.{clients}", f"queries a second, {title}", "a second", RUN)

            def one(n, way):
                who, warm, words = ways[way]
                with configured(WarmUnits=warm, **KEYS):
                    starts.settle()
                    if warm != "0":
                        alice.ask("query", byte)
                        starts.settle()
                    (nsec,) = who.ask("crowd", clients, max(1, count // clients), *words)
                    starts.settle()
                if n > 0:
                    comparison.add(way, clients * max(1, count // clients) / (nsec / 1e9))

            starts.in_turn(ways, bench.few, one)
            bench.show(comparison)
            bench.judge(Goal(f"rate.{clients}", f"short queries a second of systemd-run's, {title}, WarmUnits=16",
                             comparison.ratio("Penstock, WarmUnits=16"), least=3))

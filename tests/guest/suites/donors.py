# SPDX-License-Identifier: LGPL-2.1-or-later
"""Donors: who holds far more than he needs gives it back when another waits, and gets it again when he needs it."""

import threading
import time

from lib import cgroups, harness
from lib.cgroups import MIB
from lib.grower import Observer
from lib.harness import expect, expect_equal, note, test
from lib.profiles import profile
from lib.service import Gated, configured, ctl, ctl_json

BUDGET = 512 * MIB
INITIAL = 32 * MIB
# More than half, so that not both can have it; with what a donor keeps there is always an order in which both can end, also
# when it grows again at once. (With larger peaks it may be that what it had given can't be given to both: one must end.)
MAXIMUM = 320 * MIB
PEAK, WAITER_PEAK = 180 * MIB, 200 * MIB
NEAR = 120 * MIB  # BUDGET - MAXIMUM leaves the waiter 192M
KEYS = {
    "MaxMemoryBytes": BUDGET, "InitialMemoryBytesQuotaPerQuery": INITIAL, "MemoryBytesQuotaPerQuery": MAXIMUM,
    "ConcurrencyQuota": 2,
}
KEEPS = 60 * MIB
# Each line that it reads makes it grow and shrink again, but for what it keeps.
DONOR = f"""
n, kept = 0, bytearray({KEEPS})
while True:
    b = bytearray({PEAK})
    n += sum(b[i] == 0 for i in range(0, len(b), 4096))
    del b
    print('idle', n, flush=True)
    if sys.stdin.readline() != 'again\\n': break
print('total', n)
"""
TOUCHED = PEAK // 4096
WAITER = f"b = bytearray({WAITER_PEAK}); print(len(b))"


def quota(q):
    return ctl_json("show", str(q.id))["memory_quota_bytes"]


def is_frozen(q):
    return cgroups.table(q.group, "cgroup.events").get("frozen") == 1


def kills():
    return cgroups.table(cgroups.SLICE, "memory.events")["oom_kill"]


class AtOnce(threading.Thread):
    """Lets the donor grow about when it is to give: DELAY after the waiter has come near to what is left for it. A donor is
    asked when it has rested for two seconds, and then stopped for some milliseconds."""

    def __init__(self, donor, waiter, delay):
        super().__init__(daemon=True)
        self.donor, self.waiter, self.delay = donor, waiter, delay
        self.said = False

    def run(self):
        while self.waiter.run.is_running():
            if (cgroups.limit(self.waiter.group, "memory.current") or 0) > NEAR:
                time.sleep(self.delay)
                self.donor.run.say(b"again\n")
                self.said = True
                return


@test("an idle holder gives back when another waits, keeps what it needs, and grows again when it needs to", slow=True)
def gives_back():
    with configured(**KEYS):
        observer, donor, before = start_donor()
        held = quota(donor)
        expect(held > KEEPS + PEAK, f"it holds what it had needed: {held}")
        waiter = Gated(WAITER)
        waiter.go()
        expect_equal(waiter.wait().expect(0).text, f"{WAITER_PEAK}\n", "the output of who waited")
        kept = quota(donor)
        note(f"{held // MIB}M were held, {kept // MIB}M kept")
        expect(KEEPS < kept <= BUDGET - WAITER_PEAK, f"its quota after it gave: {kept}")
        expect_equal(cgroups.limit(donor.group), kept, "memory.max, and the quota that show tells")
        expect(cgroups.limit(donor.group, "memory.current") <= kept, "what it has is within its quota")
        expect(ctl_json("stats", str(waiter.id))["frozen_usec"] > 0, "the other one waited for it")
        donor.run.say(b"again\n")
        donor.wait_for_output(b"idle %d\n" % (2 * TOUCHED))
        expect(quota(donor) > KEEPS + PEAK, f"it has grown again: {quota(donor)}")
        donor.run.say(b"end\n")
        expect_equal(donor.wait().expect(0).text.splitlines()[-1], f"total {2 * TOUCHED}", "the donor's answer")
        expect_equal(kills(), before, "processes that the kernel killed in penstock.slice")
        lowered = [r for r in profile(donor.id) if r["event"] == "lowered"]
        note(ctl("profile", str(donor.id)).expect(0).text)
        expect_equal([r["limit_bytes"] for r in lowered], [kept], "the rows of its profile that tell of it")
        observer.finish()


def start_donor():
    """A query that has grown, freed nearly all, and rests; with it an observer of the sum, and how many were killed so far."""
    before = kills()
    donor = Gated(DONOR)
    observer = Observer(BUDGET)
    donor.go()
    donor.wait_for_output(b"idle %d\n" % TOUCHED)
    return observer, donor, before


@test("a donor that begins to grow at the very moment of giving is not killed, and both get their answers", slow=True)
def grows_at_that_moment():
    tries = harness.repeats(2, 50)
    with configured(**KEYS):
        observer, donor, before = start_donor()
        gave = 0
        for i in range(tries):
            held = quota(donor)
            waiter = Gated(WAITER)
            at_once = AtOnce(donor, waiter, harness.rng.uniform(0, 5))
            at_once.start()
            waiter.go()
            expect_equal(waiter.wait(300).expect(0).text, f"{WAITER_PEAK}\n", f"the output of who waited, try {i}")
            at_once.join()
            if not at_once.said:  # the waiter was served before
                donor.run.say(b"again\n")
            donor.wait_for_output(b"idle %d\n" % ((2 * i + 2) * TOUCHED), 300)
            lowered = [r for r in profile(donor.id) if r["event"] == "lowered"]
            gave = len(lowered)
            kept = [r["limit_bytes"] // MIB for r in lowered]
            note(f"try {i}, {at_once.delay * 1000:.0f} ms: {held // MIB}M held; lowered so far: {kept}")
            donor.run.say(b"again\n")
            donor.wait_for_output(b"idle %d\n" % ((2 * i + 3) * TOUCHED), 300)
            expect(quota(donor) > KEEPS + PEAK, f"nobody waits, and it has grown again: {quota(donor)}")
        donor.run.say(b"end\n")
        expect_equal(donor.wait().expect(0).text.splitlines()[-1], f"total {(2 * tries + 1) * TOUCHED}", "the donor's answer")
        note(f"it gave in {gave} of {tries} tries")
        expect_equal(kills(), before, "processes that the kernel killed in penstock.slice")
        observer.finish()

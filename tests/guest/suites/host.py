# SPDX-License-Identifier: LGPL-2.1-or-later
"""src/host alone, driven by the program host-check, against the real PID 1 and kernel."""

import os

from lib import harness
from lib.harness import Skip, expect, note, test
from lib.service import DAEMON, Running, system

SOURCE = os.path.realpath(f"{os.path.dirname(__file__)}/../../..")
# In the guest the build is beside the source; in a checkout it is in it.
PLACES = [f"{build}/tests/guest/host-check" for build in (f"{os.path.dirname(SOURCE)}/build", f"{SOURCE}/build")]


@test("host-check finds units, groups, limits, lowering, freezing, sandbox and recovery from reload and reexec as src/host promises", slow=True)
def host_check():
    program = next((p for p in PLACES if os.path.exists(p)), None)
    if not program:
        raise Skip(f"host-check is in none of {', '.join(PLACES)}")
    try:
        done = Running([program, "--tries", str(harness.repeats(3, 50))], user="root", cwd="/").wait(harness.repeats(550, 3000))
    finally:
        # It sets a lower limit of penstock.slice, which to penstockd is an administrator's; a new one begins with its own.
        system("systemctl", "restart", DAEMON)
    lines = done.text.splitlines()
    failed = [i for i, line in enumerate(lines) if line.startswith("not ok")]
    for i in failed:
        note("\n".join(lines[i : i + 12]))
    note(lines[-1] if lines else "it said nothing")
    expect(not failed and done.status == 0, f"status {done.status}, {len(failed)} checks failed: {[lines[i] for i in failed]}")
    expect(any(line.startswith("ok") for line in lines), "it checked something")

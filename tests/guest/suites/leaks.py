# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is done leaves nothing behind."""

from lib import harness
from lib.harness import expect_equal, note, test
from lib.leftovers import counts_at_rest, expect_counts
from lib.service import Running, run


@test("short queries one after another leave no unit, group, descriptor, child, drop-in or directory behind", slow=True)
def short_queries():
    n = harness.repeats(60, 2000)
    before = counts_at_rest()
    note(f"before: {before}")
    loop = "for ((i = 0; i < $1; i++)); do penstockctl run -- sh -c \"exit $((i % 4))\" 2>/dev/null; echo $?; done"
    done = Running(["bash", "-c", loop, "bash", str(n)]).wait(10 * n + 200).expect(0)
    expect_equal(done.text.split(), [str(i % 4) for i in range(n)], "the exit statuses")
    note(f"after {n}: {expect_counts(before, f'the counts after {n} queries')}")


@test("queries that are refused, canceled, timed out or killed for memory leave nothing behind either", slow=True)
def rough_ends():
    before = counts_at_rest()
    for _ in range(harness.repeats(3, 50)):
        run("--language", "cobol", "x").expect(125)
        run("--language", "python", "(").expect(125)
        run("--memory-max", "32M", "--", "python3", "-c", "bytearray(200<<20)").expect(137)
        run("--timeout", "1", "--", "sleep", "1000").expect(124)
        run("--", "sh", "-c", "sleep 1000 & sleep 1000 & exit 0").expect(0)
    expect_counts(before, "the counts")

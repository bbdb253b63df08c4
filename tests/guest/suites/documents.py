# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents tell one to type is typed, and prints what they show."""

import os

from lib.documents import follow
from lib.harness import expect, test
from lib.service import list_queries, system

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "docs")


def document(name, promise):
    @test(promise, slow=True, limit=2400)
    def followed():
        others = {q["id"] for q in list_queries()}  # that tests before left to be read
        follow(os.path.join(DOCS, name))
        expect(not {q["id"] for q in list_queries()} - others, "it leaves no query")
        system("systemctl", "is-active", "penstockd")


document("tutorial.md", "who follows the tutorial gets what it shows")
document("operations.md", "what the operations guide tells an operator to type does what it says")

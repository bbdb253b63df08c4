# SPDX-License-Identifier: LGPL-2.1-or-later
"""An attached query whose client does nothing by itself: it reads no results, and keeps or drops the hold as a test
says. penstockctl reads at once, and cleans up."""

import os
import pwd

from lib import cgroups
from lib.harness import fail
from lib.rawbus import Connection, Reader
from lib.service import ctl_json

_connection = None
_held = []  # descriptors that close_all() must close


def connection():
    """One for all: what is called over it is answered in order. Another one when a test has restarted the bus."""
    global _connection
    if _connection is None or _connection.is_lost():
        _connection = Connection()
    return _connection


class Attached:
    def __init__(self, argv, *pairs, user="alice", language="exec"):
        request = [("language", "s", language), ("user", "s", user), ("working_directory", "s", pwd.getpwnam(user).pw_dir)]
        request.append(("argv", "as", argv) if language == "exec" else ("query", "s", argv))
        reply = connection().query(request + list(pairs))
        if reply.error:
            fail(f"Query: {reply.error}: {reply.message()}")
        self.id = Reader(reply.body).number("Q")
        self.results, self.hold = reply.fds
        _held.extend(reply.fds)
        self.group = cgroups.engine_group(self.id)

    def close(self, what):
        fd = getattr(self, what)
        if fd in _held:
            _held.remove(fd)
            os.close(fd)

    def read_all(self):
        """What is left of the results, to their end."""
        data = b""
        while part := os.read(self.results, 1 << 16):
            data += part
        return data

    def describe(self):
        return ctl_json("stats", str(self.id), user="root")

    def done(self):
        """Release it; returns the final statistics."""
        return done(self.id)


def done(query_id):
    """Release a query; returns its final statistics."""
    (statistics,) = ctl_json("done", str(query_id), user="root")
    return statistics


def call_on_query(query_id, method):
    """Cancel or Done, without penstockctl's waiting; returns the Reply."""
    return connection().call(method, path=f"/org/penstock1/query/_{query_id}", interface="org.penstock1.Query")


def close_all():
    global _connection
    while _held:
        os.close(_held.pop())
    if _connection is not None:
        _connection.close()
        _connection = None

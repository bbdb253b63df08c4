# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls to penstockd, as many as the bus takes, over many connections of one user, who reads nothing of the answers before all is sent.

Arguments: a query to ask for, for how many seconds, how many calls at least. Prints "up" when it begins, and in the end, as JSON, how
many calls were sent and how many answers of penstockd's came. Its status is not 0 when the bus cut it off, or took too few."""

import json
import os
import select
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from lib.rawbus import CONTROLLER, NAME, PATH, Connection, Writer

CONNECTIONS = 24
BATCH = 8
GIVE_UP = 300  # seconds for what was asked for at least
QUIET = 5  # seconds after which nothing more comes


def questions(query_id):
    """(member, signature, body) of calls whose answers are large."""
    return [("ListQueries", "", b""), ("Metrics", "", b""), ("Queries", "", b""), ("Describe", "t", struct.pack("=Q", query_id))]


def message(member, signature, body):
    w = Writer()
    w.data += struct.pack("=BBBBII", ord("l"), 1, 0, 1, len(body), 1)
    fields = [(1, "o", PATH), (2, "s", CONTROLLER), (3, "s", member), (6, "s", NAME)] + ([(8, "g", signature)] if signature else [])

    def write_field(f):
        w.align(8).number("B", f[0])
        w.signature(f[1])
        w.signature(f[2]) if f[1] == "g" else w.string(f[2])

    w.array(8, fields, write_field).align(8)
    return bytes(w.data) + body


def send_all(sockets, calls, seconds, at_least):
    """Returns how many calls the bus took."""
    rest = dict.fromkeys(sockets, b"")
    n, begin = 0, time.monotonic()
    while (passed := time.monotonic() - begin) < seconds or n < at_least:
        if passed > GIVE_UP:
            sys.exit(f"the bus took no more than {n} calls")
        for s in sockets:
            data = rest[s] or calls[n // BATCH % len(calls)] * BATCH
            try:
                rest[s] = data[s.send(data) :]
            except BlockingIOError:
                continue
            n += 0 if rest[s] else BATCH
        select.select([], sockets, [], 0.05)
    return n


def count_answers(left, sender):
    """LEFT: of each socket, what was read of it. Returns how many messages of SENDER come until nothing does."""
    n = 0
    while ready := select.select(list(left), [], [], QUIET)[0]:
        for s in ready:
            part, at = s.recv(1 << 20), 0
            if not part:
                sys.exit("the bus has cut it off")
            data = left[s] + part
            while len(data) - at >= 16:
                body_size, fields_size = struct.unpack_from("=I4xI", data, at + 4)
                head_size = 16 + fields_size + (-fields_size % 8)
                if len(data) - at < head_size + body_size:
                    break
                n += sender in data[at : at + head_size]
                at += head_size + body_size
            left[s] = data[at:]
    return n


def main(query_id, seconds, at_least):
    many = [Connection() for _ in range(CONNECTIONS)]
    sender = many[0].owner().encode() + b"\0"
    for c in many:
        c.socket.setblocking(False)
    print("up", flush=True)
    sent = send_all([c.socket for c in many], [message(*q) for q in questions(query_id)], seconds, at_least)
    print(json.dumps({"calls": sent, "answers": count_answers({c.socket: c.pending for c in many}, sender)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))

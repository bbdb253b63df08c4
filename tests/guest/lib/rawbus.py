# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus client that does not protect the service from itself: it sends any bytes, types and lengths.

Little of the protocol, on purpose: one connection, calls with a body that the caller marshals with the helpers below,
replies whose strings, integers and descriptors can be read.
"""

import array
import os
import select
import socket
import struct

SYSTEM_BUS = "/run/dbus/system_bus_socket"
NAME, PATH = "org.penstock1", "/org/penstock1"
CONTROLLER = "org.penstock1.Controller"


class Disconnected(Exception):
    """The bus cut us off, which is its answer to what is no D-Bus message."""


class Writer:
    """Marshals in native byte order; alignment counts from the start of the body."""

    def __init__(self):
        self.data = bytearray()

    def align(self, n):
        self.data += b"\0" * (-len(self.data) % n)
        return self

    def number(self, code, value):
        size = struct.calcsize(f"={code}")
        self.align(size)
        self.data += struct.pack(f"={code}", value)
        return self

    def string(self, value):
        raw = value if isinstance(value, bytes) else value.encode()
        self.number("I", len(raw))
        self.data += raw + b"\0"
        return self

    def signature(self, value):
        self.data += bytes([len(value)]) + value.encode() + b"\0"
        return self

    def array(self, alignment, items, write_item):
        self.number("I", 0)
        at = len(self.data)
        self.align(alignment)
        start = len(self.data)
        for item in items:
            write_item(item)
        struct.pack_into("=I", self.data, at - 4, len(self.data) - start)
        return self

    def value(self, signature, value):
        """One value of a type that requests use."""
        if signature in ("s", "o"):
            self.string(value)
        elif signature == "b":
            self.number("I", int(value))
        elif signature in ("u", "h"):
            self.number("I", value)
        elif signature in ("i", "t", "x", "q", "y", "d"):
            self.number({"i": "i", "t": "Q", "x": "q", "q": "H", "y": "B", "d": "d"}[signature], value)
        elif signature == "as":
            self.array(4, value, self.string)
        elif signature == "a{ss}":
            self.array(8, value, lambda pair: self.align(8).string(pair[0]).string(pair[1]))
        elif signature == "a{s(tt)}":
            self.array(8, value, lambda e: self.align(8).string(e[0]).align(8).number("Q", e[1]).number("Q", e[2]))
        elif signature == "v":
            self.signature(value[0]).value(*value)
        else:
            raise ValueError(signature)
        return self

    def request(self, pairs):
        """a{sv} from (key, signature, value); a key may come twice."""

        def write_pair(p):
            self.align(8).string(p[0]).signature(p[1]).value(p[1], p[2])

        return self.array(8, pairs, write_pair)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, code):
        size = struct.calcsize(f"={code}")
        self.at += -self.at % size
        value = struct.unpack_from(f"={code}", self.data, self.at)[0]
        self.at += size
        return value

    def string(self):
        size = self.number("I")
        value = bytes(self.data[self.at : self.at + size])
        self.at += size + 1
        return value.decode(errors="replace")


class Reply:
    """A message that came: an answer, or with a MEMBER a call to us or a signal."""

    def __init__(self, sender, error, body, fds, member=None, serial=0):
        self.sender, self.error, self.body, self.fds = sender, error, body, fds
        self.member, self.serial = member, serial

    def message(self):
        """The first argument of an error."""
        return Reader(self.body).string() if self.body else ""


class Connection:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(SYSTEM_BUS)
        self.pending, self.fds, self.serial = b"", [], 0
        uid = str(os.getuid()).encode().hex()
        self.socket.sendall(b"\0AUTH EXTERNAL " + uid.encode() + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        while self.pending.count(b"\r\n") < 2:
            self._receive()
        self.pending = self.pending.split(b"\r\n", 2)[2]
        self.call("Hello", destination="org.freedesktop.DBus", path="/org/freedesktop/DBus", interface="org.freedesktop.DBus")

    def _receive(self):
        space = socket.CMSG_LEN(64 * 4)
        try:
            data, ancillary, _flags, _address = self.socket.recvmsg(1 << 16, space)
        except ConnectionError as e:
            raise Disconnected(str(e)) from e
        if not data:
            raise Disconnected("end of the stream")
        for level, kind, raw in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self.fds += array.array("i", raw[: len(raw) // 4 * 4])
        self.pending += data

    def _take(self, size):
        while len(self.pending) < size:
            self._receive()
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def call(self, member, signature="", body=b"", destination=NAME, path=PATH, interface=CONTROLLER, flags=0):
        """Send one call and return its Reply; other messages that come in between are dropped."""
        return self.answer_to(self.send(member, signature, body, destination, path, interface, flags))

    def send(self, member, signature="", body=b"", destination=NAME, path=PATH, interface=CONTROLLER, flags=0, fds=()):
        """Send one call without waiting for its answer; returns its serial number. FDS stay the caller's to close."""
        data = self.message(member, signature, body, destination, path, interface, flags, len(fds))
        try:
            sent = socket.send_fds(self.socket, [data], fds) if fds else 0
            self.socket.sendall(data[sent:])
        except ConnectionError as e:
            raise Disconnected(str(e)) from e
        return self.serial

    def message(self, member, signature="", body=b"", destination=NAME, path=PATH, interface=CONTROLLER, flags=0, n_fds=0):
        """The next call's bytes."""
        self.serial += 1
        fields = [(1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination)]
        if signature:
            fields.append((8, "g", signature))
        if n_fds:
            fields.append((9, "u", n_fds))
        w = Writer()
        w.data += struct.pack("=BBBBII", ord("l"), 1, flags, 1, len(body), self.serial)

        def write_field(f):
            w.align(8).number("B", f[0])
            w.signature(f[1])
            if f[1] == "g":
                w.signature(f[2])
            elif f[1] == "u":
                w.number("I", f[2])
            else:
                w.string(f[2])

        w.array(8, fields, write_field).align(8)
        return bytes(w.data) + bytes(body)

    def is_lost(self):
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    def answer_to(self, wanted):
        while True:
            kind, serial, reply = self._message()
            if serial == wanted and kind in (2, 3):
                return reply

    def wait_for_call(self, *members):
        """The next call to us of one of MEMBERS."""
        while True:
            kind, _serial, message = self._message()
            if kind == 1 and message.member in members:
                return message

    def answer(self, message):
        """Answer a call to us, with nothing."""
        self.serial += 1
        w = Writer()
        w.data += struct.pack("=BBBBII", ord("l"), 2, 1, 1, 0, self.serial)

        def write_field(f):
            w.align(8).number("B", f[0]).signature(f[1])
            w.number("I", f[2]) if f[1] == "u" else w.string(f[2])

        w.array(8, [(5, "u", message.serial), (6, "s", message.sender)], write_field).align(8)
        self.socket.sendall(bytes(w.data))

    def _message(self):
        head = self._take(16)
        kind, body_size, fields_size = head[1], *struct.unpack_from("=I4xI", head, 4)
        raw = self._take(fields_size + (-fields_size % 8))
        r, serial, error, sender, member, n_fds = Reader(raw), None, None, None, None, 0
        while r.at < fields_size:
            r.at += -r.at % 8
            code = r.number("B")
            size = r.number("B")
            signature = bytes(r.data[r.at : r.at + size]).decode()
            r.at += size + 1
            if signature == "g":
                size = r.number("B")
                r.at += size + 1
                continue
            value = r.string() if signature in ("s", "o") else r.number("I")
            if code == 5:
                serial = value
            elif code == 3:
                member = value
            elif code == 4:
                error = value
            elif code == 7:
                sender = value
            elif code == 9:
                n_fds = value
        body = self._take(body_size)
        fds, self.fds = self.fds[:n_fds], self.fds[n_fds:]
        return kind, serial, Reply(sender, error, body, fds, member, struct.unpack_from("=I", head, 8)[0])

    def query(self, pairs):
        """Submit a{sv}; the Reply's fds are results and hold, and the ID is the body's first number."""
        return self.call("Query", "a{sv}", Writer().request(pairs).data)

    def owner(self, name=NAME):
        body = Writer().string(name).data
        reply = self.call(
            "GetNameOwner", "s", body, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"
        )
        return Reader(reply.body).string()

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)

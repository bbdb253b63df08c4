# SPDX-License-Identifier: LGPL-2.1-or-later
"""File systems of penstockd's own for the time of a test: small ones, full ones."""

import contextlib
import os

from lib.service import DAEMON, system


@contextlib.contextmanager
def small(path, *options):
    """A file system of few bytes at PATH, where penstockd, which is started anew for it, finds it."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    system("systemctl", "stop", DAEMON)
    system("mount", "-t", "tmpfs", "-o", ",".join(("mode=700", *options)), "tmpfs", path)
    try:
        system("systemctl", "start", DAEMON)
        yield
    finally:
        system("systemctl", "stop", DAEMON)
        system("umount", path)
        system("systemctl", "start", DAEMON)


@contextlib.contextmanager
def filled(path):
    """Not a byte is left on the file system of PATH."""
    name = f"{path}/filling"
    with contextlib.suppress(OSError), open(name, "wb", buffering=0) as f:
        while True:
            f.write(b"#" * 4096)
    try:
        yield
    finally:
        os.unlink(name)

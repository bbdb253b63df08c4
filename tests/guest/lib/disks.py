# SPDX-License-Identifier: LGPL-2.1-or-later
"""File systems of penstockd's own for the time of a test: small ones, full ones, ones that stand still."""

import contextlib
import os

from lib import harness
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


@contextlib.contextmanager
def on_disk(path):
    """A file system at PATH that can stand still, where penstockd, which is started anew for it, finds it."""
    if system("modprobe", "loop", check=False).status != 0 and not os.path.exists("/dev/loop-control"):
        raise harness.Skip("this kernel has no loop devices")
    image, device = "/root/disk.img", None
    with open(image, "wb") as f:
        f.truncate(32 << 20)
    system("systemctl", "stop", DAEMON)
    try:
        device = system("losetup", "--find", "--show", image).text.strip()
        system("mkfs.ext4", "-q", device)
        system("mount", device, path)
        os.chmod(path, 0o700)
        system("systemctl", "start", DAEMON)
        yield
    finally:
        system("systemctl", "stop", DAEMON)
        system("umount", path, check=False)
        if device:
            system("losetup", "--detach", device)
        os.unlink(image)
        system("systemctl", "start", DAEMON)


@contextlib.contextmanager
def standing(path):
    """Whoever writes to the file system of PATH waits."""
    system("fsfreeze", "--freeze", path)
    try:
        yield
    finally:
        system("fsfreeze", "--unfreeze", path)

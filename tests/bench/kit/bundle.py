# SPDX-License-Identifier: LGPL-2.1-or-later
"""An OCI bundle of the shortest program, for crun: the limits of a query, and a container's usual walls."""

import contextlib
import json
import os
import shutil
import tempfile

from lib.service import MIB

NAMESPACES = ("pid", "ipc", "uts", "mount", "cgroup")
MOUNTS = (
    ("/proc", "proc", "proc", []),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("/tmp", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777", "size=1024m"]),
    ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
)


def config(uid, gid):
    return {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": uid, "gid": gid},
            "args": ["/byte"],
            "env": ["PATH=/"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 524288}],
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "bench",
        "mounts": [{"destination": d, "type": t, "source": s, "options": o} for d, t, s, o in MOUNTS],
        "linux": {
            "namespaces": [{"type": kind} for kind in NAMESPACES],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            "resources": {"memory": {"limit": 1028 * MIB}, "pids": {"limit": 1032}, "cpu": {"shares": 1024}},
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
                {"names": ["mount", "umount2", "bpf", "ptrace", "kexec_load", "init_module", "reboot", "swapon", "unshare", "setns"],
                 "action": "SCMP_ACT_ERRNO"}]},
        },
    }


@contextlib.contextmanager
def bundle(program, uid, gid):
    """Gives its directory."""
    directory = tempfile.mkdtemp(prefix="bench.", dir="/var/lib")
    try:
        os.makedirs(f"{directory}/rootfs")
        shutil.copy(program, f"{directory}/rootfs/byte")
        for mount in MOUNTS:
            os.makedirs(f"{directory}/rootfs{mount[0]}", exist_ok=True)
        with open(f"{directory}/config.json", "w", encoding="ascii") as f:
            json.dump(config(uid, gid), f)
        yield directory
    finally:
        shutil.rmtree(directory)

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the figures were taken on."""

import os
import platform
import re
import subprocess


def _said(*argv):
    try:
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, encoding="utf-8").stdout.strip()
    except OSError:
        return ""


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def _first(pattern, text):
    found = re.search(pattern, text, re.M)
    return found[1].strip() if found else ""


def _emulated(cpuinfo):
    """Whether the processor is QEMU's own, which it is where there is no KVM."""
    if "QEMU Virtual CPU" in cpuinfo or "TCG" in _first(r"^model name\s*:(.*)$", cpuinfo):
        return "yes"
    return _said("systemd-detect-virt") or "unknown"


def describe():
    cpuinfo = _read("/proc/cpuinfo")
    return {
        "cpu": _first(r"^model name\s*:(.*)$", cpuinfo) or platform.machine(),
        "cpus": os.cpu_count(),
        "virtualization": _emulated(cpuinfo),
        "memory_mib": int(_first(r"^MemTotal:\s+(\d+)", _read("/proc/meminfo")) or 0) // 1024,
        "system": _first(r'^PRETTY_NAME="?([^"\n]*)', _read("/etc/os-release")),
        "kernel": platform.release(),
        "systemd": _first(r"^systemd (\S+)", _said("systemctl", "--version")),
        "load_average": os.getloadavg()[0],
    }


def line(m):
    emulated = "emulated" if m["virtualization"] in ("yes", "qemu") else f"virtualization: {m['virtualization']}"
    text = f"{m['cpus']} × {m['cpu']} ({emulated}), {m['memory_mib']} MiB, {m['system']}, kernel {m['kernel']}"
    return text + (f", systemd {m['systemd']}" if m["systemd"] else "") + "; " + (m.get("host") or f"load {m['load_average']:.1f}")

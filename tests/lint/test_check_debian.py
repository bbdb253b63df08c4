#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import os
import shutil
import unittest

from kit import ROOT, Broken
from check_debian import check

# Of each kind one.
INSTALLED = [
    "/usr/bin/penstockctl", "/usr/include/penstock.h", "/usr/lib/libpenstock.so", "/usr/lib/libpenstock.so.0",
    "/usr/lib/penstock/penstockd", "/usr/lib/penstock/penstock-exporter", "/usr/lib/pkgconfig/libpenstock.pc",
    "/usr/lib/systemd/catalog/penstock.catalog", "/usr/lib/systemd/system/penstockd.service",
    "/lib/systemd/system/penstock-exporter.socket", "/usr/lib/sysusers.d/penstock.conf", "/usr/lib/sysusers.d/penstock-exporter.conf",
    "/usr/share/cockpit/penstock/index.html", "/usr/share/dbus-1/interfaces/org.penstock1.xml",
    "/usr/share/doc/penstock/metrics.md", "/usr/share/doc/penstock-exporter/examples/prometheus-alerts.yml",
    "/usr/share/man/man1/penstockctl.1", "/usr/share/man/man3/libpenstock.3", "/usr/share/man/man8/penstock-exporter.8",
]


class TestCheckDebian(Broken):
    trees = ("debian",)

    def setUp(self):
        super().setUp()
        self.installed = list(INSTALLED)
        for name in ("README.md", "meson.build"):
            shutil.copy(os.path.join(ROOT, name), self.root)

    def faults(self):
        return list(check(self.root, self.installed))

    def test_what_is_right_is_clean(self):
        self.assertEqual(self.faults(), [])

    def test_multiarch_is_the_same(self):
        self.installed = [path.replace("/lib/libp", "/lib/x86_64-linux-gnu/libp").replace("/lib/pk", "/lib/x86_64-linux-gnu/pk")
                          for path in self.installed]
        self.assertEqual(self.faults(), [])

    def test_another_version(self):
        self.replace("meson.build", "version: '", "version: '9.")
        self.assert_fault("first entry is not about 9.")

    def test_a_package_that_is_not_asked_for(self):
        self.replace("debian/control", "libsystemd-dev (>= 252),", "")
        self.assert_fault("libsystemd-dev", "not in Build-Depends")

    def test_a_file_in_no_package(self):
        self.installed.append("/opt/thing")
        self.assert_fault("opt/thing is in no package")

    def test_a_file_in_two_packages(self):
        self.replace("debian/rules", " man/man3", "")
        self.assert_fault("libpenstock.3 is in libpenstock-dev and penstock")

    def test_a_pattern_that_takes_nothing(self):
        self.installed.remove("/usr/include/penstock.h")
        self.assert_fault("libpenstock-dev.install", "usr/include takes nothing")


if __name__ == "__main__":
    unittest.main()

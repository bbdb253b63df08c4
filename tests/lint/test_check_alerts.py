#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
import unittest

from kit import Broken
from check_alerts import ALERTS, ALERTS_TEST, DASHBOARD, ERRORS, PAGE, VERDICTS, check, read_alerts


class TestCheckAlerts(Broken):
    check = check
    trees = ("src/core", "docs", "tests/lint")

    def test_all_of_it_exists(self):
        self.assertEqual(self.faults(), [])

    def test_a_metric_that_is_not_there(self):
        self.replace(ALERTS, "penstock_victims_total[15m]", "penstock_sacrifices_total[15m]")
        self.replace(DASHBOARD, "penstock_memory_unused_bytes{", "penstock_memory_free_bytes{")
        self.assert_fault(ALERTS, "PenstockVictims", "penstock_sacrifices_total")
        self.assert_fault(DASHBOARD, "penstock_memory_free_bytes")

    def test_a_metric_that_went_from_the_code(self):
        self.replace("src/core/metrics_families.c", "penstock_memory_leftover_bytes", "penstock_memory_left_bytes")
        self.assert_fault(DASHBOARD, "there is no penstock_memory_leftover_bytes")
        self.assert_fault(ALERTS, "there is no penstock_memory_leftover_bytes")

    def test_a_part_that_no_histogram_has(self):
        self.replace(ALERTS, "penstock_systemd_answer_seconds_bucket", "penstock_systemd_answer_seconds")
        self.assert_fault("PenstockSystemdSlow", "there is no penstock_systemd_answer_seconds")
        self.replace(DASHBOARD, "penstock_raises_total{", "penstock_raises_total_sum{")
        self.assert_fault(DASHBOARD, "penstock_raises_total_sum")

    def test_a_label_that_the_metric_has_not(self):
        self.replace(ALERTS, 'penstock_deaths_total{verdict="quota"}[1h]', 'penstock_deaths_total{cause="quota"}[1h]')
        self.assert_fault("PenstockQuotaTooSlow", "penstock_deaths_total has no label cause")
        self.replace(DASHBOARD, "sum by (verdict) ", "sum by (cause) ")
        self.assert_fault(DASHBOARD, "nothing in it has the label cause")

    def test_a_value_that_never_comes(self):
        self.replace(ALERTS, 'verdict=~"host|oomd|slice"}[15m]', 'verdict=~"host|ooomd|slice"}[15m]')
        self.replace(ALERTS, 'error="QueueLengthExceeded"}[10m]', 'error="QueueFull"}[10m]')
        self.replace(ALERTS, 'result="runtime_error"', 'result="error"')
        self.assert_fault("verdict is never ooomd")
        self.assert_fault("error is never QueueFull")
        self.assert_fault("result is never error")

    def test_a_value_that_went_from_the_code(self):
        self.replace(VERDICTS, '"oomd"', '"oom"')
        self.replace(ERRORS, '"QueueLengthExceeded"', '"QueueFull"')
        self.assert_fault("verdict is never oomd")
        self.assert_fault("error is never QueueLengthExceeded")

    def test_a_gauge_is_no_counter(self):
        self.replace(ALERTS, "delta(penstock_memory_leftover_bytes[1h])", "rate(penstock_memory_leftover_bytes[1h])")
        self.replace(ALERTS, "increase(penstock_limit_failures_total[15m])", "delta(penstock_limit_failures_total[15m])")
        self.assert_fault("rate() of penstock_memory_leftover_bytes, which is a gauge")
        self.assert_fault("delta() of penstock_limit_failures_total, which is a counter")

    def test_words_that_promql_has_not(self):
        self.replace(ALERTS, "histogram_quantile(0.99", "histogram_quantil(0.99")
        self.assert_fault("histogram_quantil is no function")

    def test_a_setting_that_is_not_there(self):
        self.replace(ALERTS, "FreezeTimeoutSec= is how", "FrozenTimeoutSec= is how")
        self.replace(DASHBOARD, "(WarmUnits=)", "(SpareUnits=)")
        self.assert_fault("PenstockBudgetExhausted", "FrozenTimeoutSec=")
        self.assert_fault(DASHBOARD, "SpareUnits=")

    def test_a_legend_that_names_a_label_that_is_not_kept(self):
        self.replace(DASHBOARD, '"legendFormat": "{{verdict}}"', '"legendFormat": "{{error}}"')
        self.assert_fault(DASHBOARD, "its legend names error")
        self.replace(ALERTS, "$labels.dependency", "$labels.team")
        self.assert_fault("PenstockDependencyFails", "the label team")

    def test_an_alert_that_does_not_say_what_to_do(self):
        self.replace(ALERTS, "          action: penstockctl resume.\n", "")
        self.replace(ALERTS, "severity: critical", "severity: loud")
        self.assert_fault("PenstockPaused", "it has no action")
        self.assert_fault("PenstockDown", "its severity")

    def test_an_alert_that_is_not_tested(self):
        with open(self.path(ALERTS), "a", encoding="utf-8") as f:
            f.write("      - alert: PenstockNew\n        expr: penstock_paused == 1\n        labels:\n          severity: info\n"
                    "        annotations:\n          summary: a\n          description: b\n          action: c\n")
        self.assertEqual(len(self.faults()), 1)
        self.assert_fault(ALERTS_TEST, "does not expect all 18 alerts")
        self.replace(ALERTS_TEST, "alertname: PenstockBudgetExhausted", "alertname: PenstockBudgetShort")
        self.assert_fault(ALERTS_TEST, "there is no alert PenstockBudgetShort")

    def test_files_that_do_not_parse(self):
        self.replace(DASHBOARD, '"title": "Penstock",', '"title": "Penstock"')
        self.assert_fault(DASHBOARD, "delimiter")
        for line in ("        expr: [up]", "        also: this", "          summary: a: b", "          summary: 'a'", "\tfor: 5m",
                     "          summary: a # b", "      - record: x"):
            with self.assertRaises(ValueError, msg=line):
                read_alerts("groups:\n  - name: penstock\n    rules:\n      - alert: A\n" + line)
        self.replace(ALERTS, "    rules:", "    limit: 5\n    rules:")
        self.assert_fault(ALERTS, "limit: 5")

    def test_values_are_read_as_yaml_has_them(self):
        found = read_alerts('groups:\n  - name: penstock\n    rules:\n      - alert: A\n        expr: >-\n          x\n          + y\n\n'
                            '        for: 5m\n        annotations:\n          summary: "a: b"\n          description: it\'s so\n')
        self.assertEqual(found, [{"alert": "A", "expr": "x + y", "for": "5m", "annotations": "", "summary": "a: b",
                                  "description": "it's so"}])

    def test_a_panel_that_shows_nothing(self):
        with open(self.path(DASHBOARD), encoding="utf-8") as f:
            text = f.read()
        with open(self.path(DASHBOARD), "w", encoding="utf-8") as f:
            f.write(text.replace('"targets"', '"aims"', 1))
        self.assert_fault(DASHBOARD, "it shows nothing")

    def test_a_page_that_does_not_tell_of_them(self):
        self.replace(PAGE, f"`{ALERTS}`", "alerts")
        self.assert_fault(PAGE, ALERTS)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What docs/grafana-dashboard.json and docs/prometheus-alerts.yml ask for exists: each metric and label in their expressions is
one of src/core/metrics_families.c, values of labels are ones that can come, counters are looked at as counters are, and settings
that are named are keys of the configuration. Each alert says what it means and what to do, and tests/lint/alerts.yml knows it.

Usage: check_alerts.py SOURCE_ROOT
"""
import json
import os
import re
import sys

from check_metrics import CODE, families_of_code

DASHBOARD, ALERTS, ALERTS_TEST = "docs/grafana-dashboard.json", "docs/prometheus-alerts.yml", "tests/lint/alerts.yml"
CONFIG, DEPENDENCY, ERRORS, VERDICTS, PAGE = ("src/core/config.c", "src/core/dependency.c", "src/core/error.c", "src/core/query.c",
                                              "docs/metrics.md")
# What Prometheus adds by itself, and what it and PromQL have.
OF_PROMETHEUS = {"instance", "job"}
WORDS = set("sum by on and or unless offset rate increase delta resets count group absent histogram_quantile up".split())
COUNTER_FUNCTIONS, GAUGE_FUNCTIONS = {"rate", "increase", "resets"}, {"delta"}
SERIES = re.compile(r"\b(penstock_\w+|up)\b(?:\{([^}]*)\})?(\[)?")
LABEL = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
SEVERITIES = {"critical", "warning", "info"}


class Source:
    def __init__(self, root):
        self.root = root
        self.families = {name: (kind, own) for name, kind, own, _ in families_of_code(self.read(CODE))}
        self.keys = set(re.findall(r'\[CONFIG_\w+\] =\s+[A-Z]+\(\s*"(\w+)"', self.read(CONFIG)))
        self.keys |= set(re.findall(r'^        \{ "([A-Z]\w+)", ', self.read(DEPENDENCY), flags=re.M))
        self.values = {
            "error": set(re.findall(r'ENTRY\("(\w+)"', self.read(ERRORS))),
            "verdict": set(re.findall(r'\[VERDICT_\w+\] = "(\w+)"', self.read(VERDICTS))),
            "result": set(re.findall(r"`(\w+)`", self.read(PAGE).partition("* `result` is")[2].partition("\n* ")[0])),
        }

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as f:
            return f.read()

    def family(self, series):
        """(type, own label, part) of a series' name; None where there is none of that name. Part: of a histogram."""
        if series == "up":
            return "gauge", "", ""
        name, _, part = series.rpartition("_")
        if part in ("bucket", "sum", "count") and self.families.get(name, ("",))[0] == "histogram":
            return "histogram", "", part
        kind, own = self.families.get(series, ("histogram", ""))
        return None if kind == "histogram" else (kind, own, "")


def check_labels(source, where, found, series, matchers):
    own = {found[1], "le" if found[2] == "bucket" else ""} - {""}
    if re.sub(LABEL, "", matchers).strip(", "):
        yield f"{where}: {{{matchers}}} is written in another way than this check reads"
    for name, how, value in LABEL.findall(matchers):
        if name not in own | OF_PROMETHEUS:
            yield f"{where}: {series} has no label {name}"
        values = value.split("|") if "~" in how else [value]
        for unknown in set(values) - source.values.get(name, set(values)):
            yield f"{where}: {name} is never {unknown}"


def calls_around(expr, at):
    """Names of the functions whose parentheses are open at AT, the innermost last."""
    stack = []
    for m in re.finditer(r"(\w*)\s*(?:by\s*\([^)]*\)\s*)?\(|\)", expr[:at]):
        if m.group(0) == ")":
            stack.pop() if stack else None
        else:
            stack.append(m.group(1))
    return stack


def check_by(source, where, expr):
    labels = {own for m in SERIES.finditer(expr) for own in [(source.family(m.group(1)) or ("", ""))[1]]}
    if "_bucket" in expr:
        labels.add("le")
    for names in re.findall(r"\bby \(([^)]*)\)", expr):
        for name in re.split(r",\s*", names):
            if name not in labels | OF_PROMETHEUS:
                yield f"{where}: nothing in it has the label {name}"


def check_expression(source, where, expr):
    strings = re.sub(r'"[^"]*"', '""', expr)
    for word in re.findall(r"(?<![\w$.])[a-z_]+(?=\b)", re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|offset \w+", "", strings)):
        if not word.startswith("penstock_") and word not in WORDS:
            yield f"{where}: {word} is no function that this check knows"
    for m in SERIES.finditer(expr):
        found = source.family(m.group(1))
        if not found:
            yield f"{where}: there is no {m.group(1)}"
            continue
        yield from check_labels(source, where, found, m.group(1), m.group(2) or "")
        function = (calls_around(expr, m.start()) or [""])[-1]
        wanted = GAUGE_FUNCTIONS if found[0] == "gauge" else COUNTER_FUNCTIONS
        if m.group(3) and function not in wanted:
            yield f"{where}: {function}() of {m.group(1)}, which is a {found[0]}"
    yield from check_by(source, where, expr)
    if len(SERIES.findall(expr)) == 0:
        yield f"{where}: it looks at nothing"


def check_settings(source, where, text):
    for key in re.findall(r"\b([A-Z][A-Za-z]+)=(?!\w)", text):
        if key not in source.keys and key != "MemoryMax":
            yield f"{where}: there is no setting {key}="
    for series in re.findall(r"\bpenstock_\w+", text):
        if series not in source.families:
            yield f"{where}: there is no {series}"


def check_dashboard(source):
    try:
        dashboard = json.loads(source.read(DASHBOARD))
    except ValueError as e:
        yield f"{DASHBOARD}: {e}"
        return
    panels, ids = dashboard["panels"], [p["id"] for p in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        yield f"{DASHBOARD}: two panels have one id"
    for panel in panels:
        where = f"{DASHBOARD}: {panel['title']}"
        if panel["type"] != "row" and not panel.get("targets"):
            yield f"{where}: it shows nothing"
        for t in panel.get("targets", ()):
            yield from check_expression(source, where, t["expr"])
            for label in re.findall(r"\{\{(\w+)\}\}", t["legendFormat"]):
                if label not in OF_PROMETHEUS and label not in re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", t["expr"]))) \
                        and label not in [(source.family(s) or ("", ""))[1] for s in re.findall(r"\bpenstock_\w+", t["expr"])]:
                    yield f"{where}: its legend names {label}, which is not there"
        yield from check_settings(source, where, panel["title"] + " " + panel.get("description", ""))
    for annotation in dashboard["annotations"]["list"]:
        yield from check_expression(source, f"{DASHBOARD}: {annotation['name']}", annotation["expr"])
    for variable in dashboard["templating"]["list"]:
        for series, label in re.findall(r"label_values\((\w+), (\w+)\)", str(variable["query"])):
            yield from check_expression(source, f"{DASHBOARD}: ${variable['name']}", f'{series}{{{label}=~".*"}}')
    shown = {s for p in panels for t in p.get("targets", ()) for s in re.findall(r"\bpenstock_\w+", t["expr"])}
    if len(shown) < 20:
        yield f"{DASHBOARD}: it shows hardly anything; is this check out of date?"


def read_alerts(text):
    """[{alert, expr, for, severity, summary, description, action}]. YAML of one shape, and a ValueError for any other."""
    alerts, key = [], None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#") or line in ("groups:", "  - name: penstock", "    rules:"):
            continue
        m = re.fullmatch(r"(      - |        |          )(\w+):(?: (.*))?", line)
        if line.startswith("      - ") and m and m.group(2) == "alert":
            alerts.append({"alert": m.group(3)})
        elif m and alerts and m.group(2) in ("expr", "for", "labels", "annotations", "severity", "summary", "description", "action"):
            key, value = m.group(2), m.group(3) or ""
            if value != ">-" and re.match(r"[\[{&*!|>%@`'\"]", value) and not re.fullmatch(r'"[^"\\]*"', value):
                raise ValueError(f"line {number}: this check does not read such a value")
            if not value.startswith('"') and re.search(r": |\s#", value):
                raise ValueError(f"line {number}: a colon or a number sign in a value needs quotes around it")
            if key in alerts[-1]:
                raise ValueError(f"line {number}: {key} comes twice")
            alerts[-1][key] = "" if value == ">-" else value.strip('"') if value.startswith('"') else value
        elif re.fullmatch(r" {10}\S.*", line) and key == "expr":
            alerts[-1][key] = f"{alerts[-1][key]} {line.strip()}".strip()
        else:
            raise ValueError(f"line {number}: {line.strip()!r} is not of the shape that this check reads")
    return alerts


def check_alert(source, alert, where):
    for key in ("expr", "severity", "summary", "description", "action"):
        if not alert.get(key):
            yield f"{where}: it has no {key}"
    if alert.get("severity") not in SEVERITIES:
        yield f"{where}: its severity is none of {', '.join(sorted(SEVERITIES))}"
    if not re.fullmatch(r"\d+[smh]|", alert.get("for", "")):
        yield f"{where}: for is no time"
    yield from check_expression(source, where, alert.get("expr", ""))
    words = " ".join(alert.get(key, "") for key in ("summary", "description", "action"))
    yield from check_settings(source, where, words)
    for label in re.findall(r"\$labels\.(\w+)", words):
        if label not in OF_PROMETHEUS and not re.search(rf"by \([^)]*\b{label}\b", alert.get("expr", "")):
            yield f"{where}: its words name the label {label}, which its expression does not keep"
    if words.count("{{") != words.count("}}"):
        yield f"{where}: braces do not match"


def check_alerts(source):
    try:
        alerts = read_alerts(source.read(ALERTS))
    except ValueError as e:
        yield f"{ALERTS}: {e}"
        return
    names = [a["alert"] for a in alerts]
    if len(names) < 10 or len(names) != len(set(names)):
        yield f"{ALERTS}: few alerts, or two of one name"
    for alert in alerts:
        yield from check_alert(source, alert, f"{ALERTS}: {alert['alert']}")
    test = source.read(ALERTS_TEST)
    counted = re.search(r"labels: '\{instance=\"b\"\}', value: (\d+)", test)
    if not counted or int(counted[1]) != len(names):
        yield f"{ALERTS_TEST}: it does not expect all {len(names)} alerts of {ALERTS}"
    for name in set(re.findall(r"Penstock\w+", test)) - set(names):
        yield f"{ALERTS_TEST}: there is no alert {name}"
    for series in re.findall(r"series: '([^']*)'", test):
        yield from check_expression(source, ALERTS_TEST, re.sub(r'team="\w+"(, )?|(, )?team="\w+"', "", series))


def check(root):
    """Yield each fault."""
    source = Source(root)
    for what, found in (("families", source.families), ("settings", source.keys), *source.values.items()):
        if len(found) < 4:
            yield f"hardly any of the {what} was found; is this check out of date?"
    yield from check_dashboard(source)
    yield from check_alerts(source)
    for path in (DASHBOARD, ALERTS):
        if f"`{path}`" not in source.read(PAGE):
            yield f"{PAGE} does not say that there is {path}"


def main(argv):
    faults = list(check(argv[1]))
    print("\n".join([*faults, f"alerts: {len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

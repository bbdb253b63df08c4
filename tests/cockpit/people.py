# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is logged in at the guest's Cockpit, and what root does there behind their backs."""

import json

from chromium import Failed

PASSWORD = "penstock"
FRAME = "/cockpit/@localhost/penstock/index.html"  # the page without Cockpit's frame around it

# In the page itself, or in the frame that Cockpit has for it.
THERE = """[document, document.querySelector("iframe[name$=penstock]")?.contentDocument]
           .some(one => one?.getElementById("page")?.getAttribute("aria-busy") === "false")"""

LOG_IN = """fetch("/cockpit/login", {{ headers: {{ "Authorization": "Basic " + btoa("{user}:{password}"),
                                               "X-Superuser": "{superuser}" }} }})
            .then(answer => answer.ok || Promise.reject(new Error(answer.status + " " + answer.statusText)))"""


# Cockpit gives up a log-in that takes long, and forgets a session that has no page for 15 seconds. An emulated machine that is
# busy takes longer for either, now and then.
LOG_INS = 5
GAVE_UP = "Authentication failed: Timeout"


class Person:
    """A tab in which USER is logged in; IS_ADMIN: with administrative access."""

    def __init__(self, browser, address, user, is_admin=False, path=FRAME):
        self.user, self.address, self.is_admin, self.path = user, address, is_admin, path
        self.page = browser.page()
        self.page.dark(False)
        self.look()

    def log_in(self):
        self.page.open(f"{self.address}/cockpit/static/manifest.json")  # its pages would try to log in by themselves
        self.page.value(LOG_IN.format(user=self.user, password=PASSWORD, superuser="any" if self.is_admin else "none"))
        self.page.forget()

    def look(self):
        """Open the page, and wait until it shows something."""
        for _ in range(LOG_INS):
            try:
                self.log_in()
            except Failed as error:
                if GAVE_UP not in str(error):
                    raise
                continue
            self.page.open(self.address + self.path)
            self.page.wait(f"{THERE} || document.getElementById('login-button')", f"{self.user}'s page is there")
            if self.page.value(f"!!({THERE})"):
                return
        raise Failed(f"{self.user} tried to log in {LOG_INS} times; Cockpit gave up, or forgot the session")

    def spawn(self, *argv, superuser=None):
        # Debian 12's bridge starts programs in /run/user/UID, where no query can run.
        options = {"err": "message", "directory": "/root" if self.user == "root" else f"/home/{self.user}"}
        if superuser:
            options["superuser"] = superuser
        options = json.dumps(options)
        return self.page.value(f"Promise.resolve(cockpit.spawn({json.dumps(argv)}, {options}))"
                               ".catch(e => Promise.reject(new Error(e.message || e.problem)))")

    def value_of(self, script):
        return self.spawn("sh", "-c", script).strip()

    def ctl(self, *argv):
        return self.spawn("penstockctl", *argv)

    def ctl_json(self, verb, *argv):
        return json.loads(self.ctl(verb, "--json", *argv))

    def submit(self, text, *options, language="python"):
        """A detached query that runs TEXT; returns its ID."""
        return self.ctl_json("submit", "-l", language, *options, text)["id"]

    def state(self, query):
        return self.ctl_json("show", str(query))["state"]


def row(table, query):
    """The row of a query in one of the tables, as an expression."""
    return f"""[...document.querySelectorAll("#{table} tbody tr")].find(row => row.dataset.key.startsWith("{query} "))"""


def cell(table, query, heading):
    return f"""{row(table, query)}?.querySelector('[data-label="{heading}"]').textContent"""


def expect(is_so, what):
    if not is_so:
        raise Failed(what)


def expect_equal(a, b, what):
    expect(a == b, f"{what}: {a!r}, not {b!r}")

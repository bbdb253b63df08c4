# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the page promises, one scene after the other in one guest. Each is named after its promise."""

import json

from look import look_at
from people import Person, cell, expect, expect_equal, row

HTML = '<img src=x onerror="window.wasRun=1"><b>ads</b>'
HOLD = "import time\nkept = b'x' * ({mib} << 20)\ntime.sleep(3600)\n"
SLEEP = "import time\ntime.sleep(3600)\n"

SCENES = []


def scene(promise):
    def add(function):
        SCENES.append((promise, function))
        return function
    return add


class Stage:
    """Who is there, and which queries: alice's run, bob's wait, as the scenes need them."""

    def __init__(self, browser, address, pictures):
        self.browser, self.address, self.pictures = browser, address, pictures
        self.root = Person(browser, address, "root")
        self.alice = Person(browser, address, "alice")

    def person(self, *args, **more):
        return Person(self.browser, self.address, *args, **more)


def press(page, selector):
    page.value(f"document.querySelector({json.dumps(selector)}).click()")


def cancel(page, query, table="running"):
    page.wait(row(table, query), f"query {query} is shown")
    page.value(f"{row(table, query)}.querySelector('.action button').click()")
    page.wait("document.getElementById('cancel').open", "it asks")


@scene("Penstock is in Cockpit's menu, and its page opens there")
def in_the_menu(stage):
    person = stage.person("alice", path="/penstock")
    person.page.wait("[...document.querySelectorAll('nav a')].some(a => a.textContent.trim() === 'Penstock')", "it is in the menu")
    if stage.pictures:
        person.page.picture(f"{stage.pictures}/frame.png", full=False)
    expect_equal([said for said in person.page.complaints() if "/penstock/" in said], [], "Chromium complains of the page")


@scene("running and waiting queries are shown with the numbers of penstockctl; a label that is HTML stays text")
def queries(stage):
    page = stage.alice.page
    stage.first = stage.alice.submit(HOLD.format(mib=100), "--label", f"team={HTML}")
    stage.second = stage.alice.submit(SLEEP)
    stage.waits = [stage.alice.submit(SLEEP) for _ in range(2)]
    for query in (stage.first, stage.second):
        page.wait(f"{cell('running', query, 'State')} === 'executing'", f"query {query} executes")
    page.wait(f"parseInt({cell('running', stage.first, 'Raises')}) > 0 && parseInt({cell('running', stage.first, 'Need')}) >= 100",
              "the first one has grown")
    for place, query in enumerate(stage.waits, 1):
        page.wait(f"{cell('waiting', query, 'Place')} === '{place}'", f"query {query} waits at place {place}")
        expect("ConcurrencyQuota=2" in page.value(cell("waiting", query, "Notes")), "it says what it waits for")
    known = stage.alice.ctl_json("show", str(stage.first))
    page.wait(f"parseInt({cell('running', stage.first, 'Raises')}) === {known['raises']}", "raises are those of penstockctl")
    expect_equal(page.value(cell("running", stage.first, "User")), "alice", "the user's name")
    expect_equal(page.value(cell("running", stage.first, "Notes")), f"team={HTML}", "the label")
    expect_equal(page.value("document.querySelectorAll('#there img, #there b').length"), 0, "elements that a label made")
    expect(not page.value("window.wasRun"), "a label was run")


@scene("the budget is told in its parts, which make the whole")
def budget(stage):
    said = stage.alice.page.value("[...document.querySelectorAll('#budget-legend li')].map(li => parseInt(li.textContent))")
    status = stage.alice.ctl_json("status")
    expect_equal(said[0], 64, "two slots of 32M")
    expect(said[1] > 0, "what the first query has got on top is told")
    expect(abs(sum(said) - (status["max_memory_bytes"] >> 20)) <= 3, f"{said} make {status['max_memory_bytes'] >> 20}M")
    widths = stage.alice.page.value("[...document.querySelector('#budget-bar .bar').children].map(part => parseFloat(part.style.width))")
    expect(abs(sum(widths) - 100) < 0.1, f"the bar is full: {widths}")
    expect_equal(stage.alice.page.value("document.getElementById('slots-words').textContent"), "2 of 2", "slots")


@scene("it can be read, and nothing is cut off, at 1600, 800 and 400 px, light and dark")
def looks(stage):
    look_at(stage.alice.page, "page", stage.pictures)


@scene("details open by the keyboard with the profile's picture, Escape closes them, and focus returns")
def details(stage):
    page = stage.alice.page
    page.value(f"{row('running', stage.first)}.querySelector('.id button').focus()")
    page.key("Enter", 13, "\r")
    page.wait("document.getElementById('details').open", "Enter opens them")
    picture = "document.getElementById('profile-picture')"
    page.wait(f"!{picture}.hidden && {picture}.complete && {picture}.naturalWidth > 300", "the picture is there")
    expect(f"uery {stage.first}" in page.value(f"{picture}.alt"), "the picture's words name the query")
    facts = page.value("document.getElementById('details-facts').textContent")
    expect(HTML in facts, f"the label is there as text: {facts}")
    look_at(page, "details", stage.pictures)
    page.key("Escape", 27)
    page.wait("!document.getElementById('details').open", "Escape closes them")
    expect_equal(page.value("document.activeElement.textContent"), str(stage.first), "focus is where it was")


@scene("who may not cancel a query is told so in words, with what would help, and the query goes on")
def refused(stage):
    stage.carol = stage.person("carol")
    page = stage.carol.page
    cancel(page, stage.second)
    press(page, "#cancel-yes")
    page.wait("document.getElementById('alert-cancel')", "an alert")
    said = page.value("document.getElementById('alert-cancel').innerText")
    for word in ("not allowed", "org.penstock1.manage-queries", "administrative access"):
        expect(word in said, f"{word!r} is not in {said!r}")
    expect_equal(stage.root.state(stage.second), "executing", "the query")
    look_at(page, "refused", stage.pictures)


@scene("others' profiles stay theirs: there is no picture, and why")
def refused_profile(stage):
    page = stage.carol.page
    page.value(f"{row('running', stage.first)}.querySelector('.id button').click()")
    page.wait("document.getElementById('profile-words').textContent.startsWith('There is no picture: ')", "it says why")
    said = page.value("document.getElementById('profile-words').textContent")
    expect("PermissionDenied" in said, said)
    press(page, "#details-close")


@scene("a query is canceled after a question that names it, and not when the answer is no")
def confirmed(stage):
    page = stage.alice.page
    times = [page.value(cell("running", stage.first, "Time"))]
    cancel(page, stage.first)
    times.append(page.value(cell("running", stage.first, "Time")))
    expect(any(f"known for {time} " in page.value("document.getElementById('cancel').innerText") for time in times),
           f"it is as old as its row says, {times}")
    said = page.value("document.getElementById('cancel').innerText")
    for word in (f"Cancel query {stage.first}?", "python of alice", HTML):
        expect(word in said, f"{word!r} is not in {said!r}")
    expect_equal(page.value("document.activeElement.id"), "cancel-no", "what Enter would press")
    look_at(page, "question", stage.pictures)
    page.key("Escape", 27)
    page.wait("!document.getElementById('cancel').open", "Escape is no")
    expect_equal(stage.alice.state(stage.first), "executing", "after no")
    cancel(page, stage.first)
    press(page, "#cancel-yes")
    page.wait(f"{cell('ended', stage.first, 'State')} === 'canceled'", "it has ended")
    expect(not page.value(f"!!{row('running', stage.first)}"), "it runs no more")
    expect_equal(stage.alice.state(stage.first), "canceled", "the query")
    page.wait(f"{cell('running', stage.waits[0], 'State')} === 'executing'", "the next one has its slot")


@scene("an administrator, by Cockpit's administrative access, cancels queries of others")
def administrator(stage):
    dora = stage.person("dora", is_admin=True)
    cancel(dora.page, stage.waits[1], "waiting" if dora.page.value(f"!!{row('waiting', stage.waits[1])}") else "running")
    press(dora.page, "#cancel-yes")
    dora.page.wait(f"{cell('ended', stage.waits[1], 'State')} === 'canceled'", "it has ended")
    expect_equal(dora.page.complaints(), [], "Chromium complains")


@scene("a page that nobody looks at asks nothing, and is up to date when it is looked at again")
def hidden(stage):
    page, other = stage.alice.page, stage.carol.page
    page.value("""window.isHidden = true;
                  Object.defineProperty(document, "hidden", { configurable: true, get: () => window.isHidden });
                  document.dispatchEvent(new Event("visibilitychange"))""")
    page.wait("cockpit.hidden", "it knows that it is hidden")
    before = page.sent()
    shown = other.value(cell("running", stage.second, "Time"))
    for _ in range(3):  # as long as a page that is looked at takes for three updates
        other.wait(f"{cell('running', stage.second, 'Time')} !== '{shown}'", "the other page goes on")
        shown = other.value(cell("running", stage.second, "Time"))
    expect_equal(page.sent() - before, 0, "messages of the hidden page")
    said = stage.root.spawn("runuser", "-u", "bob", "--", "env", "-C", "/home/bob", "penstockctl", "submit", "--json",
                            "-l", "python", SLEEP)
    page.value('window.isHidden = false; document.dispatchEvent(new Event("visibilitychange"))')
    page.wait(row("waiting", json.loads(said)["id"]), "it shows what came since")


@scene("a penstockd that is started anew is found again by itself, with the same queries")
def restarted(stage):
    page = stage.alice.page
    page.value("document.getElementById('head-words').textContent = 'of the old one'")
    stage.root.spawn("systemctl", "restart", "penstockd")
    page.wait("document.getElementById('head-words').textContent.includes('version')", "it is up to date")
    page.wait(f"{cell('running', stage.second, 'State')} === 'executing'", f"query {stage.second} is still there")
    expect(not page.value("document.getElementById('alerts').innerText"), "nothing is wrong")


@scene("a penstockd that is stopped is told as such, not started by looking, and started by the button")
def stopped(stage):
    page = stage.alice.page
    stage.root.spawn("systemctl", "stop", "penstockd")
    page.wait("!document.getElementById('away').hidden && document.getElementById('there').hidden", "it says so")
    expect("systemctl start penstockd" in page.text(), "it says how to start it")
    look_at(page, "away", stage.pictures)
    fresh = stage.person("carol")
    fresh.page.wait("!document.getElementById('away').hidden", "a new page says so, too")
    expect_equal(stage.root.value_of("systemctl is-active penstockd || :"), "inactive", "after all that looking, penstockd")
    press(page, "#away-start")
    page.wait("document.getElementById('away').hidden && !document.getElementById('there').hidden", "it is back")
    expect_equal(stage.root.value_of("systemctl is-active penstockd || :"), "active", "penstockd")


@scene("in all that Chromium had nothing to complain of")
def complaints(stage):
    for person in (stage.root, stage.alice, stage.carol):
        expect_equal(person.page.complaints(), [], f"{person.user}'s page")

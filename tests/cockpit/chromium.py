# SPDX-License-Identifier: LGPL-2.1-or-later
"""A headless Chromium, driven by its debugging protocol over a pair of pipes: no driver and no library is needed for that."""

import base64
import collections
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

DEADLINE = 240  # seconds for anything: the guest behind a page is emulated, and its host busy
POLL = 0.1


class Failed(AssertionError):
    """What was promised did not come."""


class Browser:
    """One Chromium with a profile of its own, which goes with it."""

    def __init__(self, program="chromium"):
        self.profile = tempfile.mkdtemp(prefix="penstock-chromium.")
        its_in, self.out = os.pipe()
        self.inp, its_out = os.pipe()
        # It looks for the pipes at 3 and 4, which are ours as well: so a shell moves them.
        command = [program, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "--disable-gpu",
                   "--no-first-run", "--hide-scrollbars", "--force-color-profile=srgb", "about:blank"]
        if os.getuid() == 0:
            command.insert(1, "--no-sandbox")  # it refuses root otherwise; nothing but our own page is loaded
        self.log = open(os.path.join(self.profile, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" "$@" 3<&{its_in} 4>&{its_out}', *command], pass_fds=(its_in, its_out),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(its_in)
        os.close(its_out)
        self.buffer = b""
        self.last_id = 0
        self.answers = {}
        self.events = collections.deque()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        os.close(self.inp)
        os.close(self.out)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _read(self, end):
        """One more message; False when the time is over."""
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.inp], [], [], max(0, end - time.monotonic()))
            if not ready:
                return False
            more = os.read(self.inp, 1 << 20)
            if not more:
                raise Failed("Chromium has ended")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(text)
        if "id" in message:
            self.answers[message["id"]] = message
        else:
            self.events.append(message)
        return True

    def call(self, method, session=None, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + DEADLINE
        while self.last_id not in self.answers:
            if not self._read(end):
                raise Failed(f"Chromium did not answer {method} within {DEADLINE} s")
        answer = self.answers.pop(self.last_id)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def page(self, width=1600, height=1000):
        """A tab with cookies of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, width, height)


class Page:
    """A tab. Expressions are JavaScript; promises are waited for."""

    def __init__(self, browser, session, width, height):
        self.browser = browser
        self.session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def resize(self, width, height=1000):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, is_dark):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'", f"{url} is loaded")

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True,
                           userGesture=True)
        if "exceptionDetails" in answer:
            thrown = answer["exceptionDetails"].get("exception", {})
            raise Failed(f"{expression}: {thrown.get('description') or thrown.get('value') or answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait(self, expression, what, deadline=DEADLINE):
        """Until it is true."""
        end = time.monotonic() + deadline
        said = None
        while time.monotonic() < end:
            try:
                if self.value(f"!!({expression})"):
                    return
            except Failed as error:  # a page that is being loaded has no document
                said = error
            time.sleep(POLL)
        raise Failed(f"not within {deadline} s: {what} ({expression}; {said or ''}); the page says:\n{self.text()}")

    def text(self):
        try:
            return self.value("document.body.innerText")
        except Failed as error:
            return str(error)

    def key(self, name, code, text=""):
        for kind in ("keyDown", "keyUp"):
            params = {"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
            if kind == "keyDown" and text:
                params["text"] = text
            self.call("Input.dispatchKeyEvent", **params)

    def picture(self, path, full=True):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}} if full else {}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full, **clip)["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(data))

    def forget(self):
        """What has happened in the tab so far."""
        self.value("0")  # whatever came before is read now
        self.browser.events = collections.deque(e for e in self.browser.events if e.get("sessionId") != self.session)

    def sent(self):
        """How many messages the tab has sent through its sockets, answers to pings aside."""
        self.value("0")  # whatever came before is read now
        sent = [event["params"]["response"]["payloadData"] for event in self.browser.events
                if event["method"] == "Network.webSocketFrameSent" and event.get("sessionId") == self.session]
        return sum('"pong"' not in payload and '"ping"' not in payload for payload in sent)

    def complaints(self):
        """What the browser has complained about in this tab: exceptions, and what the content policy refused."""
        self.value("0")  # whatever came before is read now
        said = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                said.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                said.append(f"{params['entry']['text']} ({params['entry'].get('url', '')})")
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
                said.append(" ".join(str(argument.get("value", "")) for argument in params["args"]))
        return said

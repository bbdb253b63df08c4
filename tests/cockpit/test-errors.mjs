/* SPDX-License-Identifier: LGPL-2.1-or-later */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { HINTS, TITLES, words } from "../../src/cockpit/errors.js";

const XML = new URL("../../src/bus/org.penstock1.xml", import.meta.url);

test("an error has the service's own message, and what to do", () => {
    const said = words({ name: "org.penstock1.Error.PermissionDenied", message: "polkit's action is org.penstock1.manage-queries" });

    assert.equal(said.title, "This is not allowed");
    assert.match(said.message, /manage-queries/);
    assert.match(said.hint, /administrative access/);
});

test("titles and hints are of errors that the interface has", () => {
    const list = readFileSync(XML, "utf8").match(/Errors, all below org\.penstock1\.Error\.: ([^.]*)\./)[1];
    const names = list.split(/,\s+/);

    assert.ok(names.length > 10);
    for (const name of [...Object.keys(TITLES), ...Object.keys(HINTS)])
        assert.ok(names.includes(name), name);
    for (const name of names.filter(each => !TITLES[each]))
        assert.equal(words({ name: `org.penstock1.Error.${name}`, message: "m" }).title, name);
});

test("what is no error of Penstock's is told as such", () => {
    assert.match(words({ name: "org.freedesktop.DBus.Error.ServiceUnknown", message: "m" }).title, /not installed/);
    assert.match(words({ name: "org.freedesktop.DBus.Error.NoReply", message: "m" }).title, /system bus/);
    assert.match(words({ problem: "disconnected", message: null }).title, /connection/);
    assert.equal(words(new Error("odd")).message, "odd");
    assert.deepEqual(words({ title: "t", message: "m", hint: "h" }), { title: "t", message: "m", hint: "h" });
    assert.equal(words(undefined).title, "Something went wrong");
});

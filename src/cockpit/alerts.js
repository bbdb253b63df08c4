/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What went wrong, in words: one message for each of what can go wrong, until it goes right or is dismissed. */
import { byId, element, setText } from "./dom.js";
import { visible } from "./format.js";
import { words } from "./errors.js";

/* An element with an error's title, message and hint. */
export function errorBox(error, ...more) {
    const said = words(error);

    return element("div", { class: "alert" },
                   element("div", { class: "alert-text" },
                           element("strong", {}, said.title),
                           said.message === "" ? null : element("p", {}, visible(said.message)),
                           said.hint === "" ? null : element("p", { class: "hint" }, said.hint)),
                   ...more);
}

export function alertOf(key, error) {
    const said = JSON.stringify(words(error));
    const old = byId(`alert-${key}`);

    if (old?.dataset.said === said) /* not read out again */
        return;
    const box = errorBox(error, element("button", {
        type: "button", class: "button plain", "aria-label": "Dismiss", click: () => settle(key),
    }, "✕"));
    box.id = `alert-${key}`;
    box.dataset.said = said;
    old?.remove();
    byId("alerts").append(box);
}

export function settle(key) {
    byId(`alert-${key}`)?.remove();
}

/* For those who don't see the page change. */
export function say(text) {
    setText(byId("said"), text);
}

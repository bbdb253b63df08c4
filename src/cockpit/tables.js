/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The three tables and their columns, in the words of `penstockctl top`. */
import { bar, byId, element, setBar, setClass, setText, show } from "./dom.js";
import { clock, duration, labels, percent, size, visible } from "./format.js";
import { endWord, memoryParts, stateLook, stateWord } from "./model.js";
import { Table } from "./table.js";
import { userName } from "./users.js";

const NUMBER = "number";

const user = { heading: "User", text: query => visible(userName(query.UserID)) };
const language = { heading: "Language", text: query => visible(query.Language) };
const raises = { heading: "Raises", look: NUMBER, text: query => String(query.Raises) };
const time = { heading: "Time", look: NUMBER, text: query => duration(query.TotalUSec) };

const state = {
    heading: "State",
    make: () => element("span", { class: "state" }),
    update: (cell, query) => {
        setText(cell.firstChild, stateWord(query));
        setClass(cell.firstChild, `state ${stateLook(query)}`);
    },
};

function bytes(heading, of) {
    return { heading, look: NUMBER, text: query => (of(query) > 0 ? size(of(query)) : "–") };
}

/* The button that opens what is known of the query. */
function id(open) {
    return {
        heading: "ID",
        look: "id",
        make: (query, current) => element("button", {
            type: "button", class: "button link inline", "aria-label": `Details of query ${query.ID}`,
            click: event => open(current(event)),
        }, String(query.ID)),
        update: () => {},
    };
}

function action(cancel) {
    return {
        heading: "",
        look: "action",
        make: (query, current) => element("button", {
            type: "button", class: "button secondary small", "aria-label": `Cancel query ${query.ID}`,
            click: event => cancel(current(event)),
        }, "Cancel"),
        update: () => {},
    };
}

const memory = {
    heading: "Memory",
    look: "memory",
    make: () => bar(["need", "used", "quota"]),
    update: (cell, query, detail) => {
        const parts = memoryParts(query, detail);

        show(cell.firstChild, parts !== null);
        setBar(cell.firstChild, parts ?? [0, 0, 0]);
    },
};

/* Labels, and what it waits for. */
const notes = {
    heading: "Notes",
    look: "notes",
    empty: true,
    make: () => element("span"),
    update: (cell, query) => {
        const text = [labels(query.Labels), visible(query.WaitReason ?? "")].filter(part => part !== "").join("; ");

        setText(cell.firstChild, text);
    },
};

/* @details: what only Describe tells, by ID. */
export function runningTable(details, open, cancel) {
    const of = query => details.get(query.ID);
    const known = (heading, text) =>
        ({ heading, look: NUMBER, text: query => (of(query) ? text(of(query)) : "–") });

    return new Table(byId("running"), "running-title", [
        id(open), user, language, state,
        { ...memory, update: (cell, query) => memory.update(cell, query, of(query)) },
        bytes("Quota", query => query.MemoryQuotaBytes),
        bytes("Used", query => query.MemoryCurrentBytes),
        known("Need", detail => size(detail.need)),
        bytes("Max", query => query.MemoryMaxBytes),
        raises,
        known("Stall %", detail => percent(detail.stallPpm)),
        known("CPU %", detail => percent(detail.cpuPpm)),
        time, notes, action(cancel),
    ], "No query is running.", 1150);
}

export function waitingTable(open, cancel) {
    return new Table(byId("waiting"), "waiting-title", [
        { heading: "Place", text: query => (query.QueuePosition > 0 ? String(query.QueuePosition) : "–") },
        id(open), user, language, state,
        { heading: "Priority", look: NUMBER, text: query => String(query.Priority) },
        time, notes, action(cancel),
    ], "No query is waiting.", 720);
}

export function endedTable(open) {
    return new Table(byId("ended"), "ended-title", [
        id(open), user, language, state,
        { heading: "Why", text: endWord },
        bytes("Peak", query => query.MemoryPeakBytes),
        bytes("Max", query => query.MemoryMaxBytes),
        raises, time,
        { heading: "Ended", look: "when", text: query => clock(query.EndedUSec) },
        notes,
    ], "No query has ended yet.", 900);
}

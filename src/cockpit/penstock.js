/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page: when to ask, and who is told what. */
/* global cockpit */
import { alertOf, say, settle } from "./alerts.js";
import { askCancel, setUpCancel } from "./cancel.js";
import { setUpDetails, updateDetails } from "./details.js";
import { byId, setText, show } from "./dom.js";
import { updateHead } from "./head.js";
import { DETAILS_MAX, budget, detail, ended, running, waiting } from "./model.js";
import { Service } from "./service.js";
import { endedTable, runningTable, waitingTable } from "./tables.js";
import { learnUsers } from "./users.js";

const DELAY_MSEC = 2000;    /* as `penstockctl top` */
const SOON_MSEC = 250;      /* after a signal, which seldom comes alone */
const BUSY_SHARE = 4;       /* a service or a line that takes long is asked less often: a fifth of the time at most */
const RESTART_MSEC = 3000;  /* a penstockd that is started anew is back by then, on a host that is not busy */
const FAILURES_TOLD = 2;    /* one alone is what a penstockd that goes leaves behind */
const HISTORY_MAX = 20;     /* rows */
const HISTORY_ROUNDS = 2;   /* it is written a moment after a query's end */

const service = new Service();
const details = new Map();
let history = [], historyRounds = HISTORY_ROUNDS;
let timer = 0, awayTimer = 0, isAsking = false, isAskedAgain = false, failures = 0;

const open = setUpDetails(service, askCancel);
const tables = {
    running: runningTable(details, open, askCancel),
    waiting: waitingTable(open, askCancel),
    ended: endedTable(open),
};

function later(msec) {
    clearTimeout(timer);
    timer = cockpit.hidden || !service.isThere ? 0 : setTimeout(update, msec);
}

async function askHistory() {
    if (historyRounds === 0)
        return;
    historyRounds--;
    try {
        history = await service.history(HISTORY_MAX);
        setText(byId("ended-words"), history.length < HISTORY_MAX ? "" :
            `The last ${HISTORY_MAX}; penstockctl history has more.`);
    } catch (error) {
        if (error.problem)
            throw error;
        history = []; /* switched off, or its disk fails: penstockd's own words say which */
        setText(byId("ended-words"), error.message);
    }
}

/* A query that ended in between answers with what it was; one that is gone does not matter. */
async function askDetails(queries) {
    const wanted = running(queries).slice(0, DETAILS_MAX).map(query => query.ID);
    const answers = await Promise.allSettled(wanted.map(id => service.describe(id)));

    for (const id of [...details.keys()])
        if (!wanted.includes(id))
            details.delete(id);
    answers.forEach((answer, i) => {
        if (answer.status === "fulfilled")
            details.set(wanted[i], detail(details.get(wanted[i]), answer.value));
    });
}

function draw(properties, queries) {
    updateHead(properties, budget(properties, queries));
    tables.running.update(running(queries));
    tables.waiting.update(waiting(queries));
    tables.ended.update(ended(queries, history));
    show(byId("away"), false);
    show(byId("there"), true);
    byId("page").setAttribute("aria-busy", "false");
}

async function ask() {
    const [properties, queries] = await Promise.all([service.properties(), service.queries(), askHistory()]);

    await Promise.all([askDetails(queries), updateDetails(service)]);
    draw(properties, queries);
    if (await learnUsers([...queries, ...history].map(query => query.UserID)))
        draw(properties, queries);
}

async function update() {
    const begin = performance.now();

    clearTimeout(timer);
    if (isAsking) {
        isAskedAgain = true;
        return;
    }
    isAsking = true;
    isAskedAgain = false;
    try {
        await ask();
        failures = 0;
        settle("update");
    } catch (error) {
        if (service.isThere && !cockpit.hidden && ++failures >= FAILURES_TOLD)
            alertOf("update", error);
    }
    isAsking = false;
    later(isAskedAgain ? SOON_MSEC : Math.max(DELAY_MSEC, BUSY_SHARE * (performance.now() - begin)));
}

function showAway() {
    show(byId("there"), false);
    show(byId("away"), true);
    byId("away-start").disabled = false;
    setText(byId("head-words"), "Queries under a governed memory budget");
    byId("page").setAttribute("aria-busy", "false");
    say("penstockd is not running");
}

service.addEventListener("there", event => {
    clearTimeout(awayTimer);
    clearTimeout(timer);
    if (event.detail === "") {
        awayTimer = setTimeout(showAway, byId("there").hidden ? 0 : RESTART_MSEC);
        settle("update");
        return;
    }
    settle("start");
    settle("bus");
    details.clear();
    historyRounds = HISTORY_ROUNDS;
    update();
});

service.addEventListener("changed", () => {
    historyRounds = HISTORY_ROUNDS;
    if (isAsking)
        isAskedAgain = true;
    else
        later(SOON_MSEC);
});

service.addEventListener("trouble", event => alertOf("bus", event.detail));

setUpCancel(async query => {
    settle("cancel");
    try {
        await service.cancel(query.ID);
        say(`Query ${query.ID} is being canceled`);
    } catch (error) {
        alertOf("cancel", error);
        byId("alerts").scrollIntoView({ block: "nearest" });
    }
    update();
});

byId("away-start").addEventListener("click", async () => {
    byId("away-start").disabled = true;
    settle("start");
    try {
        await service.start();
    } catch (error) {
        byId("away-start").disabled = false;
        alertOf("start", { title: "penstockd could not be started", message: error.message || error.problem,
                           hint: "systemctl status penstockd has more." });
    }
});

/* Nobody looks: nothing is asked, and nothing is sent. */
function follow() {
    clearTimeout(timer);
    clearTimeout(awayTimer);
    if (cockpit.hidden)
        service.close();
    else
        service.open();
}

/* What a channel may do is settled when it is opened, so it is opened anew when administrative access comes or goes. */
const permission = cockpit.permission({ admin: true });
let isAllowed = permission.allowed;

permission.addEventListener("changed", () => {
    if (isAllowed !== null && permission.allowed !== isAllowed && !cockpit.hidden) {
        service.close();
        service.open();
    }
    isAllowed = permission.allowed;
});

cockpit.addEventListener("visibilitychange", follow);
follow();

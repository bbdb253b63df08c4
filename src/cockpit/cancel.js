/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The question before a query is canceled, which names it. */
import { byId, setText, show } from "./dom.js";
import { duration, labels, visible } from "./format.js";
import { nameOf, stateWord } from "./model.js";
import { userName } from "./users.js";

let wanted = null;

/* @confirmed(query) is called when the answer is yes. */
export function setUpCancel(confirmed) {
    byId("cancel-no").addEventListener("click", () => byId("cancel").close());
    byId("cancel-yes").addEventListener("click", () => {
        byId("cancel").close();
        confirmed(wanted);
    });
}

export function askCancel(query) {
    const user = userName(query.UserID);
    const text = labels(query.Labels);

    wanted = query;
    setText(byId("cancel-title"), `Cancel query ${query.ID}?`);
    setText(byId("cancel-words"), `${visible(nameOf(query, user))} has been known for ` +
        `${duration(query.TotalUSec)} and is ${stateWord(query)}. It is asked to end, and killed if it does not. ` +
        "Its submitter is told that it was canceled.");
    setText(byId("cancel-labels"), `Labels: ${text}`);
    show(byId("cancel-labels"), text !== "");
    setText(byId("cancel-yes"), `Cancel query ${query.ID}`);
    byId("cancel").showModal();
}

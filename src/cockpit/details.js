/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that is known of one query, with the picture of its profile.
 *
 * The picture is penstock-draw's, by `penstockctl profile --svg`: ProfilerResults answers with a descriptor, which
 * Cockpit's bridge can't hand on; and so it is the picture that penstockctl makes, drawn by one program. As an image it can
 * neither run anything nor ask for anything. */
/* global cockpit */
import { errorBox } from "./alerts.js";
import { byId, element, keyed, setText, show } from "./dom.js";
import { clock, duration, labels, percent, pictureWords, size, visible } from "./format.js";
import { detail, endWord, isLive, nameOf, stateWord } from "./model.js";
import { userName } from "./users.js";

const PICTURE_MAX = 4 << 20; /* characters; some ten times what a full profile takes */
const PICTURE_WIDTH_MIN = 360, PICTURE_WIDTH_MAX = 1000, PICTURE_HEIGHT_MIN = 280; /* penstockctl's, and the dialog's */

let shown = null; /* the query that the dialog is about */

function facts(query, known) {
    const of = (heading, text) => ({ heading, text: visible(text) });
    const hasRun = known.execute_usec > 0;
    const share = detail(null, known);

    return [
        of("State", stateWord(query)),
        of("Ended by", [endWord(query), known.verdict].filter(word => word).join(", by ")),
        of("Message", query.ErrorMessage ?? ""),
        of("Waits for", query.WaitReason ?? ""),
        of("User", userName(query.UserID)),
        of("Language", query.Language),
        of("Labels", labels(query.Labels)),
        of("Unit", query.Unit ?? ""),
        of("Priority", String(query.Priority)),
        of("Submitted", clock(query.CreatedUSec)),
        of("Ended", isLive(query) ? "" : clock(query.EndedUSec)),
        of("Time", `${duration(query.TotalUSec)}: waited ${duration(known.queue_usec ?? 0)}, executed ` +
            `${duration(known.execute_usec ?? 0)}, of it frozen ${duration(known.frozen_usec ?? 0)}`),
        of("Quota", query.MemoryQuotaBytes > 0 ? `${size(query.MemoryQuotaBytes)} of at most ${size(query.MemoryMaxBytes)}` :
            `none now; at most ${size(query.MemoryMaxBytes)}`),
        of("Used", query.MemoryCurrentBytes > 0 ? size(query.MemoryCurrentBytes) : ""),
        of("Need", known.memory_need_bytes > 0 ? size(known.memory_need_bytes) : ""),
        of("Peak", query.MemoryPeakBytes > 0 ? size(query.MemoryPeakBytes) : ""),
        of("Raises", String(query.Raises)),
        of("Stall", hasRun ? `${percent(share.stallPpm)} % of its time, ${duration(known.stall_usec ?? 0)}` : ""),
        of("CPU", hasRun ? `${percent(share.cpuPpm)} % of its time, ${duration(known.cpu_usec ?? 0)}` : ""),
    ].filter(fact => fact.text !== "");
}

function fill(query, known) {
    keyed(byId("details-facts"), facts(query, known), fact => fact.heading,
          fact => element("div", {}, element("dt", {}, fact.heading), element("dd")),
          (node, fact) => setText(node.lastChild, fact.text));
    show(byId("details-stderr"), Boolean(known.stderr_tail));
    setText(byId("stderr-text"), (known.stderr_tail ?? "").split("\n").map(visible).join("\n"));
    show(byId("details-cancel"), isLive(query));
}

async function askPicture(query, width) {
    const height = Math.max(PICTURE_HEIGHT_MIN, Math.round(width * 0.56));

    return cockpit.spawn(["penstockctl", "profile", "--svg", "-", "--width", String(width), "--height", String(height),
                          String(query.ID)], { superuser: "try", err: "message" });
}

async function draw(query) {
    const picture = byId("profile-picture"), words = byId("profile-words");
    const room = Math.floor(words.parentElement.getBoundingClientRect().width);

    setText(words, "It is being drawn…");
    try {
        const svg = await askPicture(query, Math.min(PICTURE_WIDTH_MAX, Math.max(PICTURE_WIDTH_MIN, room)));

        if (query !== shown)
            return;
        if (svg.length > PICTURE_MAX)
            throw new Error("the picture is larger than is sensible");
        picture.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
        picture.alt = pictureWords(svg) || `Profile of query ${query.ID}`;
        setText(words, isLive(query) ? `As it was at ${clock(Date.now() * 1000)}.` : "");
        show(picture, true);
    } catch (error) {
        if (query !== shown)
            return;
        show(picture, false);
        setText(words, `There is no picture: ${visible(error.message || error.problem || error)}`);
    }
}

/* IDs begin anew with each boot: what the service knows of this ID may be another query than the history's. */
async function describe(service, query) {
    const known = await service.describe(query.ID);

    if (known.CreatedUSec !== query.CreatedUSec)
        throw { name: "org.penstock1.Error.NoSuchQuery", message: "It is of an earlier boot: its history is all there is." };
    return known;
}

/* Bring the dialog up to date, if it is open. */
export async function updateDetails(service, isFirst = false) {
    const query = shown, wasLive = query && isLive(query);

    if (!query || (!isFirst && !wasLive))
        return;
    try {
        const known = await describe(service, query);

        if (query !== shown)
            return;
        byId("details-trouble").replaceChildren();
        Object.assign(query, known);
        fill(query, known);
        if (isFirst || (wasLive && !isLive(query)))
            await draw(query);
    } catch (error) {
        if (query !== shown)
            return;
        if (wasLive || error.name !== "org.penstock1.Error.NoSuchQuery") {
            byId("details-trouble").replaceChildren(errorBox(error));
            if (!isFirst)
                return;
        }
        fill(query, query); /* the history's has statistics, too */
        setText(byId("profile-words"), "Its profile is no longer kept.");
    }
}

export function setUpDetails(service, cancel) {
    const dialog = byId("details");

    byId("details-close").addEventListener("click", () => dialog.close());
    byId("details-cancel").addEventListener("click", () => cancel(shown));
    byId("profile-again").addEventListener("click", () => draw(shown));
    dialog.addEventListener("close", () => { shown = null });
    return query => {
        shown = { ...query };
        setText(byId("details-title"), visible(nameOf(query, userName(query.UserID))));
        byId("details-trouble").replaceChildren();
        show(byId("profile-picture"), false);
        setText(byId("profile-words"), "");
        fill(shown, shown);
        dialog.showModal();
        updateDetails(service, true);
    };
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pure: what goes wrong in words: a title, the service's own message (which says what happened and the setting that
 * changes it), and what to do here. */

const PENSTOCK = "org.penstock1.Error.";

export const TITLES = {
    PermissionDenied: "This is not allowed",
    NoSuchQuery: "There is no such query any more",
    QueueLengthExceeded: "Penstock has too many calls at once",
    ShuttingDown: "Penstock was shut down",
    InvalidArgument: "Penstock does not accept this",
    Timeout: "Penstock did not answer in time",
    Internal: "Penstock failed",
};

export const HINTS = {
    PermissionDenied: "Turn on administrative access at the top of Cockpit, or ask the query's owner.",
    NoSuchQuery: "It has ended and is no longer kept; the history below may know it.",
    QueueLengthExceeded: "Wait a moment and try again.",
    ShuttingDown: "An administrator lets it accept queries again: systemctl restart penstockd",
    Internal: "The journal has more: journalctl -u penstockd",
};

/* What Cockpit calls a problem: its channel's, not the service's. */
const PROBLEMS = {
    "access-denied": ["This is not allowed", "Turn on administrative access at the top of Cockpit."],
    "not-found": ["A program or service is missing", "Is all of the package penstock installed on this host?"],
    "disconnected": ["The connection to the service was lost", "It is made anew when the service is back."],
    "terminated": ["The session's helper ended", "Reload the page; log in again if that does not help."],
    "timeout": ["There was no answer in time", "The host may be very busy; it is asked again."],
};

/* @error: what cockpit.dbus() or cockpit.spawn() rejects with, or one of these with a title and a hint of its own. */
export function words(error) {
    const name = String(error?.name ?? "");
    const message = String(error?.message ?? error ?? "").trim();

    if (error?.title)
        return { title: error.title, message, hint: error.hint ?? "" };
    if (name.startsWith(PENSTOCK)) {
        const short = name.slice(PENSTOCK.length);

        return { title: TITLES[short] ?? short, message, hint: HINTS[short] ?? "" };
    }
    if (name === "org.freedesktop.DBus.Error.ServiceUnknown")
        return { title: "Penstock is not installed", message, hint: "Install the package penstock on this host." };
    if (name.startsWith("org.freedesktop.DBus.Error."))
        return { title: "The system bus refused", message, hint: "The journal has more: journalctl -u dbus -u penstockd" };
    if (PROBLEMS[error?.problem])
        return { title: PROBLEMS[error.problem][0], message, hint: PROBLEMS[error.problem][1] };
    return { title: "Something went wrong", message, hint: "" };
}

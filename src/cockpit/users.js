/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of users. D-Bus has their numbers, and whoever looks up names is the host (also those of LDAP and the like):
 * each number is asked for once. */
/* global cockpit */

const names = new Map();

/* At most so many are known: a host with more has them as numbers. */
const NAMES_MAX = 4096;

export function userName(uid) {
    return names.get(uid) ?? String(uid);
}

/* Ask for those of @uids that were not asked for yet; resolves to whether there is anything new. */
export async function learnUsers(uids) {
    const wanted = [...new Set(uids)].filter(uid => !names.has(uid)).slice(0, NAMES_MAX - names.size);
    let said = "";

    if (wanted.length === 0)
        return false;
    wanted.forEach(uid => names.set(uid, String(uid)));
    try {
        await cockpit.spawn(["getent", "passwd", ...wanted.map(String)], { err: "ignore" }).stream(text => { said += text });
    } catch {
        /* 2: some of them have no name; the others were printed */
    }
    for (const line of said.split("\n")) {
        const [name, , uid] = line.split(":");

        if (name && names.has(Number(uid)))
            names.set(Number(uid), name);
    }
    return true;
}

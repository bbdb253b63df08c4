/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pure: what the service says, as what is shown. Time comes in with the figures. */
import { isInfinite } from "./format.js";

/* What is under way first, as `penstockctl top` sorts. */
const LIVE = ["executing", "compiling", "queueing", "created"];

export const DETAILS_MAX = 64; /* queries whose details one update asks for */
export const ROWS_MAX = 100;   /* rows of one table */

/* The dictionaries of the bus have variants in them: {t, v}. */
export function plain(dictionary) {
    return Object.fromEntries(Object.entries(dictionary).map(([key, variant]) => [key, variant.v]));
}

export function isLive(query) {
    return LIVE.includes(query.State);
}

export function stateWord(query) {
    return query.State === "executing" && query.Frozen ? "frozen" : query.State;
}

/* Which of the looks in penstock.css a state has. */
export function stateLook(query) {
    const looks = { executing: "good", frozen: "frozen", queueing: "waits", errored: "bad" };

    return looks[stateWord(query)] ?? "plain";
}

export function errorWord(query) {
    return (query.ErrorName ?? "").split(".").pop();
}

/* Used in its two parts, and the rest. After a reload to less, more may be held than the budget has. */
export function budget(service, queries) {
    const slots = service.ConcurrencyQuota * service.InitialMemoryBytesQuotaPerQuery;
    const forSlots = Math.min(isInfinite(slots) ? Infinity : slots, service.UsedMemoryBytes);
    const executing = queries.filter(query => query.State === "executing");
    const sum = key => executing.reduce((total, query) => total + query[key], 0);

    return {
        total: service.MaxMemoryBytes,
        isUnlimited: isInfinite(service.MaxMemoryBytes),
        used: service.UsedMemoryBytes,
        forSlots,
        lent: service.UsedMemoryBytes - forSlots,
        pool: service.UnusedMemoryBytes,
        whole: service.UsedMemoryBytes + service.UnusedMemoryBytes,
        quota: sum("MemoryQuotaBytes"),
        current: sum("MemoryCurrentBytes"),
        frozen: executing.filter(query => query.Frozen).length,
    };
}

/* Of the maximum: what it needs, what it uses beyond that (page cache, mostly), what its quota leaves; in parts per
 * hundred. Null: it has no quota, or no maximum. */
export function memoryParts(query, detail) {
    const quota = query.MemoryQuotaBytes;

    if (quota === 0 || isInfinite(quota) || isInfinite(query.MemoryMaxBytes))
        return null;
    const whole = Math.max(query.MemoryMaxBytes, quota);
    const used = Math.min(query.MemoryCurrentBytes, quota);
    const need = Math.min(detail?.need ?? 0, used);

    return [need, used - need, quota - used].map(bytes => bytes * 100 / whole);
}

/* Shares of time between the last two answers, and of all its time after the first one; @before: the detail of the
 * answer before, or nothing. */
export function detail(before, description) {
    const next = {
        need: description.memory_need_bytes ?? 0,
        cpu: description.cpu_usec ?? 0,
        stall: description.stall_usec ?? 0,
        execute: description.execute_usec ?? 0,
        cpuPpm: 0,
        stallPpm: 0,
    };
    const from = before && next.execute >= before.execute ? before : { cpu: 0, stall: 0, execute: 0 };
    const usec = next.execute - from.execute;

    if (usec === 0 && before)
        return { ...next, cpuPpm: before.cpuPpm, stallPpm: before.stallPpm };
    if (usec > 0) {
        next.cpuPpm = Math.max(0, next.cpu - from.cpu) * 1e6 / usec;
        next.stallPpm = Math.min(1e6, Math.max(0, next.stall - from.stall) * 1e6 / usec);
    }
    return next;
}

/* Running queries, those that are frozen last, as they were submitted. */
export function running(queries) {
    return queries.filter(query => query.State === "executing")
            .sort((a, b) => a.Frozen - b.Frozen || a.ID - b.ID);
}

/* Whoever does not execute yet: by its place, then those that have none yet. */
export function waiting(queries) {
    const place = query => query.QueuePosition || Infinity;

    return queries.filter(query => isLive(query) && query.State !== "executing")
            .sort((a, b) => (place(a) === place(b) ? a.ID - b.ID : place(a) - place(b)));
}

/* Lately first: those that the history knows, and of those that were not Done yet what it does not know (it lags, and can be
 * switched off). IDs begin anew with each boot, so that the time is needed to tell. */
export function ended(queries, history) {
    const key = query => `${query.ID} ${query.CreatedUSec}`;
    const known = new Set(history.map(key));
    const rest = queries.filter(query => !isLive(query) && !known.has(key(query)));

    return [...history, ...rest].sort((a, b) => b.EndedUSec - a.EndedUSec || b.ID - a.ID);
}

/* How it ended, in as few words as tell it: of those that errored by the error, and whose limit it was. */
export function endWord(query) {
    const error = errorWord(query);

    if (error === "" || error === "Canceled")
        return "";
    return error === "ExecutionFailed" && query.ExitStatus > 0 ? `exit ${query.ExitStatus}` : error;
}

/* "Query 7 (sqlite of alice)" */
export function nameOf(query, user) {
    return `Query ${query.ID} (${query.Language} of ${user})`;
}

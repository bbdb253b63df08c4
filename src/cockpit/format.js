/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pure: numbers of the bus as `penstockctl top` writes them, so that both say the same of a query. */

const LETTERS = "BKMGT";
const KIB = 1024;

/* UINT64_MAX as JSON: rounded by JavaScript; one of Cockpit's bridges writes it as a signed number. */
export function isInfinite(number) {
    return number < 0 || number >= 2 ** 63;
}

/* "512B", "9.7G", "64M", "1023M"; rounded down, so that what is not full does not look so. */
export function size(bytes) {
    let unit = 0;

    if (isInfinite(bytes))
        return "inf";
    while (unit < 4 && bytes >= KIB ** (unit + 1))
        unit++;
    const tenths = Math.floor(bytes / KIB ** unit * 10);
    if (tenths < 100 && tenths % 10 > 0)
        return `${(tenths / 10).toFixed(1)}${LETTERS[unit]}`;
    return `${Math.floor(tenths / 10)}${LETTERS[unit]}`;
}

/* Parts of a total all in one unit, so that they are seen to make the whole. */
export function sizeIn(bytes, total) {
    const unit = total < 10 * KIB ** 3 ? 2 : total < 10240 * KIB ** 3 ? 3 : 4;

    if (isInfinite(bytes) || isInfinite(total))
        return size(bytes);
    if (unit === 2)
        return `${Math.floor(bytes / KIB ** 2)}M`;
    return `${(Math.floor(bytes / KIB ** unit * 100) / 100).toFixed(2)}${LETTERS[unit]}`;
}

function two(number) {
    return String(number).padStart(2, "0");
}

/* "59.9s", "12m34s", "12h34m", "123d04h" */
export function duration(usec) {
    if (!Number.isFinite(usec))
        return "–";
    if (isInfinite(usec))
        return "inf";
    const s = Math.floor(usec / 1e6);
    if (s < 60)
        return `${(Math.floor(usec / 1e5) / 10).toFixed(1)}s`;
    if (s < 3600)
        return `${Math.floor(s / 60)}m${two(s % 60)}s`;
    if (s < 100 * 3600)
        return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
    return `${Math.floor(s / 86400)}d${two(Math.floor(s / 3600) % 24)}h`;
}

/* Parts per million as "12.3", without the sign. */
export function percent(ppm) {
    const tenths = Math.floor((ppm + 500) / 1000);

    return tenths < 10000 ? (tenths / 10).toFixed(1) : String(Math.floor(tenths / 10));
}

/* A time of day, by the day too when that is another one than @now's. */
export function clock(usec, now = new Date()) {
    const at = new Date(usec / 1000);
    const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;

    if (!(usec > 0) || isInfinite(usec))
        return "–";
    if (at.toDateString() === now.toDateString())
        return time;
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/* Characters that a reader doesn't see, and those that turn the order of others around, are shown as such: a label
 * must not look like another one, nor like the words around it. */
export function visible(text) {
    return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, character =>
        `\\u{${character.codePointAt(0).toString(16)}}`);
}

/* "team=etl, job=7" */
export function labels(dictionary) {
    return Object.entries(dictionary ?? {}).map(([key, value]) => visible(`${key}=${value}`)).join(", ");
}

/* The words that an SVG of penstock-draw's has for those who don't see it. It is not parsed for that: a parser would apply its
 * styles, and the page's content policy would complain of each. */
export function pictureWords(svg) {
    const entities = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
    const words = [/<title[^>]*>([^<]*)</, /<desc[^>]*>([^<]*)</].map(part => svg.match(part)?.[1].trim() ?? "");

    return words.filter(part => part !== "").join(". ").replace(/&(lt|gt|quot|apos|amp);/g, (all, name) => entities[name]);
}

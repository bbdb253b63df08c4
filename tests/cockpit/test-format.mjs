/* SPDX-License-Identifier: LGPL-2.1-or-later */
import assert from "node:assert/strict";
import test from "node:test";

import { clock, duration, isInfinite, labels, percent, pictureWords, size, sizeIn, visible }
    from "../../src/cockpit/format.js";

const KIB = 1024, MIB = 1024 * KIB, GIB = 1024 * MIB, TIB = 1024 * GIB;

test("sizes are as top writes them", () => {
    assert.equal(size(0), "0B");
    assert.equal(size(1023), "1023B");
    assert.equal(size(KIB), "1K");
    assert.equal(size(64 * MIB), "64M");
    assert.equal(size(GIB - 1), "1023M");
    assert.equal(size(9.79 * GIB), "9.7G");
    assert.equal(size(10 * GIB + GIB / 2), "10G");
    assert.equal(size(1.5 * GIB), "1.5G");
    assert.equal(size(4096 * TIB), "4096T");
});

test("infinity is known however a bridge writes it", () => {
    for (const number of [2 ** 64, 18446744073709551615, 2 ** 63, -1]) {
        assert.ok(isInfinite(number));
        assert.equal(size(number), "inf");
        assert.equal(duration(number), "inf");
    }
    assert.ok(!isInfinite(2 ** 53));
});

test("parts of a total are in its unit", () => {
    assert.equal(sizeIn(896 * MIB, 4 * GIB), "896M");
    assert.equal(sizeIn(512 * MIB, 10 * GIB), "0.50G");
    assert.equal(sizeIn(10 * GIB - 1, 10 * GIB), "9.99G");
    assert.equal(sizeIn(TIB, 10 * TIB), "1.00T");
    assert.equal(sizeIn(GIB, 2 ** 64), "1G");
});

test("spans are as top writes them", () => {
    assert.equal(duration(0), "0.0s");
    assert.equal(duration(59.99e6), "59.9s");
    assert.equal(duration(60e6), "1m00s");
    assert.equal(duration(3599e6), "59m59s");
    assert.equal(duration(3600e6), "1h00m");
    assert.equal(duration((123 * 86400 + 4 * 3600) * 1e6), "123d04h");
    assert.equal(duration(undefined), "–");
});

test("shares are rounded to tenths while they are short", () => {
    assert.equal(percent(0), "0.0");
    assert.equal(percent(20_499), "2.0");
    assert.equal(percent(20_500), "2.1");
    assert.equal(percent(1_870_000), "187.0");
    assert.equal(percent(10_000_000), "1000");
});

test("a time of day has its day only when that is another one", () => {
    const now = new Date(2026, 10, 29, 20, 0, 0), at = new Date(2026, 10, 29, 7, 5, 9);

    assert.equal(clock(at.getTime() * 1000, now), "07:05:09");
    assert.equal(clock(at.getTime() * 1000 - 86400e6, now), "2026-11-28 07:05:09");
    assert.equal(clock(0, now), "–");
    assert.equal(clock(undefined, now), "–");
});

test("what can't be seen, or turns what can, is written out", () => {
    assert.equal(visible("a\u202eb\u0007c\u2028"), "a\\u{202e}b\\u{7}c\\u{2028}");
    assert.equal(visible("<b>é字</b>"), "<b>é字</b>");
    assert.equal(labels({ team: "a\nb", job: "7" }), "team=a\\u{a}b, job=7");
    assert.equal(labels(undefined), "");
});

test("a picture's words are its title and description", () => {
    assert.equal(pictureWords("<svg><title>Query 7 &amp;lt;</title>\n<desc id='d'> 3 raises &lt; 4 </desc></svg>"),
                 "Query 7 &lt;. 3 raises < 4");
    assert.equal(pictureWords("<svg/>"), "");
});

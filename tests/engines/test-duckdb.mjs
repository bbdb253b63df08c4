// SPDX-License-Identifier: LGPL-2.1-or-later
// engines/duckdb.mjs beside a package that answers as each test says: what it makes of scripts, values and ends that DuckDB's own
// package has as well, but that a small machine cannot bring about, or no script.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import test from "node:test";

const RUNNER = new URL("../../src/engines/duckdb.mjs", import.meta.url);
// Statements are the script's parts between semicolons, without a look at quotes. What each does is in `answers`.
const PACKAGE = `
const { answers } = require("./answers.js");
class DuckDBDateValue {
        constructor(days) { this.days = days; }
        toString() { return \`day \${this.days}\`; }
}
DuckDBDateValue.PosInf = new DuckDBDateValue(2 ** 31 - 1);
DuckDBDateValue.NegInf = new DuckDBDateValue(1 - 2 ** 31);
Object.assign(exports, {
        DuckDBDateValue,
        DuckDBTypeId: { FLOAT: 10, DOUBLE: 11 },
        ResultReturnType: { QUERY_RESULT: 3 },
        StatementType: { SELECT: 1, EXPLAIN: 2, CREATE: 3 },
        DuckDBInstance: { create: async () => ({ connect: async () => connection, closeSync() {} }) },
});
const connection = {
        closeSync() {},
        async extractStatements(sql) {
                const texts = sql.split("\\0")[0].split(";").map((text) => text.trim()).filter(Boolean);
                return { count: texts.length, prepare: async (i) => prepared(texts[i]) };
        },
};
function prepared(text) {
        const { fails, type, columns, chunks } = answers(exports)[text];
        if (fails) throw new Error(fails);
        const result = {
                returnType: 3,
                columnNames: () => columns,
                columnTypeId: () => 0,
                async *yieldRows() { yield* chunks; },
        };
        return { statementType: type ?? 1, destroySync() {}, stream: async () => result };
}
`;

// What running SCRIPT, whose statements are answered by the function ANSWERS, comes to.
function run(script, answers, { check = false, to = "pipe" } = {}) {
        const place = mkdtempSync(`${tmpdir()}/penstock-duckdb-`);
        const fd = to === "pipe" ? to : openSync(to, "w");

        try {
                mkdirSync(`${place}/node_modules/@duckdb/node-api`, { recursive: true });
                writeFileSync(`${place}/node_modules/@duckdb/node-api/index.js`, PACKAGE);
                writeFileSync(`${place}/node_modules/@duckdb/node-api/answers.js`, `exports.answers = ${answers};\n`);
                // Not the one that may be installed here.
                writeFileSync(`${place}/duckdb.mjs`, readFileSync(RUNNER, "utf8").replace(/^const PLACES = .*$/m, "const PLACES = [import.meta.url];"));
                writeFileSync(`${place}/script.sql`, script);
                const words = [`${place}/duckdb.mjs`, "--memory-max=1000000000", `--tmpdir=${place}`, ...(check ? ["--check"] : []), `${place}/script.sql`];
                const { status, stdout, stderr } = spawnSync(process.execPath, words, { stdio: ["ignore", fd, "pipe"], encoding: "utf8", maxBuffer: 16 << 20 });

                return { status, out: stdout ?? "", errors: stderr };
        } finally {
                if (fd !== to) closeSync(fd);
                rmSync(place, { recursive: true });
        }
}

const one = () => ({ one: { columns: ["a", "b"], chunks: [[["1", null]], [["2", ""]]] } });

test("results are CSV, as they come", () => {
        assert.deepEqual(run("one; one", one), { status: 0, out: 'a,b\n1,\n2,""\n'.repeat(2), errors: "" });
});

test("a script that DuckDB would take for the half of it is refused, and nothing of it is run", () => {
        for (const check of [false, true])
                assert.deepEqual(run("one;\n\0two", one, { check }), { status: 1, out: "", errors: "line 2 has a NUL character\n" });
});

test("results that cannot be written are told of, with the reason", () => {
        const { status, errors } = run("one", one, { to: "/dev/full" });

        assert.equal(status, 1);
        assert.match(errors, /^cannot write results: ENOSPC/);
});

test("rows that are wide are written by the piece, since there is a longest string", () => {
        const wide = () => {
                const { write } = process.stdout;
                let most = 0;

                process.stdout.write = function (text) {
                        most = Math.max(most, text.length);
                        return write.call(this, text);
                };
                process.on("exit", () => process.stderr.write(`${most}`));
                return { wide: { columns: ["w"], chunks: [Array(2048).fill(["x".repeat(1000)])] } };
        };
        const { status, out, errors } = run("wide", wide);

        assert.equal(status, 0);
        assert.equal(out, `w\n${`${"x".repeat(1000)}\n`.repeat(2048)}`);
        assert.ok(Number(errors) > 1000 && Number(errors) < 100_000, errors);
});

test("infinite days are told as DuckDB tells them, also within lists", () => {
        const days = ({ DuckDBDateValue: { PosInf, NegInf }, DuckDBDateValue: Day }) => ({
                days: { columns: ["a", "b", "c", "d"], chunks: [[[new Day(PosInf.days), new Day(NegInf.days), new Day(7), { toString: () => `[${PosInf}]` }]]] },
        });

        assert.equal(run("days", days).out, "a,b,c,d\ninfinity,-infinity,day 7,[infinity]\n");
});

test("the check says nothing of a table that a statement before may have made", () => {
        const fails = "Catalog Error: Table with name t does not exist!";
        const later = (type) => `() => ({ first: { type: ${type}, columns: [], chunks: [] }, later: { fails: ${JSON.stringify(fails)} } })`;

        assert.deepEqual(run("first; later", later(1), { check: true }), { status: 1, out: "", errors: `${fails}\n` });
        for (const type of [2, 3]) // EXPLAIN ANALYZE runs what it explains
                assert.deepEqual(run("first; later", later(type), { check: true }), { status: 0, out: "", errors: "" });
});

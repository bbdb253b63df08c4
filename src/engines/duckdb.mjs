// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs a script of SQL by DuckDB's package for Node.js, and prints what comes of it as CSV.
//
//   node duckdb.mjs --memory-max=BYTES --tmpdir=DIR [--database=FILE] [--check] SCRIPT
//
// Each statement that answers with rows prints a header and the rows as they come, so that no result is collected. The
// first error ends the script with status 1. --check runs nothing: see check().
// The database is opened read-only, so that many queries can have it at one time: DuckDB lets in one writer and nobody
// beside it. A script that wants to write says ATTACH, where its sandbox lets it.
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const PACKAGE = "@duckdb/node-api";
// Where `npm install --global` puts it: what the administrator has installed, then what a distribution ships.
const PLACES = ["/usr/local/lib/", "/usr/lib/", import.meta.url];
// What Node and the program take by themselves is 20 MB. DuckDB's limit does not cover all that it allocates, nor what the
// allocator loses: up to 75 % on top of a limit of 50 to 100 MB, 25 % of 200 MB, 10 % of 400 MB (measured).
const BYTES_ASIDE = 64 << 20;
const SHARE_OF_REST = 0.8;
const BYTES_MIN = 16 << 20;
// DuckDB's manual: fewer bytes a thread than 125 MB, and an aggregation does not get by. Without a thread nothing runs.
const BYTES_PER_THREAD = 125_000_000;
const CHARACTERS_AT_ONCE = 1 << 16;

class Failure extends Error {}

function load() {
        for (const place of PLACES) {
                try {
                        return createRequire(place)(PACKAGE);
                } catch (e) {
                        if (e.code !== "MODULE_NOT_FOUND" || !e.message.includes(`'${PACKAGE}'`)) throw e;
                }
        }
        throw new Failure(`${PACKAGE} is not installed; an administrator can: npm install --global ${PACKAGE}`);
}

function arguments_() {
        const text = { type: "string" };
        const options = { "memory-max": text, tmpdir: text, database: { ...text, default: ":memory:" }, check: { type: "boolean" } };
        const { values, positionals } = parseArgs({ options, allowPositionals: true });

        if (!/^[0-9]+$/.test(values["memory-max"] ?? "") || !values.tmpdir || positionals.length !== 1)
                throw new Failure("usage: duckdb.mjs --memory-max=BYTES --tmpdir=DIR [--database=FILE] [--check] SCRIPT");
        return { ...values, memory: memoryLimit(Number(values["memory-max"])), script: positionals[0] };
}

function memoryLimit(max) {
        return Math.max(BYTES_MIN, Math.floor((max - BYTES_ASIDE) * SHARE_OF_REST));
}

// DuckDB looks at the group's limit once, when it starts, and so would take a small quota for all that there is.
function settings(args) {
        const disk = fs.statfsSync(args.tmpdir);
        const config = {
                memory_limit: `${args.memory}B`,
                threads: String(Math.max(1, Math.min(os.cpus().length, Math.floor(args.memory / BYTES_PER_THREAD)))),
                temp_directory: args.tmpdir,
                // Half of what is free: the disk is everybody's.
                max_temp_directory_size: `${Math.floor((disk.bavail * disk.bsize) / 2)}B`,
                // No downloads, and nothing from the user's ~/.duckdb but the extensions that he has installed.
                autoinstall_known_extensions: "false",
                allow_persistent_secrets: "false",
        };

        if (args.database !== ":memory:") config.access_mode = "READ_ONLY";
        return config;
}

// The shortest digits that read back as the same number, written as DuckDB casts it to text: 1.0, 1e+16, 1e-05.
function real(value, isSingle) {
        if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
        let text = value.toExponential();
        for (let n = 0; isSingle && n < 9; n++) {
                text = value.toExponential(n);
                if (Math.fround(Number(text)) === value) break;
        }
        const [mantissa, exponent] = text.split("e").map((part, i) => (i ? Number(part) : part));
        const sign = Object.is(value, -0) || value < 0 ? "-" : "";
        const digits = mantissa.replace(/[-.]/g, "");

        if (exponent < -4 || exponent >= 16)
                return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
        if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
        return `${sign}${digits.slice(0, exponent + 1).padEnd(exponent + 1, "0")}.${digits.slice(exponent + 1) || "0"}`;
}

// The package writes these, but of TIMESTAMP, as the day or moment that their number would be.
function nameInfinities(duckdb) {
        const names = ["Date", "TimestampSeconds", "TimestampMilliseconds", "TimestampNanoseconds"];

        for (const type of names.map((name) => duckdb[`DuckDB${name}Value`]).filter((type) => type?.PosInf && type.NegInf)) {
                const asPackage = type.prototype.toString;
                const infinities = new Map([[String(type.PosInf), "infinity"], [String(type.NegInf), "-infinity"]]);

                type.prototype.toString = function () {
                        const text = asPackage.call(this);
                        return infinities.get(text) ?? text;
                };
        }
}

function text(value, isSingle) {
        return typeof value === "number" && isSingle !== null ? real(value, isSingle) : String(value);
}

// RFC 4180, but that lines end as they do here. NULL is nothing, an empty text is "".
function field(value) {
        if (value === null) return "";
        return value === "" || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

async function write(lines) {
        if (!process.stdout.write(lines)) await new Promise((resume) => process.stdout.once("drain", resume));
}

async function print(duckdb, result) {
        // For each column: true for FLOAT, false for DOUBLE, null where a number is written as it is.
        const single = result.columnNames().map((_, i) => {
                const type = result.columnTypeId(i);
                return type === duckdb.DuckDBTypeId.FLOAT ? true : type === duckdb.DuckDBTypeId.DOUBLE ? false : null;
        });

        await write(`${result.columnNames().map(field).join()}\n`);
        for await (const rows of result.yieldRows()) {
                let lines = "";

                // 2,048 rows, which may be more together than the longest string that there is.
                for (const row of rows) {
                        lines += `${row.map((v, i) => field(v === null ? v : text(v, single[i]))).join()}\n`;
                        if (lines.length < CHARACTERS_AT_ONCE) continue;
                        await write(lines);
                        lines = "";
                }
                if (lines) await write(lines);
        }
}

function scriptOf(path) {
        const sql = new TextDecoder("utf-8", { fatal: true }).decode(fs.readFileSync(path));
        const end = sql.indexOf("\0");

        // The package hands on what stands before it, and that would be run as if it were all.
        if (end >= 0) throw new Failure(`line ${sql.slice(0, end).split("\n").length} has a NUL character`);
        return sql;
}

// The whole script is parsed before anything of it runs. One without a statement has nothing to extract.
async function statements(connection, sql) {
        try {
                return await connection.extractStatements(sql);
        } catch (e) {
                if (!/ Error: /.test(e.message)) return { count: 0 };
                throw e;
        }
}

async function run(duckdb, connection, sql) {
        const script = await statements(connection, sql);

        for (let i = 0; i < script.count; i++) {
                const prepared = await script.prepare(i);
                const result = await prepared.stream();

                if (result.returnType === duckdb.ResultReturnType.QUERY_RESULT) await print(duckdb, result);
                prepared.destroySync();
        }
}

// Refuses what cannot be right: syntax anywhere, and unknown tables and columns up to the first statement that is no
// query, since it may make them. With enable_external_access=false no file but the database is opened: one that is named
// may be a pipe, which a look would empty. What such a statement means cannot be said, and what follows it runs unchecked.
async function check(duckdb, connection, sql) {
        const script = await statements(connection, sql);

        for (let i = 0; i < script.count; i++) {
                let type;

                try {
                        const prepared = await script.prepare(i);
                        type = prepared.statementType;
                        prepared.destroySync();
                } catch (e) {
                        if (/^(Catalog Error: Table with name \w+ does not exist|Binder Error: Referenced )/.test(e.message)) throw e;
                        return;
                }
                if (type !== duckdb.StatementType.SELECT) return; // EXPLAIN ANALYZE runs what it explains
        }
}

// A database that cannot be read for the check, since somebody writes to it, is the engine's to tell of.
async function checker(duckdb, args) {
        const config = { ...settings(args), enable_external_access: "false" };

        try {
                return await duckdb.DuckDBInstance.create(args.database, config);
        } catch {
                return null;
        }
}

async function checkAll(duckdb, args, sql) {
        const instance = await checker(duckdb, args);
        const memory = instance ?? (await duckdb.DuckDBInstance.create(":memory:", { threads: "1" }));
        const connection = await memory.connect();

        try {
                if (instance) await check(duckdb, connection, sql);
                else await statements(connection, sql);
        } finally {
                connection.closeSync();
                memory.closeSync();
        }
}

async function runAll(duckdb, args, sql) {
        const instance = await duckdb.DuckDBInstance.create(args.database, settings(args));
        const connection = await instance.connect();

        try {
                await run(duckdb, connection, sql);
        } finally {
                connection.closeSync();
                instance.closeSync();
        }
}

process.stdout.on("error", (e) => {
        // Where nobody reads any more there is nobody to tell.
        if (e.code !== "EPIPE") process.stderr.write(`cannot write results: ${e.message}\n`);
        process.exit(1);
});
try {
        const args = arguments_();
        const duckdb = load();
        const sql = scriptOf(args.script);

        nameInfinities(duckdb);
        await (args.check ? checkAll : runAll)(duckdb, args, sql);
} catch (e) {
        process.exitCode = 1;
        process.stderr.write(`${String(e.message).replace(/^Failed to extract statements: /, "")}\n`);
}

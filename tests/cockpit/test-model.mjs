/* SPDX-License-Identifier: LGPL-2.1-or-later */
import assert from "node:assert/strict";
import test from "node:test";

import * as model from "../../src/cockpit/model.js";

const MIB = 1024 * 1024;
const ERRORS = "org.penstock1.Error.";

function query(id, state, more = {}) {
    return { ID: id, State: state, Frozen: false, QueuePosition: 0, CreatedUSec: id * 1000, EndedUSec: 0, Language: "sqlite",
             MemoryQuotaBytes: 0, MemoryMaxBytes: 1024 * MIB, MemoryCurrentBytes: 0, ErrorName: "", ExitStatus: -1, ...more };
}

function service(more = {}) {
    return { ConcurrencyQuota: 4, InitialMemoryBytesQuotaPerQuery: 64 * MIB, MaxMemoryBytes: 4096 * MIB,
             UsedMemoryBytes: 896 * MIB, UnusedMemoryBytes: 3200 * MIB, ...more };
}

const ids = queries => queries.map(each => each.ID);

test("the budget is what slots hold, what is lent on top, and the pool", () => {
    const budget = model.budget(service(), [
        query(1, "executing", { MemoryQuotaBytes: 512 * MIB, MemoryCurrentBytes: 433 * MIB }),
        query(2, "executing", { MemoryQuotaBytes: 256 * MIB, MemoryCurrentBytes: 240 * MIB, Frozen: true }),
        query(3, "queueing", { MemoryCurrentBytes: MIB }),
    ]);

    assert.deepEqual([budget.forSlots, budget.lent, budget.pool].map(bytes => bytes / MIB), [256, 640, 3200]);
    assert.deepEqual([budget.quota, budget.current].map(bytes => bytes / MIB), [768, 673]);
    assert.equal(budget.frozen, 1);
    assert.equal(budget.isUnlimited, false);
});

test("the parts of a budget never pass what is used", () => {
    const small = model.budget(service({ UsedMemoryBytes: 100 * MIB }), []);
    const endless = model.budget(service({ ConcurrencyQuota: 2 ** 64, MaxMemoryBytes: 2 ** 64 }), []);

    assert.deepEqual([small.forSlots, small.lent], [100 * MIB, 0]);
    assert.deepEqual([endless.forSlots, endless.lent], [896 * MIB, 0]);
    assert.ok(endless.isUnlimited);
});

test("running queries come as they were submitted, the frozen ones last", () => {
    const queries = [query(7, "executing"), query(1, "executing", { Frozen: true }), query(3, "executing"), query(2, "queueing")];

    assert.deepEqual(ids(model.running(queries)), [3, 7, 1]);
});

test("the queue is in its own order, and who has no place yet follows", () => {
    const queries = [query(1, "compiling"), query(2, "queueing", { QueuePosition: 2 }), query(9, "queueing", { QueuePosition: 1 }),
                     query(3, "created"), query(4, "executing"), query(5, "errored")];

    assert.deepEqual(ids(model.waiting(queries)), [9, 2, 1, 3]);
});

test("ended queries are the history's, and what it does not know yet", () => {
    const history = [query(5, "finished", { EndedUSec: 50, CreatedUSec: 1 }), query(2, "errored", { EndedUSec: 20 })];
    const queries = [query(5, "finished", { EndedUSec: 90 }), query(2, "errored", { EndedUSec: 20 }), query(3, "executing")];

    /* the history's 5 is of another boot */
    assert.deepEqual(model.ended(queries, history).map(each => [each.ID, each.EndedUSec]), [[5, 90], [5, 50], [2, 20]]);
});

test("shares of time are those between two answers", () => {
    const first = model.detail(undefined, { memory_need_bytes: 9, execute_usec: 1000, cpu_usec: 500, stall_usec: 100 });
    const second = model.detail(first, { execute_usec: 2000, cpu_usec: 2500, stall_usec: 100 });
    const same = model.detail(second, { execute_usec: 2000, cpu_usec: 2500, stall_usec: 100 });

    assert.deepEqual([first.need, first.cpuPpm, first.stallPpm], [9, 500_000, 100_000]);
    assert.deepEqual([second.cpuPpm, second.stallPpm], [2_000_000, 0]);
    assert.deepEqual([same.cpuPpm, same.stallPpm], [2_000_000, 0]);
});

test("an adopted query's clock that goes back makes no share below none", () => {
    const before = model.detail(undefined, { execute_usec: 5000, cpu_usec: 5000, stall_usec: 0 });
    const after = model.detail(before, { execute_usec: 1000, cpu_usec: 500, stall_usec: 3000 });

    assert.deepEqual([after.cpuPpm, after.stallPpm], [500_000, 1_000_000]);
});

test("the memory bar's parts make the quota", () => {
    const parts = (more, need) => model.memoryParts(query(1, "executing", more), need === undefined ? undefined : { need });

    assert.deepEqual(parts({ MemoryQuotaBytes: 512 * MIB, MemoryCurrentBytes: 256 * MIB }, 128 * MIB), [12.5, 12.5, 25]);
    assert.deepEqual(parts({ MemoryQuotaBytes: 512 * MIB, MemoryCurrentBytes: 256 * MIB }), [0, 25, 25]);
    /* more than its quota for a moment; need from an earlier answer */
    assert.deepEqual(parts({ MemoryQuotaBytes: 256 * MIB, MemoryCurrentBytes: 300 * MIB }, 999 * MIB), [25, 0, 0]);
    /* its maximum was lowered */
    assert.deepEqual(parts({ MemoryQuotaBytes: 512 * MIB, MemoryMaxBytes: 256 * MIB }, 0), [0, 0, 100]);
    assert.equal(parts({}), null);
    assert.equal(parts({ MemoryQuotaBytes: MIB, MemoryMaxBytes: 2 ** 64 }), null);
});

test("how a query ended is said in a word", () => {
    assert.equal(model.endWord(query(1, "finished")), "");
    assert.equal(model.endWord(query(1, "canceled", { ErrorName: `${ERRORS}Canceled` })), "");
    assert.equal(model.endWord(query(1, "errored", { ErrorName: `${ERRORS}ExecutionFailed`, ExitStatus: 3 })), "exit 3");
    assert.equal(model.endWord(query(1, "errored", { ErrorName: `${ERRORS}ExecutionFailed` })), "ExecutionFailed"); /* a signal */
    assert.equal(model.endWord(query(1, "errored", { ErrorName: `${ERRORS}MemoryLimitExceeded` })), "MemoryLimitExceeded");
    assert.equal(model.stateWord(query(1, "executing", { Frozen: true })), "frozen");
    assert.equal(model.stateLook(query(1, "some new state")), "plain");
});

test("a query is named by what a person knows it by", () => {
    assert.equal(model.nameOf(query(7, "executing"), "alice"), "Query 7 (sqlite of alice)");
});

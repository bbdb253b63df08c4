/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of the service above the tables: the budget in its parts, slots and queue. */
import { bar, byId, element, keyed, setBar, setText, show } from "./dom.js";
import { isInfinite, size, sizeIn } from "./format.js";

const PARTS = [["slots", "for slots"], ["lent", "lent on top"], ["pool", "in the pool"]];

const bars = {
    budget: byId("budget-bar").appendChild(bar(PARTS.map(([look]) => look))),
    slots: byId("slots-bar").appendChild(bar(["good"])),
    queue: byId("queue-bar").appendChild(bar(["waits"])),
};

function updateBudget(budget) {
    const amounts = [budget.forSlots, budget.lent, budget.pool];

    show(bars.budget, !budget.isUnlimited);
    show(byId("budget-legend"), !budget.isUnlimited);
    if (budget.isUnlimited) {
        setText(byId("budget-words"), `no limit; queries use ${size(budget.current)} of ${size(budget.quota)}`);
        return;
    }
    setText(byId("budget-words"), `${sizeIn(budget.used, budget.total)} of ${sizeIn(budget.total, budget.total)} used; ` +
        `queries use ${sizeIn(budget.current, budget.total)} of ${sizeIn(budget.quota, budget.total)}`);
    setBar(bars.budget, amounts.map(amount => amount * 100 / Math.max(1, budget.whole)));
    keyed(byId("budget-legend"), PARTS.map((part, i) => ({ look: part[0], text: part[1], amount: amounts[i] })),
          part => part.look,
          part => element("li", {}, element("span", { class: `sign ${part.look}`, "aria-hidden": "true" }), element("span")),
          (node, part) => setText(node.lastChild, `${sizeIn(part.amount, budget.total)} ${part.text}`));
}

function updateGauge(name, n, of, more) {
    setText(byId(`${name}-words`), `${isInfinite(of) ? `${n}, no limit` : `${n} of ${of}`}${more}`);
    setBar(bars[name], [isInfinite(of) ? 0 : n * 100 / Math.max(1, n, of)]);
}

export function updateHead(service, budget) {
    const waiting = service.Created + service.Compiling + service.Queueing;
    const words = service.ShuttingDown ? "Shut down: no query is accepted until systemctl restart penstockd"
        : service.Paused ? "Paused: no waiting query is started until penstockctl resume"
            : "Queries under a governed memory budget";

    setText(byId("head-words"), `${words} · version ${service.Version}`);
    byId("head-words").classList.toggle("warning", service.ShuttingDown || service.Paused);
    updateBudget(budget);
    updateGauge("slots", service.Executing, service.ConcurrencyQuota, budget.frozen > 0 ? `, ${budget.frozen} frozen` : "");
    updateGauge("queue", waiting, service.QueueSize, "");
}

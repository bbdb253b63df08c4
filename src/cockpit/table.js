/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table of queries that is brought up to date in place. On narrow screens each row is a card, which takes from the
 * elements what they are; so the roles are written down. */
import { element, keyed, setClass, setText, show } from "./dom.js";
import { ROWS_MAX } from "./model.js";

/* @columns: { heading, look?, text(query) } or { heading, look?, make(query, current), update(node, query) }; current(event) is the
 * query of the row in which it happened, as it is known by then.
 * @room: the width of the page, in CSS pixels, below which its rows are cards. */
export class Table {
    #columns;
    #queries = new WeakMap();
    #body;
    #table;
    #none;
    #more;

    constructor(container, titleId, columns, none, room) {
        const heading = column => element("th", { scope: "col", role: "columnheader", class: column.look ?? "" },
                                          column.heading);

        this.#columns = columns;
        this.#body = element("tbody", { role: "rowgroup" });
        this.#table = element("table", { role: "table", "aria-labelledby": titleId, class: "table" },
                              element("thead", { role: "rowgroup" },
                                      element("tr", { role: "row" }, ...columns.map(heading))), this.#body);
        this.#none = element("p", { class: "subtle" }, none);
        this.#more = element("p", { class: "subtle" });
        container.append(this.#table, this.#none, this.#more);

        const narrow = window.matchMedia(`(max-width: ${room - 1}px)`);
        const fit = () => this.#table.classList.toggle("cards", narrow.matches);
        narrow.addEventListener("change", fit);
        fit();
    }

    #current = event => this.#queries.get(event.currentTarget.closest("tr"));

    #make(query) {
        return element("tr", { role: "row" }, ...this.#columns.map(column =>
            element("td", { role: "cell", class: column.look ?? "", "data-label": column.heading },
                    column.make?.(query, this.#current))));
    }

    #update(row, query) {
        this.#queries.set(row, query);
        this.#columns.forEach((column, i) => {
            const cell = row.children[i];

            if (column.update)
                column.update(cell, query);
            else if (column.text)
                setText(cell, column.text(query));
            if (column.text || column.empty)
                setClass(cell, `${column.look ?? ""}${cell.textContent === "" ? " empty" : ""}`.trim());
        });
    }

    update(queries) {
        keyed(this.#body, queries.slice(0, ROWS_MAX), query => `${query.ID} ${query.CreatedUSec}`,
              query => this.#make(query), (row, query) => this.#update(row, query));
        show(this.#table, queries.length > 0);
        show(this.#none, queries.length === 0);
        show(this.#more, queries.length > ROWS_MAX);
        setText(this.#more, `${queries.length - ROWS_MAX} more: penstockctl list has all of them.`);
    }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Elements. Text of others (labels, users, languages, messages) becomes a text node and nothing else: there is no way
 * from here to a parser of HTML. */

/* element("td", { class: "number" }, "12", element(…)) */
export function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);

    for (const [key, value] of Object.entries(attributes))
        if (typeof value === "function")
            node.addEventListener(key, value);
        else if (value !== null && value !== false)
            node.setAttribute(key, value === true ? "" : value);
    node.append(...children.filter(child => child !== null && child !== undefined));
    return node;
}

export function byId(id) {
    return document.getElementById(id);
}

/* Written only when it is another one, so that a screen reader and a selection are left alone. */
export function setText(node, text) {
    if (node.textContent !== text)
        node.textContent = text;
}

export function setClass(node, text) {
    if (node.className !== text)
        node.className = text;
}

export function show(node, isShown) {
    if (node.hidden === isShown)
        node.hidden = !isShown;
}

/* A bar of parts in parts per hundred; the style by its object, which Cockpit's content policy lets pass. */
export function bar(looks) {
    return element("span", { class: "bar", "aria-hidden": "true" },
                   ...looks.map(look => element("span", { class: `part ${look}` })));
}

export function setBar(node, parts) {
    parts.forEach((part, i) => {
        const width = `${Math.max(0, Math.min(100, part)).toFixed(2)}%`;

        if (node.children[i].style.width !== width)
            node.children[i].style.width = width;
    });
}

/* Bring the children of @parent to one for each item, in their order, and keep those that are there: focus stays.
 * @make(item) makes one, @update(node, item) fills it. */
export function keyed(parent, items, keyOf, make, update) {
    const keys = new Set(items.map(item => String(keyOf(item))));
    const old = new Map();

    for (const node of [...parent.children])
        if (keys.has(node.dataset.key))
            old.set(node.dataset.key, node);
        else
            node.remove();
    let at = parent.firstElementChild;
    for (const item of items) {
        const key = String(keyOf(item));
        let node = old.get(key);

        if (!node) {
            node = make(item);
            node.dataset.key = key;
        }
        update(node, item);
        if (node === at)
            at = at.nextElementSibling;
        else
            parent.insertBefore(node, at);
    }
}

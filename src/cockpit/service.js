/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way to penstockd: whether it is there, and a connection to the one that is.
 *
 * The name can be activated, and a page that somebody happens to look at must not start a service that an administrator
 * stopped. So the bus is asked who owns the name, and calls go to that owner's unique name, which nothing activates: when
 * penstockd goes, the channel closes; when another one comes, NameOwnerChanged says so. */
/* global cockpit */
import { plain } from "./model.js";

const NAME = "org.penstock1";
const ROOT = "/org/penstock1";
const CONTROLLER = "org.penstock1.Controller";
const PROPERTIES = "org.freedesktop.DBus.Properties";
const BUS = "org.freedesktop.DBus";
const BUS_PATH = "/org/freedesktop/DBus";

/* As long as penstockd itself gives a search of its history, and more. */
const CALL_MSEC = 15000;

export class Service extends EventTarget {
    #bus = null;
    #client = null;
    #owner = "";

    /* "there" with the owner as detail ("" when it is away), "changed" when a query came, went or changed its state. */
    #say(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }

    get isThere() {
        return this.#client !== null;
    }

    /* Look for it, from now on. */
    open() {
        const bus = cockpit.dbus(BUS, { bus: "system" });

        this.#bus = bus;
        bus.subscribe({ path: BUS_PATH, interface: BUS, member: "NameOwnerChanged", arg0: NAME },
                      (path, iface, member, [, , owner]) => this.#follow(owner));
        bus.addEventListener("close", (event, options) => {
            if (bus === this.#bus && options?.problem)
                this.#say("trouble", options);
        });
        bus.call(BUS_PATH, BUS, "GetNameOwner", [NAME], { type: "s" })
                .then(([owner]) => bus === this.#bus && this.#follow(owner),
                      error => bus === this.#bus && (error.name === `${BUS}.Error.NameHasNoOwner` ? this.#follow("") :
                          this.#say("trouble", error)));
    }

    /* Nothing of it is left: no match, no channel, so that nobody does anything for a page that is not looked at. */
    close() {
        const bus = this.#bus;

        this.#bus = null;
        this.#leave();
        bus?.close();
    }

    #leave() {
        const client = this.#client;

        this.#client = null;
        this.#owner = "";
        client?.close();
    }

    #follow(owner) {
        if (owner !== "" && owner === this.#owner)
            return;
        this.#leave();
        if (owner !== "")
            this.#connect(owner);
        this.#say("there", owner);
    }

    /* "try": root's where the session has administrative access, so that an administrator may do all; the user's own
     * otherwise, and penstockd and polkit decide. */
    #connect(owner) {
        const client = cockpit.dbus(owner, { bus: "system", superuser: "try" });
        const changed = () => client === this.#client && this.#say("changed");

        this.#owner = owner;
        this.#client = client;
        client.subscribe({ path: ROOT, interface: CONTROLLER }, changed);
        client.subscribe({ path_namespace: `${ROOT}/query`, interface: PROPERTIES, member: "PropertiesChanged" }, changed);
        client.addEventListener("close", () => client === this.#client && this.#leave());
    }

    /* Asked of the bus: the user's own wish, with the button. */
    start() {
        return this.#bus.call(BUS_PATH, BUS, "StartServiceByName", [NAME, 0], { type: "su", timeout: CALL_MSEC * 4 });
    }

    #call(method, type, args, iface = CONTROLLER) {
        if (!this.#client)
            return Promise.reject({ problem: "disconnected", message: "penstockd is not running" });
        return this.#client.call(ROOT, iface, method, args, { type, timeout: CALL_MSEC });
    }

    async properties() {
        const [properties] = await this.#call("GetAll", "s", [CONTROLLER], PROPERTIES);

        return plain(properties);
    }

    async queries() {
        const [queries] = await this.#call("ListQueries", "", []);

        return queries.map(plain);
    }

    async describe(id) {
        const [description] = await this.#call("Describe", "t", [id]);

        return plain(description);
    }

    async history(limit) {
        const [queries] = await this.#call("History", "a{sv}", [{ limit: { t: "t", v: limit } }]);

        return queries.map(plain);
    }

    cancel(id) {
        return this.#call("CancelQuery", "t", [id]);
    }
}

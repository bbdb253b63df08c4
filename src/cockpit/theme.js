/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Light or dark: as chosen in Cockpit's menu, which keeps it where its own pages look for it, or else as the system is. */

const KEY = "shell:style";
const system = window.matchMedia("(prefers-color-scheme: dark)");

function apply(chosen) {
    const style = chosen ?? localStorage.getItem(KEY) ?? "auto";
    const isDark = style === "dark" || (style === "auto" && system.matches);

    document.documentElement.classList.toggle("pf-v6-theme-dark", isDark);
}

window.addEventListener("storage", event => event.key === KEY && apply());
window.addEventListener("cockpit-style", event => apply(event.detail?.style));
system.addEventListener("change", () => apply());
apply();

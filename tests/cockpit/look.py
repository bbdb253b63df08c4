# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can be measured of how the page looks: nothing is wider than it, and all text can be read."""

import os

from people import expect

WIDTHS = (1600, 800, 400)
CONTRAST_MIN = 4.5  # WCAG 2, level AA

# For each text its contrast with the first opaque background behind it, as WCAG computes it.
CONTRAST = """(() => {
    const channels = color => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = node => {
        for (let at = node; at; at = at.parentElement) {
            const color = channels(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] === 1)
                return color;
        }
        return [255, 255, 255];
    };
    const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walk.nextNode(); text; text = walk.nextNode()) {
        const node = text.parentElement;
        if (text.data.trim() === "" || !node.checkVisibility())
            continue;
        const [a, b] = [luminance(channels(getComputedStyle(node).color)), luminance(behind(node))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        found.push([ratio, text.data.trim().slice(0, 40)]);
    }
    return found.sort((a, b) => a[0] - b[0]);
})()"""

# Controls without a name, and images without words.
NAMELESS = """[...document.querySelectorAll("button, img, table, dialog[open]")].filter(node => node.checkVisibility())
    .filter(node => !(node.getAttribute("aria-label") || node.getAttribute("alt") || node.textContent.trim() ||
                      document.getElementById(node.getAttribute("aria-labelledby"))?.textContent))
    .map(node => node.outerHTML.slice(0, 100))"""


def look_at(page, name, pictures):
    """In all widths, light and dark. PICTURES: a directory for them, or None."""
    for is_dark in (False, True):
        page.dark(is_dark)
        shade = "dark" if is_dark else "light"
        page.wait(f"document.documentElement.classList.contains('pf-v6-theme-dark') === {str(is_dark).lower()}", f"it is {shade}")
        for width in WIDTHS:
            page.resize(width)
            where = f"{name}, {width} px, {shade}"
            # layout follows a frame later
            page.wait(f"window.innerWidth === {width}", f"it is {width} px wide")
            if pictures:
                is_dialog = page.value("!!document.querySelector('dialog[open]')")
                page.picture(os.path.join(pictures, f"{name}-{width}-{shade}.png"), full=not is_dialog)
            over = page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            expect(over <= 0, f"{where}: {over} px are beyond the right edge")
            texts = page.value(CONTRAST)
            expect(len(texts) > 4, f"{where}: hardly any text was found")
            expect(texts[0][0] >= CONTRAST_MIN, f"{where}: contrast {texts[0][0]:.2f} of {texts[0][1]!r}, below {CONTRAST_MIN}")
            expect(not page.value(NAMELESS), f"{where}: without a name: {page.value(NAMELESS)}")
    page.dark(False)
    page.resize(WIDTHS[0])

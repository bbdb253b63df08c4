#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the pages of the manual that say what stands elsewhere, as scdoc's source, from there.

Usage: man.py markdown TITLE(SECTION) SUMMARY SEE-ALSO FILE.md
       man.py dbus SEE-ALSO FILE.xml FILE.md
       man.py library SEE-ALSO FILE.h FILE.md
"""
import re
import sys
import xml.etree.ElementTree

SPECIAL = re.compile(r"([\\_*])")


def escape(text):
    return SPECIAL.sub(r"\\\1", text)


def inline(text):
    """Code and emphasis become bold, links their text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`|\*\*[^*]*\*\*)", text)
    return "".join(f"*{escape(p.strip('`*'))}*" if p[:1] == "`" or p[:2] == "**" else escape(p) for p in parts if p)


def line(text):
    """A line of text must not begin like a list, a table, a comment or a heading."""
    return "\\" + text if text[:1] in "-[]|;#.'" and text else text


def paragraph(lines):
    return line(inline(" ".join(t.strip() for t in lines))) + "\n"


def literal(lines):
    return "```\n" + "\n".join(lines).strip("\n") + "\n```\n"


def cells(row):
    return [c.strip() for c in re.split(r"(?<!\\)\|", row.strip())[1:-1]]


def table(rows):
    """Each row becomes a paragraph: the first cell, what the others are, and the last cell below it."""
    head, out = cells(rows[0]), []
    for row in map(cells, rows[2:]):
        facts = "; ".join(f"{h}: {c}" if h else c for h, c in list(zip(head, row))[1:-1] if c.strip("` "))
        first = row[0] if row[0].startswith("`") else f"**{row[0]}**"
        out.append(line(inline(first + (f" ({facts})" if facts else ""))) + "\n")
        if len(row) > 1 and row[-1].strip("` "):
            out.append(f"\t{line(inline(row[-1]))}\n")
        out.append("\n")
    return "".join(out)


def markdown(text):
    """The sections of a page of docs/, its title left out."""
    out, lines, i = [], text.split("\n"), 0
    while i < len(lines):
        start = i
        if lines[i].startswith("```"):
            i = lines.index("```", i + 1)
            out.append(literal(lines[start + 1 : i]))
            i += 1
        elif lines[i].startswith("    "):
            while i < len(lines) and (lines[i].startswith("    ") or (not lines[i] and lines[i + 1 : i + 2][:1] > [""])):
                if not lines[i].startswith("    ") and not lines[i + 1].startswith("    "):
                    break
                i += 1
            out.append(literal([t[4:] for t in lines[start:i]]))
        elif lines[i].startswith("|"):
            while i < len(lines) and lines[i].startswith("|"):
                i += 1
            out.append(table(lines[start:i]))
        elif lines[i].startswith("#"):
            level, _, title = lines[i].partition(" ")
            i += 1
            if len(level) == 1:
                continue
            title = title.replace("`", "")
            out.append(f"# {title.upper()}\n" if len(level) == 2 else f"## {title}\n")
        elif lines[i].startswith(("* ", "- ")):
            i += 1
            while i < len(lines) and lines[i].startswith("  "):
                i += 1
            out.append("- " + inline(" ".join([lines[start][2:], *(t.strip() for t in lines[start + 1 : i])])) + "\n")
            if i < len(lines) and lines[i].startswith(("* ", "- ")):
                continue
        elif lines[i]:
            while i < len(lines) and lines[i] and not lines[i].startswith(("|", "#", "```", "* ", "- ")):
                i += 1
            out.append(paragraph(lines[start:i]))
        else:
            i += 1
            continue
        out.append("\n")
    return "".join(out)


def page(title, summary, see_also, body):
    name = title.partition("(")[0]
    return (f'{title} "Penstock" "Penstock"\n\n# NAME\n\n{escape(name)} - {summary}\n\n{body}'
            f"# SEE ALSO\n\n{', '.join('*' + escape(s[:-3]) + '*' + s[-3:] for s in see_also.split())}\n")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def prose(comment, indent=""):
    """A comment's text: paragraphs, and lines that are set in columns as they are."""
    out, text = [], re.sub(r"^ *\* ?", "", comment, flags=re.M)
    lines = [t.rstrip() for t in text.strip("\n").split("\n")]
    margin = min((len(t) - len(t.lstrip()) for t in lines[1:] if t), default=0)
    lines = [lines[0].strip()] + [t[margin:] for t in lines[1:]]
    for part in "\n".join(lines).split("\n\n"):
        if re.search(r"^ .*\S {2,}\S", part, flags=re.M):
            out.append(literal(part.split("\n")))
        else:
            out.append(indent + line(escape(" ".join(part.split()))) + "\n")
        out.append("\n")
    return "".join(out)


def signature(member):
    """As busctl shows it: direction, type and name of each argument."""
    arguments = [f"{a.get('direction') or 'out'} {a.get('type')} {a.get('name')}" for a in member.iter("arg")]
    if member.tag == "property":
        return f"readonly {member.get('type')} {member.get('name')}"
    return f"{member.get('name')}({', '.join(arguments)})"


def dbus(see_also, xml_path, docs_path):
    parser = xml.etree.ElementTree.XMLParser(target=xml.etree.ElementTree.TreeBuilder(insert_comments=True))
    # What stands before the root is no part of the tree.
    text = read(xml_path)
    head = re.findall(r"<!--(.*?)-->", text.partition("<node>")[0], flags=re.S)[-1]
    out = ["# DESCRIPTION\n\n", prose(head)]
    root = xml.etree.ElementTree.fromstring(text, parser)
    before = ""
    for interface in root:
        if interface.tag is xml.etree.ElementTree.Comment:
            before = interface.text
            continue
        out.append(f"# INTERFACE {escape(interface.get('name'))}\n\n")
        out.append(prose(before) if before else "")
        comment = ""
        for member in interface:
            if member.tag is xml.etree.ElementTree.Comment:
                comment = member.text
                continue
            out.append(f"{member.tag} *{escape(signature(member))}*\n" + ("\n" if not comment else ""))
            out.append(prose(comment, "\t") if comment else "")
            comment = ""
    out.append(markdown(read(docs_path)))
    return page("org.penstock1(5)", "the D-Bus interface of Penstock", see_also, "".join(out))


def library(see_also, header_path, docs_path):
    text = read(header_path)
    head = re.search(r"/\* penstock: (.*?)\*/", text, flags=re.S)[1]
    out = ["# SYNOPSIS\n\n", literal(["#include <penstock.h>", "", "pkg-config --cflags --libs libpenstock"]), "\n# DESCRIPTION\n\n",
           prose(head)]
    for part in re.split(r"^/\* ---- ", text, flags=re.M)[1:]:
        title, _, body = part.partition("\n") if "---- */" in part.partition("\n")[0] else part.partition("----")
        out.append(f"# {title.partition(' ----')[0].strip().upper()}\n\n")
        body = re.sub(r"#ifdef __cplusplus.*?#endif\n|^#endif\n", "", body, flags=re.S | re.M)
        # A block is what stands together: a comment and what follows up to the next comment or empty line.
        for block in re.split(r"\n\n+|\n(?=/\*)", body.strip("\n")):
            comment = re.match(r"/\*(.*?)\*/\n?", block, flags=re.S)
            code = block[comment.end() :] if comment else block
            out.append(prose(comment[1]) if comment else "")
            out.append(literal(code.split("\n")) + "\n" if code.strip() else "")
    # What to know stands behind the examples, which are here in full.
    out.append(markdown(read(docs_path)))
    return page("libpenstock(3)", "submit queries to Penstock and manage them, in C", see_also, "".join(out))


def main(kind, *arguments):
    if kind == "markdown":
        title, summary, see_also, path = arguments
        return page(title, summary, see_also, "# DESCRIPTION\n\n" + markdown(read(path)))
    return {"dbus": dbus, "library": library}[kind](*arguments)


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]))

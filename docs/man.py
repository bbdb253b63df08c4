#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the pages of the manual that say what stands elsewhere, as scdoc's source, from there; and makes pages of such source.

Usage: man.py markdown TITLE(SECTION) SUMMARY SEE-ALSO FILE.md
       man.py dbus SEE-ALSO FILE.xml FILE.md
       man.py library SEE-ALSO FILE.h FILE.md
       man.py roff SCDOC FILE.scd
"""
import re
import subprocess
import sys
import xml.etree.ElementTree

SPECIAL = re.compile(r"([\\_*])")
# Which page says what a file of docs/ says; the others are installed as they are.
PAGES = {"configuration": "penstock.conf(5)", "languages": "penstock-languages(5)", "dbus": "org.penstock1(5)",
         "client": "libpenstock(3)", "simulation": "penstock-sim(1)"}
DOCS = "/usr/share/doc/penstock"
# What fits into 80 columns where a page shows code.
CODE_COLUMNS = 68
# Facts of a table's row that are longer stand below its name.
FACTS_COLUMNS = 60


def escape(text):
    return SPECIAL.sub(r"\\\1", text)


def reference(text):
    """A page's name is bold, its section is not."""
    return re.sub(r"\b([a-z][a-z0-9.-]*)(\([1-8]\))", r"*\1*\2", text)


def installed(text):
    """The name of a file of the source where whoever reads the page finds what it says."""
    found = re.fullmatch(r"docs/([a-z-]+)\.md", text)
    return text if not found else PAGES.get(found[1], f"{DOCS}/{found[1]}.md")


def code(text):
    text = installed(text)
    return reference(escape(text)) if re.fullmatch(r"[a-z0-9.-]+\([1-8]\)", text) else f"*{escape(text)}*"


def inline(text):
    """Code and strong words become bold, emphasis is underlined, links become their text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    out = []
    for part in re.split(r"(`[^`]*`|\*\*[^*]+\*\*|(?<![\w*])\*[^*\s][^*]*\*(?!\w))", text):
        if part[:1] == "`":
            out.append(code(part[1:-1]))
        elif part[:2] == "**" and len(part) > 4:
            out.append(f"*{escape(part[2:-2])}*")
        elif part[:1] == "*" and len(part) > 2:
            out.append(f"_{escape(part[1:-1])}_")
        else:
            out.append(reference(escape(re.sub(r"\bdocs/[a-z-]+\.md\b", lambda m: installed(m[0]), part))))
    return "".join(out)


def line(text):
    """A line of text must not begin like a list, a table, a comment or a heading."""
    return "\\" + text if text[:1] in "-[]|;#.'" and text else text


def paragraph(lines):
    return line(inline(" ".join(t.strip() for t in lines))) + "\n"


def literal(lines):
    return "```\n" + "\n".join(lines).strip("\n").replace("\\", "\\\\") + "\n```\n"


def cells(row):
    return [c.strip() for c in re.split(r"(?<!\\)\|", row.strip())[1:-1]]


def table(rows):
    """Each row becomes a paragraph: the first cell, what the others are, and the last cell below it."""
    head = cells(rows[0])
    body = [cells(row) for row in rows[2:]]
    facts = [[f"{h}: {c}" if h else c for h, c in list(zip(head, row))[1:-1] if c.strip("` ")] for row in body]
    are_long = head[-1] and any(len("; ".join(f)) > FACTS_COLUMNS for f in facts)
    out = []
    for row, found in zip(body, facts):
        first = row[0] if "`" in row[0] else f"**{row[0]}**"
        last = [row[-1]] if len(row) > 1 and row[-1].strip("` ") else []
        if are_long:
            last, found = found + [f"{head[-1]}: {c}" for c in last], []
        out.append(line(inline(first + (f" ({'; '.join(found)})" if found else ""))) + "\n")
        out += [f"\t{line(inline(c))}\n" + ("\n" if c is not last[-1] else "") for c in last] + ["\n"]
    return "".join(out)


def markdown(text):
    """The sections of a page of docs/, without its title and what is for readers of the source."""
    text = re.sub(r"<!-- not in the manual -->.*?<!-- in the manual -->\n", "", text, flags=re.S)
    out, lines, i = [], text.split("\n"), 0
    while i < len(lines):
        start = i
        if lines[i].startswith("```"):
            i = lines.index("```", i + 1)
            out.append(literal(re.sub(r"^( {8})+", lambda m: m[0][: len(m[0]) // 2], t) for t in lines[start + 1 : i]))
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
    others = ", ".join("*" + escape(s[:-3]) + "*" + s[-3:] for s in see_also.split() if s != title)
    return f'{title} "Penstock" "Penstock"\n\n# NAME\n\n{escape(name)} - {summary}\n\n{body}# SEE ALSO\n\n{others}\n'


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def columns(lines):
    """Names, their types, and what they are: a paragraph each. What is far to the right goes on with the line before."""
    entries = []
    for text in lines:
        if len(text) - len(text.lstrip()) > 20:
            entries[-1][-1] += " " + text.strip()
        else:
            entries.append(re.split(r" {2,}", text.strip()))
    return "".join(f"*{escape(name)}*" + (f" ({escape(rest[0])})" if rest else "") + "\n" +
                   (f"\t{line(inline(' '.join(rest[1:])))}\n" if rest[1:] else "") + "\n" for name, *rest in entries)


def prose(comment, indent=""):
    """A comment's text: paragraphs, and what is set in columns. Of a C comment, @name is an argument."""
    out, text = [], re.sub(r"^ *\* ?", "", comment, flags=re.M)
    text = re.sub(r"@(\w+)", r"*\1*", text)
    lines = [t.rstrip() for t in text.strip("\n").split("\n")]
    margin = min((len(t) - len(t.lstrip()) for t in lines[1:] if t), default=0)
    lines = [lines[0].strip()] + [t[margin:] for t in lines[1:]]
    for part in "\n".join(lines).split("\n\n"):
        if re.search(r"^ .*\S {2,}\S", part, flags=re.M):
            first, *rest = part.split("\n")
            out.append(line(inline(first)) + "\n\n" + columns(rest))
        else:
            out.append(indent + line(inline(" ".join(part.split()))) + "\n\n")
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
    out.append("# OBJECTS\n\n" + markdown(read(docs_path)))
    return page("org.penstock1(5)", "the D-Bus interface of Penstock", see_also, "".join(out))


def narrow(text):
    """C that fits: arguments in further lines, a comment behind a declaration before it."""
    out = []
    for whole in re.sub(r",\n {12,}", ", ", text).split("\n"):
        declaration, mark, comment = whole.partition(" /* ")
        declaration = declaration.rstrip()
        if mark and len(whole) > CODE_COLUMNS and declaration.endswith(";"):
            out.append(whole[: len(whole) - len(whole.lstrip())] + f"/* {comment}")
            whole = declaration
        if len(whole) <= CODE_COLUMNS or "(" not in whole:
            out.append(whole)
            continue
        start, *others = whole.split(", ")
        indent = start.index("(", start.index(")") if start.startswith("typedef") else 0) + 1
        indent = indent if indent <= CODE_COLUMNS // 2 + 6 else 8
        for argument in others:
            if len(start) + len(argument) + 3 > CODE_COLUMNS:
                out.append(start + ",")
                start = " " * indent + argument
            else:
                start += ", " + argument
        out.append(start)
    return out


def library_section(part):
    """What stands below a heading of the header: its comments, each with what it is about."""
    title, _, body = part.partition(" ----")
    title, _, more = title.partition(" (")
    out = [f"# {title.strip().upper()}\n\n", line(inline("Call " + more.removesuffix(")"))) + ".\n\n" if more else ""]
    head, end, body = body.partition("*/")
    out.append(prose(head) if head.strip() else "")
    body = re.sub(r"#ifdef __cplusplus.*?#endif\n|^#endif\n", "", body, flags=re.S | re.M)
    # A block is what stands together: a comment and what follows up to the next comment or empty line.
    for block in re.split(r"\n\n+|\n(?=/\*)", body.strip("\n")):
        comment = re.match(r"/\*(.*?)\*/\n?", block, flags=re.S)
        declarations = block[comment.end() :] if comment else block
        out.append(prose(comment[1]) if comment else "")
        out.append(literal(narrow(declarations)) + "\n" if declarations.strip() else "")
    return "".join(out)


def library(see_also, header_path, docs_path):
    text = read(header_path)
    head = re.search(r"/\* penstock: (.*?)\n \*\n \* docs/client\.md.*?\*/", text, flags=re.S)[1]
    out = ["# SYNOPSIS\n\n", literal(["#include <penstock.h>", "", "pkg-config --cflags --libs libpenstock"]), "\n# DESCRIPTION\n\n",
           prose(head[:1].upper() + head[1:])]
    out += [library_section(part) for part in re.split(r"^/\* ---- ", text, flags=re.M)[1:]]
    # What to know stands behind the examples, which are here in full.
    out.append(markdown(read(docs_path)))
    return page("libpenstock(3)", "submit queries to Penstock and manage them, in C", see_also, "".join(out))


def roff(scdoc, path):
    """scdoc turns hyphenation off before the title, which turns it on again: a name must not be broken in two. It ends what is
    indented with a paragraph inside, and begins sections with one: both are out of place."""
    with open(path, "rb") as f:
        text = subprocess.run([scdoc], stdin=f, stdout=subprocess.PIPE, check=True).stdout.decode()
    text = re.sub(r"^(\.TH .*)$", r"\1\n.nh\n.ad l", text, count=1, flags=re.M)
    text = re.sub(r"\n\n(?=\.RE\n)", "\n", text)
    text = re.sub(r"^(?:\.P\n)+\.RE\n", ".RE\n.P\n", text, flags=re.M)
    text = re.sub(r"^\.P\n(?=\.RS 4\n)", ".sp\n", text, flags=re.M)
    text = re.sub(r"^(?:\.P\n)+(?=\.(?:P|SH|SS)\b)", "", text, flags=re.M)
    return re.sub(r"^(\.S[HS] .*\n)(?:\.(?:P|sp)\n)+", r"\1", text, flags=re.M)


def main(kind, *arguments):
    if kind == "markdown":
        title, summary, see_also, path = arguments
        return page(title, summary, see_also, "# DESCRIPTION\n\n" + markdown(read(path)))
    return {"dbus": dbus, "library": library, "roff": roff}[kind](*arguments)


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]))

"""A page for each benchmark: its claims, bounds and figures, with machine and versions."""

import ast
import json

INTRODUCTION = """# All figures

Written when the site is built, from what the last run of each benchmark kept in `bench/results/`.
A figure has a bound that it *must* keep, one that it is to *reach*, or none. *Kept* counts the
first kind; those that are missed are said so. `python -m bench NAME` measures a line of this table
again, `make bench` all of them.

| benchmark | what it measures | bounds kept |
|---|---|---|
"""
PAGE = """# {name}

{about}

{table}

## Settings

{settings}

## Machine

{machine}
"""


def write_benchmarks(results, programs, folder):
    """Write a page for each file of results, and a table of contents.

    Parameters
    ----------
    results : list of Path
        What `bench.harness.Report.finish` wrote.
    programs : Path
        Folder of the programs that measured, whose docstrings say what.
    folder : Path
        Where the pages are written.
    """
    lines = []
    for path in results:
        kept = json.loads(path.read_text())
        name, rows = kept["name"], kept["rows"]
        about = ast.get_docstring(ast.parse((programs / f"{name}.py").read_text())).split("\n\n")
        bounded = [row["passed"] for row in rows if row["passed"] is not None]
        page = PAGE.format(
            name=name,
            about=about[0],
            table=write_rows(rows),
            settings=as_list(kept["settings"]),
            machine=as_list(describe(kept["environment"])),
        )
        (folder / f"{name}.md").write_text(page)
        share = f"{sum(bounded)} of {len(bounded)}" if bounded else "none set"
        lines.append(f"| [{name}]({name}.md) | {escape(about[0])} | {share} |")
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *(path.stem for path in results), "```"])
    (folder / "index.md").write_text(INTRODUCTION + "\n".join(lines) + f"\n\n{toctree}\n")


def write_rows(rows):
    """Table of claims; a bound is at least (≥) or at most (≤)."""
    lines = ["| claim | measured | | must | reach |", "|---|---|---|---|---|"]
    for row in rows:
        sign = "≥" if row["higher_is_better"] else "≤"
        must, reach = (
            "" if row[bound] is None else f"{sign}\N{NO-BREAK SPACE}{write_number(row[bound])}"
            for bound in ("must", "reach")
        )
        verdict = {None: "", True: "kept", False: "**missed**"}[row["passed"]]
        verdict = "reached" if row["reached"] else verdict
        figure = escape(f"{write_number(row['measured'])} {row['unit']}".strip())
        lines.append(f"| {escape(row['claim'])} | {figure} | {verdict} | {must} | {reach} |")
    return "\n".join(lines)


def write_number(number):
    """Four digits, or whole numbers in groups of three."""
    if number is None:
        return "none"
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e7 else f"{number:.4g}"


def describe(environment):
    """Facts of the machine that figures depend on."""
    versions = {k: v for k, v in environment["versions"].items() if v}
    return {
        "measured": environment["date"][:10],
        "processor": f"{environment['cpu']}, {environment['cores_used']} used",
        "system": f"{environment['system']}, Python {environment['python']}",
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }


def as_list(facts):
    """Facts by name, a line each."""
    return "\n".join(f"- **{escape(str(k))}**: {escape(str(v))}" for k, v in facts.items())


def escape(text):
    """Text in which Markdown sees no markup."""
    text = text.replace("\n", " ").replace("``", "`")
    return "".join("\\" + char if char in "|*_<[$" else char for char in text)

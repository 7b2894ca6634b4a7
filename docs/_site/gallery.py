"""Pages of the gallery, from the notebooks as they were executed and committed."""

import base64
import re

import nbformat

from _site.links import rewrite

INTRODUCTION = """# Gallery

Each page is a notebook of `examples/`, with its output. `make notebooks` executes them, and so does
continuous integration. Nothing is downloaded.

"""
CARD = """:::{{grid-item-card}} {title}
:img-top: {name}/0.png
:link: {name}
:link-type: doc

{summary}
:::
"""


def write_gallery(notebooks, folder):
    """Write a page for each notebook, and one of cards that lead there.

    Parameters
    ----------
    notebooks : list of Path
        Executed notebooks, each with a title, and a paragraph below it.
    folder : Path
        Where the pages are written, and their pictures, in a folder for each notebook.
    """
    cards = []
    for path in notebooks:
        cells = nbformat.read(path, as_version=4).cells
        (folder / path.stem).mkdir(parents=True, exist_ok=True)
        pictures = Pictures(folder / path.stem)
        page = "\n\n".join(write_cell(cell, pictures) for cell in cells)
        (folder / f"{path.stem}.md").write_text(rewrite(page, "examples") + "\n")
        title, paragraph, *_ = cells[0].source.removeprefix("# ").split("\n\n")
        summary = re.split(r"(?<=[.?]) ", paragraph.replace("\n", " "))[0]
        cards.append(CARD.format(title=title, name=path.stem, summary=summary))
    names = "\n".join(path.stem for path in notebooks)
    grid = f"::::{{grid}} 1 2 2 3\n:gutter: 3\n\n{''.join(cards)}::::\n\n"
    toctree = f"```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    (folder / "index.md").write_text(INTRODUCTION + grid + toctree)


class Pictures:
    """Writes pictures of one notebook, numbered, into a folder."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0

    def add(self, png):
        """Write a picture, and return the Markdown that shows it."""
        name = f"{self.folder.name}/{self.count}.png"
        (self.folder.parent / name).write_bytes(base64.b64decode(png))
        self.count += 1
        return f"![picture {self.count}]({name})"


def write_cell(cell, pictures):
    """Markdown of a cell and its outputs; printed lines that follow each other are one block."""
    if cell.cell_type != "code":
        return cell.source
    blocks, printed = [f"```python\n{cell.source}\n```"], ""
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            blocks += [*as_text(printed), pictures.add(data["image/png"])]
            printed = ""
        else:
            text = output.get("text", data.get("text/plain", "") + "\n")
            printed += "" if re.match(r"<.* at 0x[0-9a-f]+>$", text) else text
    return "\n\n".join([*blocks, *as_text(printed)])


def as_text(printed):
    """Fence what was printed; nothing if nothing was."""
    return [f"````text\n{printed.rstrip()}\n````"] if printed.strip() else []

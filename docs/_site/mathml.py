"""Equations as MathML, which browsers draw themselves: nothing is loaded from elsewhere."""

from docutils import nodes
from latex2mathml.converter import convert


def write_inline(translator, node):
    """Write an equation in a line of text."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def write_block(translator, node):
    """Write an equation on lines of its own; wide ones scroll."""
    text = node.astext()
    if "\\\\" in text and "\\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    translator.body.append(f'<div class="equation">{convert(text, display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Register the writers as `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

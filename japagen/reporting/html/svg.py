"""Figures as SVG embedded in a page: text stays text, colours follow the page's light or dark, ids are the figure's own.

Figures draw with the placeholder colours below; the page's style sheet gives their meaning. What matplotlib wrote is parsed and written
again, so whatever text a figure holds comes out as text.
"""

import io
import re
import unicodedata
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

INK, MUTED, PAPER = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0400{number:02x}" for number in range(8))
"""Placeholders for the page's --ink, --muted, --paper and --s0 to --s7."""
_VARIABLES = {INK: "--ink", MUTED: "--muted", PAPER: "--paper"} | {color: f"--s{number}" for number, color in enumerate(SERIES)}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "font.family": "sans-serif",
    "font.size": 11.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": MUTED,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
POINTS = 72.0
"""SVG units an inch."""


def draw_svg(name: str, title: str, width: float, height: float, draw: Callable[[Any], None]) -> Markup:
    """What `draw` does to a figure of width x height (SVG units), as an svg element.

    name: prefix of its ids, unique in the page. title: what it shows, for those who can't see it. The same input gives the same text.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that no font here has: the browser's fonts draw them
        figure = Figure(figsize=(width / POINTS, height / POINTS), dpi=POINTS)
        draw(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _tidy(buffer.getvalue(), name, title)


def text_width(text: str, size: float = 11.5) -> float:
    """About how wide a text is drawn, in SVG units; no font is asked, since the browser's is another."""
    return sum(size if unicodedata.east_asian_width(character) in "WF" else 0.58 * size for character in text)


def shorten(text: str, width: float, size: float = 11.5) -> str:
    """The text, or as much of it as fits, with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    kept = text
    while kept and text_width(kept, size) > width - size:
        kept = kept[:-1]
    return f"{kept}…"


def _tidy(content: bytes, name: str, title: str) -> Markup:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(content)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for attribute, value in element.attrib.items():
            element.set(attribute, _attribute(attribute, value, name))
    heading = ElementTree.Element(f"{{{_SVG}}}title")
    heading.text = title
    root.insert(0, heading)
    root.attrib.update({"role": "img", "aria-label": title, "width": root.get("width", "").removesuffix("pt"),
                        "height": root.get("height", "").removesuffix("pt")})  # fmt: skip
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _attribute(attribute: str, value: str, name: str) -> str:
    """Ids and references to them get the figure's name in front, placeholder colours become variables, fonts the page's."""
    local = attribute.rpartition("}")[2]
    if local == "id":
        return f"{name}-{value}"
    if local == "href":
        return f"#{name}-{value.removeprefix('#')}"
    value = value.replace("url(#", f"url(#{name}-")
    if local == "style":
        value = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)
    for color, variable in _VARIABLES.items():
        value = value.replace(color, f"var({variable})") if local == "style" else value
    return value

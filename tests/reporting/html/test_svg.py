"""Figures: text is text whatever it holds, colours follow the page, ids don't collide."""

from typing import Any
from xml.etree import ElementTree

from japagen.reporting.html.svg import INK, SERIES, draw_svg, shorten, text_width

HOSTILE = "<script>alert(1)</script> \"id='x'\" url(#a) #010101 $x_1$ 日本語"


def drawn(name: str = "f", text: str = HOSTILE) -> str:
    def draw(figure: Any) -> None:
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axes.plot([0, 1], [0, 1], color=SERIES[3], marker="o")
        axes.set_title(text, color=INK)

    return str(draw_svg(name, f"about {text}", 300, 200, draw))


def test_text_is_text() -> None:
    root = ElementTree.fromstring(drawn())
    texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
    assert HOSTILE in texts
    assert root.get("aria-label") == f"about {HOSTILE}"
    assert "<script" not in drawn()
    assert not [
        element.tag for element in root.iter() if element.tag.rpartition("}")[2] in ("script", "a", "foreignObject", "style", "metadata")
    ]


def test_colours_are_the_pages() -> None:
    attributes = " ".join(value for element in ElementTree.fromstring(drawn()).iter() for value in element.attrib.values())
    assert "var(--s3)" in attributes
    assert "var(--ink)" in attributes
    assert "#0400" not in attributes


def test_ids_are_the_figures_own_and_every_reference_leads_somewhere() -> None:
    for name in ("a", "b"):
        elements = list(ElementTree.fromstring(drawn(name)).iter())
        ids = [element.get("id") for element in elements if element.get("id")]
        assert len(set(ids)) == len(ids)
        assert all(id_ is not None and id_.startswith(f"{name}-") for id_ in ids)
        links = [value for element in elements for key, value in element.attrib.items() if key.endswith("href")]
        assert links
        assert all(link.removeprefix("#") in ids for link in links)


def test_the_same_figure_is_the_same_text() -> None:
    assert drawn() == drawn()


def test_long_names_are_cut_where_they_end() -> None:
    assert shorten("短い", 300) == "短い"
    cut = shorten("とても長い名前" * 20, 200)
    assert cut.endswith("…")
    assert text_width(cut) <= 200

"""HTML from functions: whatever is not markup yet is escaped on its way in.

Names of columns and levels come from files, and may hold anything. A plain string becomes text;
only what these functions return, which is ``Html``, goes in as it is.
"""

from collections.abc import Iterable, Sequence
from html import escape

VOID = frozenset({"br", "img", "link", "meta"})
"""Elements without an end tag."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(content: str) -> Html:
    """Return markup as it is and anything else escaped."""
    return content if isinstance(content, Html) else Html(escape(content))


def join(*contents: str) -> Html:
    """Put pieces one after another."""
    return Html("".join(map(text, contents)))


def tag(name: str, *contents: str, **attributes: object) -> Html:
    """Return an element.

    Examples
    --------
    >>> tag("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    if name in VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(*contents)}</{name}>")


def paragraph(*contents: str) -> Html:
    """Return a paragraph, nothing where there is nothing to say."""
    return tag("p", *contents) if any(contents) else Html("")


def note(*contents: str) -> Html:
    """Return a paragraph in smaller letters."""
    return tag("p", *contents, class_="note")


def section(anchor: str, title: str, *contents: str) -> Html:
    """Return a section under a heading of the second level."""
    heading = tag("h2", title, id=f"{anchor}-title")
    return tag("section", heading, *contents, id=anchor, aria_labelledby=f"{anchor}-title")


def part(title: str, *contents: str) -> Html:
    """Return what stands under a heading of the third level."""
    return join(tag("h3", title), *contents)


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[int] = ()
) -> Html:
    """Return a table in a box of its own, in which it scrolls where the page is narrow.

    The first column names the rows. Columns are numbers, aligned to the right, except those at
    the positions in ``words``.
    """
    left = {0, *words}
    kinds = ["word" if position in left else "number" for position in range(len(heads))]
    head = [
        tag("th", *cell, scope="col", class_=kind) for *cell, kind in zip(heads, kinds, strict=True)
    ]
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row", class_="word")
                if position == 0
                else tag("td", cell, class_=kinds[position])
                for position, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    inner = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
    )
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)


def chips(names: Sequence[str], most: int = 8) -> Html:
    """Return names one after another, each in a frame, and the number of those that are left."""
    shown = [tag("span", name, class_="chip") for name in names[:most]]
    if len(names) > most:
        shown.append(tag("span", f"and {len(names) - most} more", class_="more"))
    return Html(" ".join(shown))

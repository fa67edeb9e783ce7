"""Makes the docstrings safe for Markdown: [*A, B, S] is no emphasis, and x[i][j] is no link."""

import re
from typing import Any

import griffe

CODE = r"`[^`]*`|^ {4}.*$"
MATHEMATICS = re.compile(rf"{CODE}|(?P<star>\[\*)|(?P<link>\]\[)", re.MULTILINE)


class Shapes(griffe.Extension):
    """Escapes the star at the start of a shape, and the brackets of a double index, except in code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = MATHEMATICS.sub(escape, obj.docstring.value)


def escape(match: re.Match[str]) -> str:
    """The text as Markdown that shows it as it is."""
    if match["star"]:
        return r"[\*"
    return r"]\[" if match["link"] else match[0]

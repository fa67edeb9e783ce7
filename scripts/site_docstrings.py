"""Makes the docstrings safe for Markdown: a shape such as [*A, B, S] is no emphasis."""

from typing import Any

import griffe


class Shapes(griffe.Extension):
    """Escapes the star at the start of a shape, except in code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            parts = obj.docstring.value.split("`")
            parts[::2] = [part.replace("[*", r"[\*") for part in parts[::2]]
            obj.docstring.value = "`".join(parts)

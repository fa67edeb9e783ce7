"""Hooks of the documentation site: pages that are generated, and links that lead out of the folder docs.

The Markdown files are written for GitHub. Here README.md becomes the home page, every room of the package gets a page
of its API, and a link to a source file becomes a link to the API of that module.
"""

import logging
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "bn_mappo"
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<target>[^()\s#]+)(?P<anchor>#[^()\s]*)?\)")

log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of files outside the folder docs."""
    for uri, name in PAGES.items():
        files.append(File.generated(config, uri, content=_from_root(ROOT / name)))
    for title, uri in _api_pages(config["nav"]):
        files.append(File.generated(config, uri, content=_api_page(title, Path(uri).stem)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that lead out of the folder docs into links of the site, or else into plain text."""
    here = posixpath.dirname(page.file.src_uri)

    def replace(match: re.Match[str]) -> str:
        text, target, anchor = match["text"], match["target"], match["anchor"] or ""
        path = posixpath.normpath(posixpath.join("docs", here, target))
        if "://" in target or (path.startswith("docs/") and not (ROOT / path).is_dir()):
            return match[0]
        if not (ROOT / path).exists():
            log.warning("'%s' links to '%s', which is not in the repository", page.file.src_uri, target)
            return text
        for uri, name in PAGES.items():
            if path == name:
                return f"[{text}]({posixpath.relpath(uri, here or '.')}{anchor})"
        module = path.removesuffix(".py").removesuffix("/__init__").split("/")
        uri = f"api/{module[1] if len(module) > 2 else 'library'}.md"
        if path.startswith("src/") and path.endswith(".py") and files.get_file_from_path(uri):
            return f"[{text}]({posixpath.relpath(uri, here or '.')}#{'.'.join([PACKAGE, *module[1:]])})"
        return text if text.startswith("`") else f"`{text}`"

    return LINK.sub(replace, markdown)


def _from_root(file: Path) -> str:
    """A page of the repository's root, with its links as seen from the folder docs."""

    def move(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        return f"]({posixpath.relpath(target, 'docs')})"

    return re.sub(r"\]\((?P<target>[^()\s]+)\)", move, file.read_text(encoding="utf-8"))


def _api_pages(nav: list[Any]) -> Iterator[tuple[str, str]]:
    """Titles and files of the reference pages that the navigation names."""
    for entry in nav:
        for title, value in entry.items():
            if isinstance(value, list):
                yield from _api_pages(value)
            elif value.startswith("api/"):
                yield title, value


def _api_page(title: str, room: str) -> str:
    """One heading for each module of the room."""
    if room == "library":
        modules = [f"{PACKAGE}.api"]
        introduction = f"For scripts and notebooks. `{PACKAGE}.NAME` is short for `{PACKAGE}.api.NAME`."
    else:
        paths = sorted((ROOT / "src" / room).rglob("*.py"), key=lambda path: (len(path.parts), path))
        modules = [".".join([PACKAGE, *path.relative_to(ROOT / "src").with_suffix("").parts]) for path in paths]
        modules = [module for module in modules if not module.endswith(("__init__", "__main__"))]
        introduction = f"The package `{PACKAGE}.{room}`."
    options = "    options:\n      show_submodules: false\n"
    return f"# {title}\n\n{introduction}\n\n" + "\n".join(f"::: {module}\n{options}" for module in modules)

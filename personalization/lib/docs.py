"""Pages of docs/ as HTML, for the help pages of the admin; only files that exist can be named."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from personalization.lib.errors import NotFound

_LOCAL_LINK = re.compile(r"(?!\w+:|/|#)(?P<path>[^#]+)\.md(?P<anchor>#.*)?")


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its first heading, and HTML without a tag that its author wrote."""

    title: str
    html: SafeString


def page(name: str) -> Page:
    """Return `docs/<name>.md`, or `<name>.md` of the repository's root.

    Raises
    ------
    NotFound
        There is no such page.
    """
    path = _pages().get(name)
    if path is None:
        msg = f"there is no page {name!r}"
        raise NotFound(msg)
    return _render(name, path, path.stat().st_mtime_ns)


def _pages() -> dict[str, Path]:
    root = Path(settings.BASE_DIR)
    found = {path.stem: path for path in root.glob("*.md")}
    return found | {
        path.relative_to(root / "docs").with_suffix("").as_posix(): path
        for path in (root / "docs").rglob("*.md")
    }


@lru_cache(maxsize=64)
def _render(name: str, path: Path, _changed_ns: int) -> Page:
    # html=False escapes raw tags: what a page can contain is what Markdown can say.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(path.read_text(encoding="utf-8"))
    title = path.stem
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            words = _text(tokens[index + 1])
            token.attrSet("id", slug(words))
            title = words if token.tag == "h1" and title == path.stem else title
        _relink(token, name)
    html = markdown.renderer.render(tokens, markdown.options, {})
    # Long lines and wide tables scroll: a keyboard must get there, too. Text cannot hold the tag,
    # it is escaped.
    html = html.replace("<pre>", '<pre tabindex="0" role="region" aria-label="Code">')
    html = html.replace("<table>", '<table tabindex="0">')
    return Page(title=title, html=mark_safe(html))  # noqa: S308 -- rendered from files of the repository, raw HTML off


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _text(inline: Token) -> str:
    return "".join(part.content for part in inline.children or ())


def _relink(token: Token, name: str) -> None:
    """Point links between pages at help pages; drop images, which the admin does not serve."""
    for child in token.children or ():
        if child.type == "link_open":
            match = _LOCAL_LINK.fullmatch(str(child.attrGet("href") or ""))
            if match:
                child.attrSet("href", _help_path(name, match["path"]) + (match["anchor"] or ""))
        elif child.type == "image":
            child.type, child.tag = "text", ""


def _help_path(name: str, link: str) -> str:
    """Return the address of the page that `link`, written in page `name`, means."""
    at_root = (Path(settings.BASE_DIR) / f"{name}.md").exists()
    folder = PurePosixPath("/") if at_root else PurePosixPath("/docs") / PurePosixPath(name).parent
    parts: list[str] = []
    for part in (folder / link).parts[1:]:
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return reverse("admin:help", kwargs={"page": "/".join(parts).removeprefix("docs/")})

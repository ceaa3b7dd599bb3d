"""Pages of docs/ as HTML, for the help pages of the admin; only files that exist can be named."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from personalization.lib.errors import NotFound

_LOCAL_LINK = re.compile(r"(?!\w+:|/|#)(?P<path>[^#]+)(?P<anchor>#.*)?")
_PICTURES = "docs/images"


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its first heading, and HTML without a tag that its author wrote."""

    title: str
    html: SafeString


def page(name: str) -> Page:
    """Return `docs/<name>.md`, `<name>.md` of the repository's root, or the index of a folder.

    Raises
    ------
    NotFound
        There is no such page.
    """
    known = _pages()
    if name in known:
        return _render(name, known[name], known[name].stat().st_mtime_ns)
    inside = {key: path for key, path in known.items() if key.rpartition("/")[0] == name}
    if not name or not inside:
        msg = f"there is no page {name!r}"
        raise NotFound(msg)
    return _index(name, inside)


def picture(name: str) -> Path:
    """Return the file of a picture of the pages.

    Raises
    ------
    NotFound
        There is no such picture.
    """
    for path in (Path(settings.BASE_DIR) / _PICTURES).glob("*.png"):
        if path.name == name:
            return path
    msg = f"there is no picture {name!r}"
    raise NotFound(msg)


def _pages() -> dict[str, Path]:
    root = Path(settings.BASE_DIR)
    found = {path.stem: path for path in root.glob("*.md")}
    return found | {
        path.relative_to(root / "docs").with_suffix("").as_posix(): path
        for path in (root / "docs").rglob("*.md")
    }


def _index(name: str, pages: dict[str, Path]) -> Page:
    """Return the list of a folder's pages by their titles."""
    title = name.rpartition("/")[2].replace("-", " ").capitalize()
    found = [(page(key).title, key) for key in sorted(pages)]
    lines = format_html_join(
        "", '<li><a href="{}">{}</a></li>', ((_address(key), words) for words, key in found)
    )
    return Page(title=title, html=format_html("<h1>{}</h1><ul>{}</ul>", title, lines))


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
    """Point links between pages and pictures at the admin's own; leave out what it has not."""
    gone = False
    for child in token.children or ():
        if child.type == "link_open":
            match = _LOCAL_LINK.fullmatch(str(child.attrGet("href") or ""))
            address = _help_address(name, match["path"]) if match else "#"
            gone = not address
            if match and address:
                child.attrSet("href", address + (match["anchor"] or ""))
        elif child.type == "image":
            _show(child, name)
        if gone and child.type in ("link_open", "link_close"):
            # a file that is no page: its name stays, without a link that leads nowhere
            gone = child.type == "link_open"
            child.type, child.tag, child.nesting = "text", "", 0


def _show(image: Token, name: str) -> None:
    """Point a picture at the admin's copy; one that it has not goes, with its words."""
    path = _resolved(name, str(image.attrGet("src") or ""))
    try:
        file = picture(path.removeprefix(f"{_PICTURES}/"))
    except NotFound:
        image.type, image.tag, image.children, image.content = "text", "", None, ""
        return
    image.attrSet("src", reverse("admin:help_picture", kwargs={"name": file.name}))


def _help_address(name: str, link: str) -> str:
    """Return the address of the page or folder that a link in page `name` means; "" for none."""
    path = _resolved(name, link)
    page_name = path.removesuffix(".md").removeprefix("docs/")
    if path.endswith(".md"):
        return _address(page_name)
    folder = Path(settings.BASE_DIR) / path
    held = path.startswith("docs/") and folder.is_dir() and any(folder.glob("*.md"))
    return _address(page_name) if held else ""


def _address(page_name: str) -> str:
    return reverse("admin:help", kwargs={"page": page_name})


def _resolved(name: str, link: str) -> str:
    """Return the path from the repository's root that `link`, written in page `name`, means."""
    at_root = (Path(settings.BASE_DIR) / f"{name}.md").exists()
    folder = PurePosixPath("/") if at_root else PurePosixPath("/docs") / PurePosixPath(name).parent
    parts: list[str] = []
    for part in (folder / link).parts[1:]:
        if part == "..":
            del parts[-1:]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)

"""HTML as a person reads it, in plain text: paragraphs, line breaks, links as their address."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from urllib.parse import urlsplit

MAX_HTML = 200_000  # characters looked at: more is no post
_UNSEEN = {"script", "style", "template", "head"}
_BLOCKS = {"p", "div", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6"}
_SPACES = re.compile(r"[ \t\r\n\f]+")


def plain(html: str, *, mention: Callable[[str], str | None] = lambda href: None) -> str:
    """Return *html* as text. mention: href -> what stands for it (``@user@host``), None for a plain link."""
    reader = _Reader(mention)
    reader.feed(html[:MAX_HTML])
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self, mention: Callable[[str], str | None]) -> None:
        super().__init__(convert_charrefs=True)
        self._mention = mention
        self._parts: list[str] = []
        self._unseen: list[str] = []  # open elements whose text nobody sees
        self._link: tuple[str, int] | None = None  # what stands for the open link, and where its own text began

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        kinds = (dict(attrs).get("class") or "").split()
        # quote-inline: the line Mastodon adds for servers that cannot show a quote.
        if self._unseen or tag in _UNSEEN or "quote-inline" in kinds:
            if tag not in {"br", "img", "hr", "wbr", "input"}:
                self._unseen.append(tag)
        elif tag == "br":
            self._parts.append("\n")
        elif tag == "li":
            self._parts.append("\n- ")
        elif tag in _BLOCKS:
            self._parts.append("\n\n")
        elif tag == "a":
            self._link = (self._address(dict(attrs).get("href") or "", kinds), len(self._parts))

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            if tag in self._unseen:
                while self._unseen.pop() != tag:
                    pass
        elif tag == "a" and self._link is not None:
            (address, start), self._link = self._link, None
            if address:
                self._parts[start:] = [address]
        elif tag in _BLOCKS:
            self._parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._parts.append(_SPACES.sub(" ", data))

    def parse_html_declaration(self, i: int) -> int:
        """Step over what only looks like a declaration ("<![;"), which the parser of Python 3.11 breaks on."""
        try:
            return super().parse_html_declaration(i)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def text(self) -> str:
        lines = "".join(self._parts).split("\n")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip(" ") for line in lines)).strip()

    def _address(self, href: str, kinds: Sequence[str]) -> str:
        """Return what to show for a link; "" for its own text."""
        if "hashtag" in kinds:
            return ""
        if "mention" in kinds:
            return self._mention(href) or ""
        return href if is_web(href) else ""


def is_web(address: str) -> bool:
    """Return whether *address* is an absolute http or https address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)

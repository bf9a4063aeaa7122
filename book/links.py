"""Fails if a link of an HTML page below the folder leads nowhere in it. Links elsewhere are not followed."""
import html.parser
import sys
import urllib.parse
from pathlib import Path


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name"):
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


top = Path(sys.argv[1]).resolve()
pages = {path: Page(path.read_text()) for path in top.rglob("*.html")}
dead, count = [], 0
for path, page in pages.items():
    # Its links are made for any depth of folders.
    if path.name in ("404.html", "toc.html"):
        continue
    for link in page.links:
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        count += 1
        to = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
        if to.is_dir():
            to = to / "index.html"
        anchor = urllib.parse.unquote(parts.fragment)
        if not to.exists() or (anchor and to in pages and anchor not in pages[to].ids):
            dead.append(f"{path.relative_to(top)}: {link}")
print(f"{len(pages)} pages, {count} links, {len(dead)} of them dead")
sys.exit("\n".join(dead) if dead else 0)

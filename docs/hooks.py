"""A hook of mkdocs. On the site, links to files outside the folder docs lead to the repository."""

from __future__ import annotations

import re
from typing import Any

_LEAVES_DOCS = re.compile(r"\]\((?:\.\./)+([^)\s]+)\)")


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Rewrite the links of a page. mkdocs calls this for each page before it converts the page to HTML."""
    return _LEAVES_DOCS.sub(rf"]({config['repo_url']}/blob/main/\1)", markdown)

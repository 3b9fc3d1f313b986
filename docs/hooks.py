"""A hook of mkdocs: links that leave the folder docs lead to the repository on the site."""

from __future__ import annotations

import re
from typing import Any

_LEAVES_DOCS = re.compile(r"\]\((?:\.\./)+([^)\s]+)\)")


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Rewrite the text of a page. mkdocs calls this for each page, before it makes HTML of it."""
    return _LEAVES_DOCS.sub(rf"]({config['repo_url']}/blob/main/\1)", markdown)

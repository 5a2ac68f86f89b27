"""Turn templates into pages. By construction no text reaches one as markup, nor with anything unseen in it.

Every value that a template writes is passed through `plain` (invisible and reordering characters are spelled out) and
then escaped; there is no way around either but a template's own words.
"""

import hashlib
import importlib.resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from ..approvals.plain import plain
from .site import ROOT

FILES = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
A_YEAR = "public, max-age=31536000, immutable"  # the address of a file names its content


class Pages:
    """The templates and the files beside them, read once."""

    def __init__(self, template_package: str = "pdp.console") -> None:
        static = importlib.resources.files("pdp.console") / "static"
        self._files = {name: (static / name).read_bytes() for name in FILES}
        self._templates = Environment(
            loader=PackageLoader(template_package),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(root=ROOT, file=self._address)

    def page(self, name: str, status: int = 200, **values: Any) -> Response:
        """Return a page from the template `name`."""
        return HTMLResponse(self._templates.get_template(name).render(values), status)

    def file(self, name: str, version: str) -> Response | None:
        """Return a file that pages refer to; None when there is none of that name and content."""
        if name not in FILES or version != self._version(name):
            return None
        return Response(self._files[name], media_type=FILES[name], headers={"Cache-Control": A_YEAR})

    def _address(self, name: str) -> str:
        return f"{ROOT}/static/{self._version(name)}/{name}"

    def _version(self, name: str) -> str:
        return hashlib.sha256(self._files[name]).hexdigest()[:16]


def _shown(value: Any) -> Any:
    """Return what is written of a value: text without anything unseen, markup of our own templates as it is."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

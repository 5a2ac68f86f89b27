"""A web server on loopback that serves what a test puts into `pages`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Website(ThreadingHTTPServer):
    """Serves `pages` (path -> body); a path in `redirects` sends the reader on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []
        self.posted: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """Return the address of this server, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"


class Page(BaseHTTPRequestHandler):
    """Answers one GET, or one POST, of which it keeps the Authorization header and the body."""

    server: Website

    def do_GET(self) -> None:
        """Answer with the page, a redirect, or 404."""
        self.server.asked.append(self.path)
        body = self.server.pages.get(self.path)
        if self.path in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[self.path])
            body = b""
        else:
            self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def do_POST(self) -> None:
        """Keep what was sent, and answer as to a GET."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posted.append((self.headers.get("Authorization", ""), body))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Website]:
    """Run a website in a thread."""
    with Website() as website:
        thread = threading.Thread(target=website.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield website
        finally:
            website.shutdown()
            thread.join()

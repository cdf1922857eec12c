"""A stand-in for a publisher's server, on this machine."""

import hashlib
import http.server
import threading
from contextlib import contextmanager

CONTENT = bytes(range(256)) * 64
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@contextmanager
def server(*, ranges=True, content=CONTENT, status=200, cut=0, location=""):
    """A stand-in for the publisher; `requests` collects what was asked of it."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append((self.path, dict(self.headers)))
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and ranges else 0
            if location:
                self.send_response(302)
                self.send_header("Location", location)
                self.end_headers()
                return
            if status != 200:
                self.send_error(status)
                return
            if start >= len(content):
                self.send_error(416)
                return
            body = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - cut] if cut else body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/set.zip", requests
        finally:
            httpd.shutdown()
            thread.join()

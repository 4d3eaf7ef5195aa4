"""A bucket on this machine that fails in the ways that networks do."""

import base64
import collections
import contextlib
import hashlib
import http.server
import json
import threading
import urllib.parse

import google_crc32c

NAME = "in-silico-labeling"


class FakeBucket:
    """Serves `files`; `faults` says what goes wrong next with a name.

    A fault is a status (503), a number of bytes after which the connection
    drops, as `("drop", 100)`, `"ignore_range"`, or `("send", bytes)`.
    `checksums` are those that the listing tells, `page_size` its length.
    """

    def __init__(self, files, checksums=("md5Hash", "crc32c"), page_size=1000):
        self.files = dict(files)
        self.checksums = checksums
        self.page_size = page_size
        self.faults = collections.defaultdict(collections.deque)
        self.requests = []  # Pairs of name and Range; "" is the listing.
        self.url = None
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def describe(self, name):
        content = self.files[name]
        sums = {
            "md5Hash": hashlib.md5(content).digest(),
            "crc32c": google_crc32c.Checksum(content).digest(),
        }
        item = {"name": name, "size": str(len(content))}
        for key in self.checksums:
            item[key] = base64.b64encode(sums[key]).decode()
        return item

    def ranges(self, name):
        return [first for asked, first in self.requests if asked == name]

    def answer(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        place, _, quoted = url.path.partition(f"/storage/v1/b/{NAME}/o")
        assert place == ""
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        name = urllib.parse.unquote(quoted.removeprefix("/"))
        assert "/" not in quoted.removeprefix("/")
        with self._lock:
            self.requests.append((name, handler.headers.get("Range")))
            fault = self.faults[name].popleft() if self.faults[name] else None
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if isinstance(fault, int):
                handler.send_error(fault)
            elif name:
                assert query == {"alt": "media"}
                self._send_file(handler, name, fault)
            else:
                self._send_page(handler, query, fault)
        finally:
            with self._lock:
                self._at_once -= 1

    def _send_page(self, handler, query, fault):
        names = [n for n in sorted(self.files) if n.startswith(query["prefix"])]
        first = int(query.get("pageToken", 0))
        end = first + self.page_size
        page = {}
        if names:
            page["items"] = [self.describe(name) for name in names[first:end]]
        if end < len(names):
            page["nextPageToken"] = str(end)
        self._send(handler, 200, json.dumps(page).encode(), fault)

    def _send_file(self, handler, name, fault):
        if name not in self.files:
            handler.send_error(404)
            return
        content, headers = self.files[name], {}
        asked = handler.headers.get("Range")
        if asked and fault != "ignore_range":
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = (
                f"bytes {first}-{len(content) - 1}/{len(content)}"
            )
            content = content[first:]
        status = 206 if headers else 200
        self._send(handler, status, content, fault, headers)

    @staticmethod
    def _send(handler, status, content, fault, headers=None):
        sent = content
        if isinstance(fault, tuple):
            kind, value = fault
            sent = content[:value] if kind == "drop" else value
            content = content if kind == "drop" else value
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        for key, value in (headers or {}).items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(sent)


@contextlib.contextmanager
def serve(bucket):
    """Serves a bucket until the block ends; its `url` tells where."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            bucket.answer(self)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

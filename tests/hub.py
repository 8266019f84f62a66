"""A Hub on this machine: the few answers of the real one's HTTP interface that opening a model asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c0ffee" + "0" * 34


@contextmanager
def serving(repositories: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """Serve directories as models; yields the address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            for name, directory in repositories.items():
                files = sorted(file.name for file in directory.iterdir())
                if path.startswith(f"/api/models/{name}"):
                    told = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
                    if "/tree/" in path:
                        told = [{"type": "file", "path": file, "size": 1, "oid": "0"} for file in files]
                    return self.send(json.dumps(told).encode(), "application/json")
                for file in files:
                    if path in (f"/{name}/resolve/{COMMIT}/{file}", f"/{name}/resolve/main/{file}"):
                        return self.send((directory / file).read_bytes(), "application/octet-stream")
            self.send(b'{"error": "Repository not found"}', "application/json", 404)

        def send(self, body: bytes, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 200:
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            else:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()

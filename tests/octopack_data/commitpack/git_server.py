"""Repositories made for tests, and a server for them on the loopback that can also misbehave."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "C",
    "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_AUTHOR_DATE": "2015-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2015-01-01T00:00:00Z",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENVIRONMENT, input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@dataclass(frozen=True)
class Change:
    """One commit: the message and the files it writes; None deletes, a mode may be given with the bytes."""

    files: dict[str, bytes | tuple[str, bytes] | None]
    message: str = "Change"


def make_repository(root: Path, name: str, changes: Sequence[Change]) -> list[str]:
    """Write a bare repository with one commit after the other (fast-import); return the ids."""
    folder = root / f"{name}.git"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare")
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    stream: list[bytes] = []
    for number, change in enumerate(changes, start=1):
        message = change.message.encode()
        stream += [b"commit refs/heads/main\nmark :%d\n" % number, b"committer C <c@example.org> %d +0000\n" % number]
        stream += [b"data %d\n" % len(message), message, b"\n"]
        for path, content in change.files.items():
            quoted = b'"' + path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
            if content is None:
                stream += [b"D ", quoted, b"\n"]
                continue
            mode, data = content if isinstance(content, tuple) else ("100644", content)
            if mode == "160000":
                stream += [b"M 160000 ", data, b" ", quoted, b"\n"]
            else:
                stream += [f"M {mode} inline ".encode(), quoted, b"\ndata %d\n" % len(data), data, b"\n"]
    git(folder, "fast-import", "--quiet", "--export-marks=marks", stdin=b"".join(stream))
    marks = dict(line.split() for line in (folder / "marks").read_text().splitlines())
    return [marks[f":{number}"] for number in range(1, len(changes) + 1)]


@dataclass
class Server:
    """What the server does besides serving: answers by repository, and notes of what it was asked."""

    root: Path
    port: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    authorizations: set[str | None] = field(default_factory=set)
    times: list[float] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)  # used up one by one; 0 serves
    always: dict[str, int] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    hang: set[str] = field(default_factory=set)
    garbage: set[str] = field(default_factory=set)
    cut: dict[str, int] = field(default_factory=dict)
    chatter: dict[str, bytes] = field(default_factory=dict)

    @property
    def template(self) -> str:
        return f"http://127.0.0.1:{self.port}/{{repo}}.git"


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        state = self.server.state
        path, _, query = self.path.partition("?")
        name = path.lstrip("/").partition(".git/")[0]
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        state.requests[name] += 1
        state.authorizations.add(self.headers.get("Authorization"))
        state.times.append(time.monotonic())
        if name in state.hang:
            time.sleep(30)
            return
        waiting = state.statuses.get(name)
        status = waiting.pop(0) if waiting else state.always.get(name, 0)
        if status:
            self.send_response(status)
            for key, value in state.headers.get(name, {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not (state.root / f"{name}.git").is_dir():
            self.send_error(404)
            return
        self._backend(state, name, path, query, body)

    def _backend(self, state: Server, name: str, path: str, query: str, body: bytes) -> None:
        environment = ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").splitlines() if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        if self.command == "POST" and name in state.garbage:
            content = b"0008NAK\n" + b"\xff" * 2000
        if self.command == "POST" and name in state.cut:
            content = content[: state.cut[name]]
        if self.command == "POST" and name in state.chatter:
            words = state.chatter[name]
            packets = b"".join(
                b"%04x\x02" % (len(part) + 5) + part
                for part in (words[at : at + 60_000] for at in range(0, len(words), 60_000))
            )
            content = content.replace(b"000dpackfile\n", b"000dpackfile\n" + packets, 1)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    state: Server

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that was killed is part of the tests


@contextmanager
def serve(root: Path) -> Iterator[Server]:
    """Serve the repositories below `root` over HTTP on a free port of the loopback."""
    http = _Http(("127.0.0.1", 0), _Handler)
    http.state = Server(root, http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield http.state
    finally:
        http.shutdown()
        http.server_close()

"""Fetches commits and reads files with git, with everything switched off that a hostile repository could use.

There is never a work tree, so no hook, filter, attribute, symlink or submodule of a repository takes effect. Git sees
no configuration but ours, speaks one protocol, follows no redirect, asks for no password, and cannot write a file, use
memory or take time beyond the limits. Nothing that comes from a repository reaches a shell.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from octopack_data.errors import DataError

MIN_GIT = (2, 31)  # GIT_CONFIG_COUNT, which hands a token over without showing it in the process list

_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/(?!\.{1,2}$)[A-Za-z0-9_.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TREE_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)
_MAX_OBJECT = 8 << 20  # of a commit or tree; a folder of 200,000 files is no source code
_PIPELINED = 64  # requests written before answers are read: far below the capacity of a pipe
_WORDS_READ = 1 << 14
_WORDS_KEPT = 300
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "git_ssl_cainfo")
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", *_PROXIES, *map(str.upper, _PROXIES))


class Failure(str, Enum):
    """Why the contents of a commit could not be had."""

    GONE = "gone"
    PRIVATE = "private"
    RENAMED = "renamed"
    COMMIT_MISSING = "commit_missing"
    PATH_MISSING = "path_missing"
    NOT_A_FILE = "not_a_file"
    TOO_LARGE = "too_large"
    BINARY = "binary"
    ENCODING = "encoding"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    UNREACHABLE = "unreachable"
    DAMAGED = "damaged"
    BAD_REPOSITORY = "bad_repository"
    BAD_REQUEST = "bad_request"
    GIT_ERROR = "git_error"


PROTOCOLS = frozenset({"https", "http", "git", "file"})
"""Protocols that can be allowed."""

TRANSIENT = frozenset({Failure.TIMEOUT, Failure.RATE_LIMITED, Failure.SERVER_ERROR, Failure.UNREACHABLE})
"""Failures that another try, later, may mend."""

OF_THE_REPOSITORY = frozenset({Failure.GONE, Failure.PRIVATE, Failure.RENAMED})
"""Failures that hold for every commit of a repository."""


class GitError(Exception):
    """A fetch or a read that failed: the reason, git's words, and the commit where git named one."""

    def __init__(self, reason: Failure, detail: str, commit: str | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.commit = commit


@dataclass(frozen=True, slots=True)
class Limits:
    """What one fetch may use.

    Attributes:
        file_bytes: largest file whose contents are kept.
        pack_bytes: largest file git may write, so the largest transfer.
        full_bytes: transfer above which a repository is fetched without file contents and those one by one.
        seconds: wall clock of one git command.
        memory_bytes: address space of one git process.
    """

    file_bytes: int = 10 << 20
    pack_bytes: int = 512 << 20
    full_bytes: int = 32 << 20
    seconds: float = 120.0
    memory_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Remote:
    """Where repositories are: a URL with `{repo}` in it, checked against the protocols that are allowed.

    Attributes:
        template: for example `https://github.com/{repo}.git`.
        protocols: schemes that may be spoken.
        token_variable: environment variable that holds a token for the host; the token itself is kept nowhere.
    """

    template: str = "https://github.com/{repo}.git"
    protocols: tuple[str, ...] = ("https",)
    token_variable: str = ""

    def check(self) -> None:
        """Refuse templates that cannot work or would show or send a secret where it does not belong.

        Raises:
            DataError: says what to write instead.
        """
        parts = urlsplit(self.template)
        if "{repo}" not in parts.path:
            raise DataError(
                f"--remote {self.template!r}: put {{repo}} where owner/name goes, as in {Remote().template}"
            )
        if unknown := sorted(set(self.protocols) - PROTOCOLS):
            # Others run commands of the user's (ssh) or of the URL's (ext), or are not git's.
            raise DataError(f"--allow-protocol {unknown[0]}: not spoken here; known are {', '.join(sorted(PROTOCOLS))}")
        if parts.scheme not in self.protocols:
            raise DataError(
                f"--remote {self.template!r}: the protocol {parts.scheme or '(none)'!r} is not allowed "
                f"(allowed: {', '.join(self.protocols)}); add it with --allow-protocol if you trust that server"
            )
        if "@" in parts.netloc:
            raise DataError(
                "--remote: no user or password in the URL; put the token into a variable, see --token-variable"
            )
        if self.token_variable:
            if not os.environ.get(self.token_variable):
                raise DataError(
                    f"--token-variable {self.token_variable}: no such environment variable, or it is empty; "
                    "export it, or leave the option out to fetch without a token"
                )
            local = parts.hostname in ("localhost", "127.0.0.1", "::1")
            if parts.scheme != "https" and not local:
                raise DataError(f"--token-variable: a token is only sent over https, not over {parts.scheme}")

    @property
    def scheme(self) -> str:
        """The protocol of the template."""
        return urlsplit(self.template).scheme

    @property
    def host(self) -> str:
        """Host and port, by which requests are counted."""
        return urlsplit(self.template).netloc

    def url(self, repository: str) -> str:
        """Return the URL of a repository.

        Raises:
            GitError: the name is not `owner/name` in the characters that such names have.
        """
        if len(repository) > 200 or not _REPOSITORY.fullmatch(repository):
            raise GitError(Failure.BAD_REPOSITORY, f"not the name of a repository: {repository[:100]!r}")
        return self.template.replace("{repo}", repository)

    def repository_at(self, url: str) -> str | None:
        """Return the repository that a URL of this remote names; None for any other URL."""
        head, _, tail = self.template.partition("{repo}")
        stem = tail.removesuffix(".git")
        if not url.startswith(head):
            return None
        name = url.removeprefix(head)
        name = name.removesuffix(tail) if tail and name.endswith(tail) else name.removesuffix(stem)
        return name if _REPOSITORY.fullmatch(name) else None

    def authorization(self) -> str:
        """Return the value of the Authorization header, or nothing."""
        token = os.environ.get(self.token_variable, "") if self.token_variable else ""
        return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode() if token else ""

    def redact(self, text: str) -> str:
        """Return text that is safe to store: no token, no control characters, not long."""
        token = os.environ.get(self.token_variable, "") if self.token_variable else ""
        for secret in (token, self.authorization().removeprefix("Basic ")):
            if secret:
                text = text.replace(secret, "[token]")
        text = "".join(char if char.isprintable() else " " for char in text)
        return " ".join(text.split())[:_WORDS_KEPT]


def check_git() -> None:
    """Make sure that a git of sufficient age is there.

    Raises:
        DataError: none, or an old one.
    """
    if shutil.which("git") is None:
        raise DataError("git is not installed, and scraping needs it; install git 2.31 or later")
    text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < MIN_GIT:
        raise DataError(f"{text.strip() or 'git --version says nothing'}: scraping needs git 2.31 or later")


def is_commit_id(text: str) -> bool:
    """Say whether a text is a whole commit id; nothing else is ever asked of a server."""
    return bool(_COMMIT.fullmatch(text))


def tree_path(path: str) -> list[bytes]:
    """Return the parts of a path as they stand in git's trees.

    Raises:
        GitError: no file of a repository can have this path.
    """
    try:
        parts = path.encode().split(b"/")
    except UnicodeEncodeError as error:
        raise GitError(Failure.BAD_REQUEST, f"path is not text: {path[:100]!r}") from error
    if b"\0" in path.encode() or any(part in (b"", b".", b"..") for part in parts):
        raise GitError(Failure.BAD_REQUEST, f"not a path inside a repository: {path[:100]!r}")
    return parts


# ------------------------------------------------------------------------------------------------------ a repository

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\thooksPath = /dev/null
\tattributesFile = /dev/null
\tfsmonitor = false
\tsymlinks = false
\tlogAllRefUpdates = false
\tbigFileThreshold = 4m
[credential]
\thelper =
[fetch]
\trecurseSubmodules = false
\twriteCommitGraph = false
\tunpackLimit = 1
\tnegotiationAlgorithm = noop
[gc]
\tauto = 0
[http]
\tfollowRedirects = false
\temptyAuth = false
\tlowSpeedLimit = 1000
\tlowSpeedTime = 30
[maintenance]
\tauto = false
[pack]
\tthreads = 1
[protocol]
\tversion = 2
[submodule]
\trecurse = false
[transfer]
\tbundleURI = false
"""


class Scratch:
    """An empty bare repository that lives for one group of commits of one remote repository."""

    def __init__(self, folder: Path, remote: Remote, limits: Limits) -> None:
        self.folder = folder = folder.resolve()
        self._remote = remote
        self._limits = limits
        self._environment = _environment(folder, remote)
        for name in ("objects/pack", "objects/info", "refs"):
            (folder / name).mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        self._reset_config()

    def _reset_config(self) -> None:
        # A filtered fetch notes in the configuration that missing objects may be fetched when somebody reads them;
        # reading must never open a connection, so the note goes.
        (self.folder / "config").write_text(_CONFIG)

    def fetch(self, url: str, wants: Sequence[str], *, blobs: int | None, depth: int | None, pack_bytes: int) -> None:
        """Fetch objects by id.

        Args:
            url: the repository.
            wants: ids of commits, or of blobs.
            blobs: leave out files of this many bytes or more; 0 leaves out all, None none.
            depth: how many generations of commits; None for single objects.
            pack_bytes: largest transfer.

        Raises:
            GitError: with the reason.
            DataError: the disk is full.
        """
        command = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        if depth is not None:
            command.append(f"--depth={depth}")
        if blobs is not None:
            command.append("--filter=blob:none" if blobs == 0 else f"--filter=blob:limit={blobs}")
        try:
            code, stderr = self._run([*command, url, *wants], pack_bytes)
        finally:
            self._reset_config()
        if code:
            raise classify(code, stderr)

    def _run(self, arguments: Sequence[str], pack_bytes: int) -> tuple[int, str]:
        command = ["git", *arguments]
        if shutil.which("timeout"):  # ends the fetch even if this process is killed and nobody waits any more
            command = ["timeout", "-s", "KILL", str(self._limits.seconds + 5), *command]
        process = _start(
            limited(command, pack_bytes, self._limits),
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + self._limits.seconds
        try:
            words = _last_words(process, deadline)
            process.wait(max(deadline - time.monotonic(), 0.001))
        except (subprocess.TimeoutExpired, TimeoutError) as error:
            raise GitError(Failure.TIMEOUT, f"no answer within {self._limits.seconds:g} s") from error
        finally:
            _kill(process)
        return process.returncode, words

    def reader(self) -> ObjectReader:
        """Return a reader of the objects that were fetched."""
        command = limited(["git", "cat-file", "--batch"], 1 << 20, self._limits)
        # No protocol at all: reading opens no connection, whatever a repository says.
        return ObjectReader(command, self.folder, {**self._environment, "GIT_ALLOW_PROTOCOL": ""})

    def remove(self) -> None:
        """Delete the repository from disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _environment(folder: Path, remote: Remote) -> dict[str, str]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {
        "GIT_ALLOW_PROTOCOL": remote.scheme,
        "GIT_ASKPASS": "false",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_DIR": str(folder),
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_SSH_COMMAND": "false",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": str(folder),
        "LC_ALL": "C",
        "SSH_ASKPASS": "false",
        "XDG_CONFIG_HOME": str(folder),
    }
    header = remote.authorization()
    if header:
        parts = urlsplit(remote.template)
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: {header}",
        }
    return environment


def limited(command: Sequence[str], file_bytes: int, limits: Limits) -> list[str]:
    """Return a command that cannot write a larger file or use more memory or processor time."""
    # A write beyond the limit (in blocks of 512 bytes) shall fail with a message, not end git without one.
    script = (
        """trap '' XFSZ; ulimit -c 0; ulimit -f "$1"; ulimit -v "$2" 2>/dev/null; ulimit -t "$3"; shift 3; exec "$@\""""
    )
    values = (max(file_bytes // 512, 64), limits.memory_bytes // 1024, int(limits.seconds) + 1)
    return ["/bin/sh", "-c", script, "sh", *map(str, values), *command]


def _last_words(process: subprocess.Popen[bytes], deadline: float) -> str:
    """Return the end of what a command writes to standard error; a server may send any amount of text there."""
    assert process.stderr is not None
    descriptor = process.stderr.fileno()
    words = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise TimeoutError
            data = os.read(descriptor, 1 << 16)
            if not data:
                return words.decode("utf-8", "replace")
            words = (words + data)[-_WORDS_READ:]


_running: set[subprocess.Popen[bytes]] = set()


def _start(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, which ends with this process at the latest."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    _running.add(process)
    return process


@atexit.register
def _kill_all() -> None:
    """End what is left when the run is interrupted."""
    for process in list(_running):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and all it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _running.discard(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


# git's messages in the C locale (names and addresses left out), the most telling first.
_SIGNS: tuple[tuple[Failure, str], ...] = (
    (Failure.COMMIT_MISSING, "not our ref|unadvertised object|couldn't find remote ref|want .* not valid"),
    (Failure.RATE_LIMITED, "returned error: 429|too many requests|rate limit"),
    (Failure.TOO_LARGE, "file too large|file size limit|signal 25|out of memory|mmap failed|malloc"),
    (Failure.RENAMED, r"returned error: 30\d|redirect"),
    (Failure.GONE, "returned error: (404|410|451)|repository .*not found|not exported|not appear to be a git repo"),
    (Failure.PRIVATE, "returned error: 40[13]|authentication|could not read (username|password)|permission denied"),
    (Failure.BAD_REQUEST, "transport .* not allowed|unable to find remote helper"),
    (Failure.TIMEOUT, "operation too slow|timed? ?out"),
    (Failure.UNREACHABLE, "could not resolve|failed to connect|unable to connect|connection refused|unreachable"),
    (Failure.SERVER_ERROR, r"returned error: 5\d\d|early eof|unexpected disconnect|reset by peer|empty reply"),
    (Failure.DAMAGED, "bad line length|protocol error|pack signature|inflate|corrupt|bad object|hash mismatch"),
    (Failure.SERVER_ERROR, "hung up|rpc failed|ssl|gnutls|tls"),
    (Failure.DAMAGED, "index-pack|unpack-objects|bad pack"),
)
_OF_THE_SERVER = ("remote:", "fatal: git upload-pack:")
_MISSING = re.compile(r"(?:not our ref|unadvertised object|remote ref|want) ([0-9a-f]{40})")


def classify(code: int, stderr: str) -> GitError:
    """Return the error that git's exit status and words stand for.

    Lines that the server sent (`remote: ...`) are passed over: they may say anything. So are those of the process that
    serves a local repository, which come in between at any moment.

    Raises:
        DataError: the fault is this machine's full disk, and no commit's.
    """
    own = " ".join(line for line in re.split(r"[\r\n]+", stderr) if line and not line.startswith(_OF_THE_SERVER))
    words = re.sub(r"'[^']*'", "''", own)  # a repository may be named after any error
    if re.search(r"no space left|disk quota", words, re.IGNORECASE):
        raise DataError("the disk is full; free some space and run the same command again: it continues where it was")
    for reason, pattern in _SIGNS:
        if re.search(pattern, words, re.IGNORECASE):
            commit = _MISSING.search(words) if reason is Failure.COMMIT_MISSING else None
            return GitError(reason, own, commit[1] if commit else None)
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return GitError(Failure.TIMEOUT, own or "processor time above the limit")
    return GitError(Failure.GIT_ERROR, own or f"git ended with status {code}")


# ----------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object as stored: its kind and bytes; `data` is None where it is larger than asked for."""

    kind: str
    data: bytes | None
    size: int


class ObjectReader:
    """Reads objects through one `git cat-file --batch`.

    Attributes:
        ended: git has given up, so nothing more can be read.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self._process = _start(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = self._process.stdin
        self._answers = self._process.stdout
        self.ended = False

    def close(self) -> None:
        """End the process."""
        _kill(self._process)

    def read(self, ids: Iterable[str], max_bytes: int = _MAX_OBJECT) -> Iterator[tuple[str, GitObject | None]]:
        """Yield (id, object) in order; None stands for an object that is not there.

        Raises:
            GitError: git gave up, on a damaged object usually.
        """
        wanted = list(ids)
        self.ended = True  # until all answers are in
        for start in range(0, len(wanted), _PIPELINED):
            chunk = wanted[start : start + _PIPELINED]
            try:
                self._requests.write("".join(f"{name}\n" for name in chunk).encode())
                self._requests.flush()
            except OSError as error:
                raise GitError(Failure.DAMAGED, "git cat-file ended early") from error
            for name in chunk:
                yield name, self._answer(max_bytes)
        self.ended = False

    def _answer(self, max_bytes: int) -> GitObject | None:
        head = self._answers.readline().split()
        if len(head) == 2 and head[1] == b"missing":
            return None
        if len(head) != 3 or not head[2].isdigit():
            raise GitError(Failure.DAMAGED, "git cat-file ended early: an object is damaged")
        size = int(head[2])
        if size > max_bytes:
            self._pass_over(size + 1)
            return GitObject(head[1].decode(), None, size)
        data = self._answers.read(size + 1)
        if len(data) != size + 1:
            raise GitError(Failure.DAMAGED, "git cat-file ended early: an object is damaged")
        return GitObject(head[1].decode(), data[:-1], size)

    def _pass_over(self, size: int) -> None:
        while size:
            passed = len(self._answers.read(min(size, 1 << 20)))
            if not passed:
                raise GitError(Failure.DAMAGED, "git cat-file ended early: an object is damaged")
            size -= passed


@dataclass(frozen=True, slots=True)
class Commit:
    """What matters of a commit: its tree and its first parent."""

    tree: str
    parent: str | None


def parse_commit(data: bytes) -> Commit | None:
    """Return tree and first parent of a commit object; None where it has no tree."""
    tree = parent = None
    for line in data.split(b"\n\n", 1)[0].split(b"\n"):
        word, _, value = line.partition(b" ")
        text = value.decode("ascii", "replace")
        if word == b"tree" and tree is None and is_commit_id(text):
            tree = text
        elif word == b"parent" and parent is None and is_commit_id(text):
            parent = text
    return Commit(tree, parent) if tree else None


def parse_tree(data: bytes) -> dict[bytes, tuple[int, str]]:
    """Return mode and id of every entry of a tree object."""
    return {name: (int(mode, 8), oid.hex()) for mode, name, oid in _TREE_ENTRY.findall(data)}


_FOLDER, _LINK, _SUBMODULE = 0o040000, 0o120000, 0o160000
_KINDS = {_FOLDER: "a folder", _LINK: "a symbolic link", _SUBMODULE: "a submodule"}

Found = str | None | GitError
"""What a path leads to: the id of a blob, nothing, or something that is no file."""


def find_paths(reader: ObjectReader, wanted: Sequence[tuple[str, list[bytes]]]) -> list[Found]:
    """Return what each (tree, path) leads to; each tree is read once, level by level for all paths together."""
    found: list[Found] = [None] * len(wanted)
    level: dict[str, list[tuple[int, int]]] = {}
    for index, (tree, _) in enumerate(wanted):
        level.setdefault(tree, []).append((index, 0))
    while level:
        following: dict[str, list[tuple[int, int]]] = {}
        for tree, item in reader.read(list(level)):
            if item is None or item.data is None or item.kind != "tree":
                fault = GitError(
                    Failure.TOO_LARGE if item and item.data is None else Failure.DAMAGED, f"tree {tree} cannot be read"
                )
                for index, _ in level[tree]:
                    found[index] = fault
                continue
            entries = parse_tree(item.data)
            for index, depth in level[tree]:
                parts = wanted[index][1]
                mode, oid = entries.get(parts[depth], (0, ""))
                kind = mode & 0o170000
                last = depth + 1 == len(parts)
                if not mode or (not last and kind not in _KINDS):
                    continue
                if kind == _FOLDER and not last:
                    following.setdefault(oid, []).append((index, depth + 1))
                elif kind in _KINDS:
                    found[index] = GitError(Failure.NOT_A_FILE, f"{_KINDS[kind]}, not a file")
                else:
                    found[index] = oid
        level = following
    return found

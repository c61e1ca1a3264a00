"""Docker: long-lived hardened containers, each with a supervisor that gives every program a uid of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandboxes.backends import BackendOptions, Place, wanted_runtime
from sandboxes.backends.owners import start_time
from sandboxes.environment import octopack_version
from sandboxes.errors import SandboxUnavailable, WorkerFault
from sandboxes.payload import WARM, WORK, supervisor_zip
from sandboxes.seccomp import docker_profile
from sandboxes.supervisor.protocol import Limits
from sandboxes.workers import SPARE_MEMORY_BYTES, SPARE_PROCESSES, StreamWorker, Worker

if TYPE_CHECKING:
    from docker import DockerClient

OWNER_LABEL = "octopack.sandbox.owner"
"""On every container that a sandbox starts: who started it, so that what a killed owner left can be removed."""

_MOST_CORES = 2
"""Cores a container may use: compilers and the JVM have helper threads, a fork bomb shall not have the machine."""

# reads a length and a zip with the supervisor from standard input, unpacks it and becomes it
_BOOT = """
import io, os, sys, zipfile
def read(size):
    data = b""
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            sys.exit("the stream ended before the supervisor had arrived")
        data += chunk
    return data
os.umask(0o022)
zipfile.ZipFile(io.BytesIO(read(int.from_bytes(read(4), "big")))).extractall("/run/octopack")
os.execv(sys.executable, [sys.executable, "-I", "-B", "/run/octopack/sandboxes/supervisor", *sys.argv[1:]])
"""


def image_name(language: str) -> str:
    """The tag that `octopack sandbox build` gives the image of a language, or of "all"."""
    return f"octopack-sandbox:{octopack_version().replace('+', '-')}-{language}"


def connect() -> DockerClient:
    """A client of the daemon that the Docker command line would use as well.

    Raises:
        SandboxUnavailable: There is no daemon, or no right to use it.
    """
    import docker

    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        client = docker.from_env()
        client.ping()
    except Exception as error:
        if "Permission denied" in str(error):
            raise SandboxUnavailable(
                f"no right to use the Docker daemon at {address}: add your user to the group docker "
                "(sudo usermod -aG docker $USER, then log in again), or use the rootless bubblewrap sandbox"
            ) from error
        raise SandboxUnavailable(
            f"no Docker daemon answers at {address}: install and start one (apt-get install docker.io; "
            "systemctl start docker), or set DOCKER_HOST, or use the rootless bubblewrap sandbox"
        ) from error
    return client


class DockerBackend:
    """Workers are containers of the images that `octopack sandbox build` makes."""

    def __init__(self, languages: Sequence[str], options: BackendOptions) -> None:
        """Find the images.

        Raises:
            SandboxUnavailable: No daemon, no right to use it, or no image.
        """
        client = connect()
        self._limits = options.limits or Limits()
        self._runtime = wanted_runtime(options)
        daemon = client.info()
        self._cores = int(daemon.get("NCPU") or 1)
        self._images = _images(client, languages, options.image)
        if self._runtime and self._runtime not in (runtimes := daemon.get("Runtimes", {})):
            raise SandboxUnavailable(
                f"the Docker daemon has no runtime {self._runtime!r}, only {', '.join(runtimes)}: "
                "add it to /etc/docker/daemon.json (docs/sandboxes.md, gVisor) and restart Docker"
            )
        _remove_orphans(client)
        client.close()

    def served_by(self, language: str) -> str:
        """See `Backend`."""
        return self._images[language][0]

    def place(self, toolchains: Mapping[str, str]) -> Place:
        """See `Backend`."""
        images = dict(sorted(self._images.values()))
        return Place("docker", ", ".join(images), ", ".join(images.values()), self._runtime)

    def how_to_get(self, language: str) -> str:
        """See `Backend`."""
        return (
            f"the image {self._images[language][0]} has no toolchain for {language}: "
            f"run `octopack sandbox build --language {language}`"
        )

    def cores(self) -> int:
        """See `Backend`."""
        return self._cores

    def start(self, language: str) -> Worker:
        """See `Backend`."""
        image = self._images[language]
        served = [other for other, serving in self._images.items() if serving == image]
        supervisor = ["--jail", "uid", "--work", WORK, "--warm", WARM, "--languages", ",".join(served)]
        cores = min(_MOST_CORES, self._cores)
        return StreamWorker(_Container(connect(), image[1], supervisor, self._limits, cores, self._runtime))


def _images(client: DockerClient, languages: Sequence[str], image: str | None) -> dict[str, tuple[str, str]]:
    """Language -> name and id of the image that serves it: the given one, one with all languages, or its own."""
    import docker

    def find(name: str) -> tuple[str, str] | None:
        try:
            return name, str(client.images.get(name).id)
        except docker.errors.ImageNotFound:
            return None

    if image is not None:
        if (found := find(image)) is None:
            raise SandboxUnavailable(f"the Docker daemon has no image {image!r}: docker pull or build it first")
        return dict.fromkeys(languages, found)
    everything = find(image_name("all"))
    images: dict[str, tuple[str, str]] = {}
    for language in languages:
        own = find(image_name(language))
        # several languages share their workers where one image has them all; one alone takes the smaller image
        serving = (own or everything) if len(languages) == 1 else (everything or own)
        if serving is None:
            raise SandboxUnavailable(
                f"no image for {language} (looked for {image_name(language)} and {image_name('all')}): "
                f"run `octopack sandbox build --language {language}`, or `octopack sandbox build --all`"
            )
        images[language] = serving
    return images


class _Container:
    """A worker container and the stream to its supervisor: a `Connection`."""

    def __init__(
        self,
        client: DockerClient,
        image_id: str,
        supervisor: Sequence[str],
        limits: Limits,
        cores: int,
        runtime: str | None,
    ) -> None:
        """Start it and send the supervisor in.

        Raises:
            WorkerFault: The daemon refuses.
        """
        from docker.types import LogConfig, Ulimit

        self._client = client
        self._log: deque[bytes] = deque(maxlen=32)
        self._out = b""
        self._closing = threading.Lock()
        self._closed = False
        api = client.api
        memory = limits.memory_bytes + SPARE_MEMORY_BYTES
        try:
            self._id = str(
                api.create_container(
                    image_id,
                    command=["-I", "-c", _BOOT, *supervisor],
                    entrypoint=["python3"],
                    user="0:0",
                    working_dir="/",
                    hostname="sandbox",
                    environment={"LANG": "C.UTF-8", "HOME": "/nonexistent"},
                    labels={OWNER_LABEL: _owner()},
                    stdin_open=True,
                    host_config=api.create_host_config(
                        runtime=runtime,
                        network_mode="none",
                        dns=["127.0.0.1"],  # Not this machine's own name servers, which are nobody's business.
                        dns_search=["."],
                        read_only=True,
                        cap_drop=["ALL"],
                        cap_add=["SETUID", "SETGID", "CHOWN", "KILL"],
                        security_opt=["no-new-privileges", "seccomp=" + json.dumps(docker_profile())],
                        pids_limit=limits.processes + SPARE_PROCESSES,
                        mem_limit=memory,
                        memswap_limit=memory,
                        nano_cpus=cores * 10**9,
                        shm_size=64 << 20,
                        tmpfs={
                            WORK: f"exec,nosuid,nodev,mode=0755,size={memory // 2},nr_inodes=50k",
                            "/tmp": "exec,nosuid,nodev,mode=1777,size=256m,nr_inodes=20k",
                            "/run": "nosuid,nodev,mode=0755,size=16m,nr_inodes=1k",
                        },
                        ipc_mode="private",
                        # A port is free for the next program as soon as this one has ended.
                        sysctls={"net.ipv4.tcp_max_tw_buckets": "0"},
                        auto_remove=True,
                        log_config=LogConfig(type="none"),
                        ulimits=[Ulimit(name="core", soft=0, hard=0)],
                    ),
                )["Id"]
            )
        except Exception as error:
            client.close()
            raise WorkerFault(
                f"the Docker daemon made no container: {error} (an image that is gone: `octopack sandbox build`)"
            ) from error
        try:
            self._attached = api.attach_socket(self._id, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            # over http docker-py hands out a read-only file around the socket; over ssh the channel itself
            self._socket = getattr(self._attached, "_sock", self._attached)
            api.start(self._id)
            self.sendall(struct.pack(">I", len(supervisor_zip())) + supervisor_zip())
        except Exception as error:
            self.close()
            raise WorkerFault(f"the container did not start: {error}") from error

    def sendall(self, data: bytes) -> None:
        """See `Connection`."""
        self._socket.settimeout(None)
        self._socket.sendall(data)

    def recv(self, size: int, timeout: float) -> bytes:
        """See `Connection`."""
        while not self._out:
            # the daemon mixes both outputs: 1 byte which, 3 of nothing, 4 of length, and the bytes
            head = self._exactly(8, timeout)
            if len(head) < 8:
                return b""
            data = self._exactly(int.from_bytes(head[4:], "big"), timeout)
            if head[0] == 2:
                self._log.append(data[-4096:])
            else:
                self._out = data
        chunk, self._out = self._out[:size], self._out[size:]
        return chunk

    def _exactly(self, size: int, timeout: float) -> bytes:
        chunks: list[bytes] = []
        while size:
            self._socket.settimeout(timeout)
            chunk = self._socket.recv(min(size, 1 << 20))
            if not chunk:
                break
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def diagnosis(self) -> str:
        """See `Connection`."""
        return b"".join(self._log).decode("utf-8", "replace")[-2000:]

    def close(self) -> None:
        """See `Connection`."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        with contextlib.suppress(Exception):
            self._client.api.remove_container(self._id, force=True)
        with contextlib.suppress(Exception):
            # wakes a thread that waits for the supervisor's answer
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._attached.close()
        with contextlib.suppress(Exception):
            self._client.close()


def _owner() -> str:
    """This process, told apart from all others on this and other machines: boot, PID namespace, pid, start time."""
    return ":".join((*_machine(), str(os.getpid()), start_time(os.getpid()) or ""))


def _machine() -> tuple[str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return boot, str(Path("/proc/self/ns/pid").readlink())[5:-1]


def owned_containers(client: DockerClient, of_this_process: bool = False) -> Iterator[tuple[Any, bool]]:
    """Sandbox containers started on this machine, and whether the process that started each still lives."""
    for container in client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True):
        owner = container.labels[OWNER_LABEL]
        if of_this_process and owner != _owner():
            continue
        *machine, pid, started = owner.split(":")
        if tuple(machine) == _machine():
            yield container, start_time(int(pid)) == started


def _remove_orphans(client: DockerClient) -> None:
    """Remove containers whose owner was killed before it could."""
    for container, owner_lives in owned_containers(client):
        if not owner_lives:
            # another process may be removing it at the same time
            with contextlib.suppress(Exception):
                container.remove(force=True)

"""Builds the images that programs run in, and the base they stand on where no image registry answers."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandboxes.errors import SandboxUnavailable
from sandboxes.payload import WARM, supervisor_files
from sandboxes.supervisor.protocol import LANGUAGES
from sandboxes.toolchains import toolchain

if TYPE_CHECKING:
    from docker import DockerClient

BASE_IMAGE = "debian:trixie-slim"
IMAGE_KINDS = (*LANGUAGES, "all")
ROOT_DESCRIPTION = Path("etc/octopack-sandbox.json")
"""In an exported root: which image it was."""

_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/share/lintian/*")
"""What no program needs of any package, as in the registry's own slim images."""

Say = Callable[[str], None]
"""Takes one line for the user at a time."""


def build_image(client: DockerClient, kind: str, name: str, say: Say) -> str:
    """Build the image of a language, or of "all".

    Args:
        client: Whose daemon builds.
        kind: One of `IMAGE_KINDS`.
        name: The tag it gets.
        say: Takes the build's output.

    Returns:
        The image's id.

    Raises:
        SandboxUnavailable: It cannot be built; the message holds the last lines of the build.
    """
    if kind not in IMAGE_KINDS:
        raise ValueError(f"no image for {kind!r}: choose from {', '.join(IMAGE_KINDS)}")
    ensure_base(client, say)
    tail: list[str] = []
    for message in client.api.build(
        fileobj=_build_context(kind),
        custom_context=True,
        encoding="gzip",
        tag=name,
        rm=True,
        forcerm=True,
        decode=True,
    ):
        line = str(message.get("stream") or message.get("error") or "").rstrip()
        if line:
            tail = [*tail[-14:], line]
            say(line)
        if "error" in message:
            raise SandboxUnavailable(f"the image {name} could not be built:\n" + "\n".join(tail))
    return str(client.images.get(name).id)


def dockerfile(kind: str) -> str:
    """How the image of a language is built, or the one of "all": from what its toolchain says of itself.

    Each language is a layer of its own, so that a further one builds no other anew.
    """
    toolchains = [toolchain(language) for language in (LANGUAGES if kind == "all" else (kind,))]
    lines = [
        f"# {', '.join(one.title for one in toolchains)}. python3 is there for the supervisor, which prepares at build "
        "time what makes a language start warm.",
        f"FROM {BASE_IMAGE}",
        "# Packages (Java's) link manual pages into it, and fail to install where a slim image has no such folder.",
        "RUN mkdir -p /usr/share/man/man1",
        _installation(("python3",), left_out=_LEFT_OUT),
        *(
            _installation((*one.packages, *one.also_in_image), one.left_out_of_image, one.image_steps)
            for one in toolchains
        ),
        "COPY supervisor /opt/octopack/supervisor",
        f"RUN python3 -I -B /opt/octopack/supervisor --prepare --warm {WARM}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _installation(packages: Sequence[str], left_out: Sequence[str], steps: Sequence[str] = ()) -> str:
    """A layer with some packages, without those of their files that nothing needs."""
    excludes = [f"printf 'path-exclude=%s\\n' {shlex.join(left_out)} >> /etc/dpkg/dpkg.cfg.d/octopack"]
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {' '.join(packages)}"
    clean = "rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*"
    commands = [*(excludes if left_out else []), "apt-get update", install, clean, *steps]
    return "RUN " + " \\\n && ".join(commands)


def _build_context(kind: str) -> io.BytesIO:
    """The Dockerfile, and the supervisor, which prepares warm things in the image at build time."""
    files = {"Dockerfile": dockerfile(kind).encode()}
    files |= {
        name.removeprefix("sandboxes/"): data for name, data in supervisor_files().items() if "/sup" in f"/{name}"
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            # the daemon's layer cache looks at modes but not at times: the same content builds nothing anew
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def ensure_base(client: DockerClient, say: Say) -> None:
    """Make sure that the daemon has the base image: pull it, or make it with mmdebstrap from Debian's packages.

    Raises:
        SandboxUnavailable: Neither works.
    """
    import docker

    try:
        client.images.get(BASE_IMAGE)
        return
    except docker.errors.ImageNotFound:
        pass
    say(f"pulling {BASE_IMAGE}")
    repository, tag = BASE_IMAGE.split(":")
    try:
        client.images.pull(repository, tag=tag)
        return
    except (docker.errors.DockerException, OSError) as error:
        say(f"no image registry answers ({error}): making {BASE_IMAGE} with mmdebstrap")
    bootstrap_base(client)


def bootstrap_base(client: DockerClient) -> None:
    """Make the base image from Debian's packages alone.

    Raises:
        SandboxUnavailable: mmdebstrap is missing or fails.
    """
    if shutil.which("mmdebstrap") is None:
        raise SandboxUnavailable(
            f"{BASE_IMAGE} cannot be pulled, and mmdebstrap, which makes it from Debian's packages, is not installed: "
            "apt-get install mmdebstrap"
        )
    name, tag = BASE_IMAGE.split(":")
    suite = tag.removesuffix("-slim")
    with tempfile.TemporaryDirectory(prefix="octopack-base-") as folder:
        archive = Path(folder) / "base.tar"
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "info", "locale")]
        made = subprocess.run(
            ["mmdebstrap", "--variant=minbase", *left_out, suite, str(archive)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise SandboxUnavailable(f"mmdebstrap could not make {BASE_IMAGE}:\n{made.stderr[-2000:]}")
        client.api.import_image(src=str(archive), repository=name, tag=tag)


def export_root(client: DockerClient, image: str, target: Path) -> None:
    """Write an image's root file system, for bubblewrap and Apptainer.

    Args:
        client: Whose daemon has the image.
        image: Its name.
        target: A new folder, or a new file that ends in `.tar`.

    Raises:
        SandboxUnavailable: There is no such image.
        ValueError: `target` exists and is not an empty folder.
    """
    import docker

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} exists and is not an empty folder")
    try:
        digest = str(client.images.get(image).id)
    except docker.errors.ImageNotFound:
        raise SandboxUnavailable(f"the Docker daemon has no image {image}: `octopack sandbox build` makes it") from None
    description = json.dumps({"image": image, "digest": digest}) + "\n"
    container = client.api.create_container(image, command=["true"], entrypoint=[])
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.absolute().parent))
    try:
        partial = beside / target.name
        chunks = client.api.export(container["Id"])
        if target.suffix == ".tar":
            _write_archive(chunks, partial, description)
        else:
            _unpack(chunks, partial)
            (partial / ROOT_DESCRIPTION).write_text(description, encoding="utf-8")
        # only a whole root gets the name it was asked for
        partial.replace(target)
    finally:
        client.api.remove_container(container["Id"], force=True)
        shutil.rmtree(beside, ignore_errors=True)


def _write_archive(chunks: Any, path: Path, description: str) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
    with tarfile.open(path, "a") as archive:
        entry = tarfile.TarInfo(ROOT_DESCRIPTION.as_posix())
        data = description.encode()
        entry.size, entry.mode = len(data), 0o644
        archive.addfile(entry, io.BytesIO(data))


def _unpack(chunks: Any, folder: Path) -> None:
    """Unpack without owners and device files, so that it needs no right but to write `folder`."""
    folder.mkdir(mode=0o755)
    command = ["tar", "-x", "-C", str(folder), "--no-same-owner", "--exclude=dev/*", "--delay-directory-restore"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as tar:
        assert tar.stdin is not None
        assert tar.stderr is not None
        try:
            for chunk in chunks:
                tar.stdin.write(chunk)
            tar.stdin.close()
        except BrokenPipeError:
            pass
        message = tar.stderr.read().decode("utf-8", "replace")
    if tar.returncode != 0:
        raise OSError(f"tar could not unpack the image: {message.strip()[-500:]}")


def root_description(root: Path) -> tuple[str, str] | None:
    """Image name and id of an exported root; None where it does not say."""
    try:
        values = json.loads((root / ROOT_DESCRIPTION).read_text(encoding="utf-8"))
        return str(values["image"]), str(values["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

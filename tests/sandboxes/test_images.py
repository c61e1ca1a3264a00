"""Building, bootstrapping and exporting images."""

from __future__ import annotations

import json
import re
import tarfile

import pytest

from sandboxes import LANGUAGES, SandboxUnavailable
from sandboxes.images import (
    BASE_IMAGE,
    ROOT_DESCRIPTION,
    _build_context,
    build_image,
    dockerfile,
    export_root,
)
from sandboxes.images import bootstrap_base as bootstrap
from sandboxes.images import root_description as described
from sandboxes.toolchains import toolchain


def test_the_context_has_the_dockerfile_and_the_supervisor():
    with tarfile.open(fileobj=_build_context("go")) as archive:
        names = archive.getnames()
        file = archive.extractfile("Dockerfile")
        assert file is not None
        assert file.read().decode() == dockerfile("go")
    assert "supervisor/__main__.py" in names
    assert not any("__pycache__" in name for name in names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_image_has_the_packages_of_its_languages(language):
    for kind in (language, "all"):
        text = dockerfile(kind)
        for package in toolchain(language).packages:
            assert re.search(rf" {re.escape(package)}( |$)", text, re.MULTILINE), package


def test_a_further_language_builds_no_other_anew():
    """The daemon keeps the layers up to the first line that differs."""
    layers = dockerfile("all").split("\nRUN ")
    assert len(layers) == len(LANGUAGES) + 4  # the base, a folder, python3, the languages, what is prepared


def test_the_same_content_is_the_same_context():
    """Or the daemon would build anew what it has."""

    def entries():
        with tarfile.open(fileobj=_build_context("all")) as archive:
            return [(member.name, member.size, member.mode) for member in archive]

    assert entries() == entries()


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no image for 'cobol'"):
        build_image(None, "cobol", "name", print)  # type: ignore[arg-type]


def test_without_mmdebstrap_it_is_named(monkeypatch):
    monkeypatch.setattr("sandboxes.images.shutil.which", lambda name: None)
    with pytest.raises(SandboxUnavailable, match="apt-get install mmdebstrap"):
        bootstrap(None)  # type: ignore[arg-type]


def test_a_failed_build_ends_with_the_build_s_own_words(docker_client, monkeypatch):
    broken = f"FROM {BASE_IMAGE}\nRUN echo the reason >&2; exit 3\n"
    monkeypatch.setattr("sandboxes.images.dockerfile", lambda kind: broken)
    said = []
    with pytest.raises(SandboxUnavailable, match=r"(?s)octopack-test:broken could not be built:.*the reason"):
        build_image(docker_client, "python", "octopack-test:broken", said.append)
    assert any("the reason" in line for line in said)


@pytest.mark.parametrize("name", ["root", "root.tar"])
def test_an_export_says_which_image_it_was(docker_client, tmp_path, name):
    export_root(docker_client, BASE_IMAGE, tmp_path / name)
    digest = docker_client.images.get(BASE_IMAGE).id
    if name == "root":
        assert described(tmp_path / name) == (BASE_IMAGE, digest)
        assert (tmp_path / name / "usr" / "bin" / "env").exists()
    else:
        with tarfile.open(tmp_path / name) as archive:
            file = archive.extractfile(ROOT_DESCRIPTION.as_posix())
            assert file is not None
            assert json.load(file)["digest"] == digest
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing half-written is left"


def test_an_export_overwrites_nothing(docker_client, tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ValueError, match="exists and is not an empty folder"):
        export_root(docker_client, BASE_IMAGE, tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


def test_an_export_of_an_image_that_is_not_there(docker_client, tmp_path):
    with pytest.raises(SandboxUnavailable, match="`octopack sandbox build` makes it"):
        export_root(docker_client, "octopack-absent:1", tmp_path / "root")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_says_nothing_is_no_export(tmp_path):
    assert described(tmp_path) is None

"""`open_sandbox`: what is chosen, and what is refused before anything runs."""

from __future__ import annotations

import pytest

from sandboxes import Limits, Program, SandboxUnavailable, open_sandbox
from sandboxes.backends import BackendOptions, choose_backend


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="unknown language 'pyhton': choose from python, cpp"):
        open_sandbox(languages=["pyhton"])


def test_no_language_is_refused():
    with pytest.raises(ValueError, match="choose from"):
        open_sandbox(languages=[])


def test_an_unknown_backend_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="unknown sandbox 'podman': choose from auto"):
        open_sandbox("podman")  # type: ignore[arg-type]
    monkeypatch.setenv("OCTOPACK_SANDBOX", "nonesuch")
    with pytest.raises(ValueError, match="unknown sandbox 'nonesuch' in OCTOPACK_SANDBOX"):
        open_sandbox()


@pytest.mark.parametrize("workers", [0, -1])
def test_workers_are_at_least_one(workers):
    with pytest.raises(ValueError, match="workers must be at least 1"):
        open_sandbox("docker", ["python"], workers=workers)


@pytest.mark.parametrize(
    "limit", [{"cpu_seconds": -1}, {"memory_bytes": 0}, {"processes": float("nan")}, {"file_bytes": True}]
)
def test_a_limit_is_a_positive_number(limit):
    with pytest.raises(ValueError, match=next(iter(limit))):
        Limits(**limit)


def test_no_isolation_is_an_explicit_choice(monkeypatch):
    monkeypatch.delenv("OCTOPACK_SANDBOX", raising=False)
    with pytest.raises(ValueError, match="unsafe=True"):
        open_sandbox("process", ["python"])
    with open_sandbox("process", ["python"], workers=1, cache=False, unsafe=True) as sandbox:
        assert sandbox.environment.unsafe
        assert sandbox.environment.to_json()["unsafe"] is True
        assert sandbox.environment.backend == "process"
        assert sandbox.run([Program("python", "assert True\n", 0)])[0].passed
    monkeypatch.setenv("OCTOPACK_SANDBOX", "process")
    with open_sandbox(languages=["python"], workers=1, cache=False) as sandbox:
        assert sandbox.environment.unsafe


def test_auto_never_falls_back_to_no_isolation(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        SandboxUnavailable, match=r"docker: no Docker daemon answers.*bubblewrap: bubblewrap is not installed"
    ) as error:
        open_sandbox("auto", ["python"])
    assert "\n" not in str(error.value)


def test_auto_takes_bubblewrap_where_no_daemon_answers(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    try:
        sandbox = open_sandbox("auto", ["python"], workers=1, cache=False)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    with sandbox:
        assert sandbox.environment.backend == "bubblewrap"
        assert not sandbox.environment.unsafe


@pytest.mark.parametrize(
    ("name", "options"),
    [("bubblewrap", {"image": "debian"}), ("process", {"root": "/"}), ("bubblewrap", {"runtime": "runsc"})],
)
def test_options_of_another_backend_are_refused(name, options):
    with pytest.raises(ValueError, match="takes"):
        choose_backend(name, ["python"], BackendOptions(unsafe=True, **options))


def test_a_folder_that_is_no_root_is_refused(tmp_path):
    with pytest.raises(SandboxUnavailable, match="is no image root: make one with `octopack sandbox export"):
        open_sandbox("bubblewrap", ["python"], root=tmp_path)


def test_a_missing_compiler_names_its_packages(monkeypatch):
    monkeypatch.setattr(
        "sandboxes.backends.process.shutil.which", lambda name: None if name == "go" else f"/usr/bin/{name}"
    )
    with pytest.raises(SandboxUnavailable, match="no toolchain for go: apt-get install golang-go"):
        open_sandbox("process", ["python", "go"], unsafe=True)

"""`octopack sandbox ...` and `octopack doctor`, as a user meets them."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from sandboxes import cli
from sandboxes.smoke import smoke_program, wrong_program

runner = CliRunner()


@pytest.fixture(scope="module")
def app():
    application = typer.Typer()
    cli.register(application)
    return application


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OCTOPACK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def unsafe(monkeypatch):
    """The sandbox that every machine has, which is enough to test the commands around it."""
    monkeypatch.setenv("OCTOPACK_SANDBOX", "process")


@pytest.mark.parametrize("command", ["build", "verify", "run", "export"])
def test_every_command_shows_examples(app, command):
    result = runner.invoke(app, ["sandbox", command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"octopack sandbox {command}" in result.output
    assert "octopack doctor" in runner.invoke(app, ["doctor", "--help"]).output


def test_run_tells_a_pass_from_a_failure_by_its_exit_code(app, unsafe, tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("print('hello')\n" + smoke_program("python").source)
    bad.write_text(wrong_program("python").source)
    passed = runner.invoke(app, ["sandbox", "run", str(good)])
    assert passed.exit_code == 0, passed.output
    assert passed.stdout == "hello\n"
    assert "passed" in passed.stderr
    failed = runner.invoke(app, ["sandbox", "run", str(bad)])
    assert failed.exit_code == 1
    assert "failed" in failed.stderr
    assert "AssertionError" in failed.stderr


def test_run_takes_limits(app, unsafe, tmp_path):
    file = tmp_path / "endless.py"
    file.write_text("while True:\n    pass\n")
    result = runner.invoke(app, ["sandbox", "run", str(file), "--cpu-seconds", "0.5"])
    assert result.exit_code == 1
    assert "timeout" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.txt"], "say --language"),
        (["a.py", "-l", "cobol"], "unknown language 'cobol'"),
        (["a.py", "--cpu-seconds", "-1"], "Limits.cpu_seconds must be a positive number, not -1.0"),
        (["a.py", "--sandbox", "podman"], "unknown sandbox 'podman'"),
        (["a.py", "--sandbox", "bubblewrap", "--root", "/nonexistent"], "/nonexistent is no image root"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(app, unsafe, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "a.txt"):
        (tmp_path / name).write_text("")
    result = runner.invoke(app, ["sandbox", "run", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_a_file_that_is_not_there(app):
    result = runner.invoke(app, ["sandbox", "run", "nonexistent.py"])
    assert result.exit_code == 2


def test_build_without_a_daemon_says_what_to_do(app, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    for arguments in (["build"], ["export", "somewhere"]):
        result = runner.invoke(app, ["sandbox", *arguments])
        assert result.exit_code == 2
        assert "no Docker daemon answers at unix:///nonexistent/docker.sock" in result.stderr


def test_build_of_an_unknown_language(app):
    result = runner.invoke(app, ["sandbox", "build", "-l", "cobol"])
    assert result.exit_code == 2
    assert "unknown language 'cobol'" in result.stderr


def test_verify_says_which_demand_is_not_met(app, unsafe):
    """No isolation cannot pass: the demands are real."""
    result = runner.invoke(app, ["sandbox", "verify", "-l", "python"])
    assert result.exit_code == 1, result.output
    assert "ok   python     a right answer passes: passed" in result.stdout
    assert "FAIL python     it cannot make namespaces" in result.stdout
    assert "demand(s) not met" in result.stdout


def test_doctor_says_what_is_missing_and_how_to_mend_it(app, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    monkeypatch.setenv("PATH", "/nonexistent")
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "no   docker: no Docker daemon answers" in result.stdout
    assert "no   bubblewrap: bubblewrap is not installed: apt-get install bubblewrap" in result.stdout
    assert "golang-go" in result.stdout
    assert "apt-get install mmdebstrap" in result.stdout
    assert "no sandbox here runs every language" in result.stdout

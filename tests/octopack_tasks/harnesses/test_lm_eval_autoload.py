"""`lm_eval` finds our tasks with no flag, however the two packages are installed, and uninstalling leaves nothing."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

LIST_TASKS = (
    "from lm_eval.tasks import TaskManager; print(*[t for t in TaskManager().all_tasks if 'humanevalfix' in t])"
)
LM_EVAL_PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "lm_eval"
version = "{version}"
[tool.setuptools.packages.find]
include = ["lm_eval*"]
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with octopack's wheel, built from the working tree."""
    folder = tmp_path_factory.mktemp("wheels")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that shares this environment's packages, without lm-eval, octopack and what any `.pth` file arms."""
    folder = tmp_path_factory.mktemp("dependencies")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.suffix != ".pth" and not entry.name.lower().startswith(("lm_eval", "octopack", "_octopack")):
            (folder / entry.name).symlink_to(entry)
    return folder


def _run(*command: str | Path, **variables: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OCTOPACK", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env={**environment, **variables}, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _environment(folder: Path, dependencies: Path) -> tuple[Path, Path]:
    """A virtual environment that sees the shared dependencies; returns its Python and its site-packages."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return python, site


def _pip(python: Path, *arguments: str | Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    _run(*pip, *arguments)


def _install_lm_eval(python: Path, site: Path, folder: Path, *, editable: bool) -> None:
    version = importlib.metadata.version("lm_eval")
    package = Path(sysconfig.get_path("purelib")) / "lm_eval"
    # The built-in tasks stay behind: reading thousands of YAML files is not what is tested here.
    without_tasks = shutil.ignore_patterns("__pycache__", "*.yaml", "*.json*")
    project = folder / "lm-evaluation-harness"
    shutil.copytree(package, project / "lm_eval", ignore=without_tasks)
    (project / "pyproject.toml").write_text(LM_EVAL_PROJECT.format(version=version))
    how = ["--editable"] if editable else []
    _pip(python, "install", "--quiet", "--no-deps", "--no-build-isolation", *how, project)


@pytest.mark.parametrize("lm_eval_editable", [False, True], ids=["lm-eval-regular", "lm-eval-editable"])
@pytest.mark.parametrize("octopack_editable", [False, True], ids=["octopack-wheel", "octopack-editable"])
def test_tasks_are_found_with_no_flag(
    tmp_path: Path, wheels: Path, dependencies: Path, lm_eval_editable: bool, octopack_editable: bool
) -> None:
    python, site = _environment(tmp_path / "venv", dependencies)
    _install_lm_eval(python, site, tmp_path, editable=lm_eval_editable)
    before = {path.name for path in site.iterdir()}
    what = ["--no-build-isolation", "--editable", ROOT] if octopack_editable else [next(wheels.glob("*.whl"))]
    _pip(python, "install", "--quiet", "--no-deps", *what)

    assert "humanevalfixtests-python" in _run(python, "-c", LIST_TASKS).split()
    assert _run(python, "-c", LIST_TASKS, OCTOPACK_LM_EVAL_AUTOLOAD="0").split() == []

    _pip(python, "uninstall", "--quiet", "--yes", "octopack")
    left = {path.name for path in site.iterdir()} - before - {"__pycache__"}
    assert left == set(), "uninstalling octopack must leave nothing behind"
    assert not list(site.glob("__pycache__/*octopack*"))
    assert _run(python, "-c", LIST_TASKS).split() == []


def test_nothing_happens_where_lm_eval_is_not_imported(tmp_path: Path, wheels: Path, dependencies: Path) -> None:
    python, _ = _environment(tmp_path / "venv", dependencies)
    _pip(python, "install", "--quiet", "--no-deps", next(wheels.glob("*.whl")))
    loaded = _run(python, "-c", "import sys; print(*sorted(m for m in sys.modules if 'octopack' in m))").split()
    assert loaded == ["_octopack_autoload"]
    assert _run(python, "-c", "import importlib.util as u; print(u.find_spec('lm_eval'))").strip() == "None"


def test_a_changed_lm_eval_gets_one_warning(tmp_path: Path, wheels: Path, dependencies: Path) -> None:
    python, site = _environment(tmp_path / "venv", dependencies)
    _pip(python, "install", "--quiet", "--no-deps", next(wheels.glob("*.whl")))
    (site / "lm_eval" / "tasks").mkdir(parents=True)
    (site / "lm_eval" / "__init__.py").touch()
    (site / "lm_eval" / "tasks" / "__init__.py").touch()
    (site / "lm_eval" / "tasks" / "manager.py").write_text(
        "class TaskManager:\n    def __init__(self, folders): self.folders = folders\n"
    )
    script = (
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    from lm_eval.tasks.manager import TaskManager\n"
        "print(TaskManager(1).folders, len(caught), caught[0].message)"
    )
    said = _run(python, "-c", script)
    assert said.startswith("1 1 octopack could not add its tasks to lm-eval")
    assert "--include_path" in said

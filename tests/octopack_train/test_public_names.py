import subprocess
import sys

import pytest

import octopack_train


@pytest.mark.parametrize("name", octopack_train.__all__)
def test_every_public_name_is_there(name: str):
    assert getattr(octopack_train, name) is not None


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="trian"):
        octopack_train.trian  # noqa: B018


def test_the_command_line_loads_no_heavy_package():
    heavy = "torch", "transformers", "trl", "peft", "datasets", "numpy", "yaml"
    program = f"import octopack_train.cli, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

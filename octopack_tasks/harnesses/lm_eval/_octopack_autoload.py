"""Lets `lm_eval` find our tasks with no flag: a lazy import hook, armed by a one-line `.pth` file.

Installed as a top-level module beside `octopack.pth`, because that line runs at every start of the interpreter and so
may import nothing but this. It does nothing until one of two modules of lm-eval is imported; then

- `lm_eval.tasks.manager`: our task folder is searched after the built-in tasks and before the user's own, and
- `lm_eval.config.evaluate_config`: a run of our tasks is checked before its model is loaded.

`OCTOPACK_LM_EVAL_AUTOLOAD=0` switches it off; `lm_eval --include_path "$(octopack lm-eval-path)"` is the explicit way.
Where lm-eval has changed so that the hook does not fit, one warning says so and lm-eval goes on without our tasks.
"""

import os
import sys

_HOOKED = {"lm_eval.tasks.manager": "extend_task_manager", "lm_eval.config.evaluate_config": "check_before_run"}


class _Finder:
    """A finder for the two modules of lm-eval; every other name is passed on at once."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name not in _HOOKED:
            return None
        # The other finders (a regular or an editable install of lm-eval) find the module; we only add a last step.
        spec = None
        for finder in sys.meta_path:
            if finder is not _Finder and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    break
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):  # type: ignore[no-untyped-def]
            execute(module)
            try:
                import octopack_tasks.harnesses.lm_eval.hooks as hooks

                getattr(hooks, _HOOKED[name])(module)
            except Exception as error:  # another package's import must never fail because of us
                import warnings

                warnings.warn(
                    f"octopack could not add its tasks to lm-eval ({type(error).__name__}: {error}); "
                    'use lm_eval --include_path "$(octopack lm-eval-path)" instead',
                    stacklevel=2,
                )

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def arm():  # type: ignore[no-untyped-def]
    """Put the finder in front, once."""
    if os.environ.get("OCTOPACK_LM_EVAL_AUTOLOAD", "1") != "0" and _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)

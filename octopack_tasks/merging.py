"""Puts the parts of a run together: the shards of a Slurm array, or runs of different tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from octopack_tasks.errors import UserError
from octopack_tasks.evaluation import check_dataset, content_of
from octopack_tasks.plans import Plan, differences, plan_from_manifest, settings
from octopack_tasks.runs import Judgement, Run, Sample


def merge(parts: Sequence[Run], into: Run) -> None:
    """Make one run of several; verdicts come along where all parts were judged in one environment.

    Args:
        parts: The runs, which stay as they are.
        into: The new run; its folder is made once the parts have been found to fit.

    Raises:
        UserError: The parts were made with different settings, or the folder is taken.
    """
    into.check_vacant()
    named = parts
    parts = [part for part in named if part.manifest["settings"]["tasks"]]  # more shards than problems: some are empty
    if not parts:
        raise UserError(f"there is nothing to merge: no problem in {', '.join(str(part.folder) for part in named)}")
    manifests = [part.manifest for part in parts]
    if any(manifest["settings"]["model"]["backend"] == "recorded" for manifest in manifests):
        raise UserError("only runs that octopack generated can be merged; score imported completions one by one")
    for part, manifest in zip(parts[1:], manifests[1:], strict=True):
        differing = list(differences(_shared(manifest), _shared(manifests[0])))
        differing += list(
            differences(_common_tasks(manifest, manifests[0]), _common_tasks(manifests[0], manifest), "tasks.")
        )
        if differing:
            raise UserError(f"{part.folder} and {parts[0].folder} are not parts of one run: {'; '.join(differing[:3])}")
    plan = _whole_plan(manifests)
    works = plan.load()
    for part, manifest in zip(parts, manifests, strict=True):
        for work in works:
            if recorded := manifest["settings"]["tasks"].get(work.task.name):
                check_dataset(part, work.whole, recorded["dataset_sha256"])
    environments = [manifest.get("scoring", {}) for manifest in manifests]
    readings = [name for name in environments[0] if all(_same_place(name, environments))]
    served_as = sorted({name for manifest in manifests for name in manifest.get("served_as", ())})
    with into.locked():
        into.check_vacant()  # another process could have filled it meanwhile
        for work in works:
            name = work.task.name
            into.add_samples(name, _unique([sample for part in parts for sample in part.samples(name)]))
            for reading in readings:
                into.add_judgements(
                    name, reading, _unique([each for part in parts for each in part.judgements(name, reading)])
                )
        into.write_manifest(
            {
                **manifests[0],
                "settings": {**manifests[0]["settings"], **settings(plan, works)},
                "scoring": {name: environments[0][name] for name in readings},
                **({"served_as": served_as} if served_as else {}),
                "merged_from": [str(part.folder) for part in named],
            }
        )


def _unique(records: Sequence[Any]) -> list[Any]:
    """Each sample once: a part may have been merged before."""
    found: dict[tuple[str, int, int], Sample | Judgement] = {}
    for record in records:
        found.setdefault((*record.key, record.sample), record)
    return list(found.values())


def _shared(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What all parts of a run have in common."""
    shared = {key: value for key, value in content_of(manifest["settings"]).items() if key not in ("tasks", "shard")}
    return {"settings": shared, "loaded_model": manifest.get("loaded_model", {})}


def _common_tasks(manifest: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    of_a_part = ("problems", "prompts_sha256")
    return {
        name: {key: value for key, value in values.items() if key not in of_a_part}
        for name, values in manifest["settings"]["tasks"].items()
        if name in other["settings"]["tasks"]
    }


def _whole_plan(manifests: Sequence[Mapping[str, Any]]) -> Plan:
    plans = [plan_from_manifest(manifest) for manifest in manifests]
    tasks = {task.name: task for plan in plans for task in plan.tasks}
    return dataclasses.replace(plans[0], tasks=tuple(tasks.values()), shard=None)


def _same_place(reading: str, environments: Sequence[Mapping[str, Any]]) -> list[bool]:
    first = environments[0][reading]
    keys = ("backend", "image", "digest", "toolchains", "limits")
    return [all(other.get(reading, {}).get(key) == first.get(key) for key in keys) for other in environments]

"""CommitPackFT's speed: our chain against the reference's chain of `datasets` filters, on the same rows and one core.

The baseline is written from a description of the reference's two scripts: one `datasets.filter` or `map` call for each
of its steps, tokens counted by the transformers tokenizer on the whole text. Its one random rule draws as ours does, so
that the kept rows can be compared; they must be equal.

Usage: python benchmarks/commitpackft.py [--tokenizer FOLDER] [--rows N] [--more-rows M]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson
from synthetic_commits import write

from octopack_data.commitpackft import wordlists
from octopack_data.commitpackft.filters import Semantics, bump_survives
from octopack_data.commitpackft.step import CommitPackFT
from octopack_data.commitpackft.tokens import load_tokenizer
from octopack_data.errors import DataError
from octopack_data.executors import run_units
from octopack_data.pipeline import Batch, Job, Unit
from octopack_data.shards import iter_rows

SEED = 0


def reference_chain(path: Path, tokenizer_file: Path, folder: Path) -> dict[str, str]:
    """Filter as the reference does: load into Arrow, then one pass over everything for each step."""
    import datasets
    from transformers import PreTrainedTokenizerFast

    datasets.disable_progress_bars()
    datasets.disable_caching()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file))
    noise = wordlists.load("noise")
    starts = set(wordlists.load("starts_scripts")["words"]["en"])
    lowered_phrases = ["code review", "cdpcp", "//codereview", "| leetcode"]

    def good_length(subject: str) -> bool:
        return 10 < len(subject) < 1000 and 4 < len(subject.split()) < 1000

    def clean(row: dict[str, str]) -> dict[str, str]:
        words = row["subject"].strip().replace("[skip ci]", "").split()
        if words and words[0].startswith("[") and words[0].endswith("]"):
            words = words[1:]
        if words and words[0].endswith(":"):
            words = words[1:]
        if words and words[-1].startswith("[") and words[-1].endswith("]"):
            words = words[:-1]
        return {"subject": " ".join(words)}

    def name_outside(row: dict[str, str]) -> bool:
        parts = row["new_file"].split("/")[-1].split(".")
        return len(parts) < 2 or parts[-2] not in row["subject"]

    def token_count(row: dict[str, str]) -> bool:
        text = row["old_contents"] + "<|endoftext|>" + row["new_contents"]
        return 50 <= len(tokenizer(text)["input_ids"]) <= 768

    def no_bump(row: dict[str, str]) -> bool:
        return not row["subject"].startswith(("Bump", "Set version", "Update version")) or bump_survives(
            SEED, row["commit"]
        )

    def subject_rule(test: Callable[[str], bool]) -> Callable[[dict[str, str]], bool]:
        return lambda row: test(row["subject"])

    data = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder))
    steps: list[Callable[[dict[str, str]], bool] | None] = [
        lambda row: len(row["old_contents"]) < 50_000,
        lambda row: len(row["new_contents"]) != 0,
        lambda row: row["old_contents"] != row["new_contents"],
        subject_rule(lambda s: "#" not in s),
        lambda row: "." in row["new_file"],
        name_outside,
        subject_rule(good_length),
        None,
        subject_rule(good_length),
        subject_rule(lambda s: s.strip()[0].isupper()),
        token_count,
        subject_rule(lambda s: s.lower().startswith(tuple(f"{word} " for word in starts))),
        subject_rule(lambda s: s.lower() not in noise["stock_messages"]),
        subject_rule(lambda s: not any(text in s.lower() for text in noise["phrases_first_script"])),
        subject_rule(lambda s: re.match(r"(?:v)?\d+\.\d+\.\d+(?=$|\S)", s) is None),
        subject_rule(lambda s: re.match(r"^[a-f0-9]+(?:-[a-f0-9]+)*$", s) is None),
        subject_rule(lambda s: "cherry picked from commit" not in s),
        subject_rule(lambda s: re.search(r"([a-f0-9]{40})", s) is None),
        None,
        no_bump,
        subject_rule(lambda s: not any(text in s.lower() for text in (" i ", "i've", "i'm"))),
        subject_rule(lambda s: not ("thanks to" in s.lower() and "for" in s)),
        *[subject_rule(lambda s, text=text: text not in s.lower()) for text in lowered_phrases],  # type: ignore[misc]
        subject_rule(lambda s: s.lower() not in noise["sentences"]),
        *[
            subject_rule(lambda s, word=word: re.search(rf"{word}\s*\d+", s, re.IGNORECASE) is None)  # type: ignore[misc]
            for word in ("issue", "bug", "feature")
        ],
        subject_rule(lambda s: not any(text in s.lower() for text in ("work in progress", "wip"))),
        subject_rule(lambda s: not any(text in s.lower() for text in ("https://", "http://"))),
        subject_rule(lambda s: len(s.split()) >= 4),
    ]
    first_script = 16  # steps of the first script; the second one loads what the first has written
    for number, step in enumerate(steps):
        if number == first_script:
            data.to_json(folder / "first.jsonl", force_ascii=False)
            data = datasets.load_dataset("json", data_files=str(folder / "first.jsonl"), split="train")
        if step is not None:
            data = data.filter(step)
        elif number < first_script:
            data = data.map(clean)
        else:
            data = data.map(lambda row: {"subject": row["subject"].replace("[ci skip]", "").strip()})
    data.to_json(folder / "kept.jsonl", force_ascii=False)
    return {row["commit"]: row["subject"] for row in data}


def ours(path: Path, tokenizer_json: str | None, output: Path, exact_reasons: bool = True) -> None:
    """Filter as `octopack data commitpackft` does, file to file."""
    step = CommitPackFT(tokenizer_json, semantics=Semantics.SCRIPTS_NOLIST, seed=SEED, exact_reasons=exact_reasons)
    run_units(Job(step, output), [Unit("rows", (path,))])


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return the processor time of `action` in this process and the children it waited for."""
    before = time.process_time()
    action()
    return time.process_time() - before


def best(action: Callable[[], object], rounds: int = 3) -> float:
    """Return the least processor time of a few rounds: what other programs on the machine add is noise."""
    return min(cpu_seconds(action) for _ in range(rounds))


def peak_megabytes(*arguments: str) -> float:
    """Return the peak memory of this script called with `arguments` in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return float(done.stdout)


def own_peak_megabytes() -> float:
    """Return the peak memory of this process (not getrusage's, which a child inherits from its parent)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM in /proc/self/status")


def compare(tokenizer: str, rows: int, more_rows: int) -> None:
    """Print everything."""
    tokenizer_json = load_tokenizer(tokenizer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer_file = folder / "tokenizer.json"
        tokenizer_file.write_text(tokenizer_json, encoding="utf-8")
        few, many, most = folder / "few.jsonl", folder / "many.jsonl", folder / "most.jsonl"
        write(few, rows)
        write(many, more_rows)
        most.write_bytes(many.read_bytes() * 4)

        print(f"whole chain on {rows:,} rows ({few.stat().st_size / 1e6:.0f} MB), one core, processor time")
        reference: dict[str, str] = {}
        theirs_s = cpu_seconds(lambda: reference.update(reference_chain(few, tokenizer_file, folder / "arrow")))
        ours(few, tokenizer_json, folder / "warm")  # loads the tokenizer library once, as the import above did
        counter = iter(range(1000))
        ours_s = best(lambda: ours(few, tokenizer_json, folder / f"out{next(counter)}"))
        fast_s = best(lambda: ours(few, tokenizer_json, folder / f"out{next(counter)}", False))
        kept = {row["commit"]: row["subject"] for row in iter_rows(folder / "out0" / "rows.jsonl")}
        assert kept == reference, "the kept rows differ"
        print(f"  reference's chain        {rows / theirs_s:10,.0f} rows/s")
        print(f"  ours                     {rows / ours_s:10,.0f} rows/s   {theirs_s / ours_s:5.1f}x")
        print(f"  ours, --fast-reasons     {rows / fast_s:10,.0f} rows/s   {theirs_s / fast_s:5.1f}x")
        print(f"  kept by both: {len(kept):,} rows, equal, subjects included")

        lines = many.read_bytes().split(b"\n")[:-1]
        function = CommitPackFT(None, semantics=Semantics.SCRIPTS_NOLIST, seed=SEED).start()

        def parse() -> None:
            for line in lines:
                orjson.loads(line)

        def parse_and_filter() -> None:
            for start in range(0, len(lines), 100):
                batch = lines[start : start + 100]
                function(Batch(batch, [orjson.loads(line) for line in batch]))

        def parse_file() -> None:
            with many.open("rb") as file:
                for line in file:
                    orjson.loads(line)

        times = {"parse": [], "filter": [], "parse file": [], "file to file": []}  # type: dict[str, list[float]]
        for _ in range(5):  # interleaved: all four see the same neighbours
            times["parse"].append(cpu_seconds(parse))
            times["filter"].append(cpu_seconds(parse_and_filter))
            times["parse file"].append(cpu_seconds(parse_file))
            times["file to file"].append(cpu_seconds(lambda: ours(many, None, folder / f"cheap{next(counter)}")))
        least = {what: min(values) for what, values in times.items()}
        size = many.stat().st_size / 1e6
        print(f"cheap rules alone on {more_rows:,} rows ({size:.0f} MB), one core, processor time")
        for what, base in (("parse", ""), ("filter", "parse"), ("parse file", ""), ("file to file", "parse file")):
            label = {
                "parse": "orjson, lines in memory",
                "filter": "parse and cheap rules",
                "parse file": "orjson, lines of the file",
                "file to file": "ours, file to file",
            }[what]
            share = f"   {least[base] / least[what]:5.0%} of orjson" if base else ""
            print(f"  {label:26}{more_rows / least[what]:10,.0f} rows/s {size / least[what]:7,.0f} MB/s{share}")

        print("peak memory, whole chain")
        for path in (many, most):
            peak = peak_megabytes("--only", str(path), "--tokenizer", tokenizer)
            print(f"  {path.stat().st_size / 1e6:6,.0f} MB of rows       {peak:8,.0f} MB")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tokenizer", default=os.environ.get("OCTOPACK_TEST_MODEL", "bigcode/starcoder"), help="folder or hub name"
    )
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the comparison with the reference's chain")
    parser.add_argument("--more-rows", type=int, default=20_000, help="rows of the other measurements")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        with tempfile.TemporaryDirectory() as name:
            ours(arguments.only, load_tokenizer(arguments.tokenizer), Path(name))
        print(own_peak_megabytes())
        return
    try:
        compare(arguments.tokenizer, arguments.rows, arguments.more_rows)
    except DataError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

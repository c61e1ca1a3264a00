"""Size and speed of the report's viewer, for a whole benchmark of made-up samples, in headless Chromium.

    python benchmarks/viewer.py --dataset ../shared/data/humanevalpack

Two runs, as `octopack evaluate` would have left them: one whose completions are the canonical solutions with small
edits, one whose completions are random words, which hardly compress. Times are in the page: from the change of the
address to the finished view, the median of several.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from chromium import Page, browser, opened_browser
from synthetic_runs import edited, rambling, write_run

from octopack_tasks.report.loading import load_runs
from octopack_tasks.report.viewer import write_viewer

TASKS = [f"humanevalfixtests-{language}" for language in ("python", "js", "java", "go", "cpp", "rust")]
VIEWS = {
    "filter by verdict": "#verdict=failed",
    "filter by verdict and language": "#verdict=failed&lang=go",
    "search": "#q=sum",
    "no filter": "#",
}
_TIMED = """(async () => {
  const before = document.body.dataset.ready, start = performance.now();
  location.hash = %r;
  while (document.body.dataset.ready === before) await new Promise((done) => setTimeout(done, 1));
  return performance.now() - start;
})()"""


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="starter")
    parser.add_argument("--n-samples", type=int, default=20)
    arguments = parser.parse_args()
    if browser() is None:
        sys.exit("this needs Chromium")
    with tempfile.TemporaryDirectory() as scratch, opened_browser(Path(scratch) / "profile") as page:
        page.resize(1440, 900)
        for write in (edited, rambling):
            folder = Path(scratch) / write.__name__
            run = write_run(folder, TASKS, dataset=arguments.dataset, n_samples=arguments.n_samples, write=write)
            start = time.perf_counter()
            runs = load_runs([run])
            (path,) = write_viewer(runs, (), folder)
            seconds = time.perf_counter() - start
            print(f"{write.__name__}: {path.stat().st_size / 1e6:.1f} MB, read and written in {seconds:.1f} s")
            measure(page, path, runs[0].label)


def measure(page: Page, path: Path, label: str) -> None:
    """Open a viewer and time its views."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        page.open(path)
        times.append(time.perf_counter() - start)
    print(f"  open: {statistics.median(times) * 1000:.0f} ms")
    for name, fragment in VIEWS.items():
        times = []
        for _ in range(5):
            page.follow("#lang=python")
            times.append(page.evaluate(_TIMED % fragment))
        print(f"  {name}: {statistics.median(times):.0f} ms")
    first = page.evaluate("document.querySelector('.row').getAttribute('href')")
    page.follow("#lang=python")
    print(f"  a sample of a part that was not read yet: {page.evaluate(_TIMED % first):.0f} ms")


if __name__ == "__main__":
    main()

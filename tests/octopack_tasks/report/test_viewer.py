"""The viewer in a real browser: it opens from disk, filters, shows samples, and nothing in them does anything."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from chromium import Page
from synthetic_runs import edited, rambling, write_run

from octopack_tasks.languages import LANGUAGES
from octopack_tasks.problems import Problem, load_problems
from octopack_tasks.readings import PAPER
from octopack_tasks.report import viewer
from octopack_tasks.report.loading import load_runs
from octopack_tasks.report.published import find_published
from octopack_tasks.results import outcome_of
from octopack_tasks.runs import Judgement, Run
from sandboxes import Status, Verdict

FIX = tuple(f"humanevalfixtests-{language}" for language in ("python", "js", "java", "go", "cpp", "rust"))
SYNTHESIZE = tuple(name.replace("fixtests", "synthesize") for name in FIX)

Keep = Callable[[str], Path]


def written(folder: Path, *runs: Path, published: Sequence[str] = ()) -> Path:
    """The viewer of some runs."""
    folder.mkdir(exist_ok=True)
    (path,) = viewer.write_viewer(load_runs(runs), find_published(published), folder)
    return path


def judgements(run: Path, *tasks: str) -> list[tuple[str, Judgement]]:
    return [(task, each) for task in tasks for each in Run(run).judgements(task, PAPER.name)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    return write_run(folder, [*FIX, *SYNTHESIZE], model="made/octo-15B", n_samples=3)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "second"
    return write_run(folder, FIX, model="made/star-7B", n_samples=3, skill=0.6, seed=5, judge_share=0.8)


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("report"), run)


@pytest.fixture(scope="module")
def both(run: Path, other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("reports"), run, other)


def shown_count(page: Page) -> int:
    found = re.match(r"[\d,]+", page.text("#count"))
    assert found is not None
    return int(found[0].replace(",", ""))


def shown_code(page: Page, number: int = 0) -> str:
    """The text of a code block, without its line numbers."""
    block = f"[...document.querySelectorAll('.code')[{number}].querySelectorAll('.text')]"
    return "\n".join(page.evaluate(f"{block}.map(line => line.textContent)"))


def link(run: str, task: str, judgement: Judgement, **more: str) -> str:
    place = {"of": run, "in": task, "problem": judgement.task_id, "sample": str(judgement.sample), **more}
    return "#" + "&".join(f"{name}={value.replace('/', '%2F').replace(' ', '+')}" for name, value in place.items())


def test_it_opens_with_all_scores_and_samples(report: Path, run: Path, page: Page, keep: Keep) -> None:
    page.open(report)
    assert shown_count(page) == len(FIX + SYNTHESIZE) * 10 * 3
    for result in load_runs([run])[0].results:
        score = result.pass_at(1)
        assert score is not None
        assert f"{100 * score.value:.1f}" in page.text(".scores")
    assert page.evaluate("document.querySelectorAll('canvas.map').length") == 2  # fix and synthesize
    keep("overview-light")
    page.resize(1440, 900, dark=True)
    keep("overview-dark")


@pytest.mark.parametrize(
    ("fragment", "is_meant"),
    [
        ("#verdict=failed", lambda task, problem, outcome: outcome == "failed"),
        ("#verdict=failed,timeout", lambda task, problem, outcome: outcome in ("failed", "timeout")),
        ("#lang=go", lambda task, problem, outcome: task.endswith("-go")),
        ("#task=synthesize&lang=rust", lambda task, problem, outcome: task == "humanevalsynthesize-rust"),
        ("#bug=missing+logic", lambda task, problem, outcome: problem.bug_type == "missing logic"),
        ("#q=SEATS", lambda task, problem, outcome: "seats" in problem.entry_point.lower()),
        ("#q=no-such-problem", lambda task, problem, outcome: False),
        (
            "#verdict=passed&lang=cpp&bug=value+misuse",
            lambda task, problem, outcome: (
                outcome == "passed" and task.endswith("-cpp") and problem.bug_type == "value misuse"
            ),
        ),
    ],
)
def test_filters_leave_what_they_say(
    report: Path, run: Path, page: Page, fragment: str, is_meant: Callable[[str, Problem, str], bool]
) -> None:
    problems = {
        problem.task_id: problem for language in LANGUAGES for problem in load_problems(language, "starter").problems
    }
    expected = [
        each
        for task, each in judgements(run, *FIX, *SYNTHESIZE)
        if is_meant(task, problems[each.task_id], outcome_of(each))
    ]
    page.open(report, fragment)
    assert shown_count(page) == len(expected)


def test_filters_are_set_by_hand_and_kept_in_the_address(report: Path, run: Path, page: Page, keep: Keep) -> None:
    page.open(report)
    page.evaluate("document.querySelector('[data-verdict=timeout]').click()")
    page.wait("location.hash.includes('verdict=timeout') && document.querySelector('[aria-pressed=true].chip')")
    page.evaluate(
        "(() => { const box = document.querySelector('[data-filter=lang]'); box.value = 'java';"
        " box.dispatchEvent(new Event('change')); })()"
    )
    page.wait("document.getElementById('count').textContent.includes('Clear') && location.hash.includes('lang=java')")
    expected = [each for _, each in judgements(run, FIX[2], SYNTHESIZE[2]) if each.verdict.status.value == "timeout"]
    page.wait(f"document.getElementById('count').textContent.startsWith('{len(expected)} ')")
    keep("filtered")
    page.press("c")
    page.wait("!location.hash.includes('verdict')")


def test_a_link_leads_to_a_known_failure_with_all_its_texts(report: Path, run: Path, page: Page, keep: Keep) -> None:
    task = "humanevalfixtests-python"
    failure = next(each for _, each in judgements(run, task) if each.verdict.stderr and each.solution.strip())
    [completion] = [
        each.completion
        for each in Run(run).samples(task)
        if (each.task_id, each.sample) == (failure.task_id, failure.sample)
    ]
    page.open(report, link("octo-15B", task, failure))
    assert failure.task_id in page.text(".sample h1")
    assert page.text(".verdict .status").endswith(failure.verdict.status.value.replace("_", " "))
    assert page.text(".output").strip() == failure.verdict.stderr.strip()
    assert f"{failure.verdict.memory_bytes / 2**20:.0f} MiB" in page.text(".measures")
    assert shown_code(page) == failure.solution.removesuffix("\n")
    keep("sample-light")
    for tab, text in (("completion", completion), ("program", failure.program)):
        page.follow(link("octo-15B", task, failure, tab=tab))
        assert text is not None
        assert shown_code(page) == text.removesuffix("\n")
    page.follow(link("octo-15B", task, failure, tab="prompt"))
    assert "check(" in shown_code(page)  # the tests are part of what is asked


def test_the_diff_shows_what_a_solution_changed(tmp_path: Path, page: Page, keep: Keep) -> None:
    def almost(problem: Problem, number: int, generator: random.Random) -> str:
        return "\n" + problem.canonical_solution.replace("return", "return 7 +", 1)

    run = write_run(tmp_path / "almost", FIX[:1], n_samples=1, write=almost)
    problem = load_problems("python", "starter")[0]
    page.open(written(tmp_path / "out", run), f"#in={FIX[0]}&problem=StarterPython%2F0&sample=0&tab=canonical")
    line = next(line for line in problem.canonical_solution.split("\n") if "return" in line)
    rows = page.evaluate("[...document.querySelectorAll('.line.gone, .line.come')].map(row => row.innerText)")
    assert [re.sub(r"\s+", " ", row).strip().split(" ", 2)[2] for row in rows] == [
        line.strip(),
        line.replace("return", "return 7 +").strip(),
    ]
    assert page.evaluate("[...document.querySelectorAll('.come mark')].map(mark => mark.textContent.trim())") == ["7 +"]
    keep("diff-light")
    page.resize(1440, 900, dark=True)
    keep("diff-dark")


def test_a_link_to_what_is_not_there_says_so(report: Path, page: Page) -> None:
    page.open(report, "#in=humanevalfixtests-python&problem=Nowhere%2F0&sample=0")
    assert "not here" in page.text("#main .notice")
    page.follow("#model=nobody&verdict=%E0%A4%A&sample=-1&k=x&tab=__proto__&lang=constructor&bug=__proto__")
    assert shown_count(page) == 0


def test_two_runs_side_by_side_with_the_flips_first(both: Path, run: Path, other: Path, page: Page, keep: Keep) -> None:
    page.open(both, "#model=octo-15B&vs=star-7B")
    shares: list[dict[tuple[str, str], float]] = []
    for folder in (run, other):
        passed: dict[tuple[str, str], list[bool]] = {}
        for task, each in judgements(folder, *FIX):
            passed.setdefault((task, each.task_id), []).append(each.verdict.passed)
        shares.append({key: sum(values) / len(values) for key, values in passed.items()})
    differences = [shares[1][key] - shares[0][key] for key in shares[0] if key in shares[1]]
    assert page.text("#count").startswith(f"{len(differences)} problems, {sum(map(bool, differences))} differ")
    points = page.evaluate("[...document.querySelectorAll('.row .points')].map(each => each.textContent)")
    sizes = [abs(int(text.replace("\N{MINUS SIGN}", "-"))) for text in points]
    assert sizes[0] == round(100 * max(map(abs, differences)))
    assert sizes == sorted(sizes, reverse=True)
    keep("compare-light")
    page.press("j")
    page.wait("document.querySelectorAll('.verdict').length === 2")
    assert "octo-15B" in page.text(".verdict:nth-child(1)")
    assert "star-7B" in page.text(".verdict:nth-child(2)")
    page.press("8")  # the two solutions against each other
    page.wait("document.querySelector('[data-tab=other][aria-selected=true]')")
    keep("compare-sample")


def test_half_a_run_is_labelled_and_has_no_mean(both: Path, page: Page) -> None:
    page.open(both)
    assert "star-7B is not whole" in page.text("#notices")
    rows = page.evaluate(
        "[...document.querySelectorAll('.scores tbody tr')]"
        ".map(row => [row.innerText, row.querySelector('.mean').innerText])"
    )
    [half] = [mean for text, mean in rows if "star-7B" in text]
    [whole, _] = [mean for text, mean in rows if "octo-15B" in text]
    assert half == "\N{EN DASH}"
    assert float(whole) > 0


def test_published_scores_and_their_mean_are_of_the_languages_that_the_runs_have(tmp_path: Path, page: Page) -> None:
    run = write_run(tmp_path / "run", [*FIX, SYNTHESIZE[0], SYNTHESIZE[-1]], n_samples=1)
    page.open(written(tmp_path / "out", run, published=["gpt-4"]))
    fix, synthesize = page.evaluate(
        "[...document.querySelectorAll('.scores .published')]"
        ".map(row => [...row.querySelectorAll('td')].map(cell => cell.innerText.trim()))"
    )
    assert fix == ["47.0", "48.2", "50.0", "50.6", "47.6", "43.3", "47.8"]
    none = "\N{EN DASH}"
    assert synthesize == ["86.6", none, none, none, none, "67.1", "76.9"]


def test_keys(report: Path, run: Path, page: Page, keep: Keep) -> None:
    page.open(report)
    page.press("j")
    page.wait("document.querySelector('.row[aria-selected=true]')?.dataset.row === '0'")
    page.press("j")
    page.wait("document.querySelector('.row[aria-selected=true]')?.dataset.row === '1'")
    page.press("k")
    page.wait("document.querySelector('.row[aria-selected=true]')?.dataset.row === '0'")
    page.press("n")
    outcomes = [outcome_of(each) for _, each in judgements(run, FIX[0])]
    next_failure = next(at for at in range(1, len(outcomes)) if outcomes[at] != "passed")
    page.wait(f"document.querySelector('.row[aria-selected=true]')?.dataset.row === '{next_failure}'")
    page.press("6")
    page.wait("document.querySelector('[data-tab=program][aria-selected=true]')")
    page.press("]")
    before = page.evaluate("document.documentElement.dataset.theme ?? ''")
    page.press("t")
    page.wait(f"document.documentElement.dataset.theme !== '{before}'")
    page.press("t")
    page.press("?")
    page.wait("document.getElementById('help').open")
    keep("help")
    page.press("Escape")
    page.evaluate("document.getElementById('help').close()")
    page.press("Escape")
    page.wait("document.querySelector('.overview')")
    page.press("/")
    page.wait("document.activeElement.id === 'q'")


def test_a_click_in_the_heat_map_opens_the_problem(report: Path, page: Page) -> None:
    page.open(report)
    box = page.evaluate("(({x, y}) => [x, y])(document.querySelector('canvas.map').getBoundingClientRect())")
    page.click_at(box[0] + 44 + 26 * 2 + 5, box[1] + 17 * 3 + 5)  # the third problem in the fourth language
    page.wait("document.querySelector('.sample h1')")
    assert "Go/2" in page.text(".sample h1")


def test_the_heat_map_is_walked_with_keys(report: Path, run: Path, page: Page, keep: Keep) -> None:
    page.open(report)
    page.evaluate("document.querySelector('canvas.map').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.press(key)
    problem = load_problems("js", "starter")[1]
    own = [each for _, each in judgements(run, "humanevalfixtests-js") if each.task_id == problem.task_id]
    passed = sum(each.verdict.passed for each in own)
    assert f"{passed} of {len(own)} samples passed" in page.text("#tip")
    assert problem.bug_type in page.text("#tip")
    keep("heat-map")
    page.press("Enter")
    page.wait("document.querySelector('.sample h1')")
    assert problem.task_id in page.text(".sample h1")
    assert not page.evaluate("document.getElementById('tip').checkVisibility()")


def test_a_phone_has_all_of_it_without_scrolling_sideways(both: Path, run: Path, page: Page, keep: Keep) -> None:
    page.resize(390, 844, phone=True)
    page.open(both)
    keep("phone-overview")
    fits = "[document.scrollingElement, document.getElementById('main')].every(box => box.scrollWidth <= innerWidth)"
    assert page.evaluate(fits)
    page.evaluate("document.querySelector('[data-go=list]').click()")
    page.wait("document.querySelector('.row')")
    assert page.evaluate("document.getElementById('rows').clientHeight") > 300
    keep("phone-list")
    page.evaluate("document.querySelector('.row').click()")
    page.wait("document.body.dataset.pane === 'sample' && document.querySelector('.sample .code')")
    assert page.evaluate(fits)
    keep("phone-sample")


SIGNS = "window.hurt = (window.hurt || 0) + 1; alert('hurt')"
HOSTILE = (
    f"</script><script>{SIGNS}</script>",
    f'<img src="x" onerror="{SIGNS}"><svg onload="{SIGNS}">',
    "<!-- <script> --!> ]]> <![CDATA[",
    f"'); {SIGNS}; ('\u2028{SIGNS}\u2029",
    "return x\u202e } ;timda si = \u2066// check\u2069 \u200b\ufeff\u061c",
    "nothing \0 here \x1b[31m \x7f \x9b",
    "a lone \ud800 and \udfff surrogate, a pair \U0001f419",
    f"javascript:{SIGNS}//{{{{style}}}} {{{{data}}}}",
    f'<iframe srcdoc="<script>parent.{SIGNS}</script>"></iframe><base href="https://evil.invalid/">',
    f'<meta http-equiv="refresh" content="0; url=https://evil.invalid/"><a href="javascript:{SIGNS}">x</a>',
    f"[__proto__] constructor toString {SIGNS} ${{{SIGNS}}} `",
    "x" * 300_000,
    "\n" * 5_000,
    "'''" + "(" * 50_000,
)


def hostile_rows() -> Sequence[dict[str, str]]:
    row = {
        "prompt": 'def double(x):\n    """ Twice x. """\n',
        "declaration": "def double(x):\n",
        "canonical_solution": "    return x + x\n",
        "buggy_solution": "    return x\n",
        "test": "def check(double):\n    assert double(2) == 4\n\ncheck(double)",
        "entry_point": "double",
        "signature": "double(x)",
        "docstring": "Twice x.",
        "instruction": "Twice x.",
        "failure_symptoms": "incorrect output",
        "example_test": "",
    }
    return [
        {**row, "task_id": f"Evil/{HOSTILE[0]}", "bug_type": HOSTILE[1], "failure_symptoms": HOSTILE[3]},
        {**row, "task_id": f"Evil/{HOSTILE[4]}", "bug_type": "__proto__", "docstring": HOSTILE[8]},
    ]


def test_hostile_texts_do_nothing_and_stay_readable(tmp_path: Path, page: Page, keep: Keep) -> None:
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "python.jsonl").write_text("".join(json.dumps(row) + "\n" for row in hostile_rows()))

    def write(problem: Problem, number: int, generator: random.Random) -> str:
        return HOSTILE[number]

    model = f"evil/{HOSTILE[1]}"
    run = write_run(
        tmp_path / "run",
        FIX[:1],
        model=model,
        dataset=str(dataset),
        n_samples=len(HOSTILE),
        write=write,
        stderr=HOSTILE,
    )
    path = written(tmp_path / "out", run)
    page.open(path)
    keep("hostile-overview")
    name = load_runs([run])[0].label
    task_id = hostile_rows()[0]["task_id"]
    for number in range(len(HOSTILE)):
        for tab in ("solution", "completion", "canonical", "program"):
            place = {"of": name, "in": FIX[0], "problem": task_id, "sample": str(number), "tab": tab}
            page.follow(page.evaluate(f"'#' + new URLSearchParams({json.dumps(place)})"))
            assert page.evaluate("Boolean(document.querySelector('.sample'))")
        if number == 4:
            keep("hostile-bidi")
    page.follow("")
    for filters in ("#bug=__proto__", "#q=%3Cscript", "#verdict=__proto__", "#model=__proto__&vs=constructor"):
        page.follow(filters)
    assert page.evaluate(
        "window.hurt === undefined && !document.querySelector('img, svg, iframe, base, object, embed')"
    )
    assert page.evaluate("document.querySelectorAll('script:not([type])').length") == 1
    assert page.evaluate("location.protocol") == "file:"


def test_markup_that_got_into_the_page_would_do_nothing(report: Path, page: Page) -> None:
    page.open(report)
    page.evaluate(
        "document.getElementById('main').innerHTML = `<img src='https://evil.invalid/x.png' onerror='window.hurt = 1'>"
        "<iframe src='https://evil.invalid/'></iframe><a id='link' href='javascript:window.hurt = 1'>x</a>`;"
        "document.getElementById('link').click()"
    )
    page.evaluate("fetch('https://evil.invalid/').catch(() => {})")
    page.wait("true")
    assert page.evaluate("window.hurt === undefined")
    refused = [line for line in page.console if "Content Security Policy" in line]
    assert len(refused) >= 4  # the picture, its handler or the link, the frame, the request
    page.console.clear()
    page.requests[:] = [url for url in page.requests if not url.startswith("https://evil.invalid/")]


def test_what_cannot_be_seen_is_spelled_out(tmp_path: Path, page: Page) -> None:
    def write(problem: Problem, number: int, generator: random.Random) -> str:
        return "    return 1  # \u202e \u2066 \0 \ud800 \u2028 \U0001f419\n"

    run = write_run(tmp_path / "run", FIX[:1], n_samples=1, limit=1, write=write)
    page.open(written(tmp_path / "out", run), f"#in={FIX[0]}&problem=StarterPython%2F0&sample=0&tab=completion")
    assert page.evaluate("[...document.querySelectorAll('.code .unseen')].map(each => each.textContent)") == [
        "U+202E",
        "U+2066",
        "U+0000",
        "U+D800",
        "U+2028",
    ]
    assert "\U0001f419" in shown_code(page)


def test_the_page_holds_no_foreign_text_outside_its_packed_data(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FIX[:1], model=f"evil/{HOSTILE[0]}", n_samples=1, limit=2)
    text = written(tmp_path / "out", run).read_text(encoding="utf-8")
    assert "evil" not in text
    assert "StarterPython" not in text
    assert not re.search(r"(?:src|href)=[\"']?(?!#|data:)\w", text)
    assert "innerHTML" not in text
    assert "default-src 'none'" in text


def test_equal_runs_give_equal_bytes(run: Path, report: Path, tmp_path: Path) -> None:
    assert written(tmp_path, run).read_bytes() == report.read_bytes()


def test_one_sample_of_many_descriptions_keeps_its_name(tmp_path: Path, page: Page) -> None:
    generations = tmp_path / "generations_humanevalexplaindescribe-python.json"
    problems = load_problems("python", "starter")
    generations.write_text(json.dumps([["It adds.", "It subtracts."] for _ in problems]))
    run = write_run(tmp_path / "run", ["humanevalexplainsynthesize-python"], n_samples=1, descriptions=str(generations))
    page.open(written(tmp_path / "out", run))
    assert shown_count(page) == 2 * len(problems)
    place = "#in=humanevalexplainsynthesize-python&problem=StarterPython%2F3&sample=1.0&tab=prompt"
    page.follow(place)
    assert "It subtracts." in shown_code(page)
    page.press("[")
    page.wait("location.hash.includes('sample=0')")
    page.wait("document.querySelector('.code').innerText.includes('It adds.')")


def test_two_readings_of_the_same_samples(tmp_path: Path, page: Page) -> None:
    folder = write_run(tmp_path / "run", FIX[:1], n_samples=2)
    first = [each for _, each in judgements(folder, FIX[0])]
    second = [
        dataclasses.replace(each, solution=f"# read anew\n{each.solution}", verdict=Verdict(Status.PASSED))
        for each in first
    ]
    with Run(folder).locked() as run:
        run.add_judgements(FIX[0], "corrected", second)
    page.open(written(tmp_path / "out", folder), "#verdict=passed")
    assert shown_count(page) == sum(each.verdict.passed for each in first)
    page.follow("#verdict=passed&reading=corrected")
    assert shown_count(page) == len(second)
    page.follow(f"#reading=corrected&in={FIX[0]}&problem=StarterPython%2F1&sample=1")
    assert shown_code(page).startswith("# read anew")


def test_a_damaged_page_says_so(tmp_path: Path, page: Page) -> None:
    path = written(tmp_path / "out", write_run(tmp_path / "run", FIX[:1], n_samples=1))
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'(id="part-0">.{200})', r"\1AAAA", text), encoding="utf-8")
    page.open(path, f"#in={FIX[0]}&problem=StarterPython%2F1&sample=0")
    assert "damaged" in page.text("#main .notice")
    path.write_text(re.sub(r'(id="index">.{200})', r"\1AAAA", text), encoding="utf-8")
    page.call("Page.navigate", url=path.as_uri())
    page.wait("document.getElementById('loading')?.textContent.includes('damaged')")


def test_scores_without_samples_are_shown_too(tmp_path: Path, page: Page) -> None:
    file = tmp_path / "evaluation_results.json"
    file.write_text(json.dumps({"humanevalfixtests-go": {"pass@1": 0.3049}, "config": {"model": "bigcode/octocoder"}}))
    page.open(written(tmp_path / "out", file))
    assert "30.5" in page.text(".scores")
    assert "scores only" in page.text("#rows")


def test_a_seventh_language_is_shown_but_not_in_the_mean(tmp_path: Path, page: Page) -> None:
    run = write_run(tmp_path / "run", [*FIX[:2], "humanevalfixtests-typescript"], n_samples=2)
    page.open(written(tmp_path / "out", run))
    scores = [result.pass_at(1) for result in load_runs([run])[0].results if result.language != "typescript"]
    mean = sum(score.value for score in scores if score) / 2
    assert page.evaluate("[...document.querySelectorAll('thead th')].slice(0, 4).map(head => head.innerText)") == [
        "Python",
        "JavaScript",
        "TypeScript",
        "Mean",
    ]
    assert page.text(".scores td.mean") == f"{100 * mean:.1f}"


def test_published_scores_stand_beside_marked_as_such(run: Path, tmp_path: Path, page: Page, keep: Keep) -> None:
    page.open(written(tmp_path / "out", run, published=["octocoder", "gpt-4"]))
    rows = page.evaluate("[...document.querySelectorAll('.scores tbody tr.published')].map(row => row.innerText)")
    assert len(rows) == 4  # two models in each of two tasks
    assert all(text in rows[0] for text in ("OctoCoder", "published", "n=20", "30.4"))
    keep("published")


def test_a_printed_mean_is_that_of_all_languages_only(tmp_path: Path, page: Page) -> None:
    """Both means of printed scores end in 5: the source had more digits, and rounded one up and the other down."""
    means = "[...document.querySelectorAll('.scores tr.published td.mean')].map(cell => cell.innerText)"
    languages = ("python", "js", "java", "go", "cpp", "rust")
    for scenario, model, mean in (("fixtests", "starcoder", "13.4"), ("synthesize", "instructcodet5p", "17.1")):
        run = write_run(tmp_path / scenario, [f"humaneval{scenario}-{name}" for name in languages])
        page.open(written(tmp_path / f"out-{scenario}", run, published=[model]))
        assert page.evaluate(means) == [mean]
    run = write_run(tmp_path / "two", ["humanevalfixtests-python", "humanevalfixtests-js"])
    page.open(written(tmp_path / "out-two", run, published=["starcoder"]))
    assert page.evaluate(means) == ["12.2"]


@pytest.mark.parametrize("write", [edited, rambling])
def test_a_whole_benchmark_stays_small(
    tmp_path: Path, shared: Path, page: Page, write: Callable[[Problem, int, random.Random], str], keep: Keep
) -> None:
    folder = shared / "data" / "humanevalpack"
    run = write_run(tmp_path / "run", FIX, dataset=str(folder), n_samples=20, write=write)
    path = written(tmp_path / "out", run)
    assert path.stat().st_size < 15e6
    page.open(path)
    assert shown_count(page) == 164 * 6 * 20
    page.follow("#verdict=failed&lang=go")
    assert page.evaluate("document.querySelectorAll('.row').length") < 60  # of thousands, those in sight
    keep(f"whole-{write.__name__}")

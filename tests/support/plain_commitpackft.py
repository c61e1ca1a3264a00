"""The rules of CommitPackFT once more, as plainly as they can be said: what the fast chain is compared with.

Each reading is a list of (code, test); the first test that fails names the rule that drops the row. The word lists are
shared with the package, the code is not.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable

from octopack_data.commitpackft.wordlists import load

Row = dict[str, str]

NOISE = load("noise")
LISTS = load("extensions")["extensions"]


def judge(row: Row, reading: str, tokens: int, bump_is_dropped: bool) -> tuple[str | None, str]:
    """Return the code of the rule that drops the row (None: kept) and the cleaned subject."""
    rules = (
        paper_rules(tokens, bump_is_dropped) if reading == "paper" else script_rules(reading, tokens, bump_is_dropped)
    )
    row = dict(row)
    for code, rule in rules:
        result = rule(row)
        if isinstance(result, str):
            row["subject"] = result
        elif not result:
            return code, row["subject"]
    return None, row["subject"]


def has_bump(row: Row) -> bool:
    return any(row["subject"].startswith(start) for start in ("Bump", "Set version", "Update version"))


def script_rules(reading: str, tokens: int, bump_is_dropped: bool) -> list[tuple[str, Callable[[Row], bool | str]]]:
    verbs = [word + " " for word in load("starts_scripts")["words"]["en"]]

    def extension(row: Row) -> bool:
        if row["new_file"].find(".") == -1:
            return False
        folder = row["lang"].lower().replace(" ", "-")
        if reading == "scripts-nolist" or folder not in LISTS:
            return True
        allowed = LISTS[folder]
        if reading == "scripts-dotless":
            allowed = [item.replace(".", "") for item in allowed]
        return row["new_file"].split(".")[-1] in allowed

    def file_name(row: Row) -> bool:
        parts = row["new_file"].split("/")[-1].split(".")
        return len(parts) == 1 or row["subject"].find(parts[-2]) == -1

    def length(row: Row) -> bool:
        words = len(row["subject"].split())
        return len(row["subject"]) > 10 and len(row["subject"]) < 1000 and words > 4 and words < 1000

    def clean(row: Row) -> str:
        words = "".join(row["subject"].strip().split("[skip ci]")).split()
        if words and re.fullmatch(r"\[.*\]", words[0], re.DOTALL):
            words.pop(0)
        if words and words[0][-1] == ":":
            words.pop(0)
        if words and re.fullmatch(r"\[.*\]", words[-1], re.DOTALL):
            words.pop()
        return " ".join(words)

    def without(*texts: str) -> Callable[[Row], bool]:
        return lambda row: all(row["subject"].lower().find(text) == -1 for text in texts)

    return [
        ("A1", lambda row: len(row["old_contents"]) < 50000),
        ("A2", lambda row: len(row["new_contents"]) > 0),
        ("A3", lambda row: row["old_contents"] != row["new_contents"]),
        ("A4", lambda row: row["subject"].count("#") == 0),
        ("A5", extension),
        ("A6", file_name),
        ("A7", length),
        ("A8", clean),
        ("A9", length),
        ("A10", lambda row: row["subject"].strip()[0].isupper()),
        ("A11", lambda row: 50 <= tokens <= 768),
        ("A12", lambda row: any(row["subject"].lower().startswith(verb) for verb in verbs)),
        ("A13", lambda row: row["subject"].lower() not in NOISE["stock_messages"]),
        ("A14", without(*NOISE["phrases_first_script"])),
        ("A15", lambda row: not re.match(r"(?:v)?\d+\.\d+\.\d+(?=$|\S)", row["subject"])),
        ("A16", lambda row: not re.match(r"^[a-f0-9]+(?:-[a-f0-9]+)*$", row["subject"])),
        ("B1", lambda row: "cherry picked from commit" not in row["subject"]),
        ("B2", lambda row: not re.search(r"([a-f0-9]{40})", row["subject"])),
        ("B3", lambda row: row["subject"].replace("[ci skip]", "").strip()),
        ("B5", without(" i ", "i've", "i'm")),
        ("B6", lambda row: not ("thanks to" in row["subject"].lower() and "for" in row["subject"])),
        ("B7", without("code review")),
        ("B8", lambda row: row["subject"].lower() not in NOISE["sentences"]),
        ("B9", lambda row: not re.search(r"issue\s*\d+|bug\s*\d+|feature\s*\d+", row["subject"], re.I)),
        ("B10", without("cdpcp")),
        ("B11", without("//codereview")),
        ("B12", without("work in progress", "wip")),
        ("B13", without("https://", "http://")),
        ("B14", without("| leetcode")),
        ("B15", lambda row: len(row["subject"].split()) > 3),
        ("B4", lambda row: not (has_bump(row) and bump_is_dropped)),
    ]


def paper_rules(tokens: int, bump_is_dropped: bool) -> list[tuple[str, Callable[[Row], bool | str]]]:
    phrases = NOISE["phrases_first_script"] + NOISE["phrases_second_script"] + NOISE["sentences"]
    patterns = (
        r"(?:v)?\d+\.\d+\.\d+(?=$|\S)",
        r"^[a-f0-9]+(?:-[a-f0-9]+)*$",
        r"[a-f0-9]{40}",
        r"issue\s*\d+",
        r"bug\s*\d+",
        r"feature\s*\d+",
    )

    def base_name(row: Row) -> tuple[str, str]:
        return os.path.splitext(row["new_file"].split("/")[-1])  # noqa: PTH122 - pathlib reads dots otherwise

    def extension(row: Row) -> bool:
        found = base_name(row)[1][1:]
        if found == "":
            return False
        allowed = LISTS.get(row["lang"].lower())
        return allowed is None or found in [item.replace(".", "") for item in allowed]

    def clean(row: Row) -> str:
        subject = row["subject"].replace("[skip ci]", "").replace("[ci skip]", "")
        while True:
            before = subject
            for pattern in (r"^\s+", r"\s+\Z", r"^\[[^\[\]]*\]", r"^\S*:(?!\S)", r"\[[^\[\]]*\]\Z"):
                subject = re.sub(pattern, "", subject)
            if subject == before:
                return subject

    def starts(row: Row) -> bool:
        subject = row["subject"].lower()
        for verb in load("starts_paper")["words"]:
            if subject == verb or (subject.startswith(verb) and subject[len(verb)].isspace()):
                return True
        return False

    def noise(row: Row) -> bool:
        subject = row["subject"].lower()
        return not any(phrase in subject for phrase in phrases) and not ("thanks to" in subject and "for" in subject)

    return [
        ("P1", lambda row: not len(row["old_contents"]) > 50000),
        ("P2", lambda row: row["new_contents"] != ""),
        ("P3", lambda row: row["old_contents"] != row["new_contents"]),
        ("P4", lambda row: row["subject"].find("#") < 0),
        ("P5", extension),
        ("P6", lambda row: base_name(row)[0] not in row["subject"]),
        ("P7", lambda row: 10 < len(row["subject"]) < 1000),
        ("P8", lambda row: 4 < len(row["subject"].split()) < 1000),
        ("P9", clean),
        ("P10", lambda row: row["subject"] != "" and row["subject"][0].isupper()),
        ("P11", lambda row: 50 <= tokens <= 768),
        ("P12", starts),
        ("P13", noise),
        ("P14", lambda row: not any(re.search(p, row["subject"].lower(), re.I) for p in patterns)),
        ("P15", lambda row: not (has_bump(row) and bump_is_dropped)),
    ]

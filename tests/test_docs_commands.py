"""Every command in the documents is run by a test or says why not; all can be meant: command, option, target, route."""

import re
import subprocess

import pytest

from docs_never_run import ELSEWHERE, NEVER
from docs_reader import block, done_by_tests, runnable
from shown_commands import blocks, commands, fault, inline, is_synopsis, lines, route_fault


def test_every_line_is_run_or_says_why_not():
    shown = [each for each in blocks() if not is_synopsis(each)]
    done = set(done_by_tests())
    for page, begins in done:
        block(page, begins)
    left = [
        f"{each.page}: {each.first}"
        for each in shown
        if runnable(each) and not any(page == each.page and each.text.startswith(begins) for page, begins in done)
    ]
    assert left == [], "have a test with a Reader type them, or say in docs_never_run.py why it cannot"
    listed = {
        (page, begins) for left_out in (NEVER, *ELSEWHERE.values()) for page in left_out for begins in left_out[page]
    }
    for page, begins in sorted(listed):
        there = [line for each in shown if each.page == page for line in lines(each.text) if line.startswith(begins)]
        assert there, f"{page} has no line {begins!r} any more: take it out of docs_never_run.py"


def test_every_command_can_be_meant():
    faults = [
        f"{shown.page}: {' '.join(words)}: {why}"
        for shown in blocks()
        for words in commands(shown.text)
        if (why := fault(words))
    ]
    for page, text in inline():
        if re.match(r"(?:aicd|make) [a-z]", text) and "…" not in text:
            faults += [f"{page}: `{text}`: {why}" for words in commands(text) if (why := fault(words, whole=False))]
        route = re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) (/\S+)", text)
        if route and (why := route_fault(*route.groups())):
            faults.append(f"{page}: `{text}`: {why}")
    assert not faults, "\n".join(faults)
    for shown in blocks():
        if shown.labelled:
            done = subprocess.run(["bash", "-n"], input=shown.text, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), f"{shown.page}: {shown.first}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("aicd run --repo . --isue-file issue.md", "No such option"),
        ("aicd jbos", "has no command jbos"),
        ("sudo aicd jbos", "has no command jbos"),
        ("c exec -T backup aicd backup rnu", "has no command rnu"),
        ("c run --rm -e A=1 backup restor", "has no command restor"),
        ("docker compose exec worker aicd doctr", "has no command doctr"),
        ("aicd approve", "Missing parameter"),
        ("aicd jobs --limit many", "valid integer"),
        ("aicd policy test . extra", "too much"),
        ("make everything", "make has no everything"),
        ("curl -X DELETE https://api.example.com/v1/me", "the API has no DELETE /v1/me"),
        ("A=1 aicd worker --concurency 4 # work", "No such option"),
    ],
)
def test_what_is_wrong_is_found(text: str, why: str):
    assert any(why in (fault(words) or "") for words in commands(text))

"""What the console's pages are made of, without a server: diffs in parts, charts, amounts."""

from datetime import UTC, date, datetime, timedelta

import pytest

from aicd_backend.console.charts import PERCENT, Scale, columns, nice, shares
from aicd_backend.console.diffs import ROWS_MOST, Finding, diff_page
from aicd_backend.console.forms import Form
from aicd_backend.console.words import ago, amount, duration, money
from aicd_core.contracts.change import FileChange, FileOp
from aicd_core.errors import InvalidInputError

PATCH = """\
diff --git a/a.py b/a.py
--- a/a.py
+++ b/a.py
@@ -1,2 +1,3 @@
 one
-two
+zwei
+drei
diff --git a/big.txt b/big.txt
new file mode 100644
--- /dev/null
+++ b/big.txt
@@ -0,0 +1,2000 @@
""" + "".join(f"+line {number}\n" for number in range(1, 2001))
FILES = (FileChange(path="a.py", op=FileOp.MODIFY), FileChange(path="big.txt", op=FileOp.CREATE))


def finding(path: str | None, line: int | None) -> Finding:
    return Finding("Policy: size", "ask", path, line, "Too much")


def test_a_diff_has_the_numbers_of_both_sides_and_findings_at_their_lines() -> None:
    shown = diff_page(PATCH, FILES, [finding("a.py", 2), finding("a.py", 99), finding("other", 1)], 1)
    rows = shown.parts[0].rows
    assert [(row.mark, row.old, row.new, row.text) for row in rows[1:]] == [
        (" ", 1, 1, "one"),
        ("-", 2, None, "two"),
        ("+", None, 2, "zwei"),
        ("+", None, 3, "drei"),
    ]
    assert [len(row.findings) for row in rows] == [0, 0, 0, 1, 0]
    assert [each.line for each in shown.parts[0].loose] == [99]


def test_a_large_diff_comes_in_parts_that_leave_nothing_out() -> None:
    pages = [diff_page(PATCH, FILES, (), number) for number in (1, 2, 3)]
    assert {page.pages for page in pages} == {3}
    texts = [row.text for page in pages for part in page.parts for row in part.rows if row.mark == "+"]
    assert texts == ["zwei", "drei", *(f"line {number}" for number in range(1, 2001))]
    assert max(sum(len(part.rows) for part in page.parts) for page in pages) == ROWS_MOST
    assert [part.continued for part in pages[1].parts] == [True]
    assert diff_page(PATCH, FILES, (), 99).number == 3
    assert diff_page(PATCH, FILES, (), -1).number == 1


def test_a_patch_that_cannot_be_read_still_tells_its_files() -> None:
    shown = diff_page("@@ nonsense", FILES, [finding("a.py", 2)], 1)
    assert (shown.rows, [part.file.path for part in shown.parts]) == (0, ["a.py", "big.txt"])
    assert len(shown.parts[0].loose) == 1


def test_a_chart_has_a_bar_for_each_day_in_proportion() -> None:
    first = date(2026, 11, 1)
    amounts = {first: 1_000_000, first + timedelta(days=2): 500_000}
    chart = columns(amounts, first, first + timedelta(days=2), 1, Scale.of_money([*amounts.values()]))
    heights = [bar.height for bar in chart.bars]
    assert heights[0] == 2 * heights[2] > heights[1] == 0
    assert chart.bars[0].y + heights[0] == pytest.approx(chart.floor)
    assert [nice(number) for number in (0, 4, 6, 11, 4_200_000)] == [5, 5, 10, 20, 5_000_000]


def test_a_chart_of_weeks_ends_with_the_last_day_and_has_whole_minutes_at_its_lines() -> None:
    first, last = date(2026, 11, 1), date(2026, 11, 17)
    chart = columns({date(2026, 10, 28): 90.0, date(2026, 11, 11): 540.0}, first, last, 7, Scale.of_seconds([90, 540]))
    assert [bar.title for bar in chart.bars] == [
        "2026-11-01 to 2026-11-03: 1 min 30 s",
        "2026-11-04 to 2026-11-10: nothing",
        "2026-11-11 to 2026-11-17: 9 min",
    ]
    assert [told for _, told in chart.lines] == ["0", "5 min", "10 min"]
    bars = shares([("shop", None, 0.25), ("mill", None, None)], PERCENT)
    assert [(bar.part, bar.told) for bar in bars] == [(25, "25 %"), (0, "none")]


@pytest.mark.parametrize(("typed", "meant"), [("2.5", 2_500_000), ("$1,000", 10**9), (".000001", 1), ("", None)])
def test_an_amount_is_read_exactly(typed: str, meant: int | None) -> None:
    assert Form({"x": [typed]}).money("x", "The limit") == meant
    if meant is not None:
        assert Form({"x": [amount(meant)]}).money("x", "The limit") == meant


@pytest.mark.parametrize("typed", ["-1", "1e3", "1.2.3", "0.0000001", "٣", "much", "."])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInputError, match="The limit is an amount"):
        Form({"x": [typed]}).money("x", "The limit")


def test_values_in_words() -> None:
    assert [money(n) for n in (0, 1_234, 12_345_678)] == ["$0.00", "$0.0012", "$12.35"]
    assert [duration(n) for n in (1.23, 42, 125, 7200, 90_000)] == ["1.2 s", "42 s", "2 min 5 s", "2 h", "1 d 1 h"]
    now = datetime(2026, 11, 26, tzinfo=UTC)
    spans = (timedelta(seconds=5), timedelta(minutes=5), timedelta(hours=30), timedelta(days=30))
    assert [ago(now - span, now) for span in spans] == ["just now", "5 min ago", "1 d ago", "2026-10-27"]

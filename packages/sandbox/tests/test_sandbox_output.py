from hypothesis import given
from hypothesis import strategies as st

from aicd_sandbox.output import HeadAndTail, TextStream


def fed(limit: int, *chunks: bytes) -> tuple[str, int]:
    output = HeadAndTail(limit)
    for chunk in chunks:
        output.feed(chunk)
    return output.result()


def test_output_within_the_limit_is_kept_whole() -> None:
    assert fed(10, b"0123", b"456789") == ("0123456789", 0)


def test_of_a_longer_output_both_ends_are_kept_and_the_gap_is_named() -> None:
    assert fed(10, b"abcde\n", b"x" * 89, b"vwxyz") == ("abcde\n[... 90 bytes left out ...]\nvwxyz", 90)


def test_a_character_is_never_cut_in_half() -> None:
    text, missing = fed(10, "aaä€€€€€€€€€€z".encode())
    assert "\ufffd" not in text
    head, marker, tail = text.split("\n")
    assert (head, tail) == ("aaä", "€z")
    assert marker == f"[... {missing} bytes left out ...]"
    assert missing == 27


def test_bytes_that_are_no_text_are_replaced_and_a_nul_too() -> None:
    assert fed(100, b"a\xff\x00b") == ("a\ufffd\ufffdb", 0)


def test_a_limit_of_nothing_keeps_nothing() -> None:
    assert fed(0, b"abc", b"def") == ("[... 6 bytes left out ...]\n", 6)


@given(st.text(), st.integers(0, 40), st.integers(1, 7))
def test_what_is_kept_and_what_is_missing_add_up_to_all(text: str, limit: int, step: int) -> None:
    data = text.replace("\0", "").encode(errors="replace")
    kept, missing = fed(limit, *(data[start : start + step] for start in range(0, len(data), step)))
    if not missing:
        assert kept.encode() == data
        return
    marker = f"[... {missing} bytes left out ...]\n"
    before, _, after = kept.partition(marker)
    head = before.encode()
    head = head if data.startswith(head) else head[:-1]
    assert data.startswith(head)
    assert data.endswith(after.encode())
    assert len(head) + len(after.encode()) <= limit
    assert len(head.removesuffix(b"\n")) + missing + len(after.encode()) <= len(data)


def test_a_stream_gives_text_as_it_comes_and_holds_back_half_a_character() -> None:
    seen: list[str] = []
    stream = TextStream(seen.append)
    for chunk in (b"a\xe2", b"\x82", b"\xacb\0", b"\xe2"):
        stream.feed(chunk)
    stream.feed(b"", final=True)
    assert seen == ["a", "€b\ufffd", "\ufffd"]

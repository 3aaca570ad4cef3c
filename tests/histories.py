"""Three repositories of the shapes that public projects have, made from scratch, commit by commit.

A Python library, a web project of JavaScript and CSS, and a C program with documentation in several languages. Each
commit is a list of edits; together they hold what real histories hold: new, deleted, renamed and mode-changed files,
files without a final newline, CRLF, non-ASCII names and content, empty files, and text that looks like a diff.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Edit = Callable[[Path], None]


@dataclass(frozen=True)
class Step:
    """One commit to be made: its message and its edits."""

    message: str
    edits: tuple[Edit, ...]


def write(name: str, content: str | bytes, *, executable: bool = False) -> Edit:
    def edit(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o755 if executable else 0o644)

    return edit


def change(name: str, old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        content = (root / name).read_bytes()
        assert old.encode() in content, f"{old!r} is not in {name}"
        (root / name).write_bytes(content.replace(old.encode(), new.encode(), 1))

    return edit


def move(old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)

    return edit


def remove(name: str) -> Edit:
    return lambda root: (root / name).unlink()


def mode(name: str, bits: int) -> Edit:
    return lambda root: (root / name).chmod(bits)


def link(name: str, target: str) -> Edit:
    return lambda root: (root / name).symlink_to(target)


LINES = "".join(f"line {number}\n" for number in range(1, 61))
PARSER = (
    '"""Reads settings."""\n\n\ndef parse(text):\n    pairs = {}\n    for line in text.splitlines():\n'
    "        if not line.strip() or line.startswith('#'):\n            continue\n"
    "        key, _, value = line.partition('=')\n        pairs[key.strip()] = value.strip()\n    return pairs\n"
)

LIBRARY = (
    Step("A parser of settings", (write("src/conf/__init__.py", ""), write("src/conf/parser.py", PARSER))),
    Step("Say how to use it", (write("README.md", "# conf\n\n```python\nparse('a = 1')\n```\n"),)),
    Step(
        "Show a diff in the guide",
        (
            write(
                "docs/guide.md",
                "# Guide\n\n```diff\n--- a/settings\n+++ b/settings\n@@ -1 +1 @@\n-a = 1\n+a = 2\n```\n\n"
                " ```\n inner\n ```\n",
            ),
        ),
    ),
    Step("Change the diff in the guide", (change("docs/guide.md", "+a = 2\n```", "+a = 3\n```\n~~~\n```diff"),)),
    Step("Strip quotes", (change("src/conf/parser.py", "value.strip()\n", "value.strip().strip('\"')\n"),)),
    Step("Rename the module", (move("src/conf/parser.py", "src/conf/reader.py"),)),
    Step(
        "Rename and change at once",
        (move("src/conf/reader.py", "src/conf/io/reader.py"), change("src/conf/io/reader.py", "Reads", "Reads all")),
    ),
    Step("An empty marker file", (write("src/conf/py.typed", ""),)),
    Step("Forget the marker", (remove("src/conf/py.typed"), write("NOTES", "no newline at the end"))),
    Step("Still no newline", (write("NOTES", "no newline at the end\nnor here"),)),
    Step("Now with a newline", (write("NOTES", "no newline at the end\nnor here\n"),)),
    Step(
        "Lines that look like headers", (write("tests/data.txt", "-- a/x\n++ b/x\n@@ -1 +1 @@\ndiff --git a/x b/x\n"),)
    ),
    Step("Without the header lines", (write("tests/data.txt", "++ b/x\n"),)),
)

WEB = (
    Step("A page", (write("index.html", "<!doctype html>\r\n<title>Page</title>\r\n"), write("app.js", LINES))),
    Step("CRLF stays CRLF", (change("index.html", "Page", "Home page"),)),
    Step("Two far places at once", (change("app.js", "line 3\n", "line three\n"), change("app.js", "line 55\n", ""))),
    Step("Mixed line ends", (write("mixed.css", b"a {}\r\nb {}\nc {}\r\n"),)),
    Step("Change only a line end", (write("mixed.css", b"a {}\nb {}\nc {}\r\n"),)),
    Step("A script", (write("build.sh", "#!/bin/sh\necho build\n"),)),
    Step("The script can be run", (mode("build.sh", 0o755),)),
    Step("Run and change at once", (change("build.sh", "build", "built"), mode("build.sh", 0o644))),
    Step(
        "Names with spaces and signs",
        (write("a b/c d.txt", "x\n"), write("-dash.txt", "y\n"), write("q\"uote'.txt", "z\n")),
    ),
    Step("Move the spaced name", (move("a b/c d.txt", "a b/e\tf.txt"),)),
    Step("A link to the script", (link("latest.sh", "build.sh"),)),
    Step("Attributes that would convert", (write(".gitattributes", "*.html text eol=crlf\n*.js text\n"),)),
    Step(
        "A file under the attributes",
        (change("index.html", "Home", "The"), change("app.js", "line 9\n", "line nine\n")),
    ),
    Step("Ignore and add all the same", (write(".gitignore", "*.log\n"), write("kept.log", "kept\n"))),
)

PROGRAM = (
    Step("Hello", (write("hello.c", '#include <stdio.h>\n\nint main(void)\n{\n\tputs("hello");\n\treturn 0;\n}\n'),)),
    Step(
        "Grüße, 世界, привет", (write("docs/日本語.md", "# こんにちは\n\nüäöß €\n"), write("docs/größe.txt", "Größe\n"))
    ),
    Step("More of the same", (change("docs/日本語.md", "üäöß", "ÜÄÖẞ \u2028 \x0c \x85 end"),)),
    Step("Move the umlaut", (move("docs/größe.txt", "docs/grösse/größe.txt"),)),
    Step("A long file", (write("data.txt", LINES * 30),)),
    Step("Many hunks", tuple(change("data.txt", f"line {n}\n", f"LINE {n}\n") for n in range(2, 60, 9))),
    Step("Only blank lines", (write("blank.txt", "\n\n\n \n\t\n"),)),
    Step("Fewer blank lines", (write("blank.txt", "\n \n"),)),
    Step("Carriage returns alone", (write("old-mac.txt", b"one\rtwo\rthree\n"),)),
    Step(
        "Everything at once",
        (
            remove("blank.txt"),
            move("old-mac.txt", "mac.txt"),
            change("hello.c", "hello", "hello, world"),
            write("src/empty.h", ""),
            mode("data.txt", 0o755),
            write("end.txt", "no newline"),
        ),
    ),
    Step("A line of a thousand words", (write("long.txt", " ".join(["word"] * 1000) + "\n"),)),
    Step("Backslashes", (write("back.txt", "\\ No newline at end of file\n\\\n"), write("dir\\name.txt", "x\n"))),
    Step("Without the first backslash", (write("back.txt", "\\\n"),)),
)

HISTORIES = {"library": LIBRARY, "web": WEB, "program": PROGRAM}


def git(root: Path, *arguments: str) -> bytes:
    """Runs git with a fixed identity and no configuration of the machine's; returns stdout."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    }
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True).stdout


def make_history(root: Path, steps: tuple[Step, ...]) -> list[str]:
    """Makes the repository; returns the object names of all commits but a first, empty one, oldest first."""
    root.mkdir(parents=True)
    git(root, "init", "--quiet")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "Begin")
    for step in steps:
        for edit in step.edits:
            edit(root)
        git(root, "add", "--all", "--force")
        git(root, "commit", "--quiet", "-m", step.message)
    return git(root, "log", "--reverse", "--format=%H").decode().split()[1:]


def make_greeting(root: Path) -> Path:
    """A repository with one file that says hello, whose declared test wants it to greet the world; returns it."""
    root.mkdir()
    git(root, "init", "-q")
    (root / ".aicd.yml").write_text("version: 1\ntests: ['grep -q world greet.txt']\n")
    (root / "greet.txt").write_text("hello\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "Begin")
    return root


def issue_of(root: Path, commit: str) -> str:
    """An issue made of a commit: its message, and its diff in a fence."""
    message = git(root, "log", "-1", "--format=%B", commit).decode().strip()
    diff = git(root, "diff-tree", "--no-commit-id", "-p", "-M", "--full-index", "-r", commit).decode()
    return f"{message}\n\nPlease make this change:\n\n````diff\n{diff}````\n"

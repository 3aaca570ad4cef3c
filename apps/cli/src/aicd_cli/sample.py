"""The demo's sample repository: a slugify function with a failing test, and an issue with two candidate patches."""

import subprocess
from pathlib import Path

FILES = {
    "slugify.py": '''"""Turn a title into the last part of a URL."""


def slugify(title: str) -> str:
    return title.lower().replace(" ", "-")
''',
    "test_slugify.py": """import unittest

from slugify import slugify


class SlugifyTest(unittest.TestCase):
    def test_words_are_joined_by_dashes(self):
        self.assertEqual(slugify("Hello World"), "hello-world")

    def test_punctuation_is_dropped(self):
        self.assertEqual(slugify("Hello, World!"), "hello-world")

    def test_runs_of_spaces_make_one_dash(self):
        self.assertEqual(slugify("  Hello   World "), "hello-world")


if __name__ == "__main__":
    unittest.main()
""",
    ".aicd.yml": "version: 1\ntests:\n  - python3 -m unittest -q\n",
}

ISSUE = '''Slugs keep commas and double dashes

`slugify("Hello, World!")` gives `hello,-world!`; it should give `hello-world`.

Perhaps this is enough:

```diff
diff --git a/slugify.py b/slugify.py
--- a/slugify.py
+++ b/slugify.py
@@ -2,4 +2,4 @@
·
·
 def slugify(title: str) -> str:
-    return title.lower().replace(" ", "-")
+    return title.lower().replace(",", "").replace("!", "").replace(" ", "-")
```

Or else this:

```diff
diff --git a/slugify.py b/slugify.py
--- a/slugify.py
+++ b/slugify.py
@@ -1,5 +1,7 @@
 """Turn a title into the last part of a URL."""
·
+import re
+
·
 def slugify(title: str) -> str:
-    return title.lower().replace(" ", "-")
+    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))
```
'''.replace("·", " ")
"""A blank context line of a diff is one space, written as a dot here so that no editor strips it."""


def make_sample(place: Path) -> Path:
    """Makes the sample repository in a folder that must not exist yet, or must be an earlier sample; returns it."""
    if (place / ".git").exists():
        return place
    place.mkdir(parents=True)
    for name, content in FILES.items():
        (place / name).write_text(content)
    identity = ["-c", "user.name=AI-CD demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false"]
    commands = (["init", "--quiet", "--initial-branch=main"], ["add", "."], [*identity, "commit", "-qm", "Slugs"])
    for arguments in commands:
        subprocess.run(["git", *arguments], cwd=place, check=True)
    return place

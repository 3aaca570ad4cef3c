"""Builds the developer portal: `python scripts/build_portal.py DEST`, or `make portal` (docs/decisions/0034).

The pages of `docs/`, those beside it that docs/portal.toml names, the API's reference from docs/openapi.json and the
catalogue of errors become one static site that needs nothing from anywhere else: no script, style or font of another
host, and nothing inline, so that it can be served under the console's Content-Security-Policy. A link that leads
nowhere ends the build.
"""

import hashlib
import json
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import portal_errors
import portal_reference

ROOT = Path(__file__).parents[1]
CONFIG = "docs/portal.toml"
REFERENCE = "reference"
CATALOGUE = "<!-- generated: the catalogue -->"
FENCE = re.compile(r"(^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=fence)`*[ ]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
INLINE = re.compile(r"<script>(?P<code>.*?)</script>", re.DOTALL)
FORBIDDEN = {
    "an inline script or style": re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style"),
    "an inline style or handler": re.compile(r"<[^>]+\s(?:style|on[a-z]+)=[\"'][^>]*>"),
    "a script, style, font or image of another host": re.compile(
        r"<(?:script|img|iframe|source|audio|video)[^>]*\ssrc=[\"']?(?:https?:)?//"
        r"|<link(?![^>]*rel=[\"']?canonical)[^>]*\shref=[\"']?(?:https?:)?//"
    ),
}
STYLE_HOSTS = re.compile(r"url\([\"']?(?:https?:)?//|@import")
UNUSED = ("404.html", "sitemap.xml")
"""The server says itself what it does not find, and no search engine reads this."""


class PortalError(Exception):
    """No portal, for a reason that says what to do."""


def stage(root: Path, place: Path) -> None:
    """Writes all that the generator reads below a folder: `zensical.toml` and `docs/`."""
    config = (root / CONFIG).read_text()
    beside: Mapping[str, str] = tomllib.loads(config)["portal"]["pages"]
    docs = place / "docs"
    shutil.copytree(root / "docs", docs, ignore=shutil.ignore_patterns("*.toml", "*.lock"))
    (place / "zensical.toml").write_text(config)
    staged = {f"docs/{path.relative_to(docs).as_posix()}" for path in docs.rglob("*") if path.is_file()}
    addresses = {path: path.removeprefix("docs/") for path in staged} | dict(beside)
    for source, page in addresses.items():
        if source.endswith(".md"):
            text = (root / source).read_text()
            (docs / page).write_text(_relinked(text, source, page, addresses, root))
    errors = docs / "errors.md"
    if CATALOGUE not in errors.read_text():
        raise PortalError(f"docs/errors.md has lost its line {CATALOGUE}. Put it back.")
    errors.write_text(errors.read_text().replace(CATALOGUE, portal_errors.page(root)))
    (docs / REFERENCE).mkdir()
    for name, text in portal_reference.pages(json.loads((root / "docs/openapi.json").read_text())).items():
        (docs / REFERENCE / name).write_text(text)
    (docs / "decisions" / "index.md").write_text(_decisions(docs / "decisions"))


def _decisions(folder: Path) -> str:
    titles = [
        (path.name, path.read_text().partition("\n")[0].removeprefix("# ")) for path in sorted(folder.glob("0*.md"))
    ]
    return "# Decisions\n\nWhat was decided, and why.\n\n" + "".join(f"- [{title}]({name})\n" for name, title in titles)


def _relinked(text: str, source: str, page: str, addresses: Mapping[str, str], root: Path) -> str:
    """A page's text with its links as they lead from its place in the portal; code is left alone."""

    def lead(found: re.Match[str]) -> str:
        target, anchor = found["target"], found["anchor"] or ""
        if not target or urlsplit(target).scheme:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(target)))
        if path in addresses:
            where = posixpath.relpath(addresses[path], posixpath.dirname(page) or ".")
            return f"{found['mark']}[{found['text']}]({where}{anchor})"
        if not (root / path).exists():
            raise PortalError(f"{source} links to {target}, which does not exist.")
        # A file of the source code, which the portal does not have.
        return f"{found['text']} (`{path}`)" if found["text"].strip("`") not in path else f"`{path}`"

    parts = FENCE.split(text)
    # The pattern has two groups: text, a whole block, its fence, text, and so on.
    return "".join(LINK.sub(lead, part) if at % 3 == 0 else part for at, part in enumerate(parts) if at % 3 != 2)


def generate(place: Path) -> Path:
    """Has the generator make the site; its folder. PortalError: it complains, or is not installed."""
    program = Path(sys.executable).parent / "zensical"
    if not program.exists():
        raise PortalError("The generator is not installed. Type: make portal")
    command = [str(program), "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=place, check=False, capture_output=True, text=True)
    if done.returncode:
        told = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr).partition("Traceback")[0]
        raise PortalError(f"The generator refuses the pages:\n{told}")
    site = place / "site"
    for name in UNUSED:
        (site / name).unlink(missing_ok=True)
    return site


def take_out_inline_scripts(site: Path) -> None:
    """Puts the code of scripts that stand in pages into files, named by its hash."""
    for path in site.rglob("*.html"):

        def put(found: re.Match[str], page: Path = path) -> str:
            code = found["code"].strip()
            name = f"inline.{hashlib.sha256(code.encode()).hexdigest()[:8]}.min.js"
            script = site / "assets" / "javascripts" / name
            script.write_text(code + "\n")
            return f'<script src="{posixpath.relpath(script, page.parent)}"></script>'

        path.write_text(INLINE.sub(put, path.read_text()))


def faults(site: Path) -> Iterator[str]:
    """What a site may not have: something inline or of another host, a link that leads nowhere."""
    texts = {path: path.read_text() for path in sorted(site.rglob("*.html"))}
    ids = {path: set(re.findall(r"\s(?:id|name)=[\"']?([^\"'\s>]+)", text)) for path, text in texts.items()}
    for path, text in texts.items():
        name = path.relative_to(site)
        for what, pattern in FORBIDDEN.items():
            if found := pattern.search(text):
                yield f"{name} has {what}: {found[0][:120]}"
        for target in set(re.findall(r"<[^>]+\s(?:href|src)=[\"']?([^\"'\s>]+)", text)):
            if complaint := _leads_nowhere(site, path, target, ids):
                yield f"{name} {complaint}"
    for path in site.rglob("*.css"):
        if found := STYLE_HOSTS.search(path.read_text()):
            yield f"{path.relative_to(site)} fetches something: {found[0]}"


def _leads_nowhere(site: Path, page: Path, target: str, ids: Mapping[Path, set[str]]) -> str | None:
    parts = urlsplit(target.replace("&amp;", "&"))
    if parts.scheme or parts.netloc:
        return None
    where = Path(posixpath.normpath((page.parent / unquote(parts.path)).as_posix())) if parts.path else page
    if where.is_dir():
        where = where / "index.html"
    if not where.is_relative_to(site) or not where.is_file():
        return f"links to {target}, which is not there"
    if parts.fragment and where in ids and unquote(parts.fragment) not in ids[where]:
        return f"links to {target}, and there is no such heading"
    return None


def build(root: Path, dest: Path) -> int:
    """Builds the portal into a folder, which is replaced whole; the number of its pages.

    Raises:
        PortalError: a page or a link is wrong, or the folder is not a portal's.
    """
    if dest.exists() and any(dest.iterdir()) and not (dest / "search.json").exists():
        raise PortalError(f"{dest} is not empty and no portal. Name a new folder: make portal PORTAL=…")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        stage(root, place)
        site = generate(place)
        take_out_inline_scripts(site)
        if found := list(faults(site)):
            raise PortalError("\n".join(found))
        if dest.exists():
            shutil.rmtree(dest)
        shutil.copytree(site, dest)
    return len(list(dest.rglob("*.html")))


def main(arguments: list[str]) -> int:
    """Builds it; 1 when it cannot be done."""
    dest = Path(arguments[0])
    try:
        count = build(ROOT, dest)
    except PortalError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The portal is in {dest}: {count} pages, for any web server; the API server shows it at /docs/.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

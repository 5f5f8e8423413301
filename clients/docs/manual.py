"""The manual as a site: what pages point at beside `docs/` becomes a part of it, so that no link leads out of it.

In the repository these links lead to the file or the folder itself. A hook of MkDocs (`hooks` in `mkdocs.yml`,
https://www.mkdocs.org/dev-guide/plugins/#events).
"""

import pathlib
import re

from mkdocs.structure.files import File, InclusionLevel

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# `](target)`, `](target#anchor)`; not `](https://…)`, `](#anchor)`.
LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^(```+).*?^\1", re.M | re.S)
LANGUAGES = {".yaml": "yaml", ".rs": "rust", ".json": "json", ".service": "ini", ".socket": "ini", ".py": "python"}
NOT_TEXT = (".png", ".svg", ".ico", ".woff2", ".gz")


def beside(page, target):
    """The path in the repository that a page's link leads to, if it leads out of `docs/`."""
    path = (page.parent / target).resolve()
    if path.is_relative_to(ROOT) and not path.is_relative_to(DOCS) and path.exists():
        return path.relative_to(ROOT)
    return None


def uri(path):
    """Where the site has it."""
    return f"repository/{path}" + ("" if path.suffix == ".md" else ".md")


def content(path):
    """What the site shows of it: a page, a file, or the files of a folder one after the other."""
    whole = ROOT / path
    if path.suffix == ".md":
        return whole.read_text()
    if whole.is_file():
        return f"# {path.name}\n\n`{path}` of the repository.\n\n{fenced(whole)}"
    files = [file for file in sorted(whole.rglob("*")) if file.is_file() and file.suffix not in NOT_TEXT]
    parts = [f"## {file.relative_to(whole)}\n\n{fenced(file)}" for file in files]
    return f"# {path}\n\nA folder of the repository.\n\n" + "\n".join(parts)


def fenced(file):
    text = file.read_text()
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks} {LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n{ticks}\n"


def outside_fences(text, change):
    """The text with every link changed that is none of an example."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(change, text[end : fence.start()]), fence.group(0)]
        end = fence.end()
    return "".join([*parts, LINK.sub(change, text[end:])])


def on_files(files, config):
    linked = set()
    for page in DOCS.rglob("*.md"):
        targets = (found.group(2) for found in LINK.finditer(page.read_text()))
        linked.update(path for path in (beside(page, target) for target in targets) if path)
    for path in sorted(linked):
        files.append(File.generated(config, uri(path), content=content(path), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown, page, config, files):
    source = page.file.src_uri
    is_ours = not source.startswith("repository/")
    # A page of the repository has its links as from its own place there.
    place = DOCS / source if is_ours else ROOT / source.removeprefix("repository/")
    up = "../" * source.count("/")

    def change(found):
        words, target, anchor = found.group(1), found.group(2), found.group(3) or ""
        path = beside(place, target)
        if path and files.get_file_from_path(uri(path)):
            return f"[{words}]({up}{uri(path)}{anchor})"
        inside = (place.parent / target).resolve()
        if is_ours or not inside.exists():
            return found.group(0)
        # Of what is beside `docs/`, only what the manual's own pages point at is a part of the site.
        return f"[{words}]({up}{inside.relative_to(DOCS)}{anchor})" if inside.is_relative_to(DOCS) else words

    return outside_fences(markdown, change)

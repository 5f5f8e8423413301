"""Reading of repositories, wordings of labels and small text helpers shared by the recipe."""

import json
import random
import re
import subprocess
from pathlib import Path

import yaml

LABELS = Path(__file__).parent / "labels"
MAX_CHARS = 6000


class Repos:
    """Bare or plain git clones under one folder: `<owner>+<name>`, `<owner>+<name>/repo` or `<owner>/<name>`."""

    def __init__(self, root):
        self.root = Path(root)

    def path(self, repo):
        flat = repo.replace("/", "+")
        for candidate in (self.root / flat / "repo", self.root / flat, self.root / repo):
            if candidate.is_dir():
                return candidate
        raise FileNotFoundError(f"no clone of {repo} under {self.root}")

    def git(self, repo, *args):
        done = subprocess.run(["git", "-C", self.path(repo), *args], capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace")

    def read(self, repo, path, commit="HEAD"):
        return self.git(repo, "show", f"{commit}:{path}")

    def json_lines(self, repo, path):
        return [json.loads(line) for line in self.read(repo, path).split("\n") if line.strip()]

    def files(self, repo, folder="", suffix=""):
        """Paths under `folder`; some stores leave out large blobs, so those whose size git cannot tell are skipped."""
        listing = self.git(repo, "ls-tree", "-r", "-l", "-z", "HEAD", *([folder] if folder else []))
        for line in filter(None, listing.split("\0")):
            meta, path = line.split("\t", 1)
            if path.endswith(suffix) and meta.split()[3].isdigit():
                yield path

    def read_many(self, repo, paths):
        """Contents of many files with one git process."""
        paths = list(paths)
        request = "".join(f"HEAD:{path}\n" for path in paths).encode()
        done = subprocess.run(
            ["git", "-C", self.path(repo), "cat-file", "--batch"], input=request, capture_output=True, check=True
        )
        out, at = done.stdout, 0
        for path in paths:
            end = out.index(b"\n", at)
            head = out[at:end].split()
            at = end + 1
            if head[-1] == b"missing":
                continue
            size = int(head[2])
            yield path, out[at : at + size].decode("utf-8", "replace")
            at += size + 1


def labels(name):
    return yaml.safe_load((LABELS / f"{name}.yaml").read_text(encoding="utf-8"))


def rng(seed, name):
    """A generator of its own for every step, so that a change in one leaves the others as they were."""
    return random.Random(f"{seed}:{name}")


def tidy(text):
    return re.sub(r"[ \t]+", " ", text.replace("\r", "")).strip()


def key(text):
    """What two texts must share to count as the same."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def mostly_english(text):
    return sum(ord(c) < 128 for c in text) >= 0.97 * max(1, len(text))


def restyle(name, style):
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).replace("_", " ").replace("-", " ").replace("/", " ").split()
    return {
        "plain": " ".join(words).lower(),
        "snake": "_".join(words).lower(),
        "kebab": "-".join(words).lower(),
        "title": " ".join(w[:1].upper() + w[1:] for w in words),
    }[style]


STYLES = ("plain", "snake", "kebab", "title")


def wordings(names, texts, extra=()):
    """Every description once behind a name in a changing style, then the parts alone, then two descriptions joined."""
    names, texts = list(names), list(dict.fromkeys(tidy(t).rstrip(".") for t in texts))
    out = []
    for i, text in enumerate(texts):
        for j in range(min(2, len(names))):
            out.append(f"{restyle(names[(i + j) % len(names)], STYLES[(i + 2 * j) % 4])}: {text}")
    out.append(restyle(names[0], "plain"))
    out.append(texts[0])
    if len(texts) > 1:
        out.append(f"{restyle(names[-1], 'snake')}: {texts[0]}; {texts[1]}")
        out.append(texts[-1][:1].upper() + texts[-1][1:] + ".")
    else:
        out.append(f"{restyle(names[-1], 'snake')}: handle requests about {texts[0]}")
    out.extend(extra)
    return list(dict.fromkeys(out))


def sample(generator, items, count):
    items = list(items)
    generator.shuffle(items)
    return items[:count]

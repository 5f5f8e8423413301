"""Builds the training set and the validation groups of the embedded router from public repositories.

    python prepare.py --repos CLONES --base BASE_TRAIN_JSON [--dev DEV_FOLDER] --out FOLDER [--seed N]

CLONES holds one clone for each repository named in README.md. BASE_TRAIN_JSON is an earlier training set of the same
format that is merged in, DEV_FOLDER a folder of evaluation groups whose texts must not turn up in training.
Everything is drawn from generators seeded per step; equal inputs give equal files.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import yaml

import conversations
import held_out
import sources
import tasks
from common import Repos, key, restyle

WRITTEN = Path(__file__).parent / "written"


def training_spaces(repos, seed):
    ni = sources.instructions(repos, seed)
    spaces = {
        "mmlu": sources.mmlu(repos, seed),
        "trivia": sources.trivia(repos, seed),
        "stackoverflow": sources.stackoverflow(repos, seed),
        "medquad": sources.medquad(repos, seed),
        "tool": sources.metatool(repos, seed),
        "ml_task": sources.ml_tasks(repos, seed),
        "persona": sources.personas(repos, seed),
        "ni_cat": sources.instruction_categories(repos, seed, ni),
        "llm_task": tasks.llm_tasks(repos, seed, ni),
        "llm_domain": tasks.llm_domains(repos, seed),
    }
    spaces.update(sources.support(repos, seed))
    spaces.update(sources.sealtools(repos, seed))
    return spaces


def kept_texts(folder):
    """Keys of the user turns in a folder of evaluation groups."""
    out = set()
    for path in sorted(Path(folder).glob("*.jsonl")):
        if path.name != "routes.jsonl":
            for line in path.read_text(encoding="utf-8").split("\n"):
                if line:
                    out.update(key(m["content"]) for m in json.loads(line)["messages"] if m["role"] == "user")
    return out


def assemble(spaces, base, banned):
    """Merges new spaces into the base set; drops doubles, empty labels and texts that are held out."""
    tax, items, seen = dict(base["tax"]), list(base["items"]), set()
    for space, (wording, pairs) in spaces.items():
        fresh = []
        for text, label in pairs:
            mark = (key(text), space)
            if len(key(text)) > 2 and mark not in seen and mark[0] not in banned:
                seen.add(mark)
                fresh.append([text, label, space])
        used = {label for _, label, _ in fresh}
        tax[space] = {label: list(w) for label, w in wording.items() if label in used}
        items += [i for i in fresh if i[1] in tax[space]]
    tax = {space: {label: at_least_three(w) for label, w in of.items()} for space, of in tax.items()}
    return {"tax": tax, "items": items}


def at_least_three(wordings):
    """Adds plain variants to labels that came with one or two different wordings."""
    different = list(dict.fromkeys(wordings))
    if len(different) >= 3:
        return list(wordings)
    first = different[-1].partition(": ")[2] or different[0]
    return list(wordings) + [
        f"{restyle(first, 'snake')[:40]}: {first}",
        f"requests about {first}",
        f"{restyle(first, 'title')}",
    ]


def add_written(train, banned):
    """Adds the spaces of training/written: every file a list of `{space, routes: [{wordings, asks}], none: [text]}`. A
    text under `none` fits no route of its space and has no label."""
    for path in sorted(WRITTEN.glob("*.yaml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            space = f"written: {path.stem}: {entry['space']}"
            labels = {route["wordings"][0]: route for route in entry["routes"]}
            train["tax"][space] = {label: at_least_three(route["wordings"]) for label, route in labels.items()}
            asks = [(text, label) for label, route in labels.items() for text in route["asks"]]
            asks += [(text, "") for text in entry.get("none", [])]
            train["items"] += [[text.strip(), label, space] for text, label in asks if key(text) not in banned]


def dump(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repos", required=True)
    parser.add_argument("--base", required=True)
    parser.add_argument("--dev")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    repos, out = Repos(args.repos), Path(args.out)

    for part in ("valid", "judge"):
        held_out.write(repos, args.seed, part, out / part)
    banned = kept_texts(out / "valid") | kept_texts(out / "judge")
    if args.dev:
        # Short turns ("yes please") are nobody's property; longer ones would be leaks.
        banned |= {k for k in kept_texts(args.dev) if len(k) > 25}
    base = json.loads(Path(args.base).read_text(encoding="utf-8"))
    base["items"] = [i for i in base["items"] if key(i[0]) not in banned or len(key(i[0])) <= 25]
    spaces = training_spaces(repos, args.seed)
    train = assemble(spaces, base, banned)
    conversations.write(train, args.seed, out / "conv", banned)
    add_written(train, banned)
    dump(out / "train.json", train)
    for space, count in Counter(i[2].partition(":")[0] for i in train["items"]).most_common():
        labels = sum(len(of) for name, of in train["tax"].items() if name.partition(":")[0] == space)
        print(f"{space:16}{count:8} texts {labels:5} labels")


if __name__ == "__main__":
    main()

"""Fits the few numbers in crates/routing/src/preference/embedded/mod.rs (`mod fitted`).

    pip install numpy scipy safetensors tokenizers
    python training/fit.py SUITE [SUITE …]

A suite is a folder with `routes.jsonl` and one `<group>.jsonl` a group, as training/README.md describes. The numbers
minimise the mean over all groups of the log loss of the right route (or of none), so that a large group does not
dominate. Deterministic: no random start, no sampling. The scorer is written here a second time, vectorised.
"""

import json
import math
import pathlib
import re
import sys

import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import minimize
from tokenizers import BertWordPieceTokenizer

MODEL = pathlib.Path(__file__).resolve().parents[1] / "crates/routing/model"
NAMES = "cosine lexical stay0 stay_length stay_lead length none0 none_mean none_routes none_length none_lead".split()
START = np.array([17.8, 2.9, 14.2, -4.3, -0.35, 0.15, 3.75, -0.33, -0.09, -0.84, 0.12])
NONE_KEPT = 0.5
STOP_WORDS = set(
    "a an the of to and or in on for with by from at is are was be as it its this that these those i me my you your we "
    "our do does did can could would should will what which who how when where why please s t".split()
)


def table(name):
    file = load_file(MODEL / name)
    return file["table"].astype(np.float32) * file["scale"][:, None]


TABLES = [table("distilled.safetensors"), table("trained.safetensors")]
TOKENIZER = BertWordPieceTokenizer(str(MODEL / "vocab.txt"), lowercase=True)


def head_and_tail(text, limit=4096):
    data = text.encode()
    if len(data) <= limit:
        return text
    cut = lambda part: part.decode(errors="ignore")
    return f"{cut(data[: limit // 2])} {cut(data[-limit // 2 :])}"


def embed(text):
    ids = TOKENIZER.encode(text, add_special_tokens=False).ids
    if not ids:
        return np.zeros(sum(t.shape[1] for t in TABLES)), 0
    vectors = [t[ids].mean(0) for t in TABLES]
    return np.concatenate([v / (np.linalg.norm(v) + 1e-9) for v in vectors]), len(ids)


def stems(text):
    return [word[:5] for word in re.findall(r"[^\W_]+", text.lower()) if word not in STOP_WORDS]


class Routes:
    def __init__(self, routes):
        self.names = [route["name"] for route in routes]
        wordings = []
        for route in routes:
            name = re.sub("[_-]", " ", route["name"])
            wordings.append([f"{name}: {route['description']}", name, route["description"]])
        self.vectors = np.stack([np.mean([embed(text)[0] for text in texts], 0) / len(TABLES) for texts in wordings])
        documents = [stems(texts[0]) for texts in wordings]
        count, average = len(documents), max(np.mean([len(d) for d in documents]), 1)
        having = {stem: sum(stem in d for d in documents) for d in documents for stem in d}
        rarity = {stem: math.log(1 + (count - n + 0.5) / (n + 0.5)) for stem, n in having.items()}
        self.weights = [
            {s: rarity[s] * d.count(s) * 2.2 / (d.count(s) + 1.2 * (0.25 + 0.75 * len(d) / average)) for s in set(d)}
            for d in documents
        ]

    def features(self, text):
        text = head_and_tail(text)
        vector, tokens = embed(text)
        said = set(stems(text))
        lexical = np.array([sum(w for stem, w in weights.items() if stem in said) for weights in self.weights])
        return self.vectors @ vector, lexical / (lexical + 4), tokens


class Group:
    """The conversations of one group, padded to [conversations, turns, routes]."""

    def __init__(self, rows):
        n, t, r = len(rows), max(len(row) for row in rows), max(len(row[0][0]) for row in rows)
        self.cosine, self.lexical = np.zeros((n, t, r)), np.zeros((n, t, r))
        self.length, self.label = np.zeros((n, t)), np.full((n, t), -9)
        self.real = np.zeros((n, r), bool)
        for i, row in enumerate(rows):
            for j, (cosine, lexical, tokens, label) in enumerate(row):
                k = len(cosine)
                self.cosine[i, j, :k], self.lexical[i, j, :k], self.real[i, :k] = cosine, lexical, True
                self.length[i, j], self.label[i, j] = math.log1p(tokens), label
        self.count = self.real.sum(1)[:, None]


def load(folder):
    folder, sets, groups = pathlib.Path(folder), {}, {}
    for line in (folder / "routes.jsonl").open():
        row = json.loads(line)
        sets[row["set"]] = Routes(row["routes"])
    for file in sorted(folder.glob("*.jsonl")):
        if file.name == "routes.jsonl":
            continue
        rows = []
        for line in file.open():
            row = json.loads(line)
            routes = sets[row["set"]]
            asks = [m for m in row["messages"] if m["role"] == "user"]
            label = lambda m: -1 if m["route"] == "other" else routes.names.index(m["route"])
            rows.append([(*routes.features(m["content"]), label(m)) for m in asks])
        groups[f"{folder.name}/{file.stem}"] = Group(rows)
    return groups


def beliefs(q, group):
    """Probabilities [conversations, turns, routes + none]: the filter of embedded/mod.rs."""
    cosine, lexical, s0, s1, s2, growth, n0, n1, n2, n3, n4 = q
    real = group.real[:, None, :]
    logits = np.where(real, cosine * group.cosine + lexical * group.lexical, 0)
    average = logits.sum(2) / group.count
    centred = np.where(real, logits - average[:, :, None], -1e9)
    lead = centred.max(2)
    none = n0 + n1 * average + n2 * np.log(group.count) + n3 * group.length + n4 * lead
    grown = centred * np.exp(growth * (np.minimum(group.length, 4) - 2.5))[:, :, None]
    evidence = np.concatenate([grown, none[:, :, None]], 2)
    possible = np.concatenate([group.real, np.ones((len(group.real), 1), bool)], 1)
    result, before = np.zeros_like(evidence), None
    for turn in range(evidence.shape[1]):
        now = evidence[:, turn]
        if before is not None:
            stay = 1 / (1 + np.exp(-(s0 + s1 * group.length[:, turn] + s2 * lead[:, turn])))[:, None]
            let_go = before[:, -1:] * (1 - NONE_KEPT)
            before = np.concatenate([before[:, :-1], before[:, -1:] - let_go], 1)
            now = now + np.log((1 - stay + stay * let_go) / (group.count + 1) + stay * before + 1e-12)
        now = np.where(possible, now, -1e9)
        now = np.exp(now - now.max(1, keepdims=True))
        before = result[:, turn] = now / now.sum(1, keepdims=True)
    return result


def loss(q, group):
    asked = group.label > -9
    right = np.where(group.label == -1, group.cosine.shape[2], np.maximum(group.label, 0))
    probability = np.take_along_axis(beliefs(q, group), right[:, :, None], 2)[:, :, 0]
    return -(np.log(np.maximum(probability, 1e-6)) * asked).sum() / asked.sum()


def main():
    groups = {name: group for folder in sys.argv[1:] for name, group in load(folder).items()}
    fit = minimize(
        lambda q: np.mean([loss(q, group) for group in groups.values()]),
        START,
        method="L-BFGS-B",
        options={"maxiter": 300, "maxfun": 20000, "ftol": 1e-7},
    )
    for name, value in zip(NAMES, fit.x):
        print(f"{name:12} {value:8.3f}")
    for name, group in groups.items():
        chosen = beliefs(fit.x, group).argmax(2)
        chosen = np.where(chosen == group.cosine.shape[2], -1, chosen)
        asked = group.label > -9
        print(f"{name:32} turn accuracy {(chosen == group.label)[asked].mean():.3f}")


if __name__ == "__main__":
    main()

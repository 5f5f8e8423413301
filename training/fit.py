"""Fits the few numbers in crates/routing/src/preference/embedded/fitted.rs and says how well they do.

    pip install numpy scipy jax optax safetensors tokenizers
    python training/fit.py --work WORK SUITE [SUITE …] [--report SUITE …]

A suite is a folder with `routes.jsonl` and one `<group>.jsonl` a group, as training/README.md describes. The numbers
minimise the mean over all groups of the log loss of the right route (or of none), so that a large group does not
dominate; first those of the static tier, then those of both tiers, then those for routes with examples. Groups of
`--report` are only looked at. Deterministic: no random start, no sampling. The scorer is written here a second time,
vectorised; `waypost routes test --suite` gives the product's own figures to compare with.
"""

import argparse
import hashlib
import json
import math
import pathlib
import pickle
import re

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file
from scipy.optimize import minimize

import train
from examples import borrow

jax.config.update("jax_enable_x64", True)
MODEL = pathlib.Path(__file__).resolve().parents[1] / "crates/routing/model"
NONE_KEPT = 0.5
# The chats are few, and their routes have few examples, taken from the chats themselves: what they may say.
CHATS_STATIC, CHATS_BOTH, CHATS_SHOTS = 0.1, 0.5, 0.05
STOP_WORDS = set(
    "a an the of to and or in on for with by from at is are was be as it its this that these those i me my you your we "
    "our do does did can could would should will what which who how when where why please s t".split()
)
# Likenesses of a text to a route: by the static tables, by words, by the encoder; then the same to its examples: to
# their mean and to the nearest one, static and encoded.
STATIC, LEXICAL, ENCODER, SHOT_STATIC, SHOT_NEAREST, SHOT_ENCODER, SHOT_ENCODER_NEAREST = range(7)


def head_and_tail(text, limit=4096):
    text = train.without_blocks(text)
    data = text.encode()
    if len(data) <= limit:
        return text
    cut = lambda part: part.decode(errors="ignore")
    return f"{cut(data[: limit // 2])} {cut(data[-limit // 2 :])}"


def stems(text):
    return [word[:5] for word in re.findall(r"[^\W_]+", text.lower()) if word not in STOP_WORDS]


class Embedder:
    """Vectors by text; those of the encoder are made in one go, so they are asked for first."""

    def __init__(self, args):
        self.tables = []
        for name in ("distilled", "trained"):
            file = load_file(MODEL / f"{name}.safetensors")
            self.tables.append(file["table"].astype(np.float32) * file["table.scale"][:, None])
        self.tokenizer = train.BertWordPieceTokenizer(str(MODEL / "vocab.txt"), lowercase=True)
        # The weights as the product has them: int8.
        self.params, self.frozen = train.quantised(MODEL / "encoder.safetensors")
        self.static_cache = {}
        # Encoding takes minutes: vectors are kept for as long as the weights are the same.
        key = hashlib.sha256((MODEL / "encoder.safetensors").read_bytes()).hexdigest()[:16]
        self.cache = pathlib.Path(args.work) / f"vectors-{key}.pickle"
        self.encoded = pickle.loads(self.cache.read_bytes()) if self.cache.exists() else {}

    def ids(self, text):
        return self.tokenizer.encode(head_and_tail(text), add_special_tokens=False).ids

    def static(self, text):
        if text not in self.static_cache:
            ids = self.ids(text)
            if ids:
                vectors = [t[ids].sum(0) for t in self.tables]
                vector = np.concatenate([v / (np.linalg.norm(v) + 1e-9) for v in vectors]) / math.sqrt(2)
            else:
                vector = np.zeros(sum(t.shape[1] for t in self.tables), np.float32)
            self.static_cache[text] = vector, len(ids)
        return self.static_cache[text]

    def encode(self, texts):
        texts = sorted(set(texts) - self.encoded.keys())
        if not texts:
            return
        rows = [train.cut(self.ids(text), train.BUCKETS[-1]) for text in texts]
        found = train.vectors(train.encode, self.params, self.frozen, rows).astype(np.float32)
        self.encoded.update(zip(texts, found))
        self.cache.write_bytes(pickle.dumps(self.encoded))


def wordings(route):
    name = re.sub("[_-]", " ", route["name"])
    return [f"{name}: {route['description']}", name, route["description"]]


class Routes:
    def __init__(self, routes, embedder, shots):
        self.names = [route["name"] for route in routes]
        texts = [wordings(route) for route in routes]
        self.statics = np.stack([np.mean([embedder.static(t)[0] for t in ts], 0) for ts in texts])
        self.encoded = np.stack([np.mean([embedder.encoded[t] for t in ts], 0) for ts in texts])
        self.shots = [route.get("examples", [])[:shots] for route in routes]
        documents = [stems(" ".join([ts[0], *shots])) for ts, shots in zip(texts, self.shots)]
        count, average = len(documents), max(np.mean([len(d) for d in documents]), 1)
        having = {stem: sum(stem in d for d in documents) for d in documents for stem in d}
        rarity = {stem: math.log(1 + (count - n + 0.5) / (n + 0.5)) for stem, n in having.items()}
        self.weights = [
            {s: rarity[s] * d.count(s) * 2.2 / (d.count(s) + 1.2 * (0.25 + 0.75 * len(d) / average)) for s in set(d)}
            for d in documents
        ]
        self.shot_static = [np.stack([embedder.static(t)[0] for t in s]) if s else None for s in self.shots]
        self.shot_encoded = [np.stack([embedder.encoded[t] for t in s]) if s else None for s in self.shots]

    def features(self, text, embedder):
        text_static, tokens = embedder.static(text)
        encoded = embedder.encoded[text]
        said = set(stems(head_and_tail(text)))
        out = np.zeros((len(self.names), 7))
        out[:, STATIC] = self.statics @ text_static
        lexical = np.array([sum(w for stem, w in weights.items() if stem in said) for weights in self.weights])
        out[:, LEXICAL] = lexical / (lexical + 4)
        out[:, ENCODER] = self.encoded @ encoded
        for i, (static, encoder) in enumerate(zip(self.shot_static, self.shot_encoded)):
            if static is None:
                continue
            unit = lambda m: m / (np.linalg.norm(m) + 1e-9)
            out[i, SHOT_STATIC], out[i, SHOT_NEAREST] = unit(static.mean(0)) @ text_static, (static @ text_static).max()
            out[i, SHOT_ENCODER], out[i, SHOT_ENCODER_NEAREST] = unit(encoder.mean(0)) @ encoded, (encoder @ encoded).max()
        return out, tokens


class Group:
    """The conversations of one group, padded to [conversations, turns, routes]."""

    def __init__(self, rows):
        n, t, r = len(rows), max(len(row) for row in rows), max(len(row[0][0]) for row in rows)
        self.features = np.zeros((n, t, r, 7))
        self.length, self.label = np.zeros((n, t)), np.full((n, t), -9)
        self.real = np.zeros((n, r), bool)
        for i, row in enumerate(rows):
            for j, (features, tokens, label) in enumerate(row):
                k = len(features)
                self.features[i, j, :k], self.real[i, :k] = features, True
                self.length[i, j], self.label[i, j] = math.log1p(tokens), label
        self.count = self.real.sum(1)[:, None]
        self.asked = self.label > -9
        self.right = np.where(self.label == -1, r, np.maximum(self.label, 0))


def load(folder, embedder, shots):
    folder, sets, groups = pathlib.Path(folder), {}, {}
    lines = [json.loads(line) for line in (folder / "routes.jsonl").open()]
    files, known = {}, {line["set"] for line in lines}
    for file in sorted(folder.glob("*.jsonl")):
        if file.name != "routes.jsonl":
            files[file.stem] = [row for row in map(json.loads, file.open()) if row["set"] in known]
            if shots:
                files[file.stem] = borrow(lines, files[file.stem])
    texts = [t for line in lines for route in line["routes"] for t in wordings(route) + route.get("examples", [])[:shots]]
    texts += [m["content"] for rows in files.values() for row in rows for m in row["messages"] if m["role"] == "user"]
    embedder.encode(texts)
    for line in lines:
        sets[line["set"]] = Routes(line["routes"], embedder, shots)
    for name, conversations in files.items():
        rows = []
        for row in conversations:
            routes = sets[row["set"]]
            asks = [m for m in row["messages"] if m["role"] == "user"]
            label = lambda m: -1 if m["route"] == "other" else routes.names.index(m["route"])
            rows.append([(*routes.features(m["content"], embedder), label(m)) for m in asks])
        if rows:
            groups[f"{folder.name}/{name}"] = Group(rows)
    return groups


def evidence(q, likeness, group):
    """Logits [conversations, turns, routes + none] and how far the best route leads."""
    real = group.real[:, None, :]
    logits = jnp.where(real, group.features @ likeness, 0)
    average = logits.sum(2) / group.count
    centred = jnp.where(real, logits - average[:, :, None], -1e9)
    lead = centred.max(2)
    n = q["none"]
    none = n[0] + n[1] * average + n[2] * jnp.log(group.count) + n[3] * group.length + n[4] * lead
    grown = centred * jnp.exp(q["length"] * (jnp.minimum(group.length, 4) - 2.5))[:, :, None]
    return jnp.concatenate([grown, none[:, :, None]], 2), lead


def beliefs(q, group, pick):
    """Probabilities [conversations, turns, routes + none]: the filter of embedded/filter.rs, every turn by the same
    numbers."""
    likeness = jnp.zeros(7).at[jnp.array(pick)].set(q["likeness"])
    logits, lead = evidence(q, likeness, group)
    possible = np.concatenate([group.real, np.ones((len(group.real), 1), bool)], 1)
    alone = jax.nn.softmax(jnp.where(possible[:, None, :], logits, -1e9), 2)
    best, unfit = alone[:, :, :-1].max(2), alone[:, :, -1]
    results, before = [], None
    for turn in range(logits.shape[1]):
        now = logits[:, turn]
        if before is not None:
            s = q["stay"]
            stay = s[0] + s[1] * group.length[:, turn] + s[2] * lead[:, turn] + s[3] * best[:, turn] + s[4] * unfit[:, turn]
            stay = 1 / (1 + jnp.exp(-stay))[:, None]
            let_go = before[:, -1:] * (1 - NONE_KEPT)
            before = jnp.concatenate([before[:, :-1], before[:, -1:] - let_go], 1)
            now = now + jnp.log((1 - stay + stay * let_go) / (group.count + 1) + stay * before + 1e-12)
        now = jnp.where(possible, now, -1e9)
        before = jax.nn.softmax(now, 1)
        results.append(before)
    return jnp.stack(results, 1)


def loss(q, group, pick):
    probability = jnp.take_along_axis(beliefs(q, group, pick), group.right[:, :, None], 2)[:, :, 0]
    return -(jnp.log(jnp.maximum(probability, 1e-6)) * group.asked).sum() / group.asked.sum()


def fit(groups, pick, start, weights):
    flat, unflatten = jax.flatten_util.ravel_pytree(start)
    gradients = [jax.jit(jax.value_and_grad(lambda x, g=g: loss(unflatten(x), g, pick))) for g in groups.values()]
    total = sum(weights)

    def both(x):
        found = [gradient(x) for gradient in gradients]
        return (
            sum(w * float(v) for w, (v, _) in zip(weights, found)) / total,
            sum(w * np.asarray(g) for w, (_, g) in zip(weights, found)) / total,
        )

    done = minimize(both, np.asarray(flat), jac=True, method="L-BFGS-B", options={"maxiter": 400})
    return unflatten(jnp.asarray(done.x)), done.fun


def figures(probabilities, group):
    probabilities = np.asarray(probabilities)
    none = probabilities.shape[2] - 1
    chosen, asked = probabilities.argmax(2), group.asked
    right = chosen == group.right
    inside = asked & (group.label >= 0)
    best = np.where(np.concatenate([group.real, np.zeros((len(group.real), 1), bool)], 1)[:, None], probabilities, -1).argmax(2)
    spans = []
    for labels, rights in zip(group.label, right):
        at = 0
        labels = [l for l in labels if l > -9]
        while at < len(labels):
            end = at
            while end < len(labels) and labels[end] == labels[at]:
                end += 1
            spans.append(all(rights[at:end]))
            at = end
    other, said = asked & (group.label == -1), asked & (chosen == none)
    hit = (other & said).sum()
    precision, recall = hit / max(said.sum(), 1), hit / max(other.sum(), 1)
    return {
        "turn": right[asked].mean(), "in": (best == group.right)[inside].mean(), "span": np.mean(spans),
        "other F1": 2 * precision * recall / max(precision + recall, 1e-9) if other.any() else np.nan,
        "ece": calibration(probabilities.max(2)[asked], right[asked]),
    }


def calibration(confidence, right, bins=15):
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return sum(abs(confidence[at == b].sum() - right[at == b].sum()) for b in range(bins)) / len(right)


def report(title, rows, each=True):
    suites = {}
    for name, row in rows.items():
        if each:
            print(f"  {name:34} " + "  ".join(f"{k} {100 * v:5.1f}" for k, v in row.items()))
        suites.setdefault(name.split("/")[0], []).append(row)
    for suite, members in suites.items():
        mean = {k: np.nanmean([row[k] for row in members]) for k in members[0]}
        print(f"{title:12} {suite:24} " + "  ".join(f"{k} {100 * v:5.1f}" for k, v in mean.items()), flush=True)


def cascade(static, both, group, margin):
    """What the product answers: the static tier where it is sure, both where it is not."""
    static, both = np.asarray(static), np.asarray(both)
    top = np.sort(static, 2)
    sure = (top[:, :, -1] - top[:, :, -2]) >= margin
    return np.where(sure[:, :, None], static, both), sure[group.asked].mean()


def show(name, q):
    print(name, {k: [round(float(x), 3) for x in np.atleast_1d(v)] for k, v in q.items()}, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", required=True, help="a folder to keep vectors in")
    parser.add_argument("--report", nargs="*", default=[])
    parser.add_argument("suites", nargs="+")
    args = parser.parse_args()
    embedder = Embedder(args)
    for shots in (0, 5):
        print(f"-- {shots} examples a route")
        groups = {n: g for folder in args.suites for n, g in load(folder, embedder, shots).items()}
        shown = {n: g for folder in args.report for n, g in load(folder, embedder, shots).items()}
        both_tiers(groups, {**groups, **shown}, shots > 0)


def both_tiers(groups, everything, shots):
    # Every suite weighs the same but for the chats, and every group within its suite.
    suites = [name.split("/")[0] for name in groups]
    weigh = lambda chats: [(chats if suite == "chats" else 1.0) / suites.count(suite) for suite in suites]
    first_pick = [STATIC, LEXICAL] + [SHOT_STATIC, SHOT_NEAREST] * shots
    both_pick = first_pick + [ENCODER] + [SHOT_ENCODER, SHOT_ENCODER_NEAREST] * shots
    start = {"likeness": jnp.array([13.0, 4.6] + [1.0, 1.0] * shots), "length": jnp.array(0.09),
             "stay": jnp.array([5.0, -1.0, 0.5, -5.0, 1.0]), "none": jnp.array([0.5, -0.15, 0.7, -0.12, 0.01])}
    static, value = fit(groups, first_pick, start, weigh(CHATS_SHOTS if shots else CHATS_STATIC))
    show(f"static {value:.4f} {first_pick}", static)
    start = {**static, "likeness": jnp.concatenate([static["likeness"] / 4, jnp.array([12.0] + [1.0, 1.0] * shots)])}
    both, value = fit(groups, both_pick, start, weigh(CHATS_SHOTS if shots else CHATS_BOTH))
    show(f"both {value:.4f} {both_pick}", both)
    first = {n: beliefs(static, g, first_pick) for n, g in everything.items()}
    second = {n: beliefs(both, g, both_pick) for n, g in everything.items()}
    report("static", {n: figures(first[n], g) for n, g in everything.items()})
    report("both", {n: figures(second[n], g) for n, g in everything.items()})
    for sure in (0.5, 0.7, 0.8, 0.9):
        joined = {n: cascade(first[n], second[n], g, sure) for n, g in everything.items()}
        rows = {n: {**figures(joined[n][0], g), "sure": joined[n][1]} for n, g in everything.items()}
        report(f"sure {sure}", rows, each=False)


if __name__ == "__main__":
    main()

"""Trains the two models that the embedded router carries, on what prepare.py made. Seeded; two CPU cores will do.

    pip install numpy jax optax safetensors tokenizers
    python training/train.py teach  --data OUT --minilm FOLDER --work WORK
    python training/train.py encoder --data OUT --minilm FOLDER --work WORK [--layers 0,1,3,5] [--steps 5000]
    python training/train.py static --data OUT --minilm FOLDER --work WORK --table TABLE [--steps 2500]

FOLDER holds all-MiniLM-L6-v2 (`model.safetensors`, `vocab.txt`). `teach` writes its vectors of all texts once; the
encoder starts from some of its layers, is first drawn towards those vectors, then learns the task while it stays near
them. Both models are bi-encoders: a text and the wordings of its label are to have a high cosine, other labels of the
same space a low one, and a text whose label is not on offer stays under a learned threshold ("none fits").
"""

import argparse
import json
import math
import pathlib
import random
import time
from functools import partial

import jax

# Two devices of one thread each use two cores better than one device of two threads; set before anything runs.
jax.config.update("jax_num_cpu_devices", 2)
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from safetensors.numpy import load_file, save_file
from tokenizers import BertWordPieceTokenizer

HEADS, WIDTH = 12, 384
SCALE = 20.0
BUCKETS = (16, 32, 64)
LABEL_TOKENS, MAX_LABELS = 32, 16
TOKENS_A_STEP = 1536
# Most spaces of training/written are small: a step takes several, each with a few of its routes, or one wide one.
WRITTEN = "written: "
WRITTEN_SPACES, WRITTEN_LABELS = 3, 8
WIDE = 16
# A label's neighbours, by the teacher: how many are known of each.
NEIGHBOURS = 40
# The label of a text that fits no route of its space.
NO_ROUTE = ""
# What --thin leaves of a space.
MOST_TEXTS = {"llm_task": 4000, "llm_domain": 4000}
MOST_TEXTS_ELSE = 2000
CLS, SEP = 101, 102


def cut(ids, limit):
    """The head and the tail of a long text, between the two special tokens: an ask stands before or behind what was
    pasted."""
    room = limit - 2
    if len(ids) > room:
        ids = ids[: room // 2] + ids[len(ids) - (room - room // 2) :]
    return [CLS, *ids, SEP]


def without_blocks(text):
    """As embedded/glance.rs has it."""
    parts = text.split("```")
    if len(parts) == 1 or sum(len(part.split()) for part in parts[::2]) < 3:
        return text
    for at in range(1, len(parts), 2):
        language, _, body = parts[at].partition("\n") if "\n" in parts[at] else ("", "", parts[at])
        plain = language.strip() in ("", "text", "txt", "md", "markdown")
        body = body.encode()[:60].decode(errors="ignore")
        parts[at] = f" {body} " if plain else f" [{language.strip()} code] "
    return "".join(parts)


def pad(rows, length):
    out = np.zeros((len(rows), length), np.int32)
    for row, ids in zip(out, rows):
        row[: len(ids)] = ids
    return out


# The transformer: BERT as in MiniLM, a weighted mean of the tokens' vectors, unit length.


def layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-12) * weight + bias


def encode(params, frozen, ids):
    mask = ids > 0
    batch, length = ids.shape
    x = frozen["words"][ids] + params["positions"][:length]
    x = layer_norm(x, params["norm.weight"], params["norm.bias"])
    for layer in params["layers"]:
        heads = lambda name: (x @ layer[name + ".weight"].T + layer[name + ".bias"]).reshape(
            batch, length, HEADS, WIDTH // HEADS
        )
        scores = jnp.einsum("bqhd,bkhd->bhqk", heads("query"), heads("key")) / math.sqrt(WIDTH // HEADS)
        weights = jax.nn.softmax(jnp.where(mask[:, None, None, :], scores, -1e9), -1)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, heads("value")).reshape(batch, length, WIDTH)
        mixed = mixed @ layer["output.weight"].T + layer["output.bias"]
        x = layer_norm(x + mixed, layer["norm1.weight"], layer["norm1.bias"])
        inner = jax.nn.gelu(x @ layer["up.weight"].T + layer["up.bias"], approximate=False)
        inner = inner @ layer["down.weight"].T + layer["down.bias"]
        x = layer_norm(x + inner, layer["norm2.weight"], layer["norm2.bias"])
    # How much a token counts is learned; all the same while the gate is zero.
    share = jax.nn.softmax(jnp.where(mask, x @ params["pool"], -1e9), -1)
    return unit((x * share[..., None]).sum(1))


def unit(x):
    # The small number keeps the gradient of an empty text finite.
    return x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + 1e-12)


NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}


def minilm(folder, layers):
    file = load_file(pathlib.Path(folder) / "model.safetensors")
    read = lambda layer: {
        f"{short}.{part}": file[f"encoder.layer.{layer}.{long}.{part}"]
        for short, long in NAMES.items()
        for part in ("weight", "bias")
    }
    params = {
        "positions": file["embeddings.position_embeddings.weight"][: BUCKETS[-1]]
        + file["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": file["embeddings.LayerNorm.weight"],
        "norm.bias": file["embeddings.LayerNorm.bias"],
        "pool": np.zeros(WIDTH, np.float32),
        "layers": [read(layer) for layer in layers],
    }
    return jax.tree.map(jnp.asarray, (params, {"words": file["embeddings.word_embeddings.weight"]}))


def quantised(path):
    """The weights that export.py wrote."""
    file = load_file(path)
    matrix = lambda name: file[name].astype(np.float32) * file[name + ".scale"][:, None]
    params = {name: file[name] for name in ("positions", "norm.weight", "norm.bias")}
    params["pool"] = file.get("pool", np.zeros(WIDTH, np.float32))
    params["layers"] = []
    for number in range(int(file["layers"][0])):
        at = f"layers.{number}."
        layer = {name: file[at + name] for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")}
        for name in ("output", "up", "down"):
            layer[name + ".weight"], layer[name + ".bias"] = matrix(f"{at}{name}.weight"), file[f"{at}{name}.bias"]
        for i, name in enumerate(("query", "key", "value")):
            part = slice(i * WIDTH, (i + 1) * WIDTH)
            layer[name + ".weight"], layer[name + ".bias"] = matrix(at + "heads.weight")[part], file[at + "heads.bias"][part]
        params["layers"].append(layer)
    return jax.tree.map(jnp.asarray, (params, {"words": matrix("words")}))


# The static table: a bag of words. One linear map and one weight a token are learned, and for tokens that the texts have
# a small correction; so a token that they do not have moves with its neighbours.


def bag(params, frozen, ids):
    mask = (ids > 0) & (ids != CLS) & (ids != SEP)
    weight = jnp.exp(params["weight"][ids]) * mask
    return unit((frozen["table"][ids] * weight[..., None]).sum(1) @ params["map"] + (params["own"][ids] * mask[..., None]).sum(1))


# Batches: texts of one space against some of its labels, or of some written spaces, each against its own.


def thinned(data):
    """Of large spaces a sample."""
    rng, of_space = random.Random(7), {}
    for item in data["items"]:
        of_space.setdefault(item[2], []).append(item)
    items = []
    for space in data["tax"]:
        found, most = of_space.get(space, []), MOST_TEXTS.get(space, MOST_TEXTS_ELSE)
        items += found if len(found) <= most else rng.sample(found, most)
    return {"tax": data["tax"], "items": items}


class Texts:
    def __init__(self, args):
        data = json.loads((pathlib.Path(args.data) / "train.json").read_text())
        if args.thin:
            data = thinned(data)
        self.tokenizer = BertWordPieceTokenizer(str(pathlib.Path(args.minilm) / "vocab.txt"), lowercase=True)
        self.written_share = args.written
        if not args.written:
            data["items"] = [item for item in data["items"] if not item[2].startswith(WRITTEN)]
            data["tax"] = {space: labels for space, labels in data["tax"].items() if not space.startswith(WRITTEN)}
        self.ids = self.tokenize([text for text, _, _ in data["items"]], BUCKETS[-1])
        self.short = [cut([i for i in ids if i not in (CLS, SEP)], LABEL_TOKENS) for ids in self.ids]
        self.labels = [label for _, label, _ in data["items"]]
        self.wordings, self.wording_texts = {}, []
        for space, labels in data["tax"].items():
            for label, texts in labels.items():
                texts = sorted(set(texts))
                self.wordings[space, label] = range(len(self.wording_texts), len(self.wording_texts) + len(texts))
                self.wording_texts += texts
        self.wording_ids = self.tokenize(self.wording_texts, LABEL_TOKENS)
        self.spaces, self.of_label, self.unfit, self.near, self.bucket_of = {}, {}, {}, {}, {}
        for number, (_, label, space) in enumerate(data["items"]):
            bucket = self.bucket_of[number] = next(b for b in BUCKETS if len(self.ids[number]) <= b)
            if label == NO_ROUTE:
                self.unfit.setdefault((space, bucket), []).append(number)
            elif (space, label) in self.wordings:
                self.spaces.setdefault((space, bucket), []).append(number)
                self.of_label.setdefault((space, label), []).append(number)
        self.in_space = {}
        for space, label in self.of_label:
            self.in_space.setdefault(space, []).append(label)
        sizes = {}
        for (space, _), numbers in self.spaces.items():
            sizes[space] = sizes.get(space, 0) + len(numbers)
        self.keys = [key for key in self.spaces if not key[0].startswith(WRITTEN)]
        # The square root keeps one large source from being all there is; within a space, buckets by their share.
        self.weights = [len(self.spaces[key]) / sizes[key[0]] * sizes[key[0]] ** 0.5 for key in self.keys]
        written = [key for key in self.spaces if key[0].startswith(WRITTEN)]
        is_wide = lambda key: len(self.in_space[key[0]]) > WIDE
        self.written = {bucket: [key for key in written if key[1] == bucket and not is_wide(key)] for bucket in BUCKETS}
        self.wide = {bucket: [key for key in written if key[1] == bucket and is_wide(key)] for bucket in BUCKETS}
        self.written_weights = [sum(len(self.spaces[key]) for key in self.written[bucket]) * bucket for bucket in BUCKETS]

    def tokenize(self, texts, limit):
        texts = map(without_blocks, texts)
        clipped = [text if len(text) < 4096 else text[:2048] + " " + text[-2048:] for text in texts]
        return [cut(e.ids, limit) for e in self.tokenizer.encode_batch(clipped, add_special_tokens=False)]

    def batch(self, rng):
        """Token ids of texts and labels, which labels each text may choose from, its own (or the last place for none),
        and the numbers of texts and wordings (-1 for an example in place of a wording) to find their teacher's vectors
        by."""
        if self.written_share and rng.random() < self.written_share:
            return self.written_batch(rng)
        return self.one_space(rng)

    def one_space(self, rng):
        space, bucket = key = rng.choices(self.keys, self.weights)[0]
        pool, labels = self.spaces[key], self.in_space[space]
        size = TOKENS_A_STEP // bucket
        most = min(MAX_LABELS, len(labels))
        count = rng.randint(min(2, most), most) if rng.random() < 0.6 else most
        chosen, near, unfit = self.offer(rng, space, pool, count)
        if rng.random() < 0.15 and len(chosen) > 2:
            chosen.pop(rng.randrange(len(chosen)))
        place = {label: i for i, label in enumerate(chosen)}
        # Between neighbours, texts are drawn of them alone: of a large space few would be else.
        own = [n for label in near for n in self.of_label[space, label] if self.bucket_of[n] == bucket] or pool
        texts = []
        for _ in range(8 * size):
            number = rng.choice(own)
            if self.labels[number] in place or rng.random() < unfit:
                texts.append(number)
            if len(texts) == size:
                break
        foreign = self.spaces[rng.choice([k for k in self.keys if k[1] == bucket and k[0] != space] or [key])]
        strange = set()
        while len(texts) < size or len(strange) < size // 12:
            number = rng.choice(foreign)
            if len(texts) < size:
                texts.append(number)
                strange.add(len(texts) - 1)
            else:
                at = rng.randrange(size)
                texts[at] = number
                strange.add(at)
        if foreign is pool:
            strange = set()
        goal = [MAX_LABELS if i in strange else place.get(self.labels[n], MAX_LABELS) for i, n in enumerate(texts)]
        on_offer = np.zeros((size, MAX_LABELS), np.float32)
        on_offer[:, : len(chosen)] = 1
        return self.rows(rng, bucket, texts, [(space, label) for label in chosen], on_offer, goal)

    def offer(self, rng, space, pool, count):
        """Labels to choose from, the labels to draw texts of (empty: any of the space), and the share of texts that may be
        of a label that is not on offer. Half the time, in a large space, all are neighbours of one label: what stands
        beside what in an operator's routes."""
        labels = self.in_space[space]
        if self.near and len(labels) > 2 * count and rng.random() < 0.5:
            first = self.labels[rng.choice(pool)]
            near = [first, *self.near[space, first]][: count + count // 2 + 1]
            chosen = near[:1] + rng.sample(near[1:], min(count, len(near)) - 1)
            return chosen, near, 0.15
        # Labels of the batch's own texts come first, so that few-labelled sets still have texts that fit.
        seeds = rng.choices(pool, k=count)
        chosen = list(dict.fromkeys([self.labels[n] for n in seeds] + rng.sample(labels, len(labels))))[:count]
        return chosen, [], 0.04

    def know_neighbours(self, wordings):
        """Takes the teacher's vectors of the wordings, and finds each label's nearest in its space."""
        for space, labels in self.in_space.items():
            means = np.stack([wordings[self.wordings[space, label]].astype(np.float32).mean(0) for label in labels])
            means /= np.linalg.norm(means, axis=1, keepdims=True) + 1e-6
            order = np.argsort(-means @ means.T, axis=1)
            for label, row in zip(labels, order):
                self.near[space, label] = [labels[i] for i in row if labels[i] != label][:NEIGHBOURS]

    def written_batch(self, rng):
        bucket = rng.choices(BUCKETS, self.written_weights)[0]
        size, most = TOKENS_A_STEP // bucket, WRITTEN_SPACES * WRITTEN_LABELS
        labels, on_offer, choices = [], [], []
        keys, fewest = rng.sample(self.written[bucket], WRITTEN_SPACES), WRITTEN_LABELS
        wide = self.wide[bucket]
        if wide and rng.random() < len(wide) / (len(wide) + len(self.written[bucket]) / WRITTEN_SPACES):
            keys, fewest = [rng.choice(wide)], most
        for key in keys:
            space, known = key[0], self.in_space[key[0]]
            # Of a wide one those first that texts of this length are of.
            seeds = [self.labels[n] for n in rng.sample(self.spaces[key], min(len(self.spaces[key]), fewest))] if len(keys) == 1 else []
            chosen = list(dict.fromkeys(seeds + rng.sample(known, len(known))))[:fewest]
            rng.shuffle(chosen)
            if rng.random() < 0.25 and len(chosen) > 2:
                chosen.pop()
            place = {label: len(labels) + i for i, label in enumerate(chosen)}
            offer = np.zeros(most, np.float32)
            offer[len(labels) : len(labels) + len(chosen)] = 1
            labels += [(space, label) for label in chosen]
            # Of routes that are left out, a few texts; of those that fit none, all.
            for number in self.spaces[key]:
                if self.labels[number] in place or rng.random() < 0.15:
                    choices.append((number, offer, place.get(self.labels[number], most)))
            choices += [(number, offer, most) for number in self.unfit.get(key, [])]
        if not choices:
            return self.written_batch(rng)
        picked = rng.sample(choices, size) if len(choices) >= size else choices + rng.choices(choices, k=size - len(choices))
        texts, on_offer, goal = zip(*picked)
        return self.rows(rng, bucket, texts, labels, np.stack(on_offer), goal)

    def rows(self, rng, bucket, texts, labels, on_offer, goal):
        label_ids, wording_numbers = [], []
        for space, label in labels:
            if rng.random() < 0.2:
                label_ids.append(self.short[rng.choice(self.of_label[space, label])])
                wording_numbers.append(-1)
            else:
                number = rng.choice(self.wordings[space, label])
                label_ids.append(self.wording_ids[number])
                wording_numbers.append(number)
        missing = on_offer.shape[1] - len(labels)
        return (
            pad([self.ids[n] for n in texts], bucket),
            pad(label_ids + [[CLS, SEP]] * missing, LABEL_TOKENS),
            on_offer,
            np.array(goal, np.int32),
            np.array(texts),
            np.array(wording_numbers + [-1] * missing),
        )


def losses(model, params, frozen, batch):
    ids, label_ids, on_offer, goal, teacher_texts, teacher_labels, taught = batch

    text, label = model(params, frozen, ids), model(params, frozen, label_ids)
    logits = SCALE * text @ label.T
    logits = jnp.where(on_offer > 0, logits, -1e9)
    none = jnp.broadcast_to(SCALE * params["none"], (len(ids), 1))
    task = optax.softmax_cross_entropy_with_integer_labels(jnp.concatenate([logits, none], 1), goal).mean()
    distance = 1 - (text * teacher_texts).sum(-1).mean()
    distance += ((1 - (label * teacher_labels).sum(-1)) * taught).sum() / (taught.sum() + 1e-6)
    return task, distance


def train(model, params, frozen, texts, teacher, args):
    """`teacher` holds the vectors of texts and wordings, or is None."""
    steps, warm = args.steps, max(args.steps // 50, 1)
    first = int(steps * args.first) if teacher else 0
    rates = optax.join_schedules(
        [
            optax.linear_schedule(0.0, args.rate * 3 if first else args.rate, warm),
            optax.cosine_decay_schedule(args.rate * 3, max(first - warm, 1), 0.33),
            optax.linear_schedule(args.rate, args.rate * 0.03, steps - first),
        ],
        [warm, max(first, warm)],
    )
    # What begins from nothing may move faster than what was trained before.
    quick = lambda tree: {name: jax.tree.map(lambda _: name in ("pool", "none"), part) for name, part in tree.items()}
    faster = optax.masked(optax.scale(20.0), quick) if model is encode else optax.identity()
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rates, weight_decay=args.decay), faster)
    mesh = Mesh(np.array(jax.devices()), ("rows",))
    split, whole = NamedSharding(mesh, PartitionSpec("rows")), NamedSharding(mesh, PartitionSpec())
    params, frozen = jax.device_put((params, frozen), whole)
    state = jax.device_put(optimiser.init(params), whole)

    @jax.jit
    def step(params, frozen, state, batch, task_weight, near_weight):
        def total(params):
            task, distance = losses(model, params, frozen, batch)
            held = args.held * (params["own"] ** 2).sum() if "own" in params else 0.0
            return task_weight * task + near_weight * distance + held, (task, distance)

        (_, parts), gradient = jax.value_and_grad(total, has_aux=True)(params)
        update, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, update), state, parts

    rng = random.Random(args.seed)
    start, seen = time.time(), []
    for number in range(steps):
        ids, label_ids, on_offer, goal, picked, worded = texts.batch(rng)
        if teacher:
            near = teacher[0][picked].astype(np.float32), teacher[1][worded].astype(np.float32)
        else:
            near = np.zeros((len(picked), 1), np.float32), np.zeros((len(worded), 1), np.float32)
        taught = (worded >= 0).astype(np.float32)
        task_weight = 0.0 if number < first else 1.0
        near_weight = (20.0 if number < first else args.near) if teacher else 0.0
        rows = jax.device_put((ids, label_ids), split)
        batch = (*rows, *jax.device_put((on_offer, goal, *near, taught), whole))
        params, state, parts = step(params, frozen, state, batch, task_weight, near_weight)
        seen.append([float(part) for part in parts])
        if (number + 1) % 100 == 0:
            task, distance = np.mean(seen[-100:], 0)
            print(f"{number + 1:6} task {task:.4f} distance {distance:.4f} none {float(params['none']):.3f} "
                  f"{time.time() - start:.0f} s", flush=True)
        done = number + 1 in (steps, args.stop)
        if (number + 1) % args.save == 0 or done:
            save(params, frozen, args)
            report(model, params, frozen, texts, args)
        if done:
            break
    return params


def save(params, frozen, args):
    flat = {"none": params["none"]}
    if "map" in params:
        flat["table"] = frozen["table"] * jnp.exp(params["weight"])[:, None] @ params["map"] + params["own"]
    for name, value in params.items():
        if name == "layers":
            flat.update({f"layers.{i}.{k}": v for i, layer in enumerate(value) for k, v in layer.items()})
        else:
            flat[name] = value
    save_file({k: np.asarray(v) for k, v in flat.items()}, pathlib.Path(args.work) / f"{args.name}.safetensors")


@partial(jax.jit, static_argnums=0)
def run(model, params, frozen, ids):
    return model(params, frozen, ids)


def vectors(model, params, frozen, rows, batch=64):
    """Vectors of token rows, by length, so that little is padding."""
    out = np.zeros((len(rows), params["map"].shape[1] if "map" in params else WIDTH), np.float16)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for bucket in BUCKETS:
        here = [i for i in order if len(rows[i]) <= bucket and len(rows[i]) > bucket // 2 * (bucket > BUCKETS[0])]
        for at in range(0, len(here), batch):
            part = here[at : at + batch]
            ids = pad([rows[i] for i in part] + [[CLS, SEP]] * (batch - len(part)), bucket)
            out[part] = np.asarray(run(model, params, frozen, ids))[: len(part)]
    return out


_SUITES = {}


def report(model, params, frozen, texts, args):
    """In-scope accuracy by the last turn alone on a sample of each group: to watch the training, not to choose by."""
    # On one device: on all of them each would do the whole work.
    params, frozen = jax.device_put(jax.device_get((params, frozen)), jax.devices()[0])
    for folder in args.watch:
        if folder not in _SUITES:
            _SUITES[folder] = read_suite(folder, texts)
        groups = []
        for group, (turn_ids, sets) in _SUITES[folder].items():
            turns_found = vectors(model, params, frozen, turn_ids).astype(np.float32)
            wordings = vectors(model, params, frozen, [ids for _, route_ids, _ in sets for ids in route_ids])
            right, at = [], 0
            for names, route_ids, turns in sets:
                routes = wordings[at : at + len(route_ids)].astype(np.float32)
                at += len(route_ids)
                routes = routes.reshape(len(names), -1, routes.shape[1]).mean(1)
                right += [names[int(np.argmax(routes @ turns_found[turn]))] == label for turn, label in turns]
            groups.append((group, 100 * np.mean(right)))
        print(" ", folder, f"{np.mean([r for _, r in groups]):.1f}", " ".join(f"{g} {r:.0f}" for g, r in groups), flush=True)


def read_suite(folder, texts, sample=120):
    folder = pathlib.Path(folder)
    sets = {}
    for line in (folder / "routes.jsonl").open():
        record = json.loads(line)
        sets.setdefault(record["group"], {})[record["set"]] = record["routes"]
    out = {}
    for group, members in sorted(sets.items()):
        turns = []
        for line in (folder / f"{group}.jsonl").open():
            record = json.loads(line)
            turns += [(record["set"], m["content"], m["route"]) for m in record["messages"] if m.get("route", "other") != "other"]
        random.Random(1).shuffle(turns)
        turns = turns[:sample]
        by_set = {}
        for at, (name, _, label) in enumerate(turns):
            by_set.setdefault(name, []).append((at, label))
        rows = []
        for name, chosen in by_set.items():
            wordings = []
            for route in members[name]:
                title = route["name"].replace("_", " ").replace("-", " ")
                wordings += [f"{title}: {route['description']}", title, route["description"]]
            rows.append(([r["name"] for r in members[name]], texts.tokenize(wordings, BUCKETS[-1]), chosen))
        out[group] = texts.tokenize([t for _, t, _ in turns], BUCKETS[-1]), rows
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["teach", "encoder", "static"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--minilm", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--name")
    parser.add_argument("--layers", default="0,1,3,5")
    parser.add_argument("--start", help="weights of export.py to go on from, in place of layers of MiniLM")
    parser.add_argument("--table", help="the static table to start from")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--stop", type=int, help="end after so many of the steps, before the rate has come down")
    parser.add_argument("--written", type=float, default=0.5, help="share of the steps that learn from training/written")
    parser.add_argument("--thin", action="store_true", help="take a sample of the large spaces")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--first", type=float, default=0.15, help="share of the steps that only follow the teacher")
    parser.add_argument("--near", type=float, default=1.0, help="weight of staying near the teacher afterwards")
    parser.add_argument("--decay", type=float)
    parser.add_argument("--held", type=float, default=1e-3, help="what a token's own correction costs (static)")
    parser.add_argument("--save", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--watch", nargs="*", default=[], help="suites whose accuracy is printed on the way")
    args = parser.parse_args()
    args.name = args.name or args.what
    if args.decay is None:
        args.decay = 0.01 if args.what == "encoder" else 0.0
    pathlib.Path(args.work).mkdir(parents=True, exist_ok=True)
    texts = Texts(args)
    path = pathlib.Path(args.work) / "teacher.npz"
    if args.what == "teach":
        params, frozen = minilm(args.minilm, range(6))
        start = time.time()
        report(encode, params, frozen, texts, args)
        np.savez(path, texts=vectors(encode, params, frozen, texts.ids),
                 wordings=vectors(encode, params, frozen, texts.wording_ids))
        print(f"{time.time() - start:.0f} s")
    elif args.what == "encoder":
        args.rate = args.rate or 5e-5
        layers = [int(layer) for layer in args.layers.split(",")]
        params, frozen = quantised(args.start) if args.start else minilm(args.minilm, layers)
        params["none"] = jnp.float32(0.3)
        file = np.load(path)
        texts.know_neighbours(file["wordings"])
        train(encode, params, frozen, texts, (file["texts"], file["wordings"]), args)
    else:
        args.rate = args.rate or 1e-3
        file = load_file(args.table)
        table = file["table"].astype(np.float32) * file["table.scale"][:, None]
        # Rows of length one in the mean: so the learning rate means the same for all parts.
        frozen = {"table": jnp.asarray(table / np.linalg.norm(table, axis=1).mean())}
        params = {"map": jnp.eye(table.shape[1]), "weight": jnp.zeros(len(table)), "own": jnp.zeros(table.shape), "none": jnp.float32(0.3)}
        train(bag, params, frozen, texts, None, args)


if __name__ == "__main__":
    main()

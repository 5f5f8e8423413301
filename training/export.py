"""Turns what train.py saved into the weight files of crates/routing/model, int8 with a scale a row, and writes golden
vectors for the tests.

    pip install numpy jax safetensors tokenizers
    python training/export.py encoder --work WORK --minilm FOLDER
    python training/export.py static --work WORK
"""

import argparse
import json
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

MODEL = pathlib.Path(__file__).resolve().parents[1] / "crates/routing/model"
FIXTURES = MODEL.parent / "tests/fixtures"
TEXTS = [
    "Write a Python function that merges two sorted lists",
    "now add type hints",
    "",
    "Explain what this does: " + "def f(x): return x * 2\n" * 40 + "\nand why it is slow",
]


def rows(matrix):
    scale = np.maximum(np.abs(matrix).max(1), 1e-12) / 127
    return np.clip(np.rint(matrix / scale[:, None]), -127, 127).astype(np.int8), scale.astype(np.float32)


def matrix(out, name, values):
    out[name], out[name + ".scale"] = rows(values)


def encoder(args):
    trained = load_file(pathlib.Path(args.work) / f"{args.name}.safetensors")
    base = load_file(pathlib.Path(args.minilm) / "model.safetensors")
    layers = 1 + max(int(name.split(".")[1]) for name in trained if name.startswith("layers."))
    out = {name: trained[name].astype(np.float32) for name in ("positions", "norm.weight", "norm.bias", "pool")}
    out["layers"] = np.array([layers], np.float32)
    matrix(out, "words", base["embeddings.word_embeddings.weight"])
    for number in range(layers):
        part = lambda name: trained[f"layers.{number}.{name}"].astype(np.float32)
        heads = [f"{name}" for name in ("query", "key", "value")]
        matrix(out, f"layers.{number}.heads.weight", np.concatenate([part(h + ".weight") for h in heads]))
        out[f"layers.{number}.heads.bias"] = np.concatenate([part(h + ".bias") for h in heads])
        for name in ("output", "up", "down"):
            matrix(out, f"layers.{number}.{name}.weight", part(name + ".weight"))
            out[f"layers.{number}.{name}.bias"] = part(name + ".bias")
        for name in ("norm1", "norm2"):
            out[f"layers.{number}.{name}.weight"], out[f"layers.{number}.{name}.bias"] = part(name + ".weight"), part(name + ".bias")
    save_file(out, MODEL / "encoder.safetensors")
    golden(args, trained, base, layers)


def golden(args, trained, base, layers):
    """Vectors of the unquantised model, for the tests."""
    sys.argv = ["train"]
    import train

    params = {name: trained[name] for name in ("positions", "norm.weight", "norm.bias", "pool")}
    params["layers"] = [
        {name.split(".", 2)[2]: value for name, value in trained.items() if name.startswith(f"layers.{number}.")}
        for number in range(layers)
    ]
    tokenizer = train.BertWordPieceTokenizer(str(MODEL / "vocab.txt"), lowercase=True)
    ids = [train.cut(tokenizer.encode(text, add_special_tokens=False).ids, 64) for text in TEXTS]
    frozen = {"words": train.jnp.asarray(base["embeddings.word_embeddings.weight"])}
    found = np.stack([np.asarray(train.encode(train.jax.tree.map(train.jnp.asarray, params), frozen, train.pad([row], 64)))[0] for row in ids])
    cases = [{"text": text, "vector": [round(float(v), 5) for v in vector]} for text, vector in zip(TEXTS, found)]
    (FIXTURES / "encoder.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def static(args):
    trained = load_file(pathlib.Path(args.work) / f"{args.name}.safetensors")
    out = {}
    matrix(out, "table", trained["table"].astype(np.float32))
    save_file(out, MODEL / "trained.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["encoder", "static"])
    parser.add_argument("--work", required=True)
    parser.add_argument("--minilm")
    parser.add_argument("--name")
    args = parser.parse_args()
    args.name = args.name or args.what
    {"encoder": encoder, "static": static}[args.what](args)


if __name__ == "__main__":
    main()

"""Makes the first static table: every WordPiece piece run through all-MiniLM-L6-v2 alone, reduced to 256 dimensions by
principal components, and weighted by how rare it is.

    pip install numpy jax safetensors tokenizers
    python training/distil.py --data OUT --minilm FOLDER

A piece's vector is the mean over `[CLS] piece [SEP]`, less the mean of all pieces; its weight is a / (a + p), where p is
its share of the tokens of the training texts and a = 0.001 (the smoothed inverse frequency of Arora, Liang and Ma, "A
simple but tough-to-beat baseline for sentence embeddings", 2017). Writes crates/routing/model/distilled.safetensors,
int8 with a scale a row.
"""

import argparse
import json
import pathlib

import numpy as np
from safetensors.numpy import save_file

import export
import train

DIMENSIONS, SMOOTHING = 256, 1e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--minilm", required=True)
    parser.add_argument("--out", default=export.MODEL / "distilled.safetensors")
    args = parser.parse_args()
    params, frozen = train.minilm(args.minilm, range(6))
    pieces = len(frozen["words"])
    rows = [[train.CLS, piece, train.SEP] for piece in range(pieces)]
    vectors = train.vectors(train.encode, params, frozen, rows, batch=512).astype(np.float32)
    vectors -= vectors.mean(0)
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    table = vectors @ directions[:DIMENSIONS].T

    tokenizer = train.BertWordPieceTokenizer(str(pathlib.Path(args.minilm) / "vocab.txt"), lowercase=True)
    items = json.loads((pathlib.Path(args.data) / "train.json").read_text())["items"]
    counts = np.zeros(pieces)
    for text in tokenizer.encode_batch([text for text, _, space in items if not space.startswith(train.WRITTEN)], add_special_tokens=False):
        np.add.at(counts, text.ids, 1)
    table *= (SMOOTHING / (SMOOTHING + counts / counts.sum()))[:, None]
    out = {}
    export.matrix(out, "table", table)
    save_file(out, pathlib.Path(args.out))


if __name__ == "__main__":
    main()

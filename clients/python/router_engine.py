"""A real engine for the router model: llama.cpp's server with a tiny Qwen2 checkpoint that is made on the spot.

The weights are random, so what it says is nonsense unless it is constrained; everything else (tokenizer, chat template,
grammar, log-probabilities, prefix cache, HTTP) is what Arch-Router meets in production, which is a Qwen2 too.

    python router_engine.py MODEL.gguf PORT
"""

import collections
import pathlib
import re
import sys

import gguf
import numpy

CONTEXT = 8192
LAYERS, WIDTH, HEADS, KV_HEADS, FEED_FORWARD = 2, 64, 4, 2, 128
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# Qwen2's own template, without its default system prompt's branches for tools.
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# What the merges are learned from: the words of a prompt and of its answers.
CORPUS = """You are a helpful assistant designed to find the best suited route. You are provided with route description
within <routes></routes> XML tags: {"route": "code generation"} {"route": "code review"} {"route": "creative writing"}
{"route": "other"} Your task is to decide which route is best suit with user intent on the conversation. [{"name":
"description": "role":"user","content": "assistant"}] Write a poem about the sea at night. Explain what this does."""


def byte_letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        letters.setdefault(byte, chr(256 + len([other for other in letters.values() if ord(other) > 255])))
    return letters


def learn_merges(count: int) -> tuple[list[str], list[tuple[str, str]]]:
    """A byte-level BPE: its tokens, and its merges in order."""
    letters = byte_letters()
    words = collections.Counter(
        tuple(letters[byte] for byte in word.encode()) for word in re.findall(r" ?\w+| ?[^\s\w]+|\s+", CORPUS)
    )
    tokens, merges = [letters[byte] for byte in range(256)], []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        tokens.append("".join(best))
        merged = collections.Counter()
        for word, times in words.items():
            joined, at = [], 0
            while at < len(word):
                step = 2 if word[at : at + 2] == best else 1
                joined.append("".join(word[at : at + step]))
                at += step
            merged[tuple(joined)] += times
        words = merged
    return tokens, merges


def write_checkpoint(path: pathlib.Path) -> None:
    """A Qwen2 with random weights, the same each time."""
    tokens, merges = learn_merges(200)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("tiny random router")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens + SPECIAL)
    kinds = [gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(SPECIAL)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(len(tokens) + SPECIAL.index("<|im_end|>"))
    writer.add_pad_token_id(len(tokens))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    random = numpy.random.default_rng(7)

    def weights(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.normal(0, 0.2, shape).astype(numpy.float32))

    def ones(name: str, size: int) -> None:
        writer.add_tensor(name, numpy.ones(size, numpy.float32))

    head = WIDTH // HEADS
    weights("token_embd.weight", len(tokens) + len(SPECIAL), WIDTH)
    ones("output_norm.weight", WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        ones(f"{block}.attn_norm.weight", WIDTH)
        for part, size in [("q", HEADS * head), ("k", KV_HEADS * head), ("v", KV_HEADS * head)]:
            weights(f"{block}.attn_{part}.weight", size, WIDTH)
            weights(f"{block}.attn_{part}.bias", size)
        weights(f"{block}.attn_output.weight", WIDTH, HEADS * head)
        ones(f"{block}.ffn_norm.weight", WIDTH)
        weights(f"{block}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        weights(f"{block}.ffn_up.weight", FEED_FORWARD, WIDTH)
        weights(f"{block}.ffn_down.weight", WIDTH, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path: pathlib.Path, port: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    # Random weights do not know when to stop.
    params.n_predict = 64
    params.warmup = False
    # More would wait for each other in every layer where the machine has other work.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    print(f"serving at {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    checkpoint = pathlib.Path(sys.argv[1])
    if not checkpoint.exists():
        write_checkpoint(checkpoint)
    serve(checkpoint, int(sys.argv[2]))

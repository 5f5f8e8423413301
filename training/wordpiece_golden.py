"""Makes crates/routing/tests/fixtures/wordpiece.json with the reference tokenizer (pip install tokenizers)."""

import json
import pathlib

from tokenizers import BertWordPieceTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXTS = [
    "", " ", "Hello, world!", "unbelievably long-winded", "Explain what this regex does: ^a+$",
    "def f(x):\n    return x if x < 2 else f(x-1) + f(x-2)", "naïve café Ångström œuvre straße İstanbul",
    "汉字 and かな and 한국어", "price: €5, £3 and $2 ±1 × 4", "“quoted” – dash — ellipsis…", "e\u0301 combining",
    "tab\tnew\nline\r\nend", "emoji 🦀 crab 👩‍💻", "\u200bzero\u200bwidth", "snake_case kebab-case camelCase HTTPServer2",
    "1,234.56 3rd 2nd x86_64", "don't won't I'm", "https://example.com/a?b=c&d=e#f", "Привет, мир!", "مرحبا بالعالم",
    "नमस्ते दुनिया", "ไทย", "a" * 101, "b" * 100, "soft\u00adhyphen", "ﬁ ligature ½ ² ™", "¿Qué? ¡Hola!", "x\u0000y\ufffdz",
    "[CLS] [MASK] [UNK] tokens in text", "##ing", "Ünïcödé wörds", "İ ı", "…", "٣ ٤", "日本語テキスト", "「引用」",
]
tokenizer = BertWordPieceTokenizer(str(ROOT / "crates/routing/model/vocab.txt"), lowercase=True)
# Special tokens are not recognised inside text here: what a user types is text.
golden = [
    [text, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS if "[CLS]" not in text
]
path = ROOT / "crates/routing/tests/fixtures/wordpiece.json"
path.write_text("[\n" + ",\n".join(json.dumps(row) for row in golden) + "\n]\n")

#!/usr/bin/env python3
"""Draws where processor time goes, as a still picture.

    cargo build --profile profiling -p waypost        # and put a load on it
    perf record -F 299 --call-graph dwarf,65528 -p PID -- sleep 6
    perf script | benches/flame.py "one request of 1 KB, saturated" > flame.svg

Each box is a function, as wide as its share; what it calls hangs below it. Functions below `--least` percent and what
is deeper than twenty-two calls are left out.
"""
import argparse
import html
import re
import sys

WIDTH, HEIGHT, FONT, LEVELS = 1200, 17, 11, 22
TONES = {"kernel": "#c9b1e0", "waypost": "#f0a868", "http": "#8fbcd4", "memory": "#d9d27e", "other": "#c8ccd0"}


def name_of(line):
    """`ffffffff813a tcp_ack+0x1c ([kernel.kallsyms])` → (tcp_ack, kernel)."""
    found = re.match(r"\s*[0-9a-f]+ (.+?)(?:\+0x[0-9a-f]+)? \((.+)\)$", line)
    if not found:
        return None
    symbol, place = found.groups()
    if place == "inlined":
        return None
    symbol = re.sub(r"::h[0-9a-f]{16}$", "", symbol)
    if "kernel" in place or place == "[unknown]" and symbol.startswith("["):
        return symbol, "kernel"
    if re.match(r"_?_?(mi_|mem(cpy|move|set|cmp)|malloc|free|realloc)", symbol):
        return symbol, "memory"
    for word, tone in (("waypost", "waypost"), ("hyper", "http"), ("http", "http"), ("tokio", "http")):
        if re.search(rf"(^|[<&: ]){word}", symbol):
            return symbol, tone
    return symbol, "other"


def stacks(lines):
    """Each sample's functions, outermost first."""
    stack = []
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            if stack:
                yield stack[::-1]
            stack = []
        elif line[0] in " \t" and (name := name_of(line)):
            stack.append(name)
    if stack:
        yield stack[::-1]


def short(symbol):
    symbol = re.sub(r"<(?:[^<>]|<[^<>]*>)*>", "", symbol.replace("{{closure}}", "{}"))
    parts = [part for part in symbol.split("::") if part]
    return "::".join(parts[-3:]) if len(parts) > 3 else symbol


class Node:
    def __init__(self, name, tone):
        self.name, self.tone, self.count, self.inner = name, tone, 0, {}

    def add(self, stack):
        self.count += 1
        if stack:
            (name, tone), rest = stack[0], stack[1:]
            self.inner.setdefault(name, Node(name, tone)).add(rest)

    def depth(self, least):
        return 1 + max((node.depth(least) for node in self.inner.values() if node.count >= least), default=0)


def draw(node, x, level, scale, whole, least, out):
    if level >= LEVELS:
        return
    width = node.count * scale
    y = level * (HEIGHT + 1)
    share = 100 * node.count / whole
    text = html.escape(short(node.name))
    room = int((width - 6) / (FONT * 0.58))
    label = text if len(text) <= room else text[: room - 1] + "…" if room > 5 else ""
    out.append(f'<g><title>{html.escape(node.name)}: {share:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.5):.1f}" '
               f'height="{HEIGHT}" fill="{TONES[node.tone]}" rx="1.5"/><text x="{x + 3:.1f}" y="{y + 12.5}">{label}</text></g>')
    for inner in sorted(node.inner.values(), key=lambda one: one.name):
        if inner.count >= least:
            draw(inner, x, level + 1, scale, whole, least, out)
            x += inner.count * scale


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("title")
    arguments.add_argument("--least", type=float, default=0.4, help="percent")
    arguments.add_argument("--from", dest="root", default="conn::auto::Connection|h1::dispatch::Dispatcher",
                           help="the function that stands at the bottom, as a pattern")
    wanted = arguments.parse_args()
    root = Node(wanted.title, "other")
    for stack in stacks(sys.stdin):
        begin = next((at for at, (name, _) in enumerate(stack) if re.search(wanted.root, name)), None)
        root.add(stack[begin + 1:] if begin is not None else [("other threads: records, store; waiting", "other")])
    least = root.count * wanted.least / 100
    out = []
    draw(root, 0, 0, WIDTH / max(root.count, 1), max(root.count, 1), least, out)
    legend = "".join(f'<rect x="{12 + 130 * at}" y="6" width="11" height="11" fill="{tone}"/><text x="{28 + 130 * at}" y="16">{name}</text>'
                     for at, (name, tone) in enumerate({"kernel": TONES["kernel"], "Waypost": TONES["waypost"], "HTTP and runtime": TONES["http"],
                                                        "memory": TONES["memory"], "other": TONES["other"]}.items()))
    high = min(root.depth(least), LEVELS) * (HEIGHT + 1)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high + 24}" font-family="system-ui, sans-serif" font-size="{FONT}" '
          f'fill="#1b1f24"><rect width="100%" height="100%" fill="#fff"/>{legend}<g transform="translate(0 24)">{"".join(out)}</g></svg>')


if __name__ == "__main__":
    main()

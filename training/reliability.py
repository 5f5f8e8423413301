"""A reliability plot as SVG: what the router states against what is so. It follows the reader's light or dark theme."""

SIDE = 240  # of one panel, in pixels
LEFT, TOP, BETWEEN, BELOW = 44, 30, 40, 62
# Of each suite, on light and on dark.
COLOURS = {"a": ("#0969da", "#58a6ff"), "b": ("#bc4c00", "#f0883e"), "c": ("#1a7f37", "#56d364"), "d": ("#8250df", "#bc8cff"), "e": ("#9a6700", "#e3b341")}
FEWEST = 20  # turns of a bin: fewer say nothing


def style():
    paint = lambda theme: "\n".join(f".line.{name} {{ stroke: {both[theme]} }} circle.{name} {{ fill: {both[theme]} }}" for name, both in COLOURS.items())
    return f"""
text {{ font: 12px system-ui, sans-serif; fill: #333 }}
.grid {{ stroke: #ccc }} .even {{ stroke: #888; stroke-dasharray: 4 4 }}
.line {{ fill: none; stroke-width: 2 }} circle {{ fill-opacity: .35 }}
{paint(0)}
@media (prefers-color-scheme: dark) {{
text {{ fill: #ccc }} .grid {{ stroke: #444 }}
{paint(1)}
}}
"""


def plot(panels):
    """`panels` are (title, [(suite, reliability of `waypost routes test --suite … --json`)])."""
    width = LEFT + len(panels) * (SIDE + BETWEEN) - BETWEEN + 16
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + SIDE + BELOW}" width="{width}" height="{TOP + SIDE + BELOW}" role="img" aria-label="Reliability of stated confidence">',
             f"<style>{style()}</style>"]
    for number, (title, lines) in enumerate(panels):
        parts += panel(LEFT + number * (SIDE + BETWEEN), title, lines, first=number == 0)
    x = LEFT
    for colour, (suite, _) in zip(COLOURS, panels[0][1]):
        y = TOP + SIDE + 50
        parts.append(f'<path class="line {colour}" d="M{x} {y}h16"/><text x="{x + 21}" y="{y + 4}">{suite}</text>')
        x += 40 + 7 * len(suite)
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(left, title, lines, first):
    bottom = TOP + SIDE
    parts = [f'<text x="{left + SIDE / 2:g}" y="{TOP - 12}" text-anchor="middle">{title}</text>']
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = left + tick * SIDE, bottom - tick * SIDE
        parts.append(f'<path class="grid" d="M{x:g} {TOP}v{SIDE}M{left} {y:g}h{SIDE}"/>')
        parts.append(f'<text x="{x:g}" y="{bottom + 16}" text-anchor="middle">{100 * tick:g}</text>')
        if first:
            parts.append(f'<text x="{left - 6}" y="{y + 4:g}" text-anchor="end">{100 * tick:g}</text>')
    parts.append(f'<text x="{left + SIDE / 2:g}" y="{bottom + 32}" text-anchor="middle">stated %</text>')
    if first:
        parts.append(f'<text x="12" y="{TOP + SIDE / 2:g}" text-anchor="middle" transform="rotate(-90 12 {TOP + SIDE / 2:g})">right %</text>')
    parts.append(f'<path class="even" d="M{left} {bottom}l{SIDE} -{SIDE}"/>')
    for colour, (_, bins) in zip(COLOURS, lines):
        points = [(left + bin["confidence"] * SIDE, bottom - bin["accuracy"] * SIDE, bin["count"]) for bin in bins if bin["count"] >= FEWEST]
        parts.append(f'<polyline class="line {colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)}"/>')
        # The area of a dot is the share of the suite's turns.
        turns = sum(bin["count"] for bin in bins)
        parts += [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{1.5 + 8 * (count / turns) ** 0.5:.1f}"/>' for x, y, count in points]
    return parts

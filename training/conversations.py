"""Training conversations by recombination: follow-ups, topic shifts, "none fits", catch-alls, sets of 2 to 100 routes."""

import json
from collections import defaultdict

from common import key, labels, restyle, rng

# Spaces whose labels do not overlap, so that routes of several may stand in one set and a text of one is foreign to the rest.
# An action-type space and topic-type spaces side by side are what operators write.
MIXES = (
    ("llm_task", "support_int"),
    ("llm_task", "medquad"),
    ("llm_task", "support_dom", "medquad"),
    ("stackoverflow", "medquad", "support_dom"),
    ("snips", "stackoverflow", "medquad"),
    ("llm_task", "snips"),
    ("sgd_dom", "stackoverflow", "medquad"),
)
SINGLE = (
    "llm_task",
    "llm_task",
    "llm_task",
    "llm_domain",
    "llm_domain",
    "tool",
    "tool",
    "mmlu",
    "trivia",
    "support_int",
    "ni_cat",
    "ml_task",
    "clinc_int",
    "clinc_dom",
    "sgd_act",
    "seal_api",
    "persona",
    "pb_act",
    "stackoverflow",
)
# Foreign texts for "none fits"; each is far from the spaces listed behind it being absent.
STRANGERS = {
    "snips": {"snips", "sgd_act", "sgd_dom", "clinc_int", "clinc_dom", "tool", "seal_api"},
    "support_int": {"support_int", "support_dom", "sgd_act", "clinc_int", "clinc_dom", "tool", "seal_api"},
    "medquad": {
        "medquad",
        "llm_domain",
        "mmlu",
        "clinc_int",
        "tool",
        "ni_cat",
        "seal_api",
        "persona",
        "llm_task",
        "trivia",
    },
    "stackoverflow": {
        "stackoverflow",
        "llm_domain",
        "mmlu",
        "tool",
        "llm_task",
        "ml_task",
        "persona",
        "seal_api",
        "trivia",
    },
}
CATCH_ALL = (
    "general: everything that no other route covers",
    "default: anything else",
    "other topics: requests outside the other routes",
    "fallback: whatever does not fit elsewhere",
    "general-purpose: everyday requests without a specialist",
)


class Builder:
    def __init__(self, train, seed):
        self.g = rng(seed, "conversations")
        self.tax = train["tax"]
        self.texts = defaultdict(lambda: defaultdict(list))
        for text, label, space in train["items"]:
            self.texts[space][label].append(text)
        self.prompts = labels("prompts")
        self.group_of = {t: group for group, members in self.prompts["follow_group"].items() for t in members}

    def routes(self):
        """A set of (space, label) routes with one wording each, names made unique; maybe a catch-all."""
        g = self.g
        spaces = g.choice(MIXES) if g.random() < 0.35 else (g.choice(SINGLE),)
        pool = [(s, lab) for s in spaces for lab in self.tax.get(s, {}) if self.texts[s][lab]]
        size = g.choices((g.randint(2, 4), g.randint(5, 9), g.randint(10, 25), g.randint(26, 100)), (30, 40, 20, 10))[0]
        chosen = g.sample(pool, min(size, max(2, len(pool) - 1)))
        out, names = [], set()
        for space, label in chosen:
            wording = g.choice(self.tax[space][label])
            name, _, description = wording.partition(": ")
            if not description or len(name.split()) > 5 or name.split()[0].lower() in ("the", "a", "an"):
                name, description = (
                    restyle(label.split("/")[-1].split(".")[-1], g.choice(("plain", "snake", "kebab"))),
                    wording,
                )
            while name in names:
                name += " 2"
            names.add(name)
            out.append({"name": name, "description": description, "of": (space, label)})
        catch = None
        if g.random() < 0.2:
            name, _, description = g.choice(CATCH_ALL).partition(": ")
            if name not in names:
                catch = name
                out.append({"name": name, "description": description, "of": None})
        return spaces, pool, out, catch

    def follow_up(self, space, label):
        g, f = self.g, self.prompts["follow_ups"]
        group = (
            self.group_of.get(label)
            if space == "llm_task"
            else {
                "llm_domain": "fact",
                "trivia": "fact",
                "mmlu": "reasoning",
                "medquad": "fact",
                "stackoverflow": "code",
                "ml_task": "code",
            }.get(space)
        )
        return g.choice(f[group] if group and g.random() < 0.65 else f["any"])

    def conversation(self, spaces, pool, routes, catch):
        g = self.g
        inside = {r["of"]: r["name"] for r in routes if r["of"]}
        outside = [p for p in pool if p not in inside]
        strangers = [s for s, near in STRANGERS.items() if not near & set(spaces) and s in self.tax]
        messages, segments = [], g.choices((1, 2, 3, 4), (45, 30, 17, 8))[0]
        for _ in range(segments):
            roll = g.random()
            if roll < 0.2 and (outside or strangers):
                if strangers and (g.random() < 0.4 or not outside):
                    space = g.choice(strangers)
                    label = g.choice([lab for lab in self.tax[space] if self.texts[space][lab]])
                else:
                    space, label = g.choice(outside)
                route = catch or "other"
            else:
                (space, label), route = g.choice(list(inside.items()))
            turns = [g.choice(self.texts[space][label])]
            while len(turns) < 5 and g.random() < (0.45 if segments > 1 else 0.3):
                turns.append(self.follow_up(space, label))
            for turn in turns:
                if messages:
                    messages.append({"role": "assistant", "content": g.choice(self.prompts["replies"])})
                messages.append({"role": "user", "content": turn, "route": route})
        return messages


def write(train, seed, folder, banned, sets=900, per_set=9):
    """`routes.jsonl` and `train.jsonl` in the format of the evaluation groups."""
    builder = Builder(train, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "routes.jsonl").open("w", encoding="utf-8") as routes_out,
        (folder / "train.jsonl").open("w", encoding="utf-8") as out,
    ):
        for number in range(sets):
            spaces, pool, routes, catch = builder.routes()
            name = f"mix-{number:04}"
            shown = [{"name": r["name"], "description": r["description"]} for r in routes]
            row = {
                "set": name,
                "group": "train",
                "source": "+".join(spaces),
                "license": "see README",
                "multi_turn": True,
                "routes": shown,
            }
            routes_out.write(json.dumps(row, ensure_ascii=False) + "\n")
            for i in range(per_set):
                messages = builder.conversation(spaces, pool, routes, catch)
                if any(len(key(m["content"])) > 25 and key(m["content"]) in banned for m in messages):
                    continue
                row = {"id": f"{name}/{i}", "set": name, "messages": messages}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")

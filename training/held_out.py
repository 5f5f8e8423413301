"""Validation and judging groups from data sets that are not trained on, in the format of the evaluation suite."""

import csv
import io
import json
import re
from collections import defaultdict

from common import MAX_CHARS, key, labels, mostly_english, rng, sample, tidy

BFCL = "berkeley-function-call-leaderboard/bfcl_eval/data"
ARENA = "lmarena/arena-hard-auto"


class Group:
    """Collects route sets and conversations of one group."""

    def __init__(self, name, source, licence, multi_turn=False):
        self.name, self.source, self.licence, self.multi_turn = name, source, licence, multi_turn
        self.sets, self.rows, self.turns = [], [], 0

    def add_set(self, routes, name=None):
        name = name or (self.name if not self.sets else f"{self.name}-{len(self.sets)}")
        self.sets.append(
            {
                "set": name,
                "group": self.name,
                "source": self.source,
                "license": self.licence,
                "multi_turn": self.multi_turn,
                "routes": [{"name": n, "description": d} for n, d in routes],
            }
        )
        return name

    def add(self, set_name, turns, replies=None, g=None):
        """`turns`: (text, route) or ("assistant", None, text) triples already in order."""
        messages = []
        for turn in turns:
            if len(turn) == 3:
                messages.append({"role": "assistant", "content": turn[2]})
                continue
            if replies and messages and messages[-1]["role"] == "user":
                messages.append({"role": "assistant", "content": g.choice(replies)})
            messages.append({"role": "user", "content": turn[0][:MAX_CHARS], "route": turn[1]})
            self.turns += 1
        self.rows.append({"id": f"{self.name}/{len(self.rows):05}", "set": set_name, "messages": messages})


def leave_out_sets(group, routes, count, drop, g):
    """The full set and `count` sets that miss `drop` routes each; texts of the missing become `other`."""
    out = [(group.add_set(routes), {n for n, _ in routes})]
    names = sample(g, [n for n, _ in routes], len(routes))
    for i in range(count):
        gone = {names[(i * drop + k) % len(names)] for k in range(drop)}
        kept = [r for r in routes if r[0] not in gone]
        out.append((group.add_set(kept), {n for n, _ in kept}))
    return out


def singles(group, pairs, sets, g):
    for i, (text, label) in enumerate(pairs):
        name, kept = sets[i % len(sets)]
        group.add(name, [(text, label if label in kept else "other")])


def chats(group, pairs, sets, follow, replies, g, limit):
    """Two to four topics a chat with follow-ups that lean on the turn before."""
    pairs = list(pairs)
    at = 0
    while group.turns < limit and at + 4 < len(pairs):
        name, kept = g.choice(sets)
        turns = []
        for text, label in pairs[at : at + g.randint(1, 3)]:
            at += 1
            route = label if label in kept else "other"
            turns.append((text, route))
            for _ in range(g.choices((0, 1, 2, 3), (25, 40, 25, 10))[0]):
                turns.append(
                    (g.choice(follow[label] if label in follow and g.random() < 0.7 else follow["any"]), route)
                )
        group.add(name, turns, replies, g)


# --- prompts people typed into a chat arena


def arena(repos, version):
    rows = repos.json_lines(ARENA, f"data/arena-hard-v{version}/question.jsonl")
    return [(tidy(r["prompt"]), r) for r in rows]


def arena_codes(name):
    return {int(m[1]): m[2] for m in re.finditer(r"(\d+)(\S+)", labels("arena")[name])}


def arena_topics(repos, seed, chat):
    g = rng(seed, "arena-topics")
    rows = arena(repos, "2.0")
    hand = set(arena_codes("v2"))
    pairs = []
    for i, (text, row) in enumerate(rows):
        topic = {"coding": "coding", "math": "math", "creative_writing": "creative writing"}[row["subcategory"]]
        # Many prompts filed under coding are about something else; only those labelled by hand are kept.
        if mostly_english(text) and len(text) < MAX_CHARS and (topic != "coding" or i in hand):
            pairs.append((text, topic))
    g.shuffle(pairs)
    cut = len(pairs) * 3 // 5
    routes = [tuple(r) for r in labels("held_out_routes")["arena_topics"]]
    prompts = labels("held_out_prompts")
    if chat:
        group = Group("arena-chat", f"{ARENA} v2.0, composed", "Apache-2.0", True)
        sets = leave_out_sets(group, routes, 2, 1, g)
        chats(group, pairs[cut:], sets, prompts["follow_ups"], prompts["replies"], g, 420)
    else:
        group = Group("arena-topics", f"{ARENA} v2.0", "Apache-2.0")
        singles(group, pairs[:cut], leave_out_sets(group, routes, 3, 1, g), g)
    return group


def arena_code(repos, seed, version):
    g = rng(seed, f"arena-code-{version}")
    names = {"w": "write code", "f": "fix code", "c": "change code", "h": "technical help", "x": "other"}
    hand = arena_codes("v2" if version == "2.0" else "v01")
    pairs = []
    for i, (text, row) in enumerate(arena(repos, version)):
        code = hand.get(i, "-")[0]
        if code in names:
            pairs.append((text, names[code]))
        elif row.get("subcategory") in ("math", "creative_writing") and i % 6 == 0:
            pairs.append((text, "other"))
    pairs = [p for p in pairs if mostly_english(p[0])]
    if version != "2.0":
        foreign = [p for p in pairs if p[1] == "other"]
        pairs = [p for p in pairs if p[1] != "other"] + sample(g, foreign, 70)
    g.shuffle(pairs)
    group = Group(
        "arena-code" if version == "2.0" else "arena01-code", f"{ARENA} v{version}, labelled by hand", "Apache-2.0"
    )
    singles(
        group, pairs, leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["arena_code"]], 0, 0, g), g
    )
    return group


def arena_domains(repos, seed):
    g = rng(seed, "arena-domains")
    names = dict(
        zip(
            "sdomblz",
            [
                "software engineering",
                "data and AI",
                "IT operations",
                "maths and science",
                "business and law",
                "leisure and arts",
                "other",
            ],
        )
    )
    rows = arena(repos, "0.1")
    pairs = [(rows[i][0], names[c[1]]) for i, c in arena_codes("v01").items() if c[1] in names]
    g.shuffle(pairs)
    group = Group("arena01-domains", f"{ARENA} v0.1, labelled by hand", "Apache-2.0")
    singles(
        group, pairs, leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["arena_domains"]], 2, 1, g), g
    )
    return group


# --- coding assistant


def exercises(repos, track):
    """(description, solution, language) of the practice exercises of a track.

    Tracks share descriptions, so Go takes one half of the exercises and Python the other.
    """
    repo, ending, lang = {
        "go": ("exercism/go", ".meta/example.go", "Go"),
        "javascript": ("exercism/javascript", ".meta/proof.ci.js", "JavaScript"),
        "python": ("exercism/python", ".meta/example.py", "Python"),
    }[track]
    paths = [p for p in repos.files(repo, "exercises/practice") if p.endswith((ending, ".docs/instructions.md"))]
    found = defaultdict(dict)
    for path, text in repos.read_many(repo, paths):
        found[path.split("/")[2]]["d" if path.endswith(".md") else "c"] = text
    for slug, e in sorted(found.items()):
        odd = sum(map(ord, slug)) % 2
        if odd == {"go": 0, "python": 1}.get(track, odd) and len(e) == 2 and len(e["c"]) > 100:
            yield tidy(re.sub(r"^#+ .*\n", "", e["d"]))[:2500], e["c"].strip()[:4000], lang


def code_actions(repos, seed):
    g = rng(seed, "code-actions")
    asks = labels("held_out_prompts")["code"]
    actions = list(asks)
    pairs = []
    for d, c, lang in exercises(repos, "go"):
        for action in sample(g, actions, 5):
            fenced = c if g.random() < 0.4 else f"```go\n{c}\n```"
            pairs.append(
                (g.choice(asks[action]).replace("{d}", d).replace("{c}", fenced).replace("{lang}", lang), action)
            )
    g.shuffle(pairs)
    group = Group("code-actions", "exercism/go exercises with asks written for this group", "MIT")
    sets = leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["code_actions"]], 3, 2, g)
    singles(group, pairs[:360], sets, g)
    return group


def code_chat(repos, seed):
    g = rng(seed, "code-chat")
    p = labels("held_out_prompts")
    asks = p["code_judge"]
    group = Group("code-chat", "exercism/python exercises, composed", "MIT", True)
    sets = leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["code_actions"]], 3, 2, g)
    names = list(asks)
    pairs = []
    rows = list(exercises(repos, "python"))
    for d, c, lang in sample(g, rows * 3, 180):
        action = g.choice(names)
        pairs.append(
            (g.choice(asks[action]).replace("{d}", d).replace("{c}", c[:1800]).replace("{lang}", lang), action)
        )
    follow = {name: p["follow_ups_judge"]["code"] for name in names}
    follow["any"] = p["follow_ups_judge"]["any"]
    chats(group, pairs, sets, follow, p["replies"], g, 400)
    return group


def long_paste(repos, seed):
    """A short ask around long pasted material; transcripts (QMSum, product meetings) and JavaScript solutions."""
    g = rng(seed, "long-paste")
    asks = labels("held_out_prompts")["text"]
    meetings = repos.json_lines("Yale-LILY/QMSum", "data/Product/jsonl/val.jsonl") + repos.json_lines(
        "Yale-LILY/QMSum", "data/Product/jsonl/test.jsonl"
    )
    pairs = []
    for meeting in meetings:
        turns = [
            f"{t['speaker']}: {tidy(re.sub(r'{[^}]*}', '', t['content']))}" for t in meeting["meeting_transcripts"]
        ]
        for query in sample(g, meeting["specific_query_list"], 3):
            start = (
                min(int(query["relevant_text_span"][0][0]), max(0, len(turns) - 30))
                if query["relevant_text_span"]
                else 0
            )
            doc = "\n".join(turns[start : start + 60])[: g.choice((1500, 3000, 5500))]
            label = "summaries" if query["query"].lower().startswith("summar") else "document questions"
            pairs.append((around(g, query["query"], doc), label))
        for label in ("summaries", "translation"):
            at = g.randrange(max(1, len(turns) - 20))
            doc = "\n".join(turns[at : at + 60])[: g.choice((800, 2500, 5500))]
            pairs.append((around(g, g.choice(asks[label]), doc), label))
    codes = list(exercises(repos, "javascript"))
    for i, (_, code, _) in enumerate(codes):
        label = ("code explanation", "code testing", "code conversion")[i % 3]
        other = "\n\n".join([code, codes[(i * 7 + 3) % len(codes)][1]]) if g.random() < 0.5 else code
        pairs.append((around(g, g.choice(asks[label]), other[:5500]), label))
    g.shuffle(pairs)
    group = Group("long-paste", "Yale-LILY/QMSum product meetings; exercism/javascript solutions", "MIT")
    sets = leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["long_paste"]], 2, 1, g)
    singles(group, pairs[:380], sets, g)
    return group


def around(g, ask, doc):
    return g.choice(
        [f"{ask}\n\n{doc}", f"{doc}\n\n{ask}", f"{ask}\n\n```\n{doc}\n```", f"<document>\n{doc}\n</document>\n{ask}"]
    )


# --- professions


def legal_questions(repos):
    """Examples of LegalBench tasks under CC BY 4.0, with the question of the task's prompt where it has one."""
    repo = "HazyResearch/legalbench"
    out = []
    names = sorted({p.split("/")[1] for p in repos.files(repo, "tasks", "/train.tsv")})
    files = dict(
        repos.read_many(repo, [f"tasks/{n}/{f}" for n in names for f in ("README.md", "train.tsv", "base_prompt.txt")])
    )
    for name in names:
        licence = re.search(r"\*\*License\*\*:(.*)", files.get(f"tasks/{name}/README.md", ""))
        if not licence or not re.search(r"cc by 4\.0", licence[1], re.IGNORECASE):
            continue
        prompt = files.get(f"tasks/{name}/base_prompt.txt", "")
        ask = tidy(re.split(r"\n\s*\n", prompt.strip())[0]) if prompt else ""
        rows = list(csv.DictReader(io.StringIO(files[f"tasks/{name}/train.tsv"]), delimiter="\t"))
        for n, row in enumerate(rows[:3]):
            body = row.get("text") or row.get("question") or row.get("contract") or ""
            body = tidy(body)
            if 40 < len(body) < 2500:
                short = ask if 15 < len(ask) < 300 and "{{" not in ask else ""
                out.append(f"{short}\n\n{body}" if short and n % 2 == 0 else body)
    return list(dict.fromkeys(out))


def medical_questions(repos):
    """Research questions of PubMedQA, some with the start of their abstract."""
    out = []
    for n, row in enumerate(json.loads(repos.read("pubmedqa/pubmedqa", "data/ori_pqal.json")).values()):
        out.append(row["QUESTION"] if n % 4 else f"{row['QUESTION']}\n\n{tidy(row['CONTEXTS'][0])[:1200]}")
    return out


def technical_questions(repos):
    out = []
    for name in ("AskUbuntuCorpus", "WebApplicationsCorpus"):
        corpus = json.loads(repos.read("sebischair/NLU-Evaluation-Corpora", f"{name}.json"))
        out += [tidy(s["text"]) for s in corpus["sentences"]]
    return list(dict.fromkeys(out))


def general_questions(repos, g):
    rows = [
        r.split("\t")
        for r in repos.read("google-research-datasets/query-wellformedness", "test.tsv").split("\n")
        if "\t" in r
    ]
    bad = re.compile(
        r"\b(law|legal|court|disease|drug|doctor|symptom|pain|medic|pill|computer|software|windows|download|ps3|xbox|phone|ipod|website|facebook|hack|cheat|code|car)",
        re.IGNORECASE,
    )
    return sample(g, [tidy(r[0]) for r in rows if float(r[1]) > 0.5 and not bad.search(r[0])], 220)


def professional(repos, seed, chat):
    g = rng(seed, "professional")
    parts = {
        "legal": legal_questions(repos),
        "health": medical_questions(repos),
        "technical": technical_questions(repos),
        "general": general_questions(repos, g),
    }
    halves = {k: sample(g, v, 220) for k, v in parts.items()}
    source = "HazyResearch/legalbench (CC BY tasks); pubmedqa/pubmedqa; sebischair/NLU-Evaluation-Corpora; google-research-datasets/query-wellformedness"
    licence = "CC BY 4.0; MIT; CC BY-SA 3.0; CC BY-SA 4.0"
    prompts = labels("held_out_prompts")
    if not chat:
        group = Group("professional", source, licence)
        pairs = [(t, k) for k, v in halves.items() for t in v[: len(v) // 2]]
        g.shuffle(pairs)
        singles(
            group,
            pairs,
            leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["professional"]], 3, 1, g),
            g,
        )
        return group
    group = Group("professional-chat", source + ", composed", licence, True)
    other_names = {"legal": "lawyer", "health": "doctor", "technical": "it support", "general": "trivia"}
    pairs = [(t, other_names[k]) for k, v in halves.items() for t in v[len(v) // 2 :]]
    g.shuffle(pairs)
    follow = {other_names[k]: prompts["follow_ups"][k] for k in other_names} | {
        "any": prompts["follow_ups_judge"]["any"]
    }
    sets = leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["professional_chat"]], 2, 1, g)
    chats(group, pairs, sets, follow, prompts["replies"], g, 480)
    return group


def abstracts(repos, seed):
    g = rng(seed, "abstracts")
    names = [r[0] for r in labels("held_out_routes")["abstracts"]]
    rows = list(csv.reader(io.StringIO(repos.read("sebischair/Medical-Abstracts-TC-Corpus", "medical_tc_test.csv"))))[
        1:
    ]
    by_label = defaultdict(list)
    for number, text in rows:
        by_label[names[int(number) - 1]].append(tidy(text)[:2500])
    pairs = [(t, lab) for lab in names for t in sample(g, by_label[lab], 60)]
    g.shuffle(pairs)
    group = Group("abstracts", "sebischair/Medical-Abstracts-TC-Corpus, test part", "CC BY-SA 3.0")
    singles(group, pairs, leave_out_sets(group, [tuple(r) for r in labels("held_out_routes")["abstracts"]], 2, 1, g), g)
    return group


# --- customer intents


def dstc11(repos, seed, part, name, table, size, count, limit):
    g = rng(seed, f"dstc11-{part}")
    wanted = labels("held_out_routes")[table]
    rows = repos.json_lines("amazon-science/dstc11-track2-intent-induction", f"dstc11/{part}/test-utterances.jsonl")
    pairs = [(tidy(r["utterance"]), r["intent"]) for r in rows if r["intent"] in wanted]
    seen = set()
    pairs = [p for p in sample(g, pairs, len(pairs)) if key(p[0]) not in seen and not seen.add(key(p[0]))][:limit]
    group = Group(name, f"amazon-science/dstc11-track2-intent-induction, {part}", "CDLA-Permissive-2.0")
    intents = list(wanted)
    sets = []
    for _ in range(count):
        kept = set(g.sample(intents, min(size, len(intents))))
        sets.append((group.add_set([tuple(wanted[i]) for i in intents if i in kept]), kept))
    for i, (text, intent) in enumerate(pairs):
        set_name, kept = sets[i % count]
        # A set holds part of the intents; one foreign turn in three or so is kept as `other`.
        if intent not in kept and g.random() > 0.35 and size < len(intents):
            homes = [s for s in sets if intent in s[1]]
            if homes:
                set_name, kept = g.choice(homes)
        group.add(set_name, [(text, wanted[intent][0] if intent in kept else "other")])
    return group


# --- tools


def bfcl_tools(repos, seed):
    """One request and the functions on offer for it; irrelevant offers are `other`."""
    g = rng(seed, "bfcl-tools")
    group = Group(
        "bfcl-tools", "ShishirPatil/gorilla, BFCL v4 live_multiple, multiple and live_irrelevance", "Apache-2.0"
    )
    for name, count, answered in (
        ("live_multiple", 200, True),
        ("multiple", 100, True),
        ("live_irrelevance", 110, False),
    ):
        rows = repos.json_lines("ShishirPatil/gorilla", f"{BFCL}/BFCL_v4_{name}.json")
        truth = {}
        if answered:
            for row in repos.json_lines("ShishirPatil/gorilla", f"{BFCL}/possible_answer/BFCL_v4_{name}.json"):
                truth[row["id"]] = next(iter(row["ground_truth"][0]))
        taken = 0
        for row in sample(g, rows, len(rows)):
            turns = [m for m in row["question"][0] if m["role"] == "user"]
            functions = [(f["name"], tidy(f["description"])[:300]) for f in row["function"]]
            # Some offers are services of the schema-guided dialogues, which are trained on or kept for judging.
            if any(re.search(r"_\d_", n) for n, _ in functions):
                continue
            if (
                len(turns) != 1
                or len(functions) < 2
                or not mostly_english(turns[0]["content"])
                or len({n for n, _ in functions}) < len(functions)
            ):
                continue
            route = truth[row["id"]] if answered else "other"
            if taken < count and (route == "other" or route in dict(functions)) and turns[0]["content"].strip():
                taken += 1
                group.add(group.add_set(functions), [(tidy(turns[0]["content"]), route)])
    return group


def bfcl_turns(repos, seed):
    """Conversations over several toolkits; the toolkit of a turn is the one whose functions answer it."""
    g = rng(seed, "bfcl-turns")
    routes = labels("held_out_routes")["bfcl_turns"]
    owner = defaultdict(set)
    files = {
        "gorilla_file_system": "GorillaFileSystem",
        "math_api": "MathAPI",
        "message_api": "MessageAPI",
        "posting_api": "TwitterAPI",
        "ticket_api": "TicketAPI",
        "trading_bot": "TradingBot",
        "travel_booking": "TravelAPI",
        "vehicle_control": "VehicleControlAPI",
    }
    for file, cls in files.items():
        for f in repos.json_lines("ShishirPatil/gorilla", f"{BFCL}/multi_turn_func_doc/{file}.json"):
            owner[f["name"]].add(cls)
    truth = {
        r["id"]: r["ground_truth"]
        for r in repos.json_lines("ShishirPatil/gorilla", f"{BFCL}/possible_answer/BFCL_v4_multi_turn_base.json")
    }
    group = Group("bfcl-turns", "ShishirPatil/gorilla, BFCL v4 multi_turn_base", "Apache-2.0", True)
    sets = leave_out_sets(group, [tuple(r) for r in routes.values()], 2, 2, g)
    replies = labels("held_out_prompts")["replies"]
    rows = repos.json_lines("ShishirPatil/gorilla", f"{BFCL}/BFCL_v4_multi_turn_base.json")
    for row in sample(g, rows, len(rows)):
        if group.turns > 520:
            break
        name, kept = sets[len(group.rows) % len(sets)]
        turns, known = [], set(row["involved_classes"])
        for asked, calls in zip(row["question"], truth[row["id"]]):
            classes = [c for call in calls for c in owner[call.split("(")[0]] if c in known]
            text = " ".join(m["content"] for m in asked if m["role"] == "user")
            # The last call is what the turn is for; a turn over two toolkits is unclear and ends the conversation.
            if not classes or len(set(classes)) > 1 or not text.strip():
                break
            label = routes[classes[-1]][0]
            turns.append((tidy(text), label if label in kept else "other"))
        if turns:
            group.add(name, turns, replies, g)
    return group


def api_bank(repos, seed):
    g = rng(seed, "api-bank")
    table = labels("held_out_routes")
    of = {api: domain for domain, apis in table["api_bank_of"].items() for api in apis}
    group = Group("api-bank", "AlibabaResearch/DAMO-ConvAI, API-Bank level 1", "Apache-2.0", True)
    sets = leave_out_sets(group, [tuple(r) for r in table["api_bank"]], 2, 3, g)
    folder = "api-bank/lv1-lv2-samples/level-1-given-desc"
    for _, text in repos.read_many(
        "AlibabaResearch/DAMO-ConvAI", sorted(repos.files("AlibabaResearch/DAMO-ConvAI", folder, ".jsonl"))
    ):
        rows = [json.loads(r) for r in text.split("\n") if r.strip()]
        name, kept = sets[len(group.rows) % len(sets)]
        turns = []
        for i, row in enumerate(rows):
            if row["role"] == "User":
                apis = [r["api_name"] for r in rows[i:] if r["role"] == "API" and r["api_name"] != "GetUserToken"]
                if not apis or apis[0] not in of:
                    break
                label = of[apis[0]]
                turns.append((tidy(row["text"]), label if label in kept else "other"))
            elif row["role"] == "AI" and turns and len(turns[-1]) == 2:
                turns.append(("assistant", None, tidy(row["text"])))
        while turns and len(turns[-1]) == 3:
            turns.pop()
        if turns and group.turns < 520:
            group.add(name, turns)
    return group


def write(repos, seed, part, folder):
    groups = {
        "valid": lambda: [
            arena_topics(repos, seed, chat=False),
            arena_topics(repos, seed, chat=True),
            arena_code(repos, seed, "2.0"),
            code_actions(repos, seed),
            professional(repos, seed, chat=False),
            bfcl_tools(repos, seed),
            api_bank(repos, seed),
            dstc11(repos, seed, "test-banking", "dstc-banking", "banking", 9, 4, 400),
        ],
        "judge": lambda: [
            arena_domains(repos, seed),
            arena_code(repos, seed, "0.1"),
            code_chat(repos, seed),
            long_paste(repos, seed),
            professional(repos, seed, chat=True),
            abstracts(repos, seed),
            bfcl_turns(repos, seed),
            dstc11(repos, seed, "development", "dstc-insurance", "insurance", 11, 4, 500),
            dstc11(repos, seed, "test-finance", "dstc-finance", "finance", 30, 2, 500),
        ],
    }[part]()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "routes.jsonl").open("w", encoding="utf-8") as out:
        for group in groups:
            out.writelines(json.dumps(s, ensure_ascii=False) + "\n" for s in group.sets)
    for group in groups:
        with (folder / f"{group.name}.jsonl").open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in group.rows)
        other = sum(m.get("route") == "other" for r in group.rows for m in r["messages"])
        print(
            f"{part:6}{group.name:20}{len(group.sets):4} sets {len(group.rows):5} conversations {group.turns:5} turns {other:4} other"
        )

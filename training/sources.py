"""The training sources. Each reader returns (wordings by label, list of (text, label)) for one label space."""

import csv
import io
import json
import re
from collections import defaultdict

from common import labels, mostly_english, restyle, rng, sample, tidy, wordings

MMLU_REPO, MMLU_DIR = "lm-sys/RouteLLM", "routellm/evals/mmlu/responses"
NI_REPO = "luukkonenr/natural-instructions-fi"
# Sources inside Super-NaturalInstructions that are kept for judging, overlap them, or whose licence forbids use here.
NI_SKIP = (
    "bigbench",
    "banking",
    "clinc",
    "slurp",
    "massive",
    "hint",
    "schema_guided",
    "multidogo",
    "nlu_asdiv",
    "yahoo",
    "hatexplain",
    "gigaword",
    "stereoset",
    "samsum",
    "xlsum",
    "quail",
    "spolin",
    "imppres",
    "amazon_us",
    "multilingual_amazon",
    "amazon_and_yelp",
    "msr_",
    "recipe_nlg",
    "dialogre",
    "rocstories",
    "roc_stories",
    "glucose",
    "inquisitive",
    "hippocorpus",
    "liar",
    "pubmed",
)


def capped(generator, pairs, per_label):
    by_label = defaultdict(list)
    for text, label in pairs:
        by_label[label].append(text)
    return [(t, lab) for lab in sorted(by_label) for t in sample(generator, sorted(set(by_label[lab])), per_label)]


def mmlu_questions(repos, seed):
    """(question in one of three shapes, subject): bare, with its options, or introduced like a person would."""
    g = rng(seed, "mmlu")
    out = []
    for path in repos.files(MMLU_REPO, MMLU_DIR, ".csv"):
        subject = re.sub(r"^mmlu_|\.csv$", "", path.rsplit("/", 1)[1])
        for row in csv.DictReader(io.StringIO(repos.read(MMLU_REPO, path))):
            full = tidy(re.sub(r"\n?Answer:\s*$", "", row["prompt"]))[:2500]
            bare = tidy(re.split(r"\nA\. ", full)[0])
            shape = g.random()
            if shape < 0.6 or len(full) > 1500:
                text = bare
            elif shape < 0.85:
                text = full
            else:
                text = (
                    g.choice(
                        [
                            "Help me with this question. ",
                            "exam question: ",
                            "Which answer is right?\n",
                            "I got this in a quiz\n",
                        ]
                    )
                    + full
                )
            out.append((text, subject))
    return out


def mmlu(repos, seed):
    table = labels("mmlu")
    tax = {
        s: wordings([s], [d, f"{restyle(s, 'plain')} questions: {d}", f"exam and study help in {restyle(s, 'plain')}"])
        for s, (_, d) in table.items()
    }
    return tax, capped(rng(seed, "mmlu-cap"), [p for p in mmlu_questions(repos, seed) if p[1] in tax], 90)


def trivia_questions(repos):
    out = []
    table = labels("trivia")
    for category in table:
        text = repos.read("uberspot/OpenTriviaQA", f"categories/{category}")
        for block in re.split(r"\n(?=#Q )", text):
            question = tidy(re.split(r"\n\^ ", block)[0].removeprefix("#Q ").replace("\n", " ").replace("#Q ", ""))
            if 15 < len(question) < 400 and "\ufffd" not in question:
                out.append((question, category))
    return out


def trivia(repos, seed):
    tax = {c: wordings(names, texts) for c, (_, names, *texts) in labels("trivia").items()}
    return tax, capped(rng(seed, "trivia"), trivia_questions(repos), 260)


def stackoverflow_titles(repos):
    table = labels("stackoverflow")
    titles = repos.read("jacoxu/StackOverflow", "rawText/title_StackOverflow.txt").split("\n")
    numbers = repos.read("jacoxu/StackOverflow", "rawText/label_StackOverflow.txt").split("\n")
    return [(tidy(t), table[int(n) - 1][0]) for t, n in zip(titles, numbers) if t.strip() and n.strip()]


def stackoverflow(repos, seed):
    tax = {
        n: wordings(
            [n, f"{n} help"], [d, f"programming questions about {restyle(n, 'plain')}", f"{d}; errors and how-to"]
        )
        for n, d in labels("stackoverflow")
    }
    return tax, capped(rng(seed, "so"), stackoverflow_titles(repos), 160)


def medquad_questions(repos):
    paths = [p for p in repos.files("abachaa/MedQuAD", suffix=".xml") if re.match(r"\d+_", p)]
    out, answers = [], []
    for _, xml in repos.read_many("abachaa/MedQuAD", paths):
        for kind, question in re.findall(r'<Question [^>]*qtype="([^"]*)"[^>]*>(.*?)</Question>', xml, re.DOTALL):
            text = tidy(question.replace("&amp;", "&").replace("\n", " "))
            if "&" not in text:
                out.append((text, kind))
        found = re.search(r"<Answer>([^<]{400,3000})</Answer>", xml, re.DOTALL)
        if found:
            answers.append(tidy(re.sub(r"&\w+;", "", found[1])))
    return out, answers


def medquad(repos, seed):
    tax = {k: wordings(names, texts) for k, (names, *texts) in labels("medquad").items()}
    asked, _ = medquad_questions(repos)
    asked = [(t, "brand names" if k.startswith("brand names") else k) for t, k in asked]
    return tax, capped(rng(seed, "medquad"), [p for p in asked if p[1] in tax], 130)


def support(repos, seed):
    rows = csv.DictReader(
        io.StringIO(
            repos.read(
                "bitext/customer-support-intent-detection-training-dataset",
                "data/train/Bitext_Sample_Customer_Service_Training_Dataset.csv",
            )
        )
    )
    table, areas = labels("support"), labels("areas")
    pairs = [(tidy(r["utterance"]), r["intent"]) for r in rows]
    intents = {i: wordings(names, texts) for i, (_, names, *texts) in table.items()}
    domains = {a: wordings(names, texts) for a, (names, *texts) in areas.items()}
    g = rng(seed, "support")
    return {
        "support_int": (intents, capped(g, pairs, 110)),
        "support_dom": (domains, capped(g, [(t, table[i][0]) for t, i in pairs], 140)),
    }


def metatool(repos, seed):
    repo = "HowieHwong/MetaTool"
    short = json.loads(repos.read(repo, "dataset/plugin_des.json"))
    long = {}
    for entry in json.loads(repos.read(repo, "dataset/plugin_info.json")):
        long[entry.get("name_for_model", "")] = entry
    rows = list(csv.DictReader(io.StringIO(repos.read(repo, "dataset/data/all_clean_data.csv"))))
    lower = {restyle(k, "snake").lower(): v for k, v in short.items()}
    tax, pairs = {}, []
    for row in rows:
        tool = row["Tool"]
        text = short.get(tool) or lower.get(restyle(tool, "snake").lower())
        if not text:
            continue
        info = long.get(tool, {})
        more = [tidy(v)[:220] for v in (info.get("description_for_human"), info.get("description_for_model")) if v]
        first = re.split(r"(?<=[.!])\s", text)[0]
        tax.setdefault(tool, wordings([tool], list(dict.fromkeys([text, first, *more]))))
        pairs.append((tidy(row["Query"]), tool))
    return tax, capped(rng(seed, "metatool"), [p for p in pairs if mostly_english(p[0])], 45)


def sealtools(repos, seed):
    repo = "fairyshine/Seal-Tools"
    apis = {a["api_name"]: a for a in repos.json_lines(repo, "Seal-Tools_Dataset/tool.jsonl")}
    api_pairs, field_pairs = [], []
    for part in ("dev", "test_in_domain", "test_out_domain"):
        for row in repos.json_lines(repo, f"Seal-Tools_Dataset/{part}.jsonl"):
            calls = {c["api"] for c in row["calling"]} & set(apis)
            fields = {apis[c]["field"].split("/")[0] for c in calls}
            if len(calls) == 1:
                api_pairs.append((tidy(row["query"]), next(iter(calls))))
            if len(fields) == 1:
                field_pairs.append((tidy(row["query"]), next(iter(fields))))
    used = {a for _, a in api_pairs}
    api_tax = {
        a: wordings(
            [a],
            [apis[a]["api_description"], f"{apis[a]['api_description']} ({apis[a]['field'].split('/')[-1].lower()})"],
        )
        for a in sorted(used)
    }
    subs = defaultdict(set)
    for a in apis.values():
        field, _, sub = a["field"].partition("/")
        subs[field].add(sub.lower())
    g = rng(seed, "seal")
    field_tax = {}
    for field in sorted({f for _, f in field_pairs}):
        pick = sample(g, sorted(s for s in subs[field] if s), 8)
        field_tax[field] = wordings(
            [field],
            [
                f"anything about {field.lower()}",
                ", ".join(pick[:4]) or field.lower(),
                ", ".join(pick[4:8]) or f"{field.lower()} services",
            ],
        )
    return {"seal_api": (api_tax, capped(g, api_pairs, 4)), "seal_field": (field_tax, capped(g, field_pairs, 90))}


def ml_tasks(repos, seed):
    """Requests for a model, labelled with the machine-learning task (APIBench of Gorilla)."""
    pairs = []
    for name in ("torchhub_train", "tensorflow_eval", "huggingface_eval"):
        for row in repos.json_lines("ShishirPatil/gorilla", f"data/apibench/{name}.json"):
            found = re.search(r"###\s*Instruction:\s*(.*?)\n\s*###\s*Output", row["code"], re.DOTALL) or re.search(
                r"'?Instruction'?:\s*['\"]?(.*?)['\"]?,?\s*'?Output'?:", row["code"], re.DOTALL
            )
            domain = row.get("api_data", {}).get("domain", "")
            if found and domain and domain != "Classification":
                label = re.sub(
                    r"^(Natural Language Processing|Computer Vision|Multimodal|Audio|Tabular|Reinforcement Learning|Image|Text)\s+(?=\w+[ -]?\w*)",
                    lambda m: m[0] if m[1] in ("Image", "Text", "Tabular", "Audio") else "",
                    domain,
                )
                words = list(dict.fromkeys(label.lower().split()))
                pairs.append((tidy(found[1])[:1500], " ".join(words)))
    counts = defaultdict(int)
    for _, label in pairs:
        counts[label] += 1
    pairs = [p for p in pairs if counts[p[1]] >= 12]
    tax = {
        lab: wordings(
            [lab, f"{lab} models"],
            [
                f"machine learning models for {lab}",
                f"find or use a model that does {lab}",
                f"{lab} with a pre-trained network",
            ],
        )
        for lab in sorted({lab for _, lab in pairs})
    }
    return tax, capped(rng(seed, "ml"), pairs, 90)


def personas(repos, seed):
    """awesome-chatgpt-prompts at its last version of 2025-06, one label a persona."""
    repo = "f/awesome-chatgpt-prompts"
    commit = repos.git(repo, "log", "--format=%H", "--before=2025-06-01", "-1", "--", "prompts.csv").strip()
    rows = [r for r in csv.DictReader(io.StringIO(repos.read(repo, "prompts.csv", commit))) if r["prompt"]]
    tax, pairs = {}, []
    for row in rows:
        act = tidy(row["act"]).strip("`\"'")
        tax[act] = wordings(
            [act], [f"acting as {act.lower()}", f"what one would ask of a {act.lower()}", f"persona of {act.lower()}"]
        )
        pairs.append((tidy(row["prompt"])[:2500], act))
    return tax, pairs


def instructions(repos, seed):
    """English tasks of Super-NaturalInstructions, as (prompt, category, raw input, task)."""
    seen = {}
    for path in repos.files(NI_REPO, suffix=".json"):
        name = path.rsplit("/", 1)[1]
        if re.match(r"task\d+_", name) and name not in seen:
            seen[name] = path
    g = rng(seed, "ni")
    out = []
    by_path = dict(repos.read_many(NI_REPO, seen.values()))
    for name in sorted(seen):
        try:
            task = json.loads(by_path[seen[name]])
        except (KeyError, ValueError):
            continue
        sources = " ".join(task["Source"]).lower()
        if (
            task["Input_language"] != ["English"]
            or task["Output_language"] != ["English"]
            or any(s in sources for s in NI_SKIP)
        ):
            continue
        definition = tidy(" ".join(task["Definition"]) if isinstance(task["Definition"], list) else task["Definition"])
        sentences = re.split(r"(?<=[.!?])\s+", definition)
        asks = [
            s
            for s in sentences
            if re.search(
                r"\b(your task|you need to|you should|generate|write|answer|find|return|give|classify|identify|extract|create)\b",
                s,
                re.IGNORECASE,
            )
        ]
        short = re.sub(
            r"^(in this task,?\s*)?(you('re| are) given [^.]*\.\s*)?(your (task|job) is to|you (need|have|are expected|are asked) to|you should)\s*",
            "",
            (asks or sentences)[0],
            flags=re.IGNORECASE,
        )
        for instance in sample(g, task["Instances"], 60):
            raw = tidy(instance["input"])
            if not raw or len(raw) > 3000:
                continue
            ask = g.choice([definition, short, short])
            prompt = g.choice([f"{ask}\n\n{raw}", f"{raw}\n\n{ask}", f"{ask}\n{raw}"])
            out.append((prompt, task["Categories"][0], raw, name))
    return out


def instruction_categories(repos, seed, rows):
    tax = {c: wordings(names, texts) for c, (names, *texts) in labels("ni").items()}
    return tax, capped(rng(seed, "ni-cap"), [(p, c) for p, c, _, _ in rows if c in tax], 220)

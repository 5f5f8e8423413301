"""Spaces `llm_task` (what is asked for) and `llm_domain` (what it is about), put together from several sources."""

import json
import re

import sources
from common import MAX_CHARS, labels, mostly_english, rng, sample, tidy, wordings

FENCE = {"Python": "python", "JavaScript": "js"}
NI_AS_TASK = {
    "Summarization": "summarization",
    "Title Generation": "title_generation",
    "Question Generation": "question_generation",
    "Sentiment Analysis": "sentiment_analysis",
    "Paraphrasing": "rewriting",
    "Style Transfer": "rewriting",
    "Text Simplification": "rewriting",
    "Sentence Compression": "rewriting",
    "Information Extraction": "data_extraction",
    "Named Entity Recognition": "data_extraction",
    "Keyword Tagging": "data_extraction",
    "Text Categorization": "text_classification",
    "Story Composition": "creative_writing",
}


def python_functions(repos, repo):
    """Top-level functions of medium length with their docstrings taken out."""
    for _, text in repos.read_many(repo, repos.files(repo, suffix=".py")):
        for block in re.split(r"\n(?=def )", text)[1:]:
            block = re.split(r"\n(?=\S)", block)[0]
            block = re.sub(r'\n\s+r?"""(.*?)"""', "", block, count=1, flags=re.DOTALL).rstrip()
            if 120 < len(block) < 1800 and block.count("\n") > 3 and not block.startswith("def test"):
                yield block


def snippets(repos, seed):
    """(code, language) for code tasks."""
    g = rng(seed, "snippets")
    out = [(c, "Python") for c in sample(g, python_functions(repos, "TheAlgorithms/Python"), 900)]
    js = []
    for path, text in repos.read_many(
        "trekhleb/javascript-algorithms", repos.files("trekhleb/javascript-algorithms", "src", ".js")
    ):
        text = re.sub(r"/\*\*.*?\*/\n?", "", text, flags=re.DOTALL)
        if "__test__" not in path and 120 < len(text) < 2200:
            js.append((text.strip(), "JavaScript"))
    for _, text in repos.read_many(
        "30-seconds/30-seconds-of-code", repos.files("30-seconds/30-seconds-of-code", "snippets", ".md")
    ):
        found = re.search(r"```js\n(.*?)```", text, re.DOTALL)
        if found and len(found[1]) > 60:
            js.append((found[1].strip(), "JavaScript"))
    return out + sample(g, js, 500)


def passages(repos, seed, ni_rows):
    """Prose for text tasks: paper abstracts, health articles, exam sources, reviews, news, dialogues and short stories."""
    g = rng(seed, "passages")
    papers = [" ".join(r["source"]) for r in repos.json_lines("allenai/scitldr", "SciTLDR-Data/SciTLDR-A/train.jsonl")]
    _, health = sources.medquad_questions(repos)
    prose = [
        raw
        for _, c, raw, _ in ni_rows
        if c
        in (
            "Summarization",
            "Title Generation",
            "Story Composition",
            "Dialogue Generation",
            "Text Categorization",
            "Keyword Tagging",
        )
    ]
    out = []
    for part, count in ((papers, 500), (health, 500), (prose, 1000)):
        out += [t for t in sample(g, [tidy(p) for p in part], count) if 80 < len(t) < 3000 and mostly_english(t)]
    g.shuffle(out)
    return out


class Asker:
    """Fills the ways of asking in prompts.yaml and pastes material around them."""

    def __init__(self, g, prompts):
        self.g, self.p = g, prompts

    def fill(self, ask, lang=None):
        g, p = self.g, self.p
        t, t2 = g.sample(p["topics"], 2)
        lang = lang or g.choice(p["languages"])
        values = {
            "lang": lang,
            "lang2": g.choice([x for x in p["languages"] if x != lang]),
            "err": g.choice(p["errors"]),
            "test": g.choice(p["tests"]),
            "tongue": g.choice(p["tongues"]),
            "q": g.choice(p["questions"]),
            "cats": g.choice(p["categories"]),
            "t": t,
            "t2": t2,
            "p": g.choice(p["projects"]),
            "s": g.choice(p["selections"]),
            "r": g.choice(p["patterns"]),
        }
        text = re.sub(r"\{(\w+)\}", lambda m: values[m[1]], ask)
        style = g.random()
        if style < 0.12:
            text = text.lower().rstrip(".?!")
        elif style < 0.2:
            text = g.choice(["Hi, ", "hey, ", "Please help: ", "quick one: ", "ok so "]) + text[:1].lower() + text[1:]
        elif style < 0.24:
            text += g.choice([" Thanks!", " thx", " Please answer briefly.", " It's urgent."])
        return text

    def with_code(self, ask, code, lang):
        g = self.g
        ask = self.fill(ask, lang)
        shown = code if g.random() < 0.35 else f"```{FENCE.get(lang, '') if g.random() < 0.6 else ''}\n{code}\n```"
        return g.choice([f"{ask}\n\n{shown}", f"{ask}\n\n{shown}", f"{shown}\n\n{ask}", f"{ask}\n{shown}"])

    def with_text(self, ask, text):
        g = self.g
        ask = self.fill(ask)
        shown = g.choice([text, text, f'"{text}"', f"---\n{text}\n---", f"Text: {text}"])
        return g.choice(
            [f"{ask}\n\n{shown}", f"{shown}\n\n{ask}", f"{ask}: {shown}" if len(text) < 500 else f"{ask}\n{shown}"]
        )


def llm_tasks(repos, seed, ni_rows):
    g = rng(seed, "llm-task")
    prompts = labels("prompts")
    asker = Asker(g, prompts)
    code, texts = snippets(repos, seed), passages(repos, seed, ni_rows)
    out = []
    for label, asks in prompts["code"].items():
        for _ in range(260):
            one, lang = g.choice(code)
            if g.random() < 0.1:
                one = "\n\n".join(c for c, other in g.sample(code, 6) if other == lang)[: MAX_CHARS - 500] or one
            out.append((asker.with_code(g.choice(asks), one, lang), label))
    for label, asks in prompts["text"].items():
        for _ in range(220):
            one = g.choice(texts)
            cut = g.random()
            if (
                label in ("translation", "rewriting", "proofreading", "sentiment_analysis", "text_classification")
                and cut < 0.6
            ):
                one = " ".join(re.split(r"(?<=[.!?])\s+", one)[: g.randint(1, 3)])[:500]
            elif cut < 0.1:
                one = "\n\n".join(g.sample(texts, 5))[: MAX_CHARS - 500]
            out.append((asker.with_text(g.choice(asks), one), label))
    for label, asks in prompts["topic"].items():
        made = {asker.fill(g.choice(asks)) for _ in range(260)}
        out += [(t, label) for t in sorted(made)]
    bugs = [
        t
        for p, t in repos.read_many("jkoppel/QuixBugs", repos.files("jkoppel/QuixBugs", "python_programs", ".py"))
        if "test" not in p
    ]
    for one in bugs:
        one = re.sub(r'\n*"""(.*?)"""\s*', "\n", one, flags=re.DOTALL).strip()
        out += [(asker.with_code(ask, one, "Python"), "debugging") for ask in g.sample(prompts["code"]["debugging"], 2)]
    out += gathered(repos, seed, ni_rows)
    tax = {lab: wordings(e["names"], e["texts"]) for lab, e in labels("llm_task").items()}
    return tax, sources.capped(rng(seed, "llm-task-cap"), [(t[:MAX_CHARS], lab) for t, lab in out], 480)


def gathered(repos, seed, ni_rows):
    """Prompts other people wrote, sorted under a task because of where they come from."""
    g = rng(seed, "gathered")
    out = [(p, NI_AS_TASK[c]) for p, c, _, _ in sample(g, ni_rows, len(ni_rows)) if c in NI_AS_TASK]
    out = sources.capped(g, out, 160)
    math = [r["question"] for r in repos.json_lines("openai/grade-school-math", "grade_school_math/data/train.jsonl")]
    out += [(tidy(q), "math_problem") for q in sample(g, math, 250)]
    for row in repos.json_lines("google-deepmind/AQuA", "dev.json")[:200]:
        options = "\n".join(row["options"])
        out.append((tidy(row["question"]) + (f"\n{options}" if g.random() < 0.5 else ""), "math_problem"))
    claims = [
        r.split("\t")[0]
        for r in repos.read("google-research/FLAN", "flan/v2/cot_data/strategyqa_train.tsv").split("\n")
        if "\t" in r
    ]
    out += [(tidy(c), "logical_reasoning") for c in sample(g, claims, 160)]
    made = json.loads(repos.read("teknium1/GPTeacher", "Codegen/codegen-instruct.json"))
    for row in sample(g, made, len(made)):
        if re.match(
            r"(write|create|implement|design|develop|build|generate|code)\b", row["instruction"], re.IGNORECASE
        ) and not re.search(r"\b(test|query|regex|sql|docker)", row["instruction"], re.IGNORECASE):
            out.append(
                (
                    tidy(f"{row['instruction']}\n{row['input']}" if row["input"] else row["instruction"]),
                    "code_generation",
                )
            )
    asked = json.loads(repos.read("teknium1/GPTeacher", "Roleplay/roleplay-simple-deduped-roleplay-instruct.json"))
    out += [(tidy(r["instruction"]), "roleplay") for r in sample(g, asked, 200)]
    _, acts = sources.personas(repos, seed)
    out += [(t, "roleplay") for t, _ in acts if t.lower().startswith("i want you to act")]
    out += [
        (t, "question_answering")
        for t, c in sample(g, sources.trivia_questions(repos), 500)
        if c not in ("brain-teasers", "hobbies")
    ]
    out += [(t, "logical_reasoning") for t, c in sources.trivia_questions(repos) if c == "brain-teasers"]
    papers = [" ".join(r["source"]) for r in repos.json_lines("allenai/scitldr", "SciTLDR-Data/SciTLDR-A/dev.jsonl")]
    for abstract in sample(g, papers, 120):
        ask = g.choice(
            [
                "What is new about this work?",
                "Is the conclusion of this abstract sound?",
                "Write a peer review of this submission.",
                "Which related papers should be cited here?",
                "What are the limitations of this study?",
            ]
        )
        out.append((g.choice([f"{ask}\n\n{tidy(abstract)}", f"{tidy(abstract)}\n\n{ask}"]), "research"))
    return out


def llm_domains(repos, seed):
    """Subjects: exam questions, trivia, patients' questions and programmers' titles under one set of topic routes."""
    g = rng(seed, "llm-domain")
    table = labels("mmlu")
    out = [(t, table[s][0]) for t, s in sources.mmlu_questions(repos, seed) if s in table]
    trivia = labels("trivia")
    out = sources.capped(g, out, 450)
    out += sources.capped(g, [(t, trivia[c][0]) for t, c in sources.trivia_questions(repos)], 450)
    out += [(t, "software") for t, _ in sample(g, sources.stackoverflow_titles(repos), 500)]
    asked, _ = sources.medquad_questions(repos)
    out += [(t, "health") for t, _ in sample(g, asked, 400)]
    tax = {lab: wordings(e["names"], e["texts"]) for lab, e in labels("llm_domain").items()}
    return tax, sources.capped(rng(seed, "llm-domain-cap"), out, 650)

// The playground: a conversation, decided while it is typed; then sent, beside another model if wanted.
import { html, useEffect, useMemo, useRef, useState } from "./preact.js";
import { post, send } from "./api.js";
import { thresholds } from "./detail.js";
import { count, ms, percent } from "./format.js";
import { Bars, Copy, Effects, Flips, Marked, Model, Name, Problem, Route, Said, Section, Tabs, useAnswer, useKept, useSettled } from "./parts.js";
import { curl, node, python, reach } from "./snippets.js";

const EMPTY = { model: "auto", other: "", turns: [{ role: "user", text: "" }] };

// A decision takes milliseconds, but for a question to the router model.
const SOON_MS = 120;
const PATIENT_MS = 700;

const SAMPLES = [
  "fix this error: KeyError 'amount' in report.py, line 12",
  "Summarize this contract in five bullet points for a busy reader",
  "Write a short story about a lighthouse keeper who collects echoes",
  "Prove that the square root of 2 is irrational",
];

const messages = (turns) => turns.filter(({ text }) => text.trim()).map(({ role, text }) => ({ role, content: text }));

// What was pasted, if it is a request or a conversation rather than words.
function conversation(pasted) {
  let found;
  try {
    found = JSON.parse(pasted);
  } catch {
    return null;
  }
  const list = Array.isArray(found) ? found : found?.messages;
  if (!Array.isArray(list) || list.length === 0) return null;
  const turns = list
    .filter((one) => ["system", "developer", "user", "assistant"].includes(one?.role))
    .map(({ role, content }) => ({
      role: role === "developer" ? "system" : role,
      text: Array.isArray(content) ? content.map((part) => part?.text ?? "").filter(Boolean).join("\n") : String(content ?? ""),
    }));
  return turns.length > 0 ? { turns, model: typeof found.model === "string" ? found.model : undefined } : null;
}

// Behind the text stands the same text, unseen but for its marks; it also gives the field its height.
function Turn({ turn, index, alone, effects, change, remove, paste, submit }) {
  const pressed = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  };
  const pasted = (event) => {
    const found = turn.text.trim() === "" && conversation(event.clipboardData?.getData("text/plain") ?? "");
    if (!found) return;
    event.preventDefault();
    paste(found);
  };
  return html`<li class="turn-editor ${turn.role}">
    <div class="turn-head">
      <select aria-label="Role of turn ${index + 1}" value=${turn.role} onChange=${(event) => change({ ...turn, role: event.target.value })}>
        ${["user", "assistant", "system"].map((role) => html`<option value=${role}>${role}</option>`)}
      </select>
      ${!alone && html`<button type="button" class="icon small" aria-label="Remove turn ${index + 1}" title="Remove" onClick=${remove}>✕</button>`}
    </div>
    <div class="marked-field">
      <div class="behind" aria-hidden="true"><${Marked} text=${turn.text} effects=${effects} />${"\n"}</div>
      <textarea aria-label="Turn ${index + 1}" spellcheck="false" rows="1" placeholder=${index === 0 ? "Write as a user would, or paste a conversation as JSON" : ""} value=${turn.text}
        onInput=${(event) => change({ ...turn, text: event.target.value })} onPaste=${pasted} onKeyDown=${pressed}></textarea>
    </div>
  </li>`;
}

function Decision({ decision, error, busy, overview, named }) {
  if (error && !decision) return html`<${Problem} error=${error} />`;
  if (!decision) return html`<p class="empty small">The decision appears here while you type.</p>`;
  const explained = decision.explanation?.words ?? [];
  const turns = decision.explanation?.turns ?? [];
  return html`<div class="decision ${busy ? "stale" : ""}" aria-live="polite" aria-busy=${String(busy)}>
    <div class="verdict">
      <${Route} name=${decision.route} /><span class="to" aria-label="to">→</span><${Model} name=${decision.models?.[0]} />
    </div>
    <p class="faint sub">${decision.confidence != null && html`${percent(decision.confidence)} sure · `}decided in ${ms(decision.decision_ms)}${decision.tier && ` · ${decision.tier} tier`}${decision.models?.length > 1 && html` · then ${decision.models.slice(1).map((model, at) => html`${at > 0 && ", "}<${Name}>${model}<//>`)}`}</p>
    <${Problem} error=${error} />
    ${named && html`<p class="notice">This is what the router would say. The request names <code>${named}</code>, and that holds.</p>`}
    <${Bars} scores=${decision.scores} none=${decision.none_probability} chosen=${decision.route} thresholds=${thresholds(overview)} />
    <p class="reason"><${Said} text=${decision.reason} /></p>
    ${decision.notes?.length > 0 && html`<ul class="notes">${decision.notes.map((note) => html`<li><${Said} text=${note} /></li>`)}</ul>`}
    ${decision.stripped?.length > 0 && html`<p class="faint">Not read: ${decision.stripped.map(({ rule, turn, bytes }) => `${rule} (turn ${turn + 1}, ${bytes} bytes)`).join(", ")}</p>`}
    ${decision.router_scores?.length > 0 && html`<h2 class="minor">The router model</h2><${Bars} scores=${decision.router_scores.filter(({ route }) => route != null)} none=${decision.router_scores.find(({ route }) => route == null)?.probability} chosen=${decision.route} />`}
    ${explained.length > 0 && html`<h2 class="minor">Strongest words</h2><${Effects} effects=${explained} />`}
    ${turns.length > 1 && html`<h2 class="minor">Turns</h2><${Effects} effects=${turns} />`}
    <${Flips} explanation=${decision.explanation} />
  </div>`;
}

function Answer({ answer, take }) {
  const { model, head, text, thought, usage, error, first, total, busy } = answer;
  const place = useRef();
  useEffect(() => {
    const box = place.current;
    if (box && busy) box.scrollTop = box.scrollHeight;
  }, [text]);
  return html`<article class="answer" aria-label="Answer to ${model}" aria-busy=${String(busy)}>
    <header><${Model} name=${head?.model ?? model} />${head?.route && html`<${Route} name=${head.route} />`}<span class="grow"></span>${busy && html`<span class="pulse" role="status">streaming</span>`}</header>
    ${thought && html`<details><summary>Thoughts</summary><p class="prose faint">${thought}</p></details>`}
    <p class="prose" ref=${place}>${text}${busy && html`<span class="caret" aria-hidden="true"></span>`}</p>
    <${Problem} error=${error} />
    <footer class="faint">
      <span>first token ${ms(first)}</span><span>total ${ms(total)}</span>
      ${usage && html`<span>${count(usage.prompt_tokens)} → ${count(usage.completion_tokens)} tokens</span>`}
      ${head?.tried && html`<span>tried ${head.tried}</span>`}
      ${head?.dropped && html`<span>left out ${head.dropped}</span>`}
      <span class="grow"></span>
      ${!busy && text && html`<button type="button" class="quiet" onClick=${() => take(text)}>Go on from here</button>`}
      ${!busy && head?.id && html`<a href=${`#/live/${encodeURIComponent(head.id)}`}>Its record</a>`}
    </footer>
  </article>`;
}

export function Playground({ overview }) {
  const [draft, keep] = useKept("playground", EMPTY);
  const [answers, answer] = useState([]);
  const [language, speak] = useState("curl");
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);

  const body = useMemo(() => ({ model: draft.model, messages: messages(draft.turns) }), [draft]);
  const asksModel = Boolean(draft.asksModel && overview?.router_model);
  const asked = useSettled(JSON.stringify(body.messages), asksModel ? PATIENT_MS : SOON_MS);
  const { value: decision, error, busy } = useAnswer((signal) => {
    const list = JSON.parse(asked);
    return list.some(({ role }) => role === "user") ? post("decide", { request: { model: "auto", messages: list }, explain: true, ...(asksModel && { router_model: true }) }, signal) : null;
  }, [asked, asksModel]);

  const change = (index, turn) => keep((before) => ({ ...before, turns: before.turns.map((old, at) => (at === index ? turn : old)) }));
  const remove = (index) => keep((before) => ({ ...before, turns: before.turns.filter((_, at) => at !== index) }));
  const add = (...turns) => keep((before) => ({ ...before, turns: [...before.turns, ...turns] }));
  const latest = draft.turns.reduce((found, turn, index) => (turn.role === "user" && turn.text.trim() ? index : found), -1);
  const models = overview?.models ?? [];
  const aliases = overview?.aliases ?? [];
  const streaming = answers.some((one) => one.busy);

  const submit = () => {
    if (body.messages.length === 0) return;
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    const asks = [draft.model, draft.other].filter(Boolean);
    answer(asks.map((model) => ({ model, text: "", thought: "", busy: true })));
    asks.forEach((model, index) => {
      const began = performance.now();
      const update = (part) => running.current === control && answer((before) => before.map((one, at) => (at === index ? { ...one, ...(typeof part === "function" ? part(one) : part) } : one)));
      const heard = (piece) => update((one) => ({
        ...(piece.head && { head: piece.head }),
        ...(piece.usage && { usage: piece.usage }),
        ...(piece.thought && { thought: one.thought + piece.thought, first: one.first ?? performance.now() - began }),
        ...(piece.text && { text: one.text + piece.text, first: one.first ?? performance.now() - began }),
      }));
      send({ ...body, model }, heard, control.signal)
        .catch((error) => update({ error: error.name === "AbortError" ? { message: "stopped" } : error }))
        .then(() => update({ busy: false, total: performance.now() - began }));
    });
  };

  const choices = html`<option value="auto">auto: the router decides</option>
    ${aliases.length > 0 && html`<optgroup label="Aliases">${aliases.map(({ name }) => html`<option value=${name}>${name}</option>`)}</optgroup>`}
    <optgroup label="Models">${models.map((name) => html`<option value=${name}>${name}</option>`)}</optgroup>`;
  const way = reach(overview);
  const languages = [["curl", "curl"], ...(way.socket ? [] : [["python", "Python"], ["node", "Node"]])];
  const snippet = { curl: () => curl(way, body), python: () => python(way, body), node: () => node(way, body) }[language]();

  return html`<div class="playground">
    <div class="column write">
      <h1 class="hidden">Playground</h1>
      <ol class="turns">
        ${draft.turns.map((turn, index) => html`<${Turn} key=${index} turn=${turn} index=${index} alone=${draft.turns.length === 1}
          effects=${index === latest ? decision?.explanation?.words : []} change=${(next) => change(index, next)} remove=${() => remove(index)}
          paste=${(found) => keep((before) => ({ ...before, ...found, model: "auto" }))} submit=${submit} />`)}
      </ol>
      ${draft.turns.length === 1 && !draft.turns[0].text && html`<div class="samples"><span class="faint">Or try</span>${SAMPLES.map((text) => html`<button type="button" class="quiet" onClick=${() => change(0, { role: "user", text })}>${text}</button>`)}</div>`}
      <div class="tools">
        <button type="button" onClick=${() => add({ role: draft.turns.at(-1)?.role === "user" ? "assistant" : "user", text: "" })}>Add a turn</button>
        <button type="button" class="quiet" onClick=${() => { keep(EMPTY); answer([]); running.current?.abort(); }}>Clear</button>
        <span class="grow"></span>
        <label class="inline">Model<select aria-label="Model" value=${draft.model} onChange=${(event) => keep((before) => ({ ...before, model: event.target.value }))}>${choices}</select></label>
        <label class="inline">beside<select aria-label="Beside" value=${draft.other} onChange=${(event) => keep((before) => ({ ...before, other: event.target.value }))}><option value="">no other</option>${choices}</select></label>
        ${streaming
          ? html`<button type="button" onClick=${() => running.current?.abort()}>Stop</button>`
          : html`<button type="button" class="primary" disabled=${body.messages.length === 0} onClick=${submit} title="Ctrl Enter">Send</button>`}
      </div>
      ${answers.length > 0 && html`<div class="answers" style=${{ "--columns": answers.length }}>
        ${answers.map((one, index) => html`<${Answer} key=${index} answer=${one} take=${(text) => { add({ role: "assistant", text }, { role: "user", text: "" }); answer([]); }} />`)}
      </div>`}
    </div>
    <div class="column code-column">
      ${body.messages.length > 0 && html`<${Section} level=${2} id="p-code" title="As code" aside=${html`<${Tabs} label="Language" chosen=${language} choose=${speak} tabs=${languages} />`}>
        <div class="code"><pre tabindex="0">${snippet}</pre><${Copy} text=${snippet} /></div>
      <//>`}
    </div>
    <aside class="column side" aria-label="Decision">
      <${Decision} decision=${decision} error=${error} busy=${busy || asked !== JSON.stringify(body.messages)} overview=${overview} named=${draft.model !== "auto" && draft.model} />
      ${overview?.router_model && html`<label class="check"><input type="checkbox" checked=${asksModel} onChange=${(event) => keep((before) => ({ ...before, asksModel: event.target.checked }))} /> Ask the router model, <${Model} name=${overview.router_model} />, where this is not sure</label>`}
    </aside>
  </div>`;
}

// The routes, edited on a copy: what recorded requests would do, what the linter says, as YAML. The file stays as it is.
import { html, useEffect, useMemo, useState } from "./preact.js";
import { post } from "./api.js";
import { count, hue, money, moment, percent } from "./format.js";
import { Bars, Copy, Effects, Flips, Marked, Model, Problem, Route, Said, Tabs, useAnswer, useKept, useSettled } from "./parts.js";

const LASTS = [50, 200, 1000];
// A matrix of more routes than this is shown for those that move.
const MATRIX = 14;

const lines = (text) => text.split("\n").filter((line) => line.trim());

// What is sent. What this page does not edit stays as it is in the route that it was made `from`.
function cleaned(routes) {
  return routes.map(({ was, name, description, models, examples, threshold, domain, tests }) => ({
    name,
    ...(was != null && was !== name && { from: was }),
    description: description ?? "",
    models: models ?? [],
    examples: (examples ?? []).filter((example) => example.trim()),
    ...(threshold != null && { threshold }),
    domain: Boolean(domain),
    tests: (tests ?? []).filter((test) => test.trim()),
  }));
}

const opened = (routes) => (routes ?? []).map((route, index) => ({ ...route, key: `${index}:${Date.now()}`, was: route.name }));

function Warning({ found }) {
  const shown = [found.evidence].flat().filter((one) => typeof one === "string" && one);
  return html`<li class=${found.level ?? "warning"}><code title=${found.name}>${found.rule}</code> <${Said} text=${found.message} />
    ${found.hint && html`<small><${Said} text=${found.hint} /></small>`}
    ${shown.map((one) => html`<small><${Said} text=${one} /></small>`)}
  </li>`;
}

function Editor({ route, models, warnings, change, remove }) {
  const set = (part) => change({ ...route, ...part });
  const [examples, type] = useState((route.examples ?? []).join("\n"));
  const unused = models.filter((name) => !route.models?.includes(name));
  return html`<form class="editor" onSubmit=${(event) => event.preventDefault()}>
    <label>Name<input value=${route.name} maxlength="200" onInput=${(event) => set({ name: event.target.value })} /></label>
    <label>Description<textarea rows="3" value=${route.description} onInput=${(event) => set({ description: event.target.value })}></textarea></label>
    <label>Examples<small class="faint">one a line</small><textarea rows="5" value=${examples} placeholder="How do I …" onInput=${(event) => { type(event.target.value); set({ examples: lines(event.target.value) }); }}></textarea></label>
    <div class="field"><span id="e-models">Models</span><small class="faint">in this order</small>
      <ol class="chips" aria-labelledby="e-models">
        ${(route.models ?? []).map((name, index) => html`<li><${Model} name=${name} />
          ${index > 0 && html`<button type="button" class="icon small" aria-label="Move ${name} up" onClick=${() => { const next = [...route.models]; [next[index - 1], next[index]] = [next[index], next[index - 1]]; set({ models: next }); }}>↑</button>`}
          <button type="button" class="icon small" aria-label="Remove ${name}" onClick=${() => set({ models: route.models.filter((other) => other !== name) })}>✕</button></li>`)}
      </ol>
      ${unused.length > 0 && html`<select aria-label="Add a model" value="" onChange=${(event) => { if (event.target.value) set({ models: [...(route.models ?? []), event.target.value] }); event.target.value = ""; }}>
        <option value="">Add a model</option>${unused.map((name) => html`<option value=${name}>${name}</option>`)}
      </select>`}
    </div>
    <div class="field"><span>Threshold</span><small class="faint">${route.threshold == null ? "the router's own rule" : `taken from ${percent(route.threshold)} on`}</small>
      <div class="row">
        <input type="range" min="0" max="1" step="0.01" aria-label="Threshold" value=${route.threshold ?? 0} onInput=${(event) => set({ threshold: Number(event.target.value) })} />
        <output>${route.threshold == null ? "–" : route.threshold.toFixed(2)}</output>
        <button type="button" class="quiet" disabled=${route.threshold == null} onClick=${() => set({ threshold: undefined })}>Unset</button>
      </div>
    </div>
    <label class="check"><input type="checkbox" checked=${Boolean(route.domain)} onChange=${(event) => set({ domain: event.target.checked })} /> Stands for a whole domain</label>
    ${warnings.length > 0 && html`<ul class="warnings" aria-label="Warnings">${warnings.map((one) => html`<${Warning} found=${one} />`)}</ul>`}
    <div class="actions"><button type="button" class="quiet danger" onClick=${remove}>Remove this route</button></div>
  </form>`;
}

function Moves({ found, busy, last, choose }) {
  const { value, error } = found;
  const saving = value?.cost && value.cost.recorded != null && value.cost.proposed != null ? value.cost.proposed - value.cost.recorded : null;
  return html`<div class=${busy ? "stale" : ""} aria-busy=${String(busy)}>
    <div class="tools"><label class="inline">The last<select aria-label="How many" value=${String(last)} onChange=${(event) => choose(Number(event.target.value))}>${LASTS.map((many) => html`<option value=${String(many)}>${many}</option>`)}</select>decisions</label></div>
    <${Problem} error=${error} />
    ${value && html`
      <dl class="tiles">
        <div class="tile"><dt>Considered</dt><dd>${count(value.considered)}</dd></div>
        <div class="tile"><dt>Would move</dt><dd>${count(value.moved?.length ?? 0)}${value.considered > 0 && html` <small class="faint">${percent((value.moved?.length ?? 0) / value.considered)}</small>`}</dd></div>
        <div class="tile ${saving > 0 ? "tone-warn" : saving < 0 ? "tone-good" : ""}"><dt>${saving > 0 ? "Would cost more" : "Would save"}</dt><dd>${saving == null ? "–" : money(Math.abs(saving))}</dd></div>
      </dl>
      ${value.without_content > 0 && html`<p class="notice">${count(value.without_content)} requests were recorded without their words and cannot be routed again. <code>log.content: redacted</code> keeps them from now on.</p>`}
      ${value.considered === 0 && value.without_content === 0 && html`<p class="empty small">No recorded request yet. Try a prompt of your own under <b>Try</b>.</p>`}
      ${value.considered > 0 && !value.moved?.length && html`<p class="empty small">Nothing moves.</p>`}
      <ul class="moves">${value.moved?.map((one) => html`<li key=${one.id}>
        <p title=${one.prompt}>${one.prompt}</p>
        <span><${Route} name=${one.from} /><span class="to" aria-label="to">→</span><${Route} name=${one.to} /></span>
        <span class="faint sub"><a href=${`#/live/${encodeURIComponent(one.id)}`} title=${moment(one.time)}>record</a>${one.confidence != null && ` · ${percent(one.confidence)}`}${one.model_from !== one.model_to ? html` · <${Model} name=${one.model_from} /> → <${Model} name=${one.model_to} />` : " · same model"}</span>
      </li>`)}</ul>`}
  </div>`;
}

function Matrix({ confusion }) {
  if (!confusion?.routes?.length) return html`<p class="empty small">Recorded requests with their words are needed for this.</p>`;
  const { routes, matrix } = confusion;
  const moves = (index) => matrix.some((row, at) => at !== index && (row[index] > 0 || matrix[index][at] > 0));
  const used = (index) => matrix[index].some(Boolean) || matrix.some((row) => row[index] > 0);
  const kept = routes.map((_, index) => index).filter((index) => (routes.length > MATRIX ? moves(index) : used(index)));
  if (kept.length === 0) return html`<p class="empty small">${routes.length > MATRIX ? "Nothing moves." : "No recorded request yet."}</p>`;
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Confusion matrix">
    <table class="matrix">
      <caption class="faint">Rows: as recorded. Columns: by the edited routes.</caption>
      <thead><tr><td></td>${kept.map((column) => html`<th scope="col"><span>${routes[column]}</span></th>`)}</tr></thead>
      <tbody>${kept.map((row) => {
        const total = matrix[row].reduce((sum, value) => sum + value, 0);
        return html`<tr><th scope="row">${routes[row]}</th>${kept.map((column) => {
          const value = matrix[row][column];
          return html`<td class=${value === 0 ? "zero" : row === column ? "same" : "moved"} style=${{ "--share": total > 0 ? (value / total).toFixed(2) : 0 }} title="${routes[row]} → ${routes[column]}: ${value}">${value || "·"}</td>`;
        })}</tr>`;
      })}</tbody>
    </table>
  </div>`;
}

function Try({ routes }) {
  const [text, type] = useKept("routes-try", "");
  const settled = useSettled(JSON.stringify([text, routes]), 250);
  const { value, error, busy } = useAnswer((signal) => {
    const [prompt, edited] = JSON.parse(settled);
    return prompt.trim() ? post("decide", { request: { model: "auto", messages: [{ role: "user", content: prompt }] }, routes: edited, explain: true }, signal) : null;
  }, [settled]);
  return html`<div>
    <label>Prompt<textarea rows="3" value=${text} placeholder="As a user would write it" onInput=${(event) => type(event.target.value)}></textarea></label>
    <${Problem} error=${error} />
    ${value && html`<div class="decision ${busy ? "stale" : ""}" aria-live="polite"><div class="verdict"><${Route} name=${value.route} /><span class="to" aria-label="to">→</span><${Model} name=${value.models?.[0]} /></div>
      <p class="marked"><${Marked} text=${text} effects=${value.explanation?.words} /></p>
      <${Bars} scores=${value.scores} none=${value.none_probability} chosen=${value.route} thresholds=${Object.fromEntries(routes.map(({ name, threshold }) => [name, threshold]))} />
      <${Effects} effects=${value.explanation?.words} />
      <${Flips} explanation=${value.explanation} /></div>`}
  </div>`;
}

function Yaml({ asked, skip }) {
  const { value, error } = useAnswer((signal) => (skip ? null : post("yaml", { routes: JSON.parse(asked) }, signal)), [asked, skip]);
  return html`<div><p class="faint">Put it into the configuration file in place of its <code>routing_preferences</code>; the gateway takes it without a restart.</p>
    <${Problem} error=${error} />
    ${value && html`<div class="code tall"><pre tabindex="0">${value.yaml}</pre><${Copy} text=${value.yaml} label="Copy YAML" /></div>`}</div>`;
}

export function Routes({ overview }) {
  // The routes being edited, and those in force when the copy was made.
  const [copy, keepCopy] = useKept("routes", null);
  const [chosen, choose] = useState(0);
  const [tab, turn] = useState("moves");
  const [last, take] = useState(200);
  const source = useMemo(() => JSON.stringify(cleaned(overview?.routes ?? [])), [overview]);
  const routes = copy?.routes ?? [];
  const edited = useMemo(() => JSON.stringify(cleaned(routes)), [copy]);
  const keep = (change) => keepCopy((before) => ({ ...before, routes: change(before.routes) }));
  const restart = () => keepCopy({ source, routes: opened(overview.routes) });
  // A copy without changes follows the file.
  useEffect(() => {
    if (overview && (!copy || (copy.source !== source && edited === copy.source))) restart();
  }, [source, overview === null]);

  const settled = useSettled(edited, 350);
  const idle = copy === null || settled === "[]";
  const lint = useAnswer((signal) => (idle ? null : post("lint", { routes: JSON.parse(settled) }, signal)), [settled, idle]);
  const moves = useAnswer((signal) => (idle ? null : post("reroute", { routes: JSON.parse(settled), last }, signal)), [settled, idle, last]);

  if (!overview) return null;
  const warnings = lint.value?.warnings ?? [];
  const route = routes[Math.min(chosen, routes.length - 1)];
  const set = (index, next) => keep((before) => before.map((old, at) => (at === index ? next : old)));
  const add = () => {
    keep((before) => [...before, { key: `new:${Date.now()}`, was: null, name: `route ${routes.length + 1}`, description: "", examples: [], models: overview.models?.slice(0, 1) ?? [], domain: false }]);
    choose(routes.length);
  };
  const originals = new Map((overview.routes ?? []).map((one) => [one.name, JSON.stringify(cleaned([one])[0])]));
  const dirty = (one) => originals.get(one.was) !== JSON.stringify(cleaned([one])[0]);
  const general = warnings.filter((one) => one.route == null);
  const busy = lint.busy || edited !== settled;

  return html`<div class="routes-view">
    <nav class="route-list" aria-label="Routes">
      <h1 class="hidden">Routes</h1>
      <ul>${routes.map((one, index) => {
        const found = warnings.filter(({ route: name, level }) => name === one.name && level !== "note").length;
        return html`<li key=${one.key}><button type="button" aria-current=${index === chosen ? "true" : undefined} onClick=${() => choose(index)}>
          <i class="swatch" style=${{ "--hue": hue(one.name) }}></i><span class="name" title=${one.name}>${one.name || html`<em>no name</em>`}</span>
          ${dirty(one) && html`<span class="dirty" title="Edited" aria-label="edited"></span>`}${found > 0 && html`<b class="badge warn" title="${found} warnings">${found}</b>`}
        </button></li>`;
      })}</ul>
      <div class="actions"><button type="button" onClick=${add}>Add a route</button>
        <button type="button" class="quiet" disabled=${edited === source} onClick=${() => { restart(); choose(0); }}>Start over</button></div>
      ${copy && copy.source !== source && html`<p class="notice">The file has changed since this copy was made.</p>`}
      <p class="faint small">A copy. What serves is the file ${overview.config?.path ? html`<code>${overview.config.path}</code>` : ""}.</p>
    </nav>
    <div class="column">
      ${route ? html`<${Editor} key=${route.key} route=${route} models=${overview.models ?? []} warnings=${warnings.filter(({ route: name }) => name === route.name)}
        change=${(next) => set(routes.indexOf(route), next)} remove=${() => { keep((before) => before.filter((one) => one !== route)); choose(Math.max(0, chosen - 1)); }} />`
        : html`<div class="empty"><h2>No routes yet</h2><p>A route is a name, a description and the models that take what fits. Add one here, try it, and copy the YAML into the configuration.</p><button type="button" class="primary" onClick=${add}>Add a route</button></div>`}
      ${general.length > 0 && html`<ul class="warnings" aria-label="Warnings of all routes">${general.map((one) => html`<${Warning} found=${one} />`)}</ul>`}
      <${Problem} error=${lint.error} />
      <p class="faint small" role="status">${busy ? "Checking …" : warnings.length === 0 && routes.length > 0 ? "The linter finds nothing." : ""}</p>
    </div>
    <div class="column side">
      <${Tabs} label="What the edited routes do" chosen=${tab} choose=${turn} tabs=${[["moves", "What would move", moves.value?.moved?.length], ["matrix", "Confusion"], ["try", "Try"], ["yaml", "YAML"]]} />
      <div role="tabpanel">
        ${tab === "moves" && html`<${Moves} found=${moves} busy=${moves.busy || edited !== settled} last=${last} choose=${take} />`}
        ${tab === "matrix" && html`<${Matrix} confusion=${moves.value?.confusion} />`}
        ${tab === "try" && html`<${Try} routes=${cleaned(routes)} />`}
        ${tab === "yaml" && html`<${Yaml} asked=${settled} skip=${idle} />`}
      </div>
    </div>
  </div>`;
}

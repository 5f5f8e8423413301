// The overview: traffic, latency, errors, money over time; who serves; what is in force.
import { html, useEffect, useRef, useState } from "./preact.js";
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { ago, bytes, count, hue, moment, money, ms, percent, words } from "./format.js";
import { Copy, Figure, Model, Name, Problem, Route, Section, Tabs, useAnswer } from "./parts.js";

// A span and its step in seconds; the store sums up by the minute.
const SPANS = [["15m", 60], ["1h", 60], ["6h", 360], ["24h", 1440], ["7d", 10080]];

// What the lines of charts are of.
const KINDS = [["all", "All"], ["model", "By model"], ["route", "By route"]];

// Of what cost and savings do not tell, by model: no sum is good without it.
function Uncounted({ rows }) {
  const left = rows.filter(({ unpriced }) => unpriced > 0);
  return left.length > 0 && html`<p class="uncounted">Not in cost and savings, as no price or no usage is known: ${left.map(({ model, unpriced }, at) => html`${at > 0 && ", "}<${Model} name=${model} /> (${count(unpriced)})`)}</p>`;
}

// Six names at most, the busiest; each figure is a list beside `times`.
function Lines({ lines, kind, times, of }) {
  const series = (key) => lines.map((line, at) => {
    const name = line[kind];
    return { name: name ?? "none", values: line[key], ...(kind === "route" && name != null ? { hue: hue(name) } : { tone: `tone-${at + 1}` }) };
  });
  return html`
    ${of > lines.length && html`<p class="faint">The busiest ${lines.length} of ${of}; the tables below have all of them.</p>`}
    <div class="charts">
      <${Chart} title="Requests" times=${times} bars stacked format=${count} series=${series("requests")} />
      <${Chart} title="Latency, p95" times=${times} format=${ms} series=${series("p95_ms")} />
      <${Chart} title="Cost" times=${times} format=${money} series=${series("cost")} />
      <${Chart} title="Saved" times=${times} format=${money} series=${series("saved")} />
    </div>`;
}

function Table({ title, id, rows, name }) {
  const most = Math.max(1, ...rows.map(({ requests }) => requests));
  return html`<${Section} level=${2} id=${id} title=${title}>
    ${rows.length === 0 ? html`<p class="empty small">Nothing in this span.</p>` : html`<div class="scroll" tabindex="0" role="group" aria-label=${title}><table class="plain">
      <thead><tr><th scope="col">${name === "route" ? "Route" : "Model"}</th><th scope="col" class="num">Requests</th><th scope="col" class="num">Errors</th><th scope="col" class="num">p50</th><th scope="col" class="num">p95</th><th scope="col" class="num">Cost</th><th scope="col" class="num">Saved</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr>
        <th scope="row">${name === "route" ? html`<${Route} name=${row.route} />` : html`<${Model} name=${row.model} />`}</th>
        <td class="num share" style=${{ "--share": row.requests / most }}>${count(row.requests)}</td>
        <td class="num ${row.errors > 0 ? "tone-bad" : "faint"}">${row.errors > 0 ? percent(row.errors / row.requests) : "0"}</td>
        <td class="num">${ms(row.p50_ms)}</td><td class="num">${ms(row.p95_ms)}</td><td class="num">${money(row.cost)}</td>
        <td class="num">${money(row.saved)}</td>
      </tr>`)}</tbody>
    </table></div>`}
  <//>`;
}

const CALM = new Set(["ready"]);

function Targets({ targets = [] }) {
  return html`<${Section} level=${2} id="o-targets" title="Targets">
    ${targets.length === 0 ? html`<p class="empty small">No target is configured.</p>` : html`<div class="scroll" tabindex="0" role="group" aria-label="Targets"><table class="plain">
      <thead><tr><th scope="col">Target</th><th scope="col">State</th><th scope="col" class="num">In flight</th><th scope="col" class="num">First token</th><th scope="col" class="num">Tokens/s</th></tr></thead>
      <tbody>${targets.map((row) => html`<tr><th scope="row"><${Model} name=${row.target} /></th>
        <td><span class="status ${CALM.has(row.state) ? "good" : row.state === "resting" ? "bad" : "warn"}"><i aria-hidden="true"></i>${words(row.state)}${row.cause && `: ${words(row.cause)}`}${row.rests_for_ms != null && html`<span class="faint"> for ${ms(row.rests_for_ms)}</span>`}</span></td>
        <td class="num">${count(row.in_flight)}</td><td class="num">${ms(row.first_token_ms)}</td><td class="num">${row.tokens_per_second != null ? count(Math.round(row.tokens_per_second)) : "–"}</td></tr>`)}</tbody>
    </table></div>`}
  <//>`;
}

function Configuration({ overview }) {
  const { config = {}, records = {}, listeners = [], aliases = [] } = overview;
  const hash = config.hash ?? "";
  return html`<${Section} level=${2} id="o-config" title="Configuration in force" aside=${hash && html`<${Copy} text=${hash} label="Copy the hash" />`}>
    <dl class="facts">
      <div><dt>File</dt><dd><code>${config.path ?? "–"}</code></dd></div>
      <div><dt>Hash</dt><dd><code title=${hash}>${hash.slice(0, 16) || "–"}</code></dd></div>
      <div><dt>Loaded</dt><dd title=${moment(config.loaded)}>${moment(config.loaded)} <span class="faint">${config.loaded && ago(config.loaded)}</span></dd></div>
      ${config.refused && html`<div><dt>Refused</dt><dd class="tone-bad">${config.refused}</dd></div>`}
      <div><dt>Listeners</dt><dd>${listeners.map(({ name, address }) => html`<div>${name} <code>${address}</code></div>`)}</dd></div>
      <div><dt>Default</dt><dd><${Model} name=${overview.default_model} /></dd></div>
      ${aliases.length > 0 && html`<div><dt>Aliases</dt><dd>${aliases.map(({ name, models }) => html`<div><code>${name}</code> <span class="faint">→ ${(models ?? []).map((model, at) => html`${at > 0 && ", "}<${Name}>${model}<//>`)}</span></div>`)}</dd></div>`}
      <div><dt>Records</dt><dd>${count(records.stored)} stored, ${bytes(records.bytes)}${records.dropped > 0 && html`, <span class="tone-bad">${count(records.dropped)} dropped (${Object.entries(records.dropped_by).map(([sink, lost]) => `${sink} ${count(lost)}`).join(", ")})</span>`}${records.problem && html`<div class="tone-bad">Not kept: ${records.problem}</div>`}</dd></div>
      <div><dt>Content</dt><dd>${{ none: "not kept", redacted: "kept, redacted", full: "kept in full" }[records.content] ?? "–"}</dd></div>
      <div><dt>Program</dt><dd>Waypost ${overview.version} <span class="faint" title=${moment(overview.started)}>up since ${moment(overview.started)}</span></dd></div>
    </dl>
  <//>`;
}

export function Overview({ overview, refresh }) {
  const [span, choose] = useState("1h");
  const [kind, tell] = useState("all");
  const [turn, again] = useState(0);
  const waiting = useRef(false);
  useEffect(() => {
    refresh();
    const timer = setInterval(() => {
      // An answer that takes longer than a turn is waited for, not asked for anew.
      if (document.hidden || waiting.current) return;
      again((before) => before + 1);
      refresh();
    }, 5000);
    return () => clearInterval(timer);
  }, []);
  const step = SPANS.find(([name]) => name === span)[1];
  const { value, error, busy } = useAnswer((signal) => get("series", { since: span, step, by: kind === "all" ? undefined : kind }, signal), [span, kind, turn]);
  waiting.current = busy;
  const buckets = value?.buckets ?? [];
  const times = buckets.map(({ time }) => time);
  const column = (key) => buckets.map((bucket) => bucket[key] ?? null);
  const by = ["model", "route"].find((one) => one in (value?.lines?.[0] ?? {}));
  const { requests, errors, cost, default_cost: would, saved, ...total } = value?.total ?? {};

  return html`<div class="overview">
    <div class="tools"><h1>Overview</h1><span class="grow"></span><${Tabs} label="Charts" chosen=${kind} choose=${tell} tabs=${KINDS} /><${Tabs} label="Span" chosen=${span} choose=${choose} tabs=${SPANS.map(([name]) => [name, name])} /></div>
    <${Problem} error=${error} />
    ${value && html`
      <dl class="tiles wide">
        <${Figure} label="Requests">${count(requests)}<//>
        <${Figure} label="Errors" tone=${errors > 0 ? "tone-bad" : ""}>${requests > 0 ? percent(errors / requests) : "–"}<//>
        <${Figure} label="p50" hint="of all requests, to 5 %">${ms(total.p50_ms)}<//>
        <${Figure} label="p95" hint="of all requests, to 5 %">${ms(total.p95_ms)}<//>
        <${Figure} label="First token" hint="median, to 5 %">${ms(total.first_token_p50_ms)}<//>
        <${Figure} label="Cost">${money(cost)}<//>
        <${Figure} label=${saved < 0 ? "More than default" : "Saved"} tone=${saved > 0 ? "tone-good" : ""} hint="against the default model for everything">${money(saved == null ? null : Math.abs(saved))}${would > 0 && html` <small class="faint">${percent(Math.abs(saved) / would)}</small>`}<//>
      </dl>
      <${Uncounted} rows=${value.by_model} />
      ${requests === 0 ? html`<p class="empty">No request in the last ${span}. The <a href="#/live">live view</a> has a line to try.</p>` : by ? html`<${Lines} lines=${value.lines} kind=${by} times=${times} of=${value[`by_${by}`].length} />` : html`
      <div class="charts">
        <${Chart} title="Requests" times=${times} bars stacked format=${count} series=${[
          { name: "ok", tone: "tone-1", values: buckets.map((one) => one.requests - one.errors) },
          { name: "errors", tone: "tone-bad", values: column("errors") },
        ]} />
        <${Chart} title="Latency" times=${times} format=${ms} series=${[
          { name: "p50", tone: "tone-1", values: column("p50_ms") },
          { name: "p95", tone: "tone-2", values: column("p95_ms") },
          { name: "p99", tone: "tone-3", values: column("p99_ms") },
        ]} />
        <${Chart} title="Cost" times=${times} format=${money} series=${[
          { name: "by the default model", tone: "tone-4", fill: true, values: column("default_cost") },
          { name: "cost", tone: "tone-1", fill: true, values: column("cost") },
          { name: "saved", tone: "tone-2", values: column("saved") },
        ]} />
        <${Chart} title="Tokens" times=${times} bars stacked format=${count} series=${[
          { name: "input", tone: "tone-1", values: column("input_tokens") },
          { name: "output", tone: "tone-2", values: column("output_tokens") },
        ]} />
      </div>`}
    `}
    <div class="halves">
      <div>
        ${value && html`<${Table} id="o-models" title="By model" name="model" rows=${value.by_model ?? []} />`}
        ${overview && html`<${Targets} targets=${overview.targets} />`}
      </div>
      <div>
        ${value && html`<${Table} id="o-routes" title="By route" name="route" rows=${value.by_route ?? []} />`}
        ${overview && html`<${Configuration} overview=${overview} />`}
      </div>
    </div>
  </div>`;
}

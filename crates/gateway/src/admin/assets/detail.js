// One request's story: where it went and why, what was tried, how long each part took, what it cost.
import { html, useEffect, useRef, useState } from "./preact.js";
import { get, post } from "./api.js";
import { WRITTEN_MS, feed } from "./feed.js";
import { born, count, failed, moment, money, ms, percent, saved, words } from "./format.js";
import { Bars, Copy, Effects, Figure, Flips, Marked, Model, Name, Problem, Route, Said, Section, Status, useAnswer } from "./parts.js";

export function thresholds(overview) {
  const floor = overview?.none_threshold ?? 0;
  return Object.fromEntries((overview?.routes ?? []).map(({ name, threshold }) => [name, threshold ?? floor]));
}

function Decision({ record, overview }) {
  const decided = record.scores?.length > 0;
  return html`<${Section} id="d-decision" title="Decision" aside=${html`<span class="faint">${words(record.method)}${record.decision_ms != null && `, ${ms(record.decision_ms)}`}</span>`}>
    <p class="reason"><${Said} text=${record.reason ?? `the request names \`${record.requested}\``} /></p>
    ${decided && html`<${Bars} scores=${record.scores} none=${record.none_probability} chosen=${record.route} thresholds=${thresholds(overview)} />`}
    <dl class="facts">
      <div><dt>Asked for</dt><dd><code>${record.requested || "auto"}</code></dd></div>
      ${record.scorer && html`<div><dt>Scorer</dt><dd>${words(record.scorer)}${record.tier && `, ${record.tier} tier`}</dd></div>`}
      ${record.escalation && html`<div><dt>Escalation</dt><dd>${words(record.escalation)}</dd></div>`}
      ${record.affinity && html`<div><dt>Conversation</dt><dd>${words(record.affinity)}</dd></div>`}
      ${record.prefer && html`<div><dt>Order</dt><dd>${words(record.prefer)}</dd></div>`}
      ${record.skipped?.length > 0 && html`<div><dt>Passed by</dt><dd>${record.skipped.map((one, at) => html`${at > 0 && ", "}<${Name}>${one.model ?? one}<//>${one.why && ` (${words(one.why)})`}`)}</dd></div>`}
    </dl>
    ${record.notes?.length > 0 && html`<ul class="notes">${record.notes.map((note) => html`<li><${Said} text=${note} /></li>`)}</ul>`}
  <//>`;
}

// What people and models said; results of tools are neither.
function spoken(record) {
  return record.content?.turns?.filter(({ role, text }) => (role === "user" || role === "assistant") && !(role === "user" && text.startsWith("[tool result]")));
}

// The words are judged anew, by the routes in force now: a record keeps no explanation.
function Drivers({ record, complete }) {
  const turns = spoken(record);
  const own = record.brings_routes;
  const { value, error } = useAnswer(
    (signal) => (turns && record.scores && !own ? post("decide", { request: { model: "auto", messages: turns.map(({ role, text }) => ({ role, content: text })) }, explain: true }, signal) : null),
    [record.id, Boolean(turns)],
  );
  if (!record.scores || (!turns && !complete)) return null;
  const last = turns?.findLast?.(({ role }) => role === "user");
  const now = value && value.route !== (record.route ?? null);
  return html`<${Section} id="d-drivers" title="What drove it">
    ${own && html`<p class="faint">The request brought routes of its own, which are not kept.</p>`}
    ${!turns && !own && html`<p class="faint">The words are not kept. <code>log.content: redacted</code> keeps what people wrote, without what looks like a secret; then the words that decided stand here.</p>`}
    <${Problem} error=${error} />
    ${value && last && html`
      ${now && html`<p class="notice">The routes have changed since: today it would go to <${Route} name=${value.route} />.</p>`}
      <p class="marked"><${Marked} text=${last.text} effects=${value.explanation?.words} /></p>
      <${Effects} effects=${value.explanation?.words} />
      <${Flips} explanation=${value.explanation} />`}
  <//>`;
}

const OK = new Set(["ok"]);

// Attempts on the request's own time axis; a try without a start follows the one before.
function Attempts({ record }) {
  const tries = record.tries?.length > 0
    ? record.tries
    : record.model ? [{ model: `${record.provider}/${record.model}`, outcome: failed(record) ? "failed" : "ok", status: record.status, started_ms: record.decision_ms ?? 0, ms: (record.total_ms ?? 0) - (record.decision_ms ?? 0) }] : [];
  if (tries.length === 0) return null;
  let clock = record.decision_ms ?? 0;
  const rows = tries.map((one) => {
    const from = one.started_ms ?? clock;
    clock = from + (one.ms ?? 0);
    return { ...one, from, to: clock };
  });
  const end = Math.max(record.total_ms ?? 0, ...rows.map(({ to }) => to), 0.001);
  const at = (time) => `${((time / end) * 100).toFixed(2)}%`;
  return html`<${Section} id="d-attempts" title=${rows.length > 1 ? `${rows.length} attempts` : "Attempt"}>
    <ol class="timeline">
      ${rows.map((row, index) => html`<li class=${OK.has(row.outcome) ? "good" : "bad"}>
        <span class="tried"><${Model} name=${row.model} /><span class="what">${row.outcome === "ok" ? "" : words(row.outcome)}${row.status > 0 ? ` ${row.status}` : ""}</span></span>
        <span class="lane" title="${ms(row.from)} to ${ms(row.to)}">
          <i style=${{ left: at(row.from), width: at(Math.max(row.to - row.from, end / 200)) }}></i>
          ${row.connect_ms != null && html`<i class="connecting" style=${{ left: at(row.from), width: at(row.connect_ms) }} title="connecting took ${ms(row.connect_ms)}"></i>`}
          ${index === rows.length - 1 && (OK.has(row.outcome) || record.first_token_ms != null) && row.to < end && html`<i class="after" style=${{ left: at(row.to), width: at(end - row.to) }} title="the rest of the answer"></i>`}
          ${index === rows.length - 1 && record.first_token_ms != null && html`<b style=${{ left: at(Math.min(record.first_token_ms, end)) }} title="first token at ${ms(record.first_token_ms)}"></b>`}
        </span>
        <span class="figure">${ms(row.ms)}</span>
      </li>`)}
    </ol>
    <div class="axis" aria-hidden="true"><span>0</span><span>${ms(end / 2)}</span><span>${ms(end)}</span></div>
    ${record.error && html`<p class="notice"><${Said} text=${record.error} /></p>`}
  <//>`;
}

function Timings({ record }) {
  // Connecting is a part of the way to the first byte, and not there on a connection that was.
  const connected = record.connect_ms == null ? null : (record.decision_ms ?? 0) + record.connect_ms;
  const parts = [["decision", record.decision_ms], ["connecting", connected], ["to first byte", record.first_byte_ms], ["to first token", record.first_token_ms], ["to end", record.total_ms]];
  let before = 0;
  const steps = parts.flatMap(([name, at], part) => {
    if (at == null) return [];
    const took = Math.max(0, at - before);
    before = Math.max(before, at);
    return [{ name, took, part }];
  });
  if (before === 0) return null;
  return html`<${Section} id="d-timings" title="Timings" aside=${record.tokens_per_second != null && html`<span class="faint">${count(Math.round(record.tokens_per_second))} tokens/s</span>`}>
    <div class="strip" aria-hidden="true">${steps.map(({ took, part }) => html`<i class="part-${part}" style=${{ flexGrow: Math.max(took / before, 0.004) }}></i>`)}</div>
    <ul class="legend">${steps.map(({ name, took, part }) => html`<li><i class="part-${part}"></i>${name}<b>${ms(took)}</b></li>`)}</ul>
  <//>`;
}

function Usage({ record }) {
  const rows = [["Input", record.input_tokens], ["of it from cache", record.cached_tokens], ["written to cache", record.cache_write_tokens], ["Output", record.output_tokens], ["of it reasoning", record.reasoning_tokens]]
    .filter(([name, value]) => value != null && (value > 0 || name === "Input" || name === "Output"));
  const less = saved(record);
  return html`<${Section} id="d-usage" title="Usage and cost">
    <dl class="facts">
      ${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value.toLocaleString("en")} tokens</dd></div>`)}
      <div><dt>Cost</dt><dd>${record.cost == null ? html`<span class="faint">${record.input_tokens == null ? "the provider reported no usage" : "no price is known for this model"}</span>` : money(record.cost)}</dd></div>
      ${record.default_cost != null && html`<div><dt>By the default model</dt><dd>${money(record.default_cost)}</dd></div>`}
      ${less != null && html`<div><dt>${less < 0 ? "More than it" : "Saved"}</dt><dd class=${less < 0 ? "tone-warn" : "tone-good"}>${money(Math.abs(less))}${record.default_cost > 0 && ` (${percent(Math.abs(less) / record.default_cost)})`}</dd></div>`}
    </dl>
  <//>`;
}

function Content({ content }) {
  if (!content) return null;
  return html`<${Section} id="d-content" title="Content" aside=${content.truncated && html`<span class="faint">cut to the configured size</span>`}>
    <div class="talk">
      ${content.turns?.map(({ role, text }) => html`<div class="turn ${role === "user" ? "user" : ""}"><b>${role}</b><p>${text}</p></div>`)}
      ${content.answer && html`<div class="turn answer"><b>answer</b><p>${content.answer}</p></div>`}
    </div>
  <//>`;
}

function Correction({ record, overview }) {
  const [chosen, choose] = useState("");
  const [note, type] = useState("");
  const [done, finish] = useState(null);
  const [error, fail] = useState(null);
  if (!overview?.routes?.length) return null;
  const others = [...overview.routes.map(({ name }) => name), null].filter((name) => name !== (record.route ?? null));
  const send = async (event) => {
    event.preventDefault();
    const route = others[Number(chosen)];
    try {
      await post("feedback", { id: record.id, route, ...(note && { note }) });
      finish(route ?? "none of the routes");
      fail(null);
    } catch (refused) {
      fail(refused.status === 404 || refused.status === 501 ? { message: "this gateway keeps no corrections" } : refused);
    }
  };
  return html`<${Section} id="d-correction" title="Should have been …">
    ${done ? html`<p class="notice good" role="status">Noted: <${Name}>${done}<//>. Nothing changes by itself; corrections are material for <code>waypost routes learn</code>.</p>` : html`
    <form class="correction" onSubmit=${send}>
      <select aria-label="Should have been" required value=${chosen} onChange=${(event) => choose(event.target.value)}>
        <option value="" disabled>route</option>
        ${others.map((name, index) => html`<option value=${String(index)}>${name ?? "none of the routes"}</option>`)}
      </select>
      <input aria-label="Note" placeholder="Why (optional)" maxlength="500" value=${note} onInput=${(event) => type(event.target.value)} />
      <button disabled=${chosen === ""}>Correct</button>
    </form>`}
    <${Problem} error=${error} />
  <//>`;
}

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

async function load(id, signal) {
  const young = WRITTEN_MS - (Date.now() - born(id));
  if (young > 0 && young <= WRITTEN_MS) await pause(young);
  for (;;) {
    try {
      return await get(`records/${encodeURIComponent(id)}`, {}, signal);
    } catch (error) {
      const age = Date.now() - born(id);
      if (error.status !== 404 || signal.aborted || !(age < 10_000)) throw error;
    }
    await pause(400);
  }
}

export function Detail({ id, overview, close, go }) {
  const title = useRef();
  const { value, error: refused, busy } = useAnswer((signal) => load(id, signal), [id]);
  const record = value ?? feed.records().find((held) => held.id === id);
  const error = record ? null : refused;
  useEffect(() => {
    if (record && !document.activeElement?.closest?.(".feed, .search")) title.current?.focus({ preventScroll: true });
  }, [record?.id]);
  const replay = () => {
    const turns = spoken(record).map(({ role, text }) => ({ role, text }));
    sessionStorage.setItem("playground", JSON.stringify({ model: "auto", other: "", turns }));
    go("playground");
  };
  return html`<aside class="detail" aria-label="The request">
    <header class="detail-head">
      <div class="headline">
        <h2 ref=${title} tabindex="-1">${record ? html`<${Status} record=${record} />${(record.route != null || record.scorer) && html`<${Route} name=${record.route} /><span class="to" aria-label="to">→</span>`}<${Model} name=${record.model && `${record.provider}/${record.model}`} />` : busy ? "…" : "Not found"}</h2>
        <button type="button" class="icon" onClick=${close} aria-label="Close" title="Close (Esc)">✕</button>
      </div>
      ${record && html`<p class="faint sub">${moment(record.time)} · <code>${record.endpoint ?? ""}</code>${record.client_dialect && ` · ${words(record.client_dialect)}`}${record.provider_dialect && record.provider_dialect !== record.client_dialect ? ` → ${words(record.provider_dialect)}` : ""}</p>`}
    </header>
    <${Problem} error=${error} />
    ${record && html`<div class="detail-body">
      <dl class="tiles">
        <${Figure} label="Total">${ms(record.total_ms)}<//>
        <${Figure} label="First token">${ms(record.first_token_ms)}<//>
        <${Figure} label="Tokens" hint="input → output">${count(record.input_tokens)} → ${count(record.output_tokens)}<//>
        <${Figure} label="Cost">${money(record.cost)}<//>
        <${Figure} label="Saved" tone=${saved(record) > 0 ? "tone-good" : ""}>${money(saved(record))}<//>
      </dl>
      <${Decision} record=${record} overview=${overview} />
      <${Drivers} record=${record} complete=${Boolean(value)} />
      <${Attempts} record=${record} />
      <${Timings} record=${record} />
      ${record.loss?.length > 0 && html`<${Section} id="d-loss" title="Left out in translation"><ul class="loss">${record.loss.map(({ field, reason }) => html`<li><code>${field}</code><span class="faint">${words(reason)}</span></li>`)}</ul><//>`}
      <${Usage} record=${record} />
      <${Content} content=${record.content} />
      <${Correction} record=${record} overview=${overview} />
      <${Section} id="d-ids" title="Identity">
        <dl class="facts">
          <div><dt>Request</dt><dd><code>${record.id}</code></dd></div>
          ${record.trace_id && html`<div><dt>Trace</dt><dd><code>${record.trace_id}</code></dd></div>`}
          ${record.session && html`<div><dt>Session</dt><dd><code>${record.session}</code></dd></div>`}
          ${record.caller && html`<div><dt>Caller</dt><dd><code>${record.caller}</code></dd></div>`}
          ${record.listener && html`<div><dt>Listener</dt><dd>${record.listener}</dd></div>`}
          ${record.finish_reason && html`<div><dt>Ended by</dt><dd>${words(record.finish_reason)}</dd></div>`}
        </dl>
        <div class="actions"><${Copy} text=${() => JSON.stringify(record, null, 2)} label="Copy as JSON" /><${Copy} text=${record.id} label="Copy the id" />${spoken(record)?.length > 0 && html`<button type="button" class="quiet" onClick=${replay}>Open in the playground</button>`}</div>
      <//>
    </div>`}
  </aside>`;
}

// The live view: requests as they end, newest first; one of them opened beside.
import { html, useEffect, useLayoutEffect, useReducer, useRef, useState } from "./preact.js";
import { Detail } from "./detail.js";
import { feed, listen, older } from "./feed.js";
import { clock, count, failed, moment, money, ms, percent } from "./format.js";
import { Copy, Model, Problem, Route, Status } from "./parts.js";
import { useSearch } from "./search.js";
import { curl, reach } from "./snippets.js";

// Rows in the document; more of them come by "Show more".
const ROWS = 150;

const QUICK = [["", "All"], ["status:ok", "OK"], ["status:error", "Errors"]];

function Row({ record, open, cursor, choose }) {
  const model = record.model ? `${record.provider}/${record.model}` : null;
  return html`<tr id=${`row-${record.id}`} class=${`${failed(record) ? "failed" : ""} ${cursor ? "cursor" : ""}`} aria-selected=${String(open)} onClick=${() => choose(record.id)}>
    <td class="c-time"><time datetime=${record.time} title=${moment(record.time)}>${clock(record.time)}</time></td>
    <td class="c-status"><${Status} record=${record} /></td>
    <td class="c-route">${record.route != null || record.scorer ? html`<${Route} name=${record.route} />` : html`<span class="faint">–</span>`}</td>
    <td class="c-model"><${Model} name=${model} />${record.attempts > 1 && html`<span class="again" title="${record.attempts} attempts">↻${record.attempts}</span>`}</td>
    <td class="c-how">${record.method ?? "–"}</td>
    <td class="c-confidence">${record.confidence != null && html`<span class="meter"><i style=${{ width: `${record.confidence * 100}%` }}></i></span>${percent(record.confidence)}`}</td>
    <td class="c-first num">${ms(record.first_token_ms)}</td>
    <td class="c-ms num">${ms(record.total_ms)}</td>
    <td class="c-tokens num">${record.input_tokens != null || record.output_tokens != null ? html`${count(record.input_tokens ?? 0)}<span class="faint"> → </span>${count(record.output_tokens ?? 0)}` : "–"}</td>
    <td class="c-cost num">${money(record.cost)}</td>
  </tr>`;
}

function Nothing({ overview }) {
  const line = curl(reach(overview), { model: "auto", messages: [{ role: "user", content: "fix this error: KeyError 'amount'" }] });
  return html`<div class="empty">
    <h2>No request yet</h2>
    <p>Send one, and it appears here the moment it ends:</p>
    <div class="code"><pre>${line}</pre><${Copy} text=${line} /></div>
    <p>or try the <a href="#/playground">playground</a>: it needs no client.</p>
  </div>`;
}

const nothing = ({ ended, busy, back }) => {
  if (ended) return "No request matches.";
  return busy || !back ? "Looking through what is recorded …" : `No request back to ${moment(back)} matches.`;
};

export function Live({ id, overview, go }) {
  const [, redraw] = useReducer((turn) => turn + 1, 0);
  const [typed, type] = useState("");
  const [frozen, freeze] = useState(null);
  const [cursor, setCursor] = useState(id);
  const [rows, setRows] = useState(ROWS);
  const [error, fail] = useState(null);
  const field = useRef();
  useEffect(() => listen(redraw), []);

  const all = frozen ?? feed.records();
  const filtered = typed.trim() !== "";
  const search = useSearch(typed, all);
  const paused = (records) => records.filter((record) => record.id <= frozen[0]?.id);
  const found = frozen && filtered ? paused(search.records) : search.records;
  const ended = filtered ? search.ended : feed.ended() || feed.full();
  const shown = found.slice(0, rows);
  const behind = frozen ? Math.max(0, feed.records().findIndex((record) => record.id === frozen[0]?.id)) : 0;

  const choose = (chosen) => {
    setCursor(chosen);
    go("live", chosen);
  };
  const close = () => {
    go("live");
    document.querySelector(".feed")?.focus();
  };
  const pause = () => freeze((now) => (now ? null : feed.records()));
  const more = () => {
    setRows((now) => now + ROWS);
    if (found.length > rows + ROWS || ended) return;
    if (filtered) search.on();
    else older().then(() => frozen && freeze(paused(feed.records())), fail);
  };

  // At once, so that keys in quick succession each see what the one before did.
  useLayoutEffect(() => {
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.target.closest?.("input, textarea, select") || document.querySelector("dialog[open]")) return;
      const at = shown.findIndex((record) => record.id === (cursor ?? id));
      const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && (event.key.length === 1 || event.target.closest?.(".feed") || event.target === document.body)) {
        const next = shown[Math.min(shown.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
        if (!next) return;
        setCursor(next.id);
        // From here on Enter opens the request, and no button that was pressed before.
        document.querySelector(".feed")?.focus({ preventScroll: true });
        if (id) go("live", next.id);
        document.getElementById(`row-${next.id}`)?.scrollIntoView({ block: "nearest" });
      } else if (event.key === "Enter" && cursor && !event.target.closest?.("button, a, summary, aside")) choose(cursor);
      else if (event.key === "Escape" && id) close();
      else if (event.key === "/") field.current?.focus();
      else if (event.key === "p") pause();
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  });

  const errors = found.filter(failed).length;
  return html`<div class="live ${id ? "opened" : ""}">
    <div class="list">
      <h1 class="hidden">Live requests</h1>
      <div class="tools">
        <label class="search"><span class="hidden">Filter</span>
          <input ref=${field} type="search" placeholder=${"Filter: words, route:code, model:gpt, status:error, ms>500"} value=${typed} onInput=${(event) => { type(event.target.value); setRows(ROWS); }} />
          <kbd aria-hidden="true">/</kbd>
        </label>
        <div class="group" role="group" aria-label="Status">
          ${QUICK.map(([value, name]) => html`<button type="button" aria-pressed=${String(typed === value)} onClick=${() => type(value)}>${name}</button>`)}
        </div>
        <button type="button" class=${frozen ? "on" : ""} aria-pressed=${String(Boolean(frozen))} onClick=${pause}>${frozen ? html`Resume${behind > 0 && html` <b class="badge">${behind}</b>`}` : "Pause"}</button>
        <span class="faint summary">${count(found.length)} shown${errors > 0 ? `, ${count(errors)} failed` : ""}</span>
      </div>
      <${Problem} error=${error ?? search.error} />
      ${all.length === 0 && overview && feed.state() !== "connecting" && html`<${Nothing} overview=${overview} />`}
      ${all.length > 0 && html`<div class="feed" tabindex="0" role="region" aria-label="Requests, newest first">
        <table aria-label="Requests">
          <thead><tr><th class="c-time">Time</th><th class="c-status">Status</th><th class="c-route">Route</th><th class="c-model">Model</th><th class="c-how">Chosen by</th><th class="c-confidence">Confidence</th><th class="c-first num">First token</th><th class="c-ms num">Total</th><th class="c-tokens num">Tokens</th><th class="c-cost num">Cost</th></tr></thead>
          <tbody>${shown.map((record) => html`<${Row} key=${record.id} record=${record} open=${record.id === id} cursor=${record.id === cursor} choose=${choose} />`)}</tbody>
        </table>
        ${found.length === 0 && html`<p class="empty" role="status">${nothing(search)} <button type="button" class="quiet" onClick=${() => type("")}>Clear the filter</button></p>`}
        ${(found.length > rows || !ended) && html`<p class="more"><button type="button" class="quiet" disabled=${Boolean(search.busy) && found.length <= rows} onClick=${more}>${search.busy ? "Looking further back …" : found.length === 0 ? "Look further back" : "Show more"}</button></p>`}
        ${!filtered && feed.full() && html`<p class="more faint">The page holds no more than these. The filter finds older ones, and so does <code>waypost logs</code>.</p>`}
      </div>`}
    </div>
    ${id && html`<${Detail} key=${id} id=${id} overview=${overview} close=${close} go=${go} />`}
  </div>`;
}

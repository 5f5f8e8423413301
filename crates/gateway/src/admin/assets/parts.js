// Pieces that several views show. Text from outside is always a child or an attribute, never markup.
import { html, useEffect, useRef, useState } from "./preact.js";
import { failed, hue, percent, points, split } from "./format.js";

// A name from outside: letters that turn the order of others turn none beside it.
export const Name = ({ children }) => html`<bdi>${children}</bdi>`;

export function Route({ name }) {
  if (name == null) return html`<span class="route none">none</span>`;
  return html`<span class="route" style=${{ "--hue": hue(name) }} title=${name}>${name}</span>`;
}

// Messages of the gateway put names between backticks.
export function Said({ text }) {
  return String(text ?? "").split("`").map((piece, index, all) => (index % 2 === 1 && index < all.length - 1 ? html`<code class="said">${piece}</code>` : index % 2 === 1 ? `\`${piece}` : piece));
}

export function Model({ name }) {
  if (!name) return html`<span class="faint">–</span>`;
  const [provider, model] = split(name);
  return html`<span class="model" title=${name}>${provider && html`<span class="faint">${provider}/</span>`}${model}</span>`;
}

export function Status({ record }) {
  const kind = failed(record) ? (record.status >= 500 || record.status < 400 ? "bad" : "warn") : "good";
  const broke = kind === "bad" && record.status < 400;
  return html`<span class="status ${kind}" title=${broke ? "the stream broke off" : undefined}><i aria-hidden="true"></i>${record.status}${broke && "!"}</span>`;
}

// A bar for each route's probability, likeliest first, with a tick where its threshold stands.
export function Bars({ scores = [], none, chosen, thresholds = {} }) {
  const rows = [...scores].sort((a, b) => b.probability - a.probability);
  if (none != null) rows.push({ route: null, probability: none });
  return html`<ul class="bars">
    ${rows.map(({ route, probability }) => {
      const threshold = route == null ? undefined : thresholds[route];
      const taken = route === (chosen ?? null);
      return html`<li key=${String(route)} class=${taken ? "taken" : ""} aria-current=${taken ? "true" : undefined}>
        <span class="label" title=${route ?? "none fits"}>${route ?? html`<em>none fits</em>`}</span>
        <span class="track" style=${{ "--hue": route == null ? 260 : hue(route) }}>
          <span class="fill ${route == null ? "grey" : ""}" style=${{ width: `${(probability * 100).toFixed(2)}%` }}></span>
          ${threshold > 0 && html`<span class="tick" style=${{ left: `${threshold * 100}%` }} title="threshold ${threshold}"></span>`}
        </span>
        <span class="figure">${percent(probability)}</span>
      </li>`;
    })}
  </ul>`;
}

// Where the words of an explanation stand in a text: pieces of it, each with its effect or none. The API names words
// and no positions, so an occurrence is claimed once, in order.
export function marked(text, effects = []) {
  const tokens = [...text.matchAll(/\S+/g)].map((found) => ({ word: found[0], from: found.index, to: found.index + found[0].length }));
  const claimed = new Array(tokens.length).fill(null);
  for (const effect of effects) {
    const wanted = (effect.words ?? "").split(" ").filter((word) => word && word !== "…");
    const cut = wanted.at(-1)?.endsWith("…");
    const fits = (at) => wanted.length > 0 && wanted.every((word, step) => {
      const token = tokens[at + step];
      if (!token || claimed[at + step]) return false;
      return cut && step === wanted.length - 1 ? token.word.startsWith(word.slice(0, -1)) : token.word === word;
    });
    const at = tokens.findIndex((_, index) => fits(index));
    if (at >= 0) wanted.forEach((_, step) => { claimed[at + step] = effect; });
  }
  const pieces = [];
  let done = 0;
  tokens.forEach((token, index) => {
    if (!claimed[index]) return;
    if (token.from > done) pieces.push({ text: text.slice(done, token.from) });
    pieces.push({ text: text.slice(token.from, token.to), effect: claimed[index] });
    done = token.to;
  });
  if (done < text.length) pieces.push({ text: text.slice(done) });
  return pieces;
}

// Weak effects stay faint, however strong the strongest is.
const strongest = (effects) => Math.max(0.08, ...effects.map(({ effect }) => Math.abs(effect)));

function told({ effect, without_it }) {
  const elsewhere = without_it ? `; without it: ${without_it.route ?? "none fits"}` : "";
  return `${points(effect)} points for the verdict${elsewhere}`;
}

export function Marked({ text, effects = [] }) {
  const most = strongest(effects);
  return marked(text, effects).map(({ text: piece, effect }) => {
    if (!effect) return piece;
    const weight = Math.min(1, Math.abs(effect.effect) / most);
    if (weight < 0.06 && !effect.without_it) return piece;
    const kind = `${effect.effect < 0 ? "against" : "for"} ${effect.without_it ? "flips" : ""}`;
    return html`<mark class=${kind} style=${{ "--weight": weight.toFixed(2) }} title=${told(effect)}>${piece}</mark>`;
  });
}

// The strongest words as a list, for those who do not see colours.
export function Effects({ effects = [], most = 6 }) {
  const shown = effects.filter(({ effect, without_it }) => Math.abs(effect) >= 0.001 || without_it).slice(0, most);
  if (shown.length === 0) return html`<p class="faint">No single word decides it.</p>`;
  const scale = strongest(shown);
  return html`<ul class="effects">
    ${shown.map((effect) => html`<li title=${told(effect)}>
      <span class="label"><q>${effect.words ?? `turn ${effect.turn + 1}`}</q>${effect.without_it && html` <small>else ${effect.without_it.route ?? "none fits"}</small>`}</span>
      <span class="lever ${effect.effect < 0 ? "against" : "for"}"><i style=${{ width: `${(Math.abs(effect.effect) / scale) * 50}%` }}></i></span>
      <span class="figure">${points(effect.effect)}</span>
    </li>`)}
  </ul>`;
}

// The smallest changes that would have made it another decision.
export function Flips({ explanation }) {
  const { flip, thresholds = [] } = explanation ?? {};
  if (!flip && thresholds.length === 0) return null;
  return html`<h2 class="minor">What would have flipped it</h2>
    <ul class="notes flips">
      ${flip && html`<li>Without ${flip.without.map((words) => html`<q>${words}</q> `)}to <${Route} name=${flip.route} /></li>`}
      ${thresholds.map(({ at_most, at_least, of, route }) => html`<li>With a threshold ${of && html`of <${Route} name=${of} /> `}of ${at_most ?? at_least} or ${at_most == null ? "more" : "less"} to <${Route} name=${route} /></li>`)}
    </ul>`;
}

export function Copy({ text, label = "Copy" }) {
  const [said, say] = useState("");
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      say("Copied");
    } catch {
      say("Select and copy by hand");
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => say(""), 1600);
  };
  return html`<button type="button" class="quiet" onClick=${copy}><span aria-live="polite">${said || label}</span></button>`;
}

export function Problem({ error }) {
  if (!error) return null;
  return html`<p class="problem" role="alert"><${Said} text=${error.message} />${error.hint && html`<small><${Said} text=${error.hint} /></small>`}</p>`;
}

export function Section({ title, aside, children, id, level = 3 }) {
  const Heading = `h${level}`;
  return html`<section class="section" aria-labelledby=${id}>
    <header><${Heading} id=${id}>${title}<//>${aside && html`<div class="aside">${aside}</div>`}</header>
    ${children}
  </section>`;
}

export function Figure({ label, children, hint, tone = "" }) {
  return html`<div class="tile ${tone}" title=${hint}><dt>${label}</dt><dd>${children}</dd></div>`;
}

// Tabs by the ARIA pattern: arrows move, one stop for Tab.
export function Tabs({ label, tabs, chosen, choose }) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = tabs.findIndex(([key]) => key === chosen);
    choose(tabs[(at + step + tabs.length) % tabs.length][0]);
    event.currentTarget.children[(at + step + tabs.length) % tabs.length]?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
    ${tabs.map(([key, name, badge]) => html`<button type="button" role="tab" key=${key} aria-selected=${String(key === chosen)}
      tabindex=${key === chosen ? 0 : -1} onClick=${() => choose(key)}>${name}${badge ? html`<b class="badge">${badge}</b>` : null}</button>`)}
  </div>`;
}

// The value once it has rested for so long.
export function useSettled(value, delay) {
  const [settled, settle] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => settle(value), delay);
    return () => clearTimeout(timer);
  }, [value, delay]);
  return settled;
}

// What an asynchronous question answered last. A newer question ends the older one.
export function useAnswer(ask, inputs) {
  const [found, find] = useState({ value: null, error: null, busy: true });
  useEffect(() => {
    const control = new AbortController();
    find((before) => ({ ...before, busy: true }));
    Promise.resolve(ask(control.signal)).then(
      (value) => control.signal.aborted || find({ value, error: null, busy: false }),
      (error) => control.signal.aborted || find((before) => ({ value: before.value, error, busy: false })),
    );
    return () => control.abort();
  }, inputs);
  return found;
}

// State that outlives the view and a reload of the page, in this tab.
export function useKept(key, first) {
  const [value, set] = useState(() => {
    try {
      return JSON.parse(sessionStorage.getItem(key)) ?? first;
    } catch {
      return first;
    }
  });
  const keep = (next) => {
    set((before) => {
      const made = typeof next === "function" ? next(before) : next;
      try {
        sessionStorage.setItem(key, JSON.stringify(made));
      } catch {
        // Without storage it lives until the view is left.
      }
      return made;
    });
  };
  return [value, keep];
}

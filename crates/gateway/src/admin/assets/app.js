// The frame: which view is shown, keys, theme, sign-in.
import { html, render, useCallback, useEffect, useErrorBoundary, useReducer, useRef, useState } from "./preact.js";
import { get, post } from "./api.js";
import { feed, listen, start, stop } from "./feed.js";
import { nameRoutes } from "./format.js";
import { Live } from "./live.js";
import { Problem } from "./parts.js";

// The first view comes with the frame, the others when they are asked for.
const VIEWS = [
  { key: "live", name: "Live", load: async () => Live },
  { key: "playground", name: "Playground", load: async () => (await import("./playground.js")).Playground },
  { key: "routes", name: "Routes", load: async () => (await import("./routes.js")).Routes },
  { key: "overview", name: "Overview", load: async () => (await import("./overview.js")).Overview },
];

const KEYS = [
  ["1 – 4", "Live, Playground, Routes, Overview"],
  ["/", "filter"],
  ["j  k", "next, previous request"],
  ["Enter", "open the request"],
  ["Esc", "close, or leave a field"],
  ["p", "pause and go on"],
  ["Ctrl Enter", "send from the playground"],
  ["t", "light, dark or as the system has it"],
  ["?", "this list"],
];

function place() {
  const [view, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const known = VIEWS.some(({ key }) => key === view);
  let id = rest.length > 0 ? rest.join("/") : null;
  try {
    id = id && decodeURIComponent(id);
  } catch {
    // Written by hand; then it is taken as it is.
  }
  return { view: known ? view : "live", id };
}

export const go = (view, id) => {
  location.hash = `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}`;
};

const isTyping = (target) => target.closest?.("input, textarea, select, [contenteditable]");

function useTheme() {
  const [theme, set] = useState(document.documentElement.dataset.theme ?? "system");
  const next = useCallback(() => set((now) => {
    const then = { system: "dark", dark: "light", light: "system" }[now];
    if (then === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = then;
    try {
      if (then === "system") localStorage.removeItem("waypost-theme");
      else localStorage.setItem("waypost-theme", then);
    } catch {
      // Without storage it holds until the page is closed.
    }
    return then;
  }), []);
  return [theme, next];
}

function Login({ done }) {
  const [token, type] = useState("");
  const [error, fail] = useState(null);
  const field = useRef();
  useEffect(() => field.current?.focus(), []);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post("login", { token });
      done();
    } catch (refused) {
      fail(refused);
      field.current?.select();
    }
  };
  return html`<main class="login">
    <form class="card" onSubmit=${submit}>
      <img class="mark" src="assets/icon.svg" alt="" />
      <h1>Sign in</h1>
      <p class="faint">This gateway wants its token: <code>admin.token</code> in its configuration, or the variable that is named there.</p>
      <label>Token<input ref=${field} type="password" autocomplete="current-password" required value=${token} onInput=${(event) => type(event.target.value)} /></label>
      <${Problem} error=${error} />
      <button class="primary">Sign in</button>
    </form>
  </main>`;
}

function Help({ open, close }) {
  const dialog = useRef();
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return html`<dialog ref=${dialog} class="card help" aria-labelledby="help" onClose=${close} onClick=${(event) => event.target === dialog.current && close()}>
    <h2 id="help">Keys</h2>
    <dl>${KEYS.map(([key, what]) => html`<div><dt>${key.split(/ +/).map((one) => (one === "–" ? "–" : html`<kbd>${one}</kbd>`))}</dt><dd>${what}</dd></div>`)}</dl>
    <p class="end"><button type="button" class="quiet" onClick=${close}>Close</button></p>
  </dialog>`;
}

// A view that fails says so and leaves the others alone.
function Guarded({ children }) {
  const [error, reset] = useErrorBoundary();
  if (!error) return children;
  const anew = () => {
    sessionStorage.clear();
    reset();
  };
  return html`<div class="empty"><${Problem} error=${error} /><button type="button" onClick=${anew}>Start this view anew</button></div>`;
}

function Bar({ view, theme, nextTheme, help, version }) {
  const [, redraw] = useReducer((turn) => turn + 1, 0);
  useEffect(() => listen(redraw), []);
  const state = feed.state();
  return html`<header class="bar">
    <a class="brand" href="#/live"><img class="mark" src="assets/icon.svg" alt="" /><strong>Waypost</strong></a>
    <nav aria-label="Views">
      ${VIEWS.map(({ key, name }, index) => html`<a href=${`#/${key}`} aria-current=${view === key ? "page" : undefined}>${name}<kbd aria-hidden="true">${index + 1}</kbd></a>`)}
    </nav>
    <span class="grow"></span>
    <span class="stream is-${state}" role="status" title=${version ? `Waypost ${version}` : undefined}><i aria-hidden="true"></i><span>${{ live: "live", lost: "reconnecting", connecting: "connecting" }[state]}</span></span>
    <button type="button" class="icon" onClick=${nextTheme} aria-label=${`Theme: ${theme}`} title=${`Theme: ${theme} (t)`}>${{ system: "◐", dark: "☾", light: "☀" }[theme]}</button>
    <button type="button" class="icon" onClick=${help} aria-label="Keys" title="Keys (?)">?</button>
  </header>`;
}

function App() {
  const [{ view, id }, move] = useState(place);
  const [locked, lock] = useState(false);
  const [overview, setOverview] = useState(null);
  const [error, fail] = useState(null);
  const [View, show] = useState({ live: Live });
  const [helping, help] = useState(false);
  const [theme, nextTheme] = useTheme();

  const refresh = useCallback(() => get("overview").then((found) => {
    nameRoutes((found.routes ?? []).map(({ name }) => name));
    setOverview(found);
    fail(null);
  }, fail), []);

  const enter = useCallback(() => {
    lock(false);
    refresh();
    start();
  }, []);

  useEffect(() => {
    const moved = () => move(place());
    const wanted = () => {
      stop();
      lock(true);
    };
    window.addEventListener("hashchange", moved);
    window.addEventListener("waypost-login", wanted);
    // The place may have changed between the first drawing and now.
    moved();
    enter();
    const timer = setInterval(() => document.hidden || refresh(), 15_000);
    return () => {
      window.removeEventListener("hashchange", moved);
      window.removeEventListener("waypost-login", wanted);
      clearInterval(timer);
    };
  }, []);

  useEffect(() => {
    document.title = `${VIEWS.find(({ key }) => key === view).name} · Waypost`;
    if (!View[view]) VIEWS.find(({ key }) => key === view).load().then((found) => show((before) => ({ ...before, [view]: found })), fail);
  }, [view]);

  useEffect(() => {
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.key === "Escape" && isTyping(event.target)) return event.target.blur();
      if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
      if (event.key === "?") help(true);
      else if (event.key === "t") nextTheme();
      else if (VIEWS[Number(event.key) - 1]) go(VIEWS[Number(event.key) - 1].key);
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);

  if (locked) return html`<${Login} done=${enter} />`;
  const Chosen = View[view];
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector("main")?.focus(); }}>Skip to content</a>
    <${Bar} view=${view} theme=${theme} nextTheme=${nextTheme} help=${() => help(true)} version=${overview?.version} />
    <main id="main" tabindex="-1" class=${`view-${view}`}>
      ${error && !overview && html`<${Problem} error=${error} />`}
      ${overview?.config?.refused && html`<p class="problem" role="alert">The file on disk is refused, and the configuration before it stays in force: ${overview.config.refused}</p>`}
      ${Chosen && html`<${Guarded} key=${view}><${Chosen} id=${id} overview=${overview} refresh=${refresh} go=${go} /><//>`}
    </main>
    <${Help} open=${helping} close=${() => help(false)} />`;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);

// Small charts over time, drawn as SVG so that they take the page's colours.
import { html, useEffect, useRef, useState } from "./preact.js";
import { clock, day } from "./format.js";

const PAD = { left: 56, right: 10, top: 8, bottom: 20 };

// Round numbers that cover the range, about four of them.
function ticks(least, most) {
  if (!(most > least)) return [0, 1];
  const raw = (most - least) / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw) * power;
  const found = [];
  for (let at = Math.floor(least / step); at * step < most + step * 0.999; at += 1) found.push(at * step);
  return found;
}

function useWidth() {
  const place = useRef();
  const [width, set] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => set(Math.round(entry.contentRect.width)));
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  return [place, width];
}

// A line that breaks where nothing is known.
function path(values, x, y) {
  let drawn = "";
  let pen = false;
  values.forEach((value, index) => {
    if (value == null) {
      pen = false;
      return;
    }
    const lone = !pen && values[index + 1] == null;
    drawn += `${pen ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}${lone ? "h0.01" : ""}`;
    pen = true;
  });
  return drawn;
}

function area(upper, lower, x, y) {
  if (upper.length === 0) return "";
  const there = upper.map((value, index) => `${x(index).toFixed(1)} ${y(value ?? 0).toFixed(1)}`);
  const back = lower.map((value, index) => `${x(index).toFixed(1)} ${y(value ?? 0).toFixed(1)}`).reverse();
  return `M${[...there, ...back].join("L")}Z`;
}

// A route has its own colour, the rest a tone of the page's.
const ink = ({ hue }) => (hue == null ? undefined : { "--tone": `oklch(var(--route-fill) 0.14 ${hue})` });

// `series`: [{name, values, tone or hue, fill}], values beside `times`; null is a gap. `stacked` adds them up. Bars suit
// counts.
export function Chart({ title, times, series, format, stacked = false, bars = false, height = 150 }) {
  const [place, width] = useWidth();
  const [at, point] = useState(null);
  const sums = series.map((one, index) => (stacked ? one.values.map((_, time) => series.slice(0, index + 1).reduce((sum, { values }) => sum + (values[time] ?? 0), 0)) : one.values));
  const told = sums.flat().filter((value) => value != null);
  const marks = ticks(Math.min(0, ...told), Math.max(0, ...told));
  const [bottom, top] = [marks[0], marks.at(-1)];
  const inner = { width: Math.max(1, width - PAD.left - PAD.right), height: height - PAD.top - PAD.bottom };
  const slot = inner.width / Math.max(1, times.length);
  const x = (index) => PAD.left + (index + 0.5) * slot;
  const y = (value) => PAD.top + inner.height * ((top - value) / (top - bottom));
  const long = times.length > 1 && new Date(times.at(-1)) - new Date(times[0]) > 86_400_000;
  const label = (time) => (long ? day(time).slice(5) : clock(time).slice(0, 5));
  const every = Math.max(1, Math.ceil(times.length / Math.max(2, Math.floor(inner.width / 90))));

  const hover = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const index = Math.floor((event.clientX - box.left - PAD.left) / slot);
    point(index >= 0 && index < times.length ? index : null);
  };
  const pressed = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    point((now) => Math.min(times.length - 1, Math.max(0, (now ?? times.length) + step)));
  };
  const shown = at != null && at < times.length ? at : null;

  return html`<figure class="chart">
    <figcaption><span class="title">${title}</span>
      <ul class="legend">${series.map((one) => html`<li><i class=${one.tone} style=${ink(one)}></i><bdi>${one.name}</bdi>${shown != null && html`<b>${format(one.values[shown])}</b>`}</li>`)}</ul>
      ${shown != null && html`<time class="faint">${long ? `${day(times[shown])} ` : ""}${clock(times[shown])}</time>`}
    </figcaption>
    <div class="canvas" ref=${place} style=${{ height: `${height}px` }}>
      ${width > 0 && html`<svg width=${width} height=${height} role="img" tabindex="0" aria-label="${title}: ${series.map(({ name }) => name).join(", ")} over time. Arrow keys read it."
        onPointerMove=${hover} onPointerLeave=${() => point(null)} onKeyDown=${pressed} onBlur=${() => point(null)}>
        ${marks.map((mark) => html`<g class="grid"><line x1=${PAD.left} x2=${width - PAD.right} y1=${y(mark)} y2=${y(mark)} /><text x=${PAD.left - 8} y=${y(mark) + 3.5} text-anchor="end">${format(mark)}</text></g>`)}
        ${times.map((time, index) => index % every === 0 && html`<text class="when" x=${Math.min(x(index), width - PAD.right - 14)} y=${height - 4} text-anchor="middle">${label(time)}</text>`)}
        ${bars && sums.map((values, row) => values.map((value, index) => {
          const below = row > 0 && stacked ? sums[row - 1][index] : 0;
          return value > below ? html`<rect class=${series[row].tone} style=${ink(series[row])} x=${x(index) - Math.max(1, slot * 0.76) / 2} width=${Math.max(1, slot * 0.76)} y=${y(value)} height=${Math.max(1, y(below) - y(value))} />` : null;
        }))}
        ${!bars && series.map(({ tone, hue, fill }, row) => html`<g style=${ink({ hue })}>${fill && html`<path class="area ${tone}" d=${area(sums[row], row > 0 && stacked ? sums[row - 1] : sums[row].map(() => 0), x, y)} />`}<path class="line ${tone}" d=${path(sums[row], x, y)} /></g>`).reverse()}
        ${shown != null && html`<line class="cross" x1=${x(shown)} x2=${x(shown)} y1=${PAD.top} y2=${height - PAD.bottom} />`}
        ${shown != null && !bars && sums.map((values, row) => values[shown] != null && html`<circle class=${series[row].tone} style=${ink(series[row])} cx=${x(shown)} cy=${y(values[shown])} r="3" />`)}
      </svg>`}
    </div>
  </figure>`;
}

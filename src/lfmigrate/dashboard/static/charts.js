/** Charts as SVG: positions are percentages of the width, in attributes; colours are classes. */
import {html, nothing, svg} from './lit-html.js';
import {colour, shape} from './templates.js';

/** Within it, spending is near the benchmark. */
export const BAND_PERCENT = 3;

const ROW = 26;
const MIDDLE = ROW / 2;

// About five steps of 1, 2 or 5 times a power of ten.
function ticks(low, high) {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const all = [];
  for (let index = Math.ceil(low / step); index * step <= high; index += 1) {
    all.push({at: index * step, isOdd: index % 2 !== 0});
  }
  return all;
}

// From the least to the greatest of the values and zero.
export function scale(values, room = 0.05) {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const outside = room * (high - low || 1);
  const from = low && low - outside;
  const span = (high && high + outside) - from || 1;
  const position = (value) => `${(100 * (value - from) / span).toFixed(2)}%`;
  const width = (a, b) => `${(100 * Math.abs(a - b) / span).toFixed(2)}%`;
  return {position, width, ticks: ticks(from, from + span)};
}

export const vertical = (x, kind, top = 0, bottom = ROW) => svg`<line class=${kind} x1=${x} x2=${x}
  y1=${top} y2=${bottom} />`;

const bar = ({from, to, kind, lane}, {position, width}) => {
  const [y, height] = lane === undefined ? [6, ROW - 12] : [lane ? MIDDLE + 1 : 4, MIDDLE - 5];
  return svg`<rect class=${kind} x=${position(Math.min(from, to))} y=${y} width=${width(from, to)}
    height=${height} rx="2" />`;
};

export const mark = (status, x, y) => svg`<svg class="mark ${colour(status)}" x=${x} y=${y}
  overflow="visible"><g transform="translate(-6 0)">${shape(status)}</g></svg>`;

const stem = (value, {position}) => svg`<line class="stem" x1=${position(0)} x2=${position(value)}
  y1=${MIDDLE} y2=${MIDDLE} />`;

/**
 * Rows of {name, status, text} and either a `value`, marked by the shape of the status, or `bars`
 * of {from, to, kind, lane}. `band` is half the width of a band around zero.
 */
export function chart({label, rows, axis, band, legend}) {
  const values = rows.flatMap(({bars, value}) =>
    bars?.flatMap(({from, to}) => [from, to]) ?? value);
  const scaled = scale(band ? [...values, band, -band] : values);
  const grid = scaled.ticks.map(({at}) => vertical(scaled.position(at), at ? 'grid' : 'zero'));
  const row = ({name, text, status, value, bars}) => html`<div class="row">
    <span class="name">${status ? html`<svg class="shape ${colour(status)}"
      viewBox="0 0 12 12">${shape(status)}</svg>` : nothing}<span>${name}</span></span>
    <svg class="plot" height=${ROW}>
      ${band ? svg`<rect class="band" x=${scaled.position(-band)} width=${scaled.width(-band, band)}
        height=${ROW} />` : nothing}
      ${grid}
      ${bars ? bars.map((one) => bar(one, scaled))
        : [stem(value, scaled), mark(status, scaled.position(value), MIDDLE - 6)]}
    </svg>
    <span class="value">${text}</span></div>`;
  return html`<div class="chart" role="img" aria-label=${label}>
    ${legend ? html`<p class="legend">${legend.map(([kind, text]) => html`<span><svg width="12"
      height="12"><rect class=${kind} x="1" y="1" width="10" height="10" rx="2" /></svg>${text
      }</span>`)}</p>` : nothing}
    <div class="row axis"><span class="name"></span><svg class="plot" height="18">
      ${scaled.ticks.map(({at, isOdd}) => svg`<text class=${isOdd ? 'odd' : ''} y="12"
        x=${scaled.position(at)}>${axis(at)}</text>`)}
    </svg><span class="value"></span></div>
    ${rows.map(row)}
  </div>`;
}

export const variance = (amount) => ({from: 0, to: amount, kind: amount > 0 ? 'over' : 'under'});

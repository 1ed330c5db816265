/**
 * Charts as SVG. Positions are percentages of the width, in attributes, so that a chart has the
 * width of its place and its text has the size of the page's. Colours are classes.
 *
 * A chart is one image with a sentence as its name, and stands next to a table of the same figures.
 */
import {html, nothing, svg} from './lit-html.js';
import {colour, shape} from './parts.js';

const ROW = 26;
const MIDDLE = ROW / 2;

/** Steps of 1, 2 or 5 times a power of ten, about five of them in a span. */
function ticks(low, high) {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const all = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) all.push(at * step);
  return all;
}

/** Return a function from values to percentages of the width. Zero is always inside. */
function scale(values, pad = 0.05) {
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const span = high - low || 1;
  const [from, to] = [low - (low < 0 ? pad * span : 0), high + (high > 0 ? pad * span : 0)];
  const position = (value) => `${(100 * (value - from) / (to - from || 1)).toFixed(2)}%`;
  const width = (a, b) => `${(100 * Math.abs(a - b) / (to - from || 1)).toFixed(2)}%`;
  const all = ticks(from, to || 1);
  // Where there is little room, the stylesheet hides the labels of every other tick from zero.
  const isOdd = (at) => Math.abs(Math.round(at / (all[1] - all[0]))) % 2 === 1;
  return {position, width, ticks: all, isOdd};
}

/** Labels at the edges grow inwards. */
const anchor = (position) => parseFloat(position) > 85 ? 'end'
  : parseFloat(position) < 15 ? 'start' : 'middle';

const vertical = (x, kind, top = 0, bottom = ROW) => svg`<line class=${kind} x1=${x} x2=${x}
  y1=${top} y2=${bottom} />`;

const bar = ({from, to, kind, lane}, {position, width}) => {
  const x = from < to ? position(from) : position(to);
  const [y, height] = lane === undefined ? [6, ROW - 12] : [lane ? MIDDLE + 1 : 4, MIDDLE - 5];
  return svg`<rect class=${kind} x=${x} y=${y} width=${width(from, to)} height=${height} rx="2" />`;
};

const mark = (value, status, {position}) => svg`
  <line class="stem" x1=${position(0)} x2=${position(value)} y1=${MIDDLE} y2=${MIDDLE} />
  <svg class="mark ${colour(status)}" x=${position(value)} y=${MIDDLE - 6} overflow="visible">
    <g transform="translate(-6 0)">${shape(status)}</g></svg>`;

/**
 * Rows with bars or a mark on one scale that contains zero.
 *
 * @param {string} label the chart in a sentence
 * @param {Array<{name: string, text: *, status: ?string, value: ?number,
 *   bars: ?Array<{from: number, to: number, kind: string, lane: ?number}>}>} rows `value` draws the
 *   shape of `status`; `bars` draws bars, the second of two in lane 1; `text` is the figure
 * @param {function(number): *} axis formats the values of the axis
 * @param {?number} band half the width of the band around zero
 * @param {Array<{kind: string, text: string}>} legend
 */
export function chart({label, rows, axis, band, legend}) {
  const values = rows.flatMap(({bars, value}) => bars
    ? bars.flatMap(({from, to}) => [from, to]) : value ?? []);
  const scaled = scale(band === undefined ? values : [...values, band, -band]);
  const grid = scaled.ticks.map((at) => vertical(scaled.position(at), at ? 'grid' : 'zero'));
  const row = ({name, text, status, value, bars}) => html`<div class="row">
    <span class="name">${status === undefined ? nothing : html`<svg class="shape ${colour(status)}"
      viewBox="0 0 12 12">${shape(status)}</svg>`}<span>${name}</span></span>
    <svg class="plot" height=${ROW}>
      ${band === undefined ? nothing : svg`<rect class="band" x=${scaled.position(-band)} y="0"
        width=${scaled.width(-band, band)} height=${ROW} />`}
      ${grid}
      ${bars?.map((part) => bar(part, scaled))}
      ${value === undefined || value === null ? nothing : mark(value, status, scaled)}
    </svg>
    <span class="value">${text}</span></div>`;
  return html`<div class="chart" role="img" aria-label=${label}>
    ${legend ? html`<p class="legend">${legend.map(({kind, text}) => html`<span><svg width="12"
      height="12"><rect class=${kind} x="1" y="1" width="10" height="10" rx="2" /></svg>${text
      }</span>`)}</p>` : nothing}
    <div class="row axis"><span class="name"></span><svg class="plot" height="18">
      ${scaled.ticks.map((at) => svg`<text class=${scaled.isOdd(at) ? 'odd' : ''} y="12"
        x=${scaled.position(at)} text-anchor=${anchor(scaled.position(at))}>${axis(at)}</text>`)}
    </svg><span class="value"></span></div>
    ${rows.map(row)}
  </div>`;
}

/** A bar from zero to a variance, on the side of its sign. */
export const variance = (amount) => [{from: 0, to: amount, kind: amount > 0 ? 'over' : 'under'}];

/** Two bars that add up to a variance: the second begins where the first ends. */
export const effects = (use, price) => [
  {from: 0, to: use, kind: 'use', lane: 0},
  {from: use, to: use + price, kind: 'price', lane: 1},
];

export const EFFECTS = [
  {kind: 'use', text: 'Use: more or fewer services'},
  {kind: 'price', text: 'Price: more or less for each'},
];

/** How far two values of a measure are apart, as a share of its benchmark. */
const apart = (value, benchmark) => value / benchmark - 1;

/**
 * Return a function that draws one measure against its benchmarks, on a scale that all of the
 * measures share, so that their ACO benchmarks are in one line.
 */
export function kpiScale(kpis) {
  const known = kpis.filter(({acoBenchmark}) => acoBenchmark);
  const scaled = scale(known.flatMap(({actualValue, acoBenchmark, millimanBenchmark}) => [
    apart(actualValue ?? acoBenchmark, acoBenchmark),
    apart(millimanBenchmark ?? acoBenchmark, acoBenchmark)]), 0.1);
  return ({kpiLabel, actualValue, acoBenchmark, millimanBenchmark, performanceStatus}, label) => {
    if (!acoBenchmark || actualValue === null) return nothing;
    const at = (value) => scaled.position(apart(value, acoBenchmark));
    return html`<svg class="plot" height="20" role="img" aria-label="${kpiLabel}: ${label}">
      <line class="grid" x1="0" x2="100%" y1="10" y2="10" />
      ${vertical(at(acoBenchmark), 'aco', 2, 18)}
      ${millimanBenchmark === null ? nothing : svg`<svg x=${at(millimanBenchmark)} y="3"
        overflow="visible"><rect class="milliman" x="-2" width="4" height="14" /></svg>`}
      <svg class="mark ${colour(performanceStatus)}" x=${at(actualValue)} y="4" overflow="visible">
        <g transform="translate(-6 0)">${shape(performanceStatus)}</g></svg>
    </svg>`;
  };
}

/** A bar in a table cell, from zero; the figure is next to it. */
export const share = (value, largest, text) => html`<span class="share">${
  value > 0 && largest > 0 ? html`<svg class="plot" height="6" aria-hidden="true"><rect class="use"
    width="${(100 * value / largest).toFixed(1)}%" height="6" rx="2" /></svg>` : nothing}<span>${
  text}</span></span>`;

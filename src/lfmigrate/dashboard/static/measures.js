/** Efficiency measures against their benchmarks. */
import {html, nothing, svg} from './lit-html.js';
import {mark, scale, vertical} from './charts.js';
import {against, kpi, number, percentSigned} from './numbers.js';
import {badge, col, none, num, rowHead, table} from './templates.js';

// Worst first. A measure whose status is not among them is doing well, or not rated.
const NEEDS_ATTENTION = ['bad', 'poor', 'warning'];

/** Tables by status, never by the sign of the variance: more wellness visits are good. */
export function measures(kpis) {
  const severity = ({performanceStatus}) => NEEDS_ATTENTION.indexOf(performanceStatus);
  const attention = kpis.filter((one) => severity(one) >= 0).toSorted((a, b) =>
    severity(a) - severity(b) || Math.abs(b.variancePercent) - Math.abs(a.variancePercent));
  const well = kpis.filter(({performanceStatus}) => performanceStatus === 'good');
  const unrated = kpis.filter(({performanceStatus}) => performanceStatus === null);
  const draw = drawing(kpis);
  return html`<section><h2>Efficiency measures</h2>
    <p class="sub">Compared: how far the actual value (the mark) and Milliman's (the hollow bar) are
      from the ACO's benchmark (the line), in percent of it. Rank: 1 is best.${
      kpis.some(({millimanBenchmark}) => millimanBenchmark !== null)
        ? ' Milliman: illustrative in the data that ships with lfmigrate.' : ''}</p>
    ${list('Needs attention', attention, draw, 'No measure needs attention.')}
    ${list('Doing well', well, draw, 'No measure is rated as good.')}
    ${unrated.length ? list('Not rated', unrated, draw) : nothing}</section>`;
}

function list(heading, rows, draw, otherwise) {
  const value = (head, key, label) => ({head, label, kind: 'num',
    cell: (row) => kpi(row[key], row.displayFormat)});
  return html`<h3>${heading}</h3>${rows.length ? table(heading, rows, [
    rowHead('Measure', ({kpiLabel}) => kpiLabel),
    col('Status', ({performanceStatus}) => badge(performanceStatus)),
    value('Actual', 'actualValue'),
    value('ACO', 'acoBenchmark', 'ACO benchmark'),
    value('Milliman', 'millimanBenchmark', 'Milliman benchmark'),
    num('Against ACO, relative', 'variancePercent', percentSigned),
    col('Compared', draw, 'drawn'),
    num('Rank', 'acoRank', number),
  ]) : none(otherwise)}`;
}

/** Return a function that draws a measure; all share a scale of the distance from the ACO's. */
function drawing(kpis) {
  const apart = (value, benchmark) => (value ?? benchmark) / benchmark - 1;
  const {position} = scale(kpis.filter(({acoBenchmark}) => acoBenchmark).flatMap((one) =>
    [one.actualValue, one.millimanBenchmark].map((value) => apart(value, one.acoBenchmark))), 0.1);
  return ({kpiLabel, actualValue, acoBenchmark, millimanBenchmark, performanceStatus,
    variancePercent}) => {
    if (!acoBenchmark || actualValue === null) return nothing;
    const at = (value) => position(apart(value, acoBenchmark));
    return html`<svg class="plot" height="20" role="img"
      aria-label="${kpiLabel}: ${against(variancePercent)} the ACO benchmark">
      <line class="grid" x2="100%" y1="10" y2="10" />
      ${vertical(at(acoBenchmark), 'aco', 2, 18)}
      ${millimanBenchmark === null ? nothing : svg`<svg x=${at(millimanBenchmark)} y="3"
        overflow="visible"><rect class="milliman" x="-2" width="4" height="14" /></svg>`}
      ${mark(performanceStatus, at(actualValue), 4)}</svg>`;
  };
}

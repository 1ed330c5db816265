/** The deep dive into all categories. */
import {html, nothing} from './lit-html.js';
import {BAND_PERCENT, chart} from './charts.js';
import {choice} from './filters.js';
import {csvLink} from './links.js';
import {against, count, dollars, dollarsShort, dollarsSigned, dollarsSize, percentShort,
  percentSigned, pmpm, rank, unit, use} from './numbers.js';
import {badge, col, emptyView, none, num, rowHead, select, table} from './templates.js';

const SORTS = [['', 'Default order'], ['-varianceAmount', 'Dollars over benchmark'],
  ['-variancePercent', 'Percent over benchmark'], ['rank', 'Rank, best first'], ['name', 'Name']];

const group = (text, span) => text
  ? html`<th role="columnheader" scope="colgroup" colspan=${span}>${text}</th>`
  : html`<td role="cell" colspan=${span}></td>`;
const GROUPS = html`<tr role="row">${group('', 1)}${group('Spending per member per month', 3)}${
  group('Use', 3)}${group('Dollars', 1)}${group('', 2)}</tr>`;

export function view(element, {categories, summary}) {
  const {red, yellow, green, actualPmpm, netAmount, overspendAmount, underspendAmount} = summary;
  if (actualPmpm === null) return emptyView('No cost categories in this period yet');
  const compared = against(summary.variancePercent);
  const each = html`${pmpm(actualPmpm)} per member per month${compared
    ? `, ${compared} the benchmark` : ''}.`;
  return html`
    ${netAmount === null ? html`<p class="lead">${each}</p>` : html`<p class="lead">Spending is
      <strong>${dollarsSize(netAmount)}</strong> ${netAmount < 0 ? 'below' : 'above'} the benchmark:
      ${dollars(overspendAmount)} over in some categories, ${dollarsSize(underspendAmount)} under in
      others.</p>
    <p class="sub">${each}</p>`}
    <div class="bar">
      ${choice(element, 'status', 'Status', [['', 'All'], ['red', badge('red'), red],
        ['yellow', badge('yellow'), yellow], ['green', badge('green'), green]])}
      ${select(element, 'sort', 'Sort by', SORTS)}
      ${csvLink(element.request({format: 'csv'}))}
    </div>
    ${categories.length ? html`${all(element, categories)}
      <p class="sub">Dollars are those of the period. Trend: spending PMPM against a year earlier.
        Rank: 1 is best.</p>
      <div class="pair">${distance(categories)}${useOrPrice(categories)}</div>`
      : none('No category has this status in this period.')}`;
}

function all(element, categories) {
  const kept = {status: element.state('status'), sort: element.state('sort')};
  const withUnit = ({utilizationActual, utilizationUnit}) => html`${use(utilizationActual)}
    <span class="unit">${unit(utilizationUnit)}</span>`;
  return table('Cost categories against their benchmarks', categories, [
    rowHead('Category', (row) => html`<a href=${element.href(`/deep-dive/${row.slug}`, kept)}>${
      row.categoryName}</a> ${badge(row.performanceStatus, row.statusLabel)}`),
    num('Actual', 'spendingPmpmActual', pmpm, 'Spending PMPM'),
    num('Benchmark', 'spendingPmpmBenchmark', pmpm, 'Benchmark PMPM'),
    num('Variance', 'spendingVariancePercent', percentSigned, 'Spending variance'),
    {head: 'Actual', label: 'Use', kind: 'num', cell: withUnit},
    num('Benchmark', 'utilizationBenchmark', use, 'Benchmark use'),
    num('Variance', 'utilizationVariancePercent', percentSigned, 'Use variance'),
    num('Variance', 'spendingVarianceAmount', dollarsSigned, 'Variance in dollars'),
    num('Trend', 'trendPercent', percentSigned, 'Trend in a year'),
    col('Rank', (row) => rank(row.acoRank, row.totalCategories), 'num'),
  ], GROUPS);
}

function distance(categories) {
  const rows = categories.filter(({spendingVariancePercent: percent}) => percent !== null);
  return rows.length ? html`<section class="card"><h2>How far from the benchmark</h2>
    <p class="sub">Spending in percent of the benchmark. The band is ±${BAND_PERCENT}%.</p>
    ${chart({
      label: `Spending of ${count(rows.length, 'category', 'categories')} in percent above or below
        the benchmark; the figures are in the table`,
      axis: percentShort, band: BAND_PERCENT,
      rows: rows.map((row) => ({name: row.categoryName, status: row.performanceStatus,
        value: row.spendingVariancePercent, text: percentSigned(row.spendingVariancePercent)})),
    })}</section>` : nothing;
}

function useOrPrice(categories) {
  const rows = categories.filter(({useEffectAmount}) => useEffectAmount !== null);
  return rows.length ? html`<section class="card"><h2>More use, or a higher price?</h2>
    <p class="sub">The two effects add up to the variance. They are known where use is counted in
      events, such as visits per 1,000.</p>
    ${chart({
      label: `The variance of ${count(rows.length, 'category', 'categories')} in dollars, split
        into the effect of use and the effect of price`,
      axis: dollarsShort,
      legend: [['use', 'Use: more or fewer services'], ['price', 'Price: more or less for each']],
      rows: rows.map((row) => ({name: row.categoryName,
        bars: [{from: 0, to: row.useEffectAmount, kind: 'use', lane: 0},
          {from: row.useEffectAmount, to: row.spendingVarianceAmount, kind: 'price', lane: 1}],
        text: dollarsSigned(row.spendingVarianceAmount)})),
    })}
    <details><summary>Show as a table</summary>${table('Effects of use and price', rows, [
      rowHead('Category', ({categoryName}) => categoryName),
      num('Use', 'useEffectAmount', dollarsSigned),
      num('Price', 'priceEffectAmount', dollarsSigned),
      num('Together', 'spendingVarianceAmount', dollarsSigned),
    ])}</details></section>` : nothing;
}

/** The deep dive into one category. */
import {html, nothing} from './lit-html.js';
import {BAND_PERCENT, chart, variance} from './charts.js';
import {csvLink} from './links.js';
import {against, change, count, dateRange, days, dollars, dollarsShort, dollarsSigned, number,
  percentShort, percentSigned, pmpm, rank, rate, sentence, unit, use} from './numbers.js';
import {badge, col, none, num, rowHead, table} from './templates.js';

export function view(element, shown) {
  const {category, byPeriod} = shown;
  const compared = against(category.spendingVariancePercent);
  return html`
    <p class="lead">${badge(category.performanceStatus, category.statusLabel)}
      <strong>${pmpm(category.spendingPmpmActual)}</strong> per member per month${compared
      ? html`, <strong>${compared}</strong> the benchmark of
        ${pmpm(category.spendingPmpmBenchmark)}` : nothing}.</p>
    ${category.description ? html`<p class="sub">${category.description}</p>` : nothing}
    ${figures(category)}
    <div class="pair">${windows(element, byPeriod, category)}${useOrPrice(category)}</div>
    ${whatCanBeDone(element, shown)}
    ${LISTS.map((list) => drillDown(element, shown, list))}`;
}

function figures(category) {
  const tile = (heading, figure, ...lines) => html`<li class="tile"><h2>${heading}</h2>
    <p class="big">${figure}</p>${lines.map((line) => html`<p>${line}</p>`)}</li>`;
  const {trendPercent} = category;
  return html`<ul class="tiles">
    ${tile('Against the benchmark', dollarsSigned(category.spendingVarianceAmount),
      'in the period')}
    ${tile('Spending PMPM', pmpm(category.spendingPmpmActual),
      html`Benchmark ${pmpm(category.spendingPmpmBenchmark)},
        ${percentSigned(category.spendingVariancePercent)}`)}
    ${tile('Use', use(category.utilizationActual), unit(category.utilizationUnit),
      html`Benchmark ${use(category.utilizationBenchmark)},
        ${percentSigned(category.utilizationVariancePercent)}`)}
    ${tile('Trend', percentSigned(trendPercent),
      trendPercent === null ? '' : `Spending PMPM, ${change(trendPercent)}`)}
    ${tile('Rank', rank(category.acoRank, category.totalCategories),
      category.acoRank === null ? '' : 'among the practices; 1 is best')}</ul>`;
}

// The periods overlap, so a line between them would show a trend that does not exist.
function windows(element, byPeriod, {slug, categoryName, trendPercent}) {
  const drawn = byPeriod.filter(({spendingVariancePercent: percent}) => percent !== null);
  return html`<section class="card"><h2>Is it getting better?</h2>
    <p class="sub">${trendPercent === null ? '' : `Spending PMPM: ${change(trendPercent)}.`}
      Each mark is how far spending is from the benchmark in that period; the periods overlap.</p>
    ${drawn.length ? chart({
      label: `${categoryName}, spending against the benchmark: ${drawn.map((one) =>
        `${one.periodLabel} ${percentSigned(one.spendingVariancePercent)}`).join(', ')}`,
      axis: percentShort, band: BAND_PERCENT,
      rows: drawn.map((one) => ({name: one.periodLabel, status: one.performanceStatus,
        value: one.spendingVariancePercent, text: percentSigned(one.spendingVariancePercent)})),
    }) : nothing}
    ${table('The periods', byPeriod, [
      rowHead('Period', (one) => html`<a href=${element.href(`/deep-dive/${slug}`,
        {period: one.periodKey})}>${one.periodLabel}</a> <span class="unit">${
        dateRange(one.startDate, one.endDate)}</span>`),
      num('PMPM', 'spendingPmpmActual', pmpm, 'Spending PMPM'),
      num('Benchmark', 'spendingPmpmBenchmark', pmpm),
      num('Use', 'utilizationActual', use),
      num('Benchmark', 'utilizationBenchmark', use, 'Benchmark use'),
    ])}</section>`;
}

function useOrPrice({useEffectAmount: ofUse, priceEffectAmount: ofPrice,
  spendingVarianceAmount: amount}) {
  if (ofUse === null) {
    return html`<section class="card"><h2>More use, or a higher price?</h2>
      ${none(`The variance cannot be split: that takes a use that is counted in events, such as
        visits per 1,000, its benchmark, and the member months.`)}
      </section>`;
  }
  const rows = [['Use', ofUse, {from: 0, to: ofUse, kind: 'use'}],
    ['Price', ofPrice, {from: ofUse, to: amount, kind: 'price'}],
    ['Together', amount, variance(amount)]];
  return html`<section class="card"><h2>More use, or a higher price?</h2>
    <p class="sub">What the difference in use costs at the benchmark's price, and the rest, which
      is price.</p>
    ${chart({
      label: `Of ${dollarsSigned(amount)} against the benchmark, ${
        dollarsSigned(ofUse)} is use and ${dollarsSigned(ofPrice)} is price`,
      axis: dollarsShort,
      rows: rows.map(([name, value, bar]) => ({name, bars: [bar], text: dollarsSigned(value)})),
    })}
    ${table('Effects of use and price', rows, [rowHead('Effect', ([name]) => name),
      num('Dollars of the period', 1, dollarsSigned)])}</section>`;
}

const whatCanBeDone = (element, {recommendations, category, period}) => html`<section>
  <h2>What can be done</h2>${recommendations.length ? html`${table(
  'Recommendations for this category', recommendations, [
    rowHead('Recommendation', ({id, title}) => html`<a href=${element.href(
      `/recommendations/${id}`, {from: `deep-dive.${element.slug}`})}>${title}</a>`),
    col('Status', ({status}) => html`<span class="chip ${status}">${sentence(status)}</span>`),
    num('Savings here, a year', 'impactAmount', dollars),
    num("Share of the period's overspend", 'impactSharePercent', rate),
    num('Savings in all, a year', 'estimatedSavings', (amount) =>
      amount === null ? 'Not quantified' : dollars(amount)),
  ])}${recommendations.some(({impactSharePercent}) => impactSharePercent !== null)
    ? html`<p class="sub">The share is a year's savings in percent of the overspend of the period,
      ${dollars(category.spendingVarianceAmount)} in ${period.periodLabel}.</p>` : nothing}`
    : none('No recommendation touches this category.')}</section>`;

/** A number next to a bar from zero, which compares it with the others of its column. */
function bars(rows, head, key, format) {
  const largest = Math.max(...rows.map((row) => row[key] ?? 0));
  return num(head, key, (value) => html`<span class="share">${value > 0
    ? html`<svg class="plot" height="6" aria-hidden="true"><rect class="use" rx="2" height="6"
      width="${(100 * value / largest).toFixed(1)}%" /></svg>` : nothing}<span>${
    format(value)}</span></span>`);
}

/** The drill-downs: name in the document, heading, columns. */
const LISTS = [
  ['hospitals', 'Hospitals', (rows) => [
    rowHead('Hospital', ({hospitalName}) => hospitalName),
    bars(rows, 'Spend in the period', 'spend', dollars),
    num('Discharges', 'discharges', number),
    num('Spend per discharge', 'spendPerDischarge', dollars),
    num('Average stay, days', 'avgLos', days),
    num('Readmissions', 'readmissionRate', rate),
  ]],
  ['drgs', 'DRGs', (rows) => [
    rowHead('DRG', ({drgCode, drgDescription}) => html`${drgCode
      ? html`<span class="code">${drgCode}</span> ` : nothing}${drgDescription}`),
    bars(rows, 'Spend in the period', 'totalSpend', dollars),
    num('Patients', 'patientCount', number),
    num('Average per patient', 'avgSpendPerPatient', dollars),
    num('Benchmark average', 'benchmarkAvg', dollars),
    num('% above', 'percentAboveBenchmark', percentSigned),
  ]],
  ['dischargingHospitals', 'Discharging hospitals', (rows) => [
    rowHead('Hospital', ({hospitalName}) => hospitalName),
    num('Discharges to an IRF', 'discharges', number),
    bars(rows, 'Share of its discharges', 'percentDischargedToIrf', rate),
    num('Benchmark share', 'percentDischargedToIrfBenchmark', rate),
  ]],
];

const drillDown = (element, shown, [name, heading, columns]) => {
  const rows = shown[name];
  return html`<section><div class="section-head"><h2>${heading}</h2>${rows.length
    ? csvLink(element.request({part: name, format: 'csv'}), undefined, `Download CSV: ${heading}`)
    : nothing}</div>
    ${rows.length ? table(heading, rows, columns(rows))
      : none('There are none for this category in this period.')}
    ${shown.truncated.includes(name) ? html`<p class="sub">Only the first ${
      count(rows.length, 'row is', 'rows are')} shown.</p>` : nothing}</section>`;
};

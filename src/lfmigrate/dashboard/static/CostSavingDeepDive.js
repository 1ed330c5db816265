/** Which categories, more use or higher price, which hospitals and DRGs? */
import {html, nothing} from './lit-html.js';
import {Problem, address, read} from './api.js';
import {EFFECTS, chart, effects, share, variance} from './charts.js';
import {decisionText} from './decisions.js';
import {DashboardElement} from './element.js';
import {icon} from './icons.js';
import {UNKNOWN, against, change, count, dateRange, days, dollars, dollarsShort, dollarsSigned,
  dollarsSize, number, percentShort, percentSigned, pmpm, rank, rate, unit, use} from './numbers.js';
import {badge, choice, csvLink, emptyView, none, periodSwitch, select, table}
  from './parts.js';

const BAND_PERCENT = 3; // within it, a category is near its benchmark
const SORTS = [['', 'Usual order'], ['-varianceAmount', 'Dollars over benchmark'],
  ['-variancePercent', 'Percent over benchmark'], ['rank', 'Rank, best first'], ['name', 'Name']];
const PARTS = {hospitals: 'Hospitals', drgs: 'DRGs', dischargingHospitals: 'Discharging hospitals'};

/** One category where the attribute `slug` or the path names one, else all of them. */
export class CostSavingDeepDive extends DashboardElement {
  #elsewhere = null;

  get slug() {
    const [, found] = location.pathname.match(/\/deep-dive\/([^/]+)\/?$/) ?? [];
    return this.getAttribute('slug') || (found && decodeURIComponent(found));
  }

  get subject() {
    return Boolean(this.slug);
  }

  request(more = {}) {
    const [period, status, sort] = ['period', 'status', 'sort'].map((name) => this.state(name));
    return this.slug
      ? address(this.api, `cost-categories/${encodeURIComponent(this.slug)}`,
        {periodKey: period, ...more})
      : address(this.api, 'cost-categories', {periodKey: period, status, sort, ...more});
  }

  heading(shown) {
    return shown?.category?.categoryName ?? (this.slug ? 'Cost category' : 'Cost deep dive');
  }

  breadcrumb() {
    if (!this.slug) return nothing;
    const [status, sort] = [this.state('status'), this.state('sort')];
    return html`<nav class="breadcrumb" aria-label="Breadcrumb"><a href=${
      this.href('/deep-dive', {status, sort})}>${icon('back')}All categories</a></nav>`;
  }

  tools(shown) {
    return periodSwitch(this, shown);
  }

  announcement({category, categories, period}) {
    return category ? `${category.categoryName}, ${period.periodLabel}`
      : `${count(categories.length, 'category', 'categories')}, ${period.periodLabel}`;
  }

  view(shown) {
    return shown.category ? this.#one(shown) : this.#all(shown);
  }

  // All categories

  #all({categories, summary}) {
    const {red, yellow, green, actualPmpm, netAmount} = summary;
    const compared = against(summary.variancePercent);
    if (actualPmpm === null) return emptyView('No cost categories in this period yet');
    return html`
      <p class="lead">Spending is <strong>${dollarsSize(netAmount)}</strong>
        ${netAmount < 0 ? 'below' : 'above'} the benchmark:
        ${dollars(summary.overspendAmount)} over in some categories,
        ${dollarsSize(summary.underspendAmount)} under in others.</p>
      <p class="sub">${pmpm(actualPmpm)} per member per month${compared
        ? `, ${compared} the benchmark` : ''}.</p>
      <div class="bar">
        ${choice(this, 'status', 'Status', [['', 'All'], ['red', badge('red'), red],
          ['yellow', badge('yellow'), yellow], ['green', badge('green'), green]])}
        ${select(this, 'sort', 'Sort by', SORTS)}
        ${csvLink(this.request({format: 'csv'}))}
      </div>
      ${categories.length ? html`${this.#table(categories)}
        <div class="pair">${this.#distance(categories)}${this.#effects(categories)}</div>`
        : none('No category has this status in this period.')}`;
  }

  #table(categories) {
    const [status, sort] = [this.state('status'), this.state('sort')];
    return table({
      caption: 'Cost categories against their benchmarks', hideCaption: true, wide: true,
      rows: categories,
      groups: [{span: 1}, {head: 'Spending per member per month', span: 3}, {head: 'Use', span: 3},
        {head: 'Of the period', span: 1}, {span: 2}],
      columns: [
        {head: 'Category', kind: 'row', cell: (row) => html`<a href=${
          this.href(`/deep-dive/${row.slug}`, {status, sort})}>${row.categoryName}</a>
          ${badge(row.performanceStatus, row.statusLabel)}`},
        {head: 'Actual', label: 'Spending', kind: 'num', cell: (row) => pmpm(row.spendingPmpmActual)},
        {head: 'Benchmark', label: 'Benchmark spending', kind: 'num',
          cell: (row) => pmpm(row.spendingPmpmBenchmark)},
        {head: 'Variance', label: 'Spending variance', kind: 'num',
          cell: (row) => percentSigned(row.spendingVariancePercent)},
        {head: 'Actual', label: 'Use', kind: 'num', cell: (row) => html`${
          use(row.utilizationActual)} <span class="unit">${unit(row.utilizationUnit)}</span>`},
        {head: 'Benchmark', label: 'Benchmark use', kind: 'num',
          cell: (row) => use(row.utilizationBenchmark)},
        {head: 'Variance', label: 'Use variance', kind: 'num',
          cell: (row) => percentSigned(row.utilizationVariancePercent)},
        {head: 'Variance', label: 'Variance in dollars', kind: 'num',
          cell: (row) => html`<strong>${dollarsSigned(row.spendingVarianceAmount)}</strong>`},
        {head: 'Trend', label: 'Trend in a year', kind: 'num',
          cell: (row) => percentSigned(row.trendPercent)},
        {head: 'Rank', kind: 'num', cell: (row) => rank(row.acoRank, row.totalCategories)},
      ]});
  }

  #distance(categories) {
    const rows = categories.filter(({spendingVariancePercent: percent}) => percent !== null);
    return rows.length ? html`<section class="card"><h2>How far from the benchmark</h2>
      <p class="sub">Spending in percent of the benchmark. The band is ±${BAND_PERCENT}%.</p>
      ${chart({label: `Spending of ${count(rows.length, 'category', 'categories')} in percent above
          or below the benchmark; the figures are in the table`,
      axis: percentShort, band: BAND_PERCENT,
      rows: rows.map((row) => ({name: row.categoryName, status: row.performanceStatus,
        value: row.spendingVariancePercent, text: percentSigned(row.spendingVariancePercent)}))})}
      </section>` : nothing;
  }

  #effects(categories) {
    const rows = categories.filter(({useEffectAmount: amount}) => amount !== null);
    return rows.length ? html`<section class="card"><h2>More use, or a higher price?</h2>
      <p class="sub">The two effects add up to the dollars over the benchmark. Only categories whose
        use counts events can be split.</p>
      ${chart({label: `The dollars against the benchmark of ${count(rows.length, 'category',
        'categories')}, split into the effect of use and the effect of price`,
      axis: dollarsShort, legend: EFFECTS,
      rows: rows.map((row) => ({name: row.categoryName,
        bars: effects(row.useEffectAmount, row.priceEffectAmount),
        text: dollarsSigned(row.spendingVarianceAmount)}))})}
      <details><summary>The same as a table</summary>${table({
        caption: 'Effects of use and price', hideCaption: true, rows, columns: [
          {head: 'Category', kind: 'row', cell: ({categoryName}) => categoryName},
          {head: 'Use', kind: 'num', cell: (row) => dollarsSigned(row.useEffectAmount)},
          {head: 'Price', kind: 'num', cell: (row) => dollarsSigned(row.priceEffectAmount)},
          {head: 'Together', kind: 'num',
            cell: (row) => dollarsSigned(row.spendingVarianceAmount)}]})}</details>
      </section>` : nothing;
  }

  // One category

  #one(shown) {
    const {category, byPeriod, recommendations, hospitals, drgs, dischargingHospitals} = shown;
    const compared = against(category.spendingVariancePercent);
    return html`
      <p class="lead">${badge(category.performanceStatus, category.statusLabel)}
        <strong>${pmpm(category.spendingPmpmActual)}</strong> per member per month${compared
        ? html`, <strong>${compared}</strong> the benchmark of
          ${pmpm(category.spendingPmpmBenchmark)}` : nothing}.</p>
      ${category.description ? html`<p class="sub">${category.description}</p>` : nothing}
      ${this.#figures(category)}
      <div class="pair">${this.#windows(byPeriod, category)}${this.#split(category)}</div>
      ${this.#recommended(recommendations)}
      ${this.#part(shown, 'hospitals', hospitals, this.#hospitals)}
      ${this.#part(shown, 'drgs', drgs, this.#drgs)}
      ${this.#part(shown, 'dischargingHospitals', dischargingHospitals, this.#discharging)}`;
  }

  #figures(category) {
    const tile = (heading, figure, ...lines) => html`<li class="tile"><h2>${heading}</h2>
      <p class="big">${figure}</p>${lines.map((line) => html`<p>${line}</p>`)}</li>`;
    const {spendingVarianceAmount: amount, trendPercent, utilizationUnit} = category;
    return html`<ul class="tiles">
      ${tile('Against the benchmark', dollarsSigned(amount), 'in the period')}
      ${tile('Spending PMPM', pmpm(category.spendingPmpmActual),
        html`Benchmark ${pmpm(category.spendingPmpmBenchmark)}`,
        html`${percentSigned(category.spendingVariancePercent)}`)}
      ${tile('Use', use(category.utilizationActual), unit(utilizationUnit),
        html`Benchmark ${use(category.utilizationBenchmark)},
          ${percentSigned(category.utilizationVariancePercent)}`)}
      ${tile('Trend', percentSigned(trendPercent),
        trendPercent === null ? '' : `Spending PMPM, ${change(trendPercent)}`)}
      ${tile('Rank', rank(category.acoRank, category.totalCategories),
        'among the practices, 1 is best')}</ul>`;
  }

  #windows(windows, {categoryName, trendPercent}) {
    const drawn = windows.filter(({spendingVariancePercent: percent}) => percent !== null);
    return html`<section class="card"><h2>Is it getting better?</h2>
      <p class="sub">${trendPercent === null ? '' : `Spending PMPM: ${change(trendPercent)}.`}
        The periods overlap, so they are not joined by a line.</p>
      ${drawn.length ? chart({
        label: `${categoryName}, spending against the benchmark in ${count(drawn.length, 'period',
          'periods')}: ${drawn.map((one) => `${one.periodLabel} ${
          percentSigned(one.spendingVariancePercent)}`).join(', ')}`,
        axis: percentShort, band: BAND_PERCENT,
        rows: drawn.map((one) => ({name: one.periodLabel, status: one.performanceStatus,
          value: one.spendingVariancePercent, text: percentSigned(one.spendingVariancePercent)})),
      }) : nothing}
      ${table({caption: 'The periods', hideCaption: true, rows: windows, columns: [
        {head: 'Period', kind: 'row', cell: (one) => html`<a href=${
          this.href(`/deep-dive/${this.slug}`, {period: one.periodKey})}>${one.periodLabel}</a>
          <span class="unit">${dateRange(one.startDate, one.endDate)}</span>`},
        {head: 'Spending PMPM', kind: 'num', cell: (one) => pmpm(one.spendingPmpmActual)},
        {head: 'Benchmark', kind: 'num', cell: (one) => pmpm(one.spendingPmpmBenchmark)},
        {head: 'Use', kind: 'num', cell: (one) => use(one.utilizationActual)},
        {head: 'Benchmark use', kind: 'num', cell: (one) => use(one.utilizationBenchmark)},
      ]})}</section>`;
  }

  #split({useEffectAmount: ofUse, priceEffectAmount: ofPrice, spendingVarianceAmount: amount}) {
    const rows = ofUse === null ? [] : [['Use', ofUse, {from: 0, to: ofUse, kind: 'use'}],
      ['Price', ofPrice, {from: ofUse, to: ofUse + ofPrice, kind: 'price'}],
      ['Together', amount, variance(amount)[0]]];
    return html`<section class="card"><h2>More use, or a higher price?</h2>
      ${rows.length ? html`<p class="sub">What the difference in use costs at the benchmark's price,
          and the rest, which is price.</p>
        ${chart({label: `Of ${dollarsSigned(amount)} against the benchmark, ${dollarsSigned(ofUse)}
            is use and ${dollarsSigned(ofPrice)} is price`, axis: dollarsShort,
        rows: rows.map(([name, value, part]) => ({name, bars: [part],
          text: dollarsSigned(value)}))})}
        ${table({caption: 'Effects of use and price', hideCaption: true, rows, columns: [
          {head: 'Effect', kind: 'row', cell: ([name]) => name},
          {head: 'Dollars of the period', kind: 'num', cell: ([, value]) => dollarsSigned(value)},
        ]})}`
        : none('The use of this category does not count events, or is not known, so its variance ' +
          'cannot be split.')}</section>`;
  }

  #recommended(recommendations) {
    return html`<section><h2>What can be done</h2>${recommendations.length ? table({
      caption: 'Recommendations for this category', hideCaption: true, rows: recommendations,
      columns: [
        {head: 'Recommendation', kind: 'row', cell: ({id, title}) => html`<a href=${
          this.href(`/recommendations/${id}`, {from: `deep-dive.${this.slug}`})}>${
          title}</a>`},
        {head: 'Status', cell: (row) => html`<span class="chip ${row.status}">${
          decisionText(row.status)}</span>`},
        {head: 'Savings here, a year', kind: 'num', cell: (row) => dollars(row.impactAmount)},
        {head: 'Share of the overspend', kind: 'num', cell: (row) => rate(row.impactSharePercent)},
        {head: 'Savings in all, a year', kind: 'num', cell: ({estimatedSavings: amount}) =>
          amount === null ? 'Not quantified' : dollars(amount)},
      ]}) : none('No recommendation touches this category.')}</section>`;
  }

  #part({truncated, period}, part, rows, columns) {
    const caption = PARTS[part];
    return html`<section><div class="section-head"><h2>${caption}</h2>${rows.length
      ? csvLink(this.request({part, format: 'csv'})) : nothing}</div>
      ${rows.length ? table({caption, hideCaption: true, rows, columns: columns.call(this, rows)})
        : none(`No ${caption.replace(/^[DH][a-z]/, (start) => start.toLowerCase())} for this category in ${
          period.periodLabel}.`)}
      ${truncated.includes(part) ? html`<p class="sub">Only the first ${number(rows.length)} are
        shown.</p>` : nothing}</section>`;
  }

  #hospitals(rows) {
    const largest = Math.max(...rows.map(({spend}) => spend ?? 0));
    return [
      {head: 'Hospital', kind: 'row', cell: ({hospitalName}) => hospitalName},
      {head: 'Spend in the period', kind: 'num', cell: ({spend}) => spend === null ? UNKNOWN
        : share(spend, largest, dollars(spend))},
      {head: 'Discharges', kind: 'num', cell: ({discharges}) => number(discharges)},
      {head: 'Spend per discharge', kind: 'num', cell: (row) => dollars(row.spendPerDischarge)},
      {head: 'Average stay, days', kind: 'num', cell: ({avgLos}) => days(avgLos)},
      {head: 'Readmissions', kind: 'num', cell: ({readmissionRate}) => rate(readmissionRate)},
    ];
  }

  #drgs(rows) {
    const largest = Math.max(...rows.map(({totalSpend}) => totalSpend ?? 0));
    return [
      {head: 'DRG', kind: 'row', cell: ({drgCode, drgDescription}) => html`${drgCode
        ? html`<span class="code">${drgCode}</span> ` : nothing}${drgDescription}`},
      {head: 'Spend in the period', kind: 'num', cell: ({totalSpend}) => totalSpend === null
        ? UNKNOWN : share(totalSpend, largest, dollars(totalSpend))},
      {head: 'Patients', kind: 'num', cell: ({patientCount}) => number(patientCount)},
      {head: 'Average per patient', kind: 'num', cell: (row) => dollars(row.avgSpendPerPatient)},
      {head: 'Benchmark average', kind: 'num', cell: ({benchmarkAvg}) => dollars(benchmarkAvg)},
      {head: '% above', kind: 'num', cell: (row) => percentSigned(row.percentAboveBenchmark)},
    ];
  }

  #discharging(rows) {
    const largest = Math.max(...rows.map((row) => row.percentDischargedToIrf ?? 0));
    return [
      {head: 'Hospital', kind: 'row', cell: ({hospitalName}) => hospitalName},
      {head: 'Discharges to an IRF', kind: 'num', cell: ({discharges}) => number(discharges)},
      {head: 'Share of its discharges', kind: 'num', cell: ({percentDischargedToIrf: percent}) =>
        percent === null ? UNKNOWN : share(percent, largest, rate(percent))},
      {head: 'Benchmark share', kind: 'num', cell: (row) => rate(row.percentDischargedToIrfBenchmark)},
    ];
  }

  // A slug that the period does not have: which ones have it?

  async explain({kind}) {
    this.#elsewhere = null;
    if (kind !== 'category-not-found') return;
    try {
      const {document: {periods}} = await read(address(this.api, 'cost-categories'));
      for (const {periodKey} of periods) {
        const url = address(this.api, `cost-categories/${encodeURIComponent(this.slug)}`,
          {periodKey});
        const found = await read(url).catch(() => null);
        if (found) {
          this.#elsewhere = found.document.byPeriod;
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  ways(kind) {
    if (kind !== 'category-not-found') return nothing;
    return html`${this.#elsewhere ? html`<p>These periods have it:</p><ul>${this.#elsewhere.map(
      ({periodKey, periodLabel}) => html`<li><a href=${this.href(`/deep-dive/${this.slug}`,
        {period: periodKey})}>${periodLabel}</a></li>`)}</ul>` : nothing}
      <p><a href=${this.href('/deep-dive')}>All categories</a></p>`;
  }
}

customElements.define('cost-saving-deep-dive', CostSavingDeepDive);

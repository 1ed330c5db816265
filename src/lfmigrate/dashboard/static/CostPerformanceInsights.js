/** How are we doing, and where is the money? */
import {html, nothing} from './lit-html.js';
import {address} from './client.js';
import {chart, variance} from './charts.js';
import {DashboardElement} from './element.js';
import {measures} from './measures.js';
import {against, change, dollars, dollarsShort, dollarsSigned, dollarsSize, metric,
  number, percentSigned, pmpm, sentence} from './numbers.js';
import {badge, categoryLinks, col, emptyView, none, num, periodSwitch, rowHead, savings, table}
  from './templates.js';

const METRICS = {
  patient_count: 'Patients',
  cost_pmpm: 'Cost per member per month',
  cost_savings_opportunity: 'Savings opportunity',
};
const SHOWN = 5;
const STATUS = col('Status', ({performanceStatus}) => badge(performanceStatus));

export class CostPerformanceInsights extends DashboardElement {
  request() {
    return address(this.api, 'performance-insights', {periodKey: this.state('period')});
  }

  heading() {
    return 'Cost performance';
  }

  tools(shown) {
    return periodSwitch(this, shown);
  }

  announcement({period}) {
    return `Showing ${period.periodLabel}`;
  }

  view(shown) {
    const {metrics, categories, costOpportunities, efficiencyKpis, topRecommendations} = shown;
    if (![metrics, categories, costOpportunities, efficiencyKpis].some(({length}) => length)) {
      return emptyView(`No figures for ${shown.period.periodLabel} yet`);
    }
    return html`
      ${this.#sentence(shown.summary)}
      ${metrics.length ? html`<ul class="tiles">${
        metrics.map((one) => this.#tile(one, shown.summary))}</ul>`
        : none('No headline numbers in this period.')}
      ${this.#money(shown)}
      ${this.#ranked(costOpportunities)}
      ${measures(efficiencyKpis)}
      <section><div class="section-head"><h2>Top recommendations</h2>
        <a href=${this.href('/recommendations')}>All recommendations</a></div>
        ${topRecommendations.length
          ? html`<div class="pair">${topRecommendations.map((one) => this.#recommended(one))}</div>`
          : none('There is no recommendation with high priority.')}</section>`;
  }

  #sentence({actualPmpm, benchmarkPmpm, variancePercent}) {
    if (actualPmpm === null || benchmarkPmpm === null) return nothing;
    const compared = against(variancePercent);
    return html`<p class="lead">Spending is <strong>${pmpm(actualPmpm)}</strong> per member per
      month${compared ? html`, <strong>${compared}</strong> the benchmark of
      ${pmpm(benchmarkPmpm)}` : nothing}.</p>`;
  }

  // Only a cost is good or bad by itself: more patients, or sicker ones, are neither.
  #tile(one, {overspendAmount}) {
    const {metricType, currentValue, changePercent, benchmarkValue, isAboveBenchmark} = one;
    const colour = one.displayFormat !== 'currency' ? 'none' : isAboveBenchmark ? 'red' : 'green';
    const side = currentValue === benchmarkValue ? 'At' : isAboveBenchmark ? 'Above' : 'Below';
    return html`<li class="tile"><h2>${METRICS[metricType] ?? sentence(metricType)}</h2>
      <p class="big">${metric(currentValue, one)}</p>
      ${metricType === 'cost_savings_opportunity' && currentValue === overspendAmount
        ? html`<p>all overspending of the period</p>` : nothing}
      ${changePercent === null ? nothing : html`<p>${change(changePercent)}</p>`}
      ${benchmarkValue === null ? nothing : html`<p>${badge(colour, side)} benchmark
        ${metric(benchmarkValue, one)}</p>`}</li>`;
  }

  #money({categories, summary}) {
    const drawn = categories.filter(({spendingVarianceAmount: amount}) => amount !== null);
    if (!drawn.length) return nothing;
    const {overspendAmount, underspendAmount, netAmount} = summary;
    const net = `${dollars(overspendAmount)} overspent and ${
      dollarsSize(underspendAmount)} underspent`;
    return html`<section class="card">
      <h2>Where the money is</h2>
      <p class="sub">Dollars above or below the benchmark.
        All categories together: ${net}, <strong>${dollarsSigned(netAmount)} net</strong>.${
        drawn.length < categories.length ? ` Unknown: ${categories.length - drawn.length}.`
          : ''}</p>
      ${chart({
        label: `Dollars against the benchmark by category, from ${drawn[0].categoryName} with ${
          dollarsSigned(drawn[0].spendingVarianceAmount)} to ${drawn.at(-1).categoryName} with ${
          dollarsSigned(drawn.at(-1).spendingVarianceAmount)}. All together: ${net}.`,
        axis: dollarsShort,
        rows: drawn.map((one) => ({name: one.categoryName, status: one.performanceStatus,
          bars: [variance(one.spendingVarianceAmount)],
          text: dollarsSigned(one.spendingVarianceAmount)})),
      })}
      <details><summary>Show as a table</summary>${table('Categories', categories, [
        this.#category('slug'), STATUS,
        num('Variance', 'spendingVarianceAmount', dollarsSigned),
        num('Percent', 'spendingVariancePercent', percentSigned),
      ])}</details></section>`;
  }

  #category(slug) {
    return rowHead('Category', (row) => html`<a href=${this.href(`/deep-dive/${row[slug]}`)}>${
      row.categoryName}</a>`);
  }

  #ranked(opportunities) {
    const list = (type) => opportunities
      .filter(({opportunityType}) => opportunityType === type)
      .toSorted((a, b) => Math.abs(b.amountVariance) - Math.abs(a.amountVariance))
      .slice(0, SHOWN);
    const ranking = (heading, rows, side) => html`<section><h2>${heading}</h2>
      ${rows.length ? table(heading, rows, [
        this.#category('categorySlug'), STATUS,
        num('Variance', 'amountVariance', dollarsSigned),
        num('%', 'percentVariance', percentSigned, 'Variance, percent'),
        num('Rank', 'acoRank', number),
      ]) : none(`No category ${side} its benchmark is marked to be shown.`)}</section>`;
    return html`<div class="pair">
      ${ranking('Largest overspending', list('overspending'), 'above')}
      ${ranking('Most efficient', list('efficient'), 'below')}</div>
      <p class="sub">Of the categories that are marked to be shown. Rank: 1 is best.</p>`;
  }

  #recommended({id, title, description, status, estimatedSavings, affectedCategories}) {
    return html`<article class="card">
      <p class="meta"><span class="chip ${status}">${sentence(status)}</span></p>
      <h3><a href=${this.href(`/recommendations/${id}`, {from: 'insights'})}>${title}</a></h3>
      <p class="sub">${description}</p>
      <p class="worth">${savings(estimatedSavings)}</p>
      ${affectedCategories.length ? html`<p class="meta"><span>Categories: ${
        categoryLinks(this, affectedCategories)}</span></p>` : nothing}</article>`;
  }
}

customElements.define('cost-performance-insights', CostPerformanceInsights);

/** What can we do, what is it worth, what have we decided? */
import {html, nothing} from './lit-html.js';
import {address} from './client.js';
import {Decisions, statuses} from './decisions.js';
import {DashboardElement} from './element.js';
import {choice} from './filters.js';
import {labels, reach, workflow} from './labels.js';
import {csvLink} from './links.js';
import {count, dollars, number, sentence} from './numbers.js';
import {categoryLinks, emptyView, none, savings, select} from './templates.js';

const FILTERS = ['status', 'priority', 'category', 'sort'];
const SORTS = [['', 'Priority'], ['-estimatedSavings', 'Savings'], ['title', 'Title'],
  ['-statusChangedAt', 'Latest decision']];
const LIMIT = 500; // the most that the API gives at once

/** Without a status in the address, all but the rejected ones; with `all`, these, too. */
export class Recommendations extends DashboardElement {
  #decisions = new Decisions(this);
  #decided = new Set();
  #filters = null;

  request(more = {}) {
    const [status, priority, category, sort] = FILTERS.map((name) => this.state(name));
    return address(this.api, 'recommendations', {status: status === 'all' ? '' : status, priority,
      category, sort, limit: LIMIT, ...more});
  }

  isRead() {
    this.#decisions.forget();
  }

  heading() {
    return 'Recommendations';
  }

  merge(fresh) {
    if (this.#filters !== this.request()) this.#decided.clear();
    this.#filters = this.request();
    if (!this.#decided.size) return fresh;
    const found = new Map(fresh.recommendations.map((one) => [one.id, one]));
    const places = new Set(this.data.recommendations.map(({id}) => id));
    return {...fresh, recommendations: [
      ...this.data.recommendations.filter(({id}) => found.has(id) || this.#decided.has(id))
        .map((one) => found.get(one.id) ?? one),
      ...fresh.recommendations.filter(({id}) => !places.has(id))]};
  }

  // What was decided here stays in its place until the filters change, found by them or not. The
  // numbers of the filters are read again.
  async decided(id) {
    this.#decided.add(id);
    const {message} = this;
    await this.load({again: true});
    this.announce(message);
  }

  announcement(shown) {
    return count(this.#rows(shown).length, 'recommendation', 'recommendations');
  }

  #rows({recommendations}) {
    return this.state('status') ? recommendations : recommendations.filter(({id, status}) =>
      status !== 'rejected' || this.#decided.has(id));
  }

  view(shown) {
    const {counts, totalCount, recommendations, categories} = shown;
    if (!totalCount && !FILTERS.some((name) => this.state(name))) {
      return emptyView('No recommendations yet');
    }
    const rows = this.#rows(shown);
    return html`
      ${rows.length ? this.#worth(rows) : nothing}
      <div class="bar">
        ${select(this, 'status', 'Status', [['', 'Not rejected'], ['all', 'All'],
          ...statuses.map((one) => [one, `${sentence(one)} (${number(counts.status[one])})`])])}
        ${choice(this, 'priority', 'Priority', [['', 'Any priority'],
          ...['high', 'medium', 'low'].map((one) => [one, sentence(one), counts.priority[one]])])}
        ${select(this, 'category', 'Category', [['', 'Any category'],
          ...categories.map(({categorySlug, categoryName}) => [categorySlug, categoryName])])}
        ${select(this, 'sort', 'Sort by', SORTS)}
        ${csvLink(this.request({format: 'csv',
          ...this.state('status') ? {} : {status: 'not_rejected'}}))}
      </div>
      ${rows.length ? html`<ul class="recommendations">${
        rows.map((one) => this.#row(one, shown.canChangeStatus))}</ul>`
        : none('No recommendation matches these filters.')}
      ${totalCount > recommendations.length ? html`<p class="sub">Only the first
        ${number(recommendations.length)} of ${number(totalCount)} were looked at.</p>` : nothing}
      ${shown.canChangeStatus ? nothing : html`<p class="sub">Statuses cannot be changed here: the
        dashboard or its database role may only read.</p>`}`;
  }

  // The only sum that a page computes, because it depends on what the page shows.
  #worth(rows) {
    const known = rows.filter(({estimatedSavings}) => estimatedSavings !== null);
    const total = known.reduce((sum, {estimatedSavings}) => sum + estimatedSavings, 0);
    const unknown = rows.length - known.length;
    return html`<p class="lead">${count(rows.length, 'recommendation', 'recommendations')}${
      known.length ? html`, worth up to <strong>${dollars(total)}</strong> a year` : nothing}.</p>
      <p class="sub">${known.length > 1 ? 'Programs overlap, so they may save less together. ' : ''
        }${unknown ? `${count(unknown, 'is', 'are')} not quantified.` : ''}</p>`;
  }

  #row(one, canChange) {
    const parameters = Object.fromEntries(FILTERS.map((name) => [name, this.state(name)]));
    return html`<li class="card"><article>
      <div class="summary">
        <p class="meta">${labels(one)}</p>
        <h2><a href=${this.href(`/recommendations/${one.id}`, parameters)}>${one.title}</a></h2>
        <p class="sub">${one.description}</p>
        ${one.affectedCategories.length ? html`<p class="meta"><span>Categories: ${
          categoryLinks(this, one.affectedCategories)}</span></p>` : nothing}
        ${workflow(one)}
      </div>
      <div class="figures"><p class="worth">${savings(one.estimatedSavings)}</p>
        <p class="sub">${reach(one)}</p></div>
      ${this.#decisions.view(one, canChange)}</article></li>`;
  }
}

customElements.define('recommendations-list', Recommendations);

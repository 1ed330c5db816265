/** Which categories, more use or higher price, which hospitals and DRGs? */
import {html, nothing} from './lit-html.js';
import {address} from './client.js';
import {DashboardElement} from './element.js';
import {backLink} from './links.js';
import {count} from './numbers.js';
import {periodSwitch} from './templates.js';

/** One category where the attribute `slug` or the path names one, else all of them. */
export class CostSavingDeepDive extends DashboardElement {
  #module = null;

  // Each of the two views is a module of its own, which comes at the same time as the document.
  async load(options) {
    this.#module ??= this.slug ? import('./one-category.js') : import('./category-table.js');
    await super.load(options);
  }

  get slug() {
    const [, found] = location.pathname.match(/\/deep-dive\/([^/]+)\/?$/) ?? [];
    return this.getAttribute('slug') || found;
  }

  get subject() {
    return Boolean(this.slug);
  }

  request(more = {}) {
    const [periodKey, status, sort] = ['period', 'status', 'sort'].map((name) => this.state(name));
    return this.slug
      ? address(this.api, `cost-categories/${encodeURIComponent(this.slug)}`, {periodKey, ...more})
      : address(this.api, 'cost-categories', {periodKey, status, sort, ...more});
  }

  async merge(fresh) {
    const {view} = await this.#module;
    this.view = (shown) => view(this, shown);
    return fresh;
  }

  heading(shown) {
    return shown?.category?.categoryName ?? (this.slug ? 'Cost category' : 'Cost deep dive');
  }

  breadcrumb() {
    if (!this.slug) return nothing;
    const [status, sort] = [this.state('status'), this.state('sort')];
    return backLink(this.href('/deep-dive', {status, sort}), 'All categories');
  }

  tools(shown) {
    return periodSwitch(this, shown);
  }

  announcement({category, categories, period}) {
    return category ? `${category.categoryName}, ${period.periodLabel}`
      : `${count(categories.length, 'category', 'categories')}, ${period.periodLabel}`;
  }

  // The server says which periods have a category that this one lacks.
  ways({periods = []}) {
    const link = ({periodKey, periodLabel}) => html`<li><a href=${
      this.href(`/deep-dive/${this.slug}`, {period: periodKey})}>${periodLabel}</a></li>`;
    return html`${periods.length
      ? html`<p>These periods have it:</p><ul>${periods.map(link)}</ul>`
      : html`<p>No period has it.</p>`}
      <p><a href=${this.href('/deep-dive')}>All categories</a></p>`;
  }
}

customElements.define('cost-saving-deep-dive', CostSavingDeepDive);

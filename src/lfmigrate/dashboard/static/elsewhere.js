/** What to offer when a period does not have a category. */
import {html, nothing} from './lit-html.js';
import {address, read} from './api.js';

/** Return a template with links to the periods that have the category. */
export async function periodsWith(element, slug) {
  const ask = (path, parameters) => read(address(element.api, path, parameters))
    .then(({document}) => document, () => null);
  let found = null;
  for (const {periodKey} of (await ask('cost-categories', {limit: 1}))?.periods ?? []) {
    // One period that has it knows all of them.
    found ??= (await ask(`cost-categories/${encodeURIComponent(slug)}`, {periodKey}))?.byPeriod;
  }
  const link = ({periodKey, periodLabel}) => html`<li><a href=${
    element.href(`/deep-dive/${slug}`, {period: periodKey})}>${periodLabel}</a></li>`;
  return html`${found ? html`<p>These periods have it:</p><ul>${found.map(link)}</ul>`
    : nothing}<p><a href=${element.href('/deep-dive')}>All categories</a></p>`;
}

/** Templates that more than one element shows. */
import {html, nothing, svg} from './lit-html.js';
import {count, dateRange, dollars, sentence, time} from './numbers.js';

// Icons are Lucide's (https://lucide.dev), ISC and MIT: icons.LICENSE.txt.
const ALERT = svg`<path d="m21.73 18-8-14a2 2 0 0 0-3.48 0l-8 14A2 2 0 0 0 4 21h16a2 2 0 0 0
  1.73-3" /><path d="M12 9v4" /><path d="M12 17h.01" />`;

export const icon = (paths) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${
  paths}</svg>`;
export const alertIcon = icon(ALERT);

const SHAPES = {
  red: svg`<path d="M6 1 11.5 11H.5z" />`,
  yellow: svg`<path d="M6 0 12 6 6 12 0 6z" />`,
  green: svg`<circle cx="6" cy="6" r="5" />`,
  none: svg`<circle cx="6" cy="6" r="4.5" />`,
};
const KPI_COLOURS = {bad: 'red', poor: 'red', warning: 'yellow', good: 'green'};
const STATUS_WORDS = {red: 'Priority', yellow: 'Watch', green: 'Efficient'};

export const colour = (status) => {
  const found = KPI_COLOURS[status] ?? status;
  return Object.hasOwn(SHAPES, found) ? found : 'none';
};

export const shape = (status) => SHAPES[colour(status)];

export const badge = (status, label) => html`<span class="badge ${colour(status)}"
  ><svg class="shape" viewBox="0 0 12 12" aria-hidden="true">${shape(status)}</svg>${
  label ?? STATUS_WORDS[status] ?? (status ? sentence(status) : 'Not rated')}</span>`;

/** Columns of a table. */
export const rowHead = (head, cell) => ({head, cell, isHead: true});
export const col = (head, cell, kind = 'text') => ({head, cell, kind});
export const num = (head, key, format, label) => ({head, label, kind: 'num',
  cell: (row) => format(row[key])});

/**
 * A table. Its roles are said again, because it loses them where it is displayed as blocks.
 * `groups` is a row of headings above those of the columns.
 */
export function table(caption, rows, columns, groups) {
  const cell = ({head, label, cell: content, kind, isHead}, row) => isHead
    ? html`<th scope="row" role="rowheader">${content(row)}</th>`
    : html`<td role="cell" class=${kind} data-label=${label ?? head}>${content(row)}</td>`;
  return html`<div class="scroll">
    <table role="table" class=${groups ? 'wide' : ''}>
      <caption class="hidden">${caption}</caption>
      <thead role="rowgroup">
        ${groups ?? nothing}
        <tr role="row">${columns.map(({head, kind}) => html`<th role="columnheader" scope="col"
          class=${kind ?? ''}>${head}</th>`)}</tr>
      </thead>
      <tbody role="rowgroup">${rows.map((row) => html`<tr role="row">${
        columns.map((column) => cell(column, row))}</tr>`)}</tbody>
    </table></div>`;
}

export const none = (text) => html`<p class="none">${text}</p>`;

/** A select that changes one parameter of the address. */
export function select(element, name, label, options, value = element.state(name)) {
  const known = options.some(([key]) => key === (value ?? ''));
  return html`<label class="field"><span>${label}</span>
    <select @change=${(event) => element.go({[name]: event.target.value})}>
      ${known ? nothing : html`<option value=${value} .selected=${true}>${value}</option>`}
      ${options.map(([key, text]) => html`<option value=${key}
        .selected=${key === (value ?? '')}>${text}</option>`)}
    </select></label>`;
}

export function periodSwitch(element, shown) {
  if (!shown?.periods) return html`<div class="period"></div>`;
  const {period, periods} = shown;
  const active = periods.find(({isActive}) => isActive);
  const options = periods.map(({periodKey, periodLabel}) => [periodKey, periodLabel]);
  const wanted = element.state('period') ?? active?.periodKey;
  return html`<div class="period">
    ${select(element, 'period', 'Period', options, wanted)}
    <p>${dateRange(period.startDate, period.endDate)}${period.memberMonths === null ? nothing
      : html`<br>${count(period.memberMonths, 'member month', 'member months')}`}</p>
  </div>`;
}

export const categoryLinks = (element, categories) => categories.map((category, index) => html`${
  index ? ', ' : nothing}<a href=${element.href(`/deep-dive/${category.categorySlug}`)}>${
  category.categoryName}</a>`);

export const savings = (amount) => amount === null ? 'Not quantified'
  : html`${dollars(amount)} <span class="unit">a year</span>`;

export const skeleton = html`<div class="skeleton" aria-hidden="true"><div class="line"></div>
  <div class="block"></div></div>
  <p class="hidden" role="status">Loading</p>`;

/** A detail, with its commands as such. */
const detailOf = ({detail = ''}) => detail.split(/(lfmigrate [a-z]+)/).map((part, index) =>
  index % 2 ? html`<code>${part}</code>` : part);

const NAMES = {periodKey: 'period', sort: 'order', slug: 'category', id: 'recommendation'};

/** Instead of a document. What an address names wrongly can be left out, or found in a list. */
export function problemView(element, {kind, document}) {
  const {title, parameter} = document;
  const isLost = /invalid-parameter|-not-found/.test(kind);
  const name = kind === 'period-not-found' || parameter === 'periodKey' ? 'period' : parameter;
  const button = (text, action) => html`<p class="actions"><button type="button"
    @click=${action}>${text}</button></p>`;
  return html`<div class="notice" role="alert">${alertIcon}
    <div><h2>${parameter ? `There is no such ${NAMES[parameter] ?? parameter}` : title}</h2>
      <p>${isLost ? 'The link may be old, or mistyped.' : detailOf(document)}</p>
      ${!isLost ? button('Try again', () => element.retry())
        : element.state(name) ? button(name === 'period' ? 'Show the active period'
          : 'Show the page without it', () => element.go({[name]: ''}))
        : element.ways?.(document)}
    </div></div>`;
}

/** Above what was on the screen before. */
export const staleNotice = ({document}, readAt, retry) => html`<div class="notice stale"
  role="alert">${alertIcon}
  <div><p><strong>Not updated since ${time(readAt)}.</strong> ${document.title}. ${
    detailOf(document)}</p></div>
  <button type="button" @click=${retry}>Try again</button></div>`;

export const emptyView = (title) => html`<div class="notice"><div><h2>${title}</h2>
  <p>Load your data, or the initial data that comes with lfmigrate:</p>
  <p><code>lfmigrate seed</code></p></div></div>`;

/**
 * Pieces of pages that more than one element shows. They return templates and keep no state.
 */
import {html, nothing, svg} from './lit-html.js';
import {icon} from './icons.js';
import {count, dateRange, dollars, sentence, time} from './numbers.js';

const SHAPES = {
  red: svg`<path d="M6 1 11.5 11H.5z" />`,
  yellow: svg`<path d="M6 0 12 6 6 12 0 6z" />`,
  green: svg`<circle cx="6" cy="6" r="5" />`,
  none: svg`<circle cx="6" cy="6" r="4.5" />`,
};
const KPI_COLOURS = {bad: 'red', poor: 'red', warning: 'yellow', good: 'green'};
const STATUS_WORDS = {red: 'Priority', yellow: 'Watch', green: 'Efficient'};

/** The class of a status: a colour, which has a shape of its own. */
export const colour = (status) => {
  const found = KPI_COLOURS[status] ?? status;
  return found in SHAPES ? found : 'none';
};

/** The shape of a status, as SVG content of 12 by 12. */
export const shape = (status) => SHAPES[colour(status)];

/** A status by shape, colour and word. */
export const badge = (status, label) => html`<span class="badge ${colour(status)}"
  ><svg class="shape" viewBox="0 0 12 12" aria-hidden="true">${shape(status)}</svg>${
  label ?? STATUS_WORDS[status] ?? (status ? sentence(status) : 'Not rated')}</span>`;

/**
 * A table whose rows become blocks where it is narrow. The roles are said again, because a table
 * that is displayed as blocks loses them.
 *
 * @param {string} caption
 * @param {Array<{head: string, cell: function, kind: ?string, label: ?string}>} columns `kind` is
 *   'row' for the heading of a row, 'num' for a number, 'drawn' for a chart; `label` is the heading
 *   next to the cell in a block, and the heading in a row of columns if there are groups
 * @param {Array<{head: string, span: number}>} groups headings above the columns
 */
export function table({caption, hideCaption, columns, rows, groups, wide}) {
  const cell = (column, row) => {
    const text = column.cell(row);
    return column.kind === 'row'
      ? html`<th scope="row" role="rowheader">${text}</th>`
      : html`<td role="cell" class=${column.kind ?? 'text'} data-label=${column.label ?? column.head}
        >${text}</td>`;
  };
  return html`<div class="scroll">
    <table role="table" class=${wide ? 'wide' : ''}>
      <caption class=${hideCaption ? 'hidden' : ''}>${caption}</caption>
      <thead role="rowgroup">
        ${groups ? html`<tr role="row">${groups.map(({head, span}) => head
          ? html`<th role="columnheader" scope="colgroup" colspan=${span}>${head}</th>`
          : html`<td role="cell" colspan=${span}></td>`)}</tr>` : nothing}
        <tr role="row">${columns.map(({head, kind}) => html`<th role="columnheader" scope="col"
          class=${kind === 'num' ? 'num' : 'text'}>${head}</th>`)}</tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map((row) => html`<tr role="row">${columns.map((column) => cell(column, row))}</tr>`)}
      </tbody>
    </table>
  </div>`;
}

/** A list without rows, in one line. */
export const none = (text) => html`<p class="none">${text}</p>`;

/** A select that changes one parameter of the address; its first option is its absence. */
export function select(element, name, label, options, value = element.state(name)) {
  const known = options.some(([key]) => key === (value ?? ''));
  return html`<label class="field"><span>${label}</span>
    <select @change=${(event) => element.go({[name]: event.target.value})}>
      ${known ? nothing : html`<option value=${value} .selected=${true}>${sentence(value)}</option>`}
      ${options.map(([key, text]) => html`<option value=${key}
        .selected=${key === (value ?? '')}>${text}</option>`)}
    </select></label>`;
}

/** Buttons that choose one value of a parameter; the first one is its absence. */
export const choice = (element, name, label, options) => html`<div class="field"><span
  aria-hidden="true">${label}</span><div class="choice" role="group" aria-label=${label}>${options.map(([key, text, number]) => html`<button type="button"
    aria-pressed=${key === (element.state(name) ?? '')}
    @click=${() => element.go({[name]: key})}>${text}${number === undefined ? nothing
      : html` <span class="number">${number}</span>`}</button>`)}</div></div>`;

/** The period: which one, its days and its member months. */
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

export const csvLink = (url) => html`<a class="quiet" href=${url} download>${icon('download')
  }Download CSV</a>`;

/** Links to the categories that a recommendation touches. */
export const categoryLinks = (element, categories) => categories.map((category, index) => html`${
  index ? ', ' : nothing}<a href=${element.href(`/deep-dive/${category.categorySlug}`)}>${
  category.categoryName}</a>`);

/** Savings a year, or that nobody knows them. */
export const savings = (amount) => amount === null ? 'Not quantified'
  : html`${dollars(amount)} <span class="unit">a year</span>`;

export const skeleton = html`<div class="skeleton" aria-hidden="true">
  <div class="line"></div><div class="tiles"><i></i><i></i><i></i><i></i><i></i></div>
  <div class="block"></div><div class="block"></div></div>
  <p class="hidden" role="status">Loading</p>`;

const COMMANDS = {'no-active-period': 'lfmigrate seed', 'schema-missing': 'lfmigrate up'};

/** What went wrong, when there is nothing else to show. */
export function problemView(element, {kind, document}) {
  const command = COMMANDS[kind];
  return html`<div class="notice" role="alert">
    ${icon(command ? 'inbox' : 'alert')}
    <div><h2>${document.title}</h2>
      ${document.detail ? html`<p>${document.detail}</p>` : nothing}
      ${command ? html`<p><code>${command}</code></p>` : nothing}
      ${element.ways?.(kind) ?? nothing}
      <p class="actions">${kind === 'period-not-found' ? html`<button type="button"
          @click=${() => element.go({period: ''})}>Show the active period</button>` : nothing}
        <button type="button" @click=${() => element.retry()}>Try again</button></p>
    </div></div>`;
}

/** What went wrong, above what was on the screen before. */
export const staleNotice = ({document}, readAt, retry) => html`<div class="notice stale" role="alert">
  ${icon('alert')}
  <div><p><strong>Not updated since ${time(readAt)}.</strong> ${document.title}. ${
    document.detail ?? ''}</p></div>
  <button type="button" @click=${retry}>Try again</button></div>`;

/** Nothing in the tables yet. */
export const emptyView = (title) => html`<div class="notice">${icon('inbox')}
  <div><h2>${title}</h2><p>Load data of your own, or the initial data that comes with lfmigrate:</p>
    <p><code>lfmigrate seed</code></p></div></div>`;

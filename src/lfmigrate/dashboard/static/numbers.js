/**
 * How numbers, dates and words of the vocabularies read. The only module that formats.
 *
 * A value that is null is unknown, and reads "–" on the screen and "unknown" to a screen reader. In
 * a sentence it has to be left out by the caller.
 */
import {html} from './lit-html.js';

const LOCALE = 'en-US';
const MINUS = '\u2212';

/** What stands for null in a table or a tile. */
export const UNKNOWN = html`<span aria-hidden="true">–</span><span class="hidden">unknown</span>`;

/** Return a function that formats a number, or gives UNKNOWN for null. */
function formatter(options, suffix = '') {
  const format = new Intl.NumberFormat(LOCALE, options);
  return (value) => value === null || value === undefined
    ? UNKNOWN : format.format(value).replace('-', MINUS) + suffix;
}

const fixed = (digits) => ({minimumFractionDigits: digits, maximumFractionDigits: digits});
const usd = {style: 'currency', currency: 'USD'};
// A value that is rounded to zero has no sign.
const plain = {signDisplay: 'negative'};
const signed = {signDisplay: 'exceptZero'};

/** Dollars of a period: $390,275. */
export const dollars = formatter({...usd, ...plain, ...fixed(0)});
/** A variance in dollars of a period: +$390,275. */
export const dollarsSigned = formatter({...usd, ...signed, ...fixed(0)});
/** Dollars per member per month: $1,037.80. */
export const pmpm = formatter({...usd, ...plain, ...fixed(2)});
/** A use, or a rate per 1,000: 235.35. */
export const use = formatter({...plain, ...fixed(2)});
/** A variance in percent: +5.4%. */
export const percentSigned = formatter({...signed, ...fixed(1)}, '%');
/** A rate in percent: 15.8%. */
export const rate = formatter({...plain, ...fixed(1)}, '%');
/** A count, or a score with the decimals that it has: 5,212 and 1.085. */
export const number = formatter({...plain, maximumFractionDigits: 3});
/** Days of a stay: 4.9. */
export const days = formatter({...plain, ...fixed(1)});
/** Dollars on an axis: +$300K. */
export const dollarsShort = formatter({...usd, ...signed, notation: 'compact',
  maximumFractionDigits: 1});

/** Dollars without their sign, for a sentence that says it: $22,516. */
export const dollarsSize = (value) => dollars(Math.abs(value));

/** A percentage on an axis: +20%. */
export const percentShort = formatter({...signed, maximumFractionDigits: 1}, '%');

/** The size of a percentage without its sign, for a sentence: 1.9%. */
export const size = (value) => rate(Math.abs(value));

/** A headline number of performance_metrics, in its own format. */
export function metric(value, {displayFormat, metricType}) {
  if (displayFormat === 'percent') return rate(value);
  if (displayFormat !== 'currency') return number(value);
  return /(^|_)pmpm(_|$)/.test(metricType) ? pmpm(value) : dollars(value);
}

/** A value of efficiency_kpis, in its own format. */
export const kpi = (value, format) => format === 'percent' ? rate(value) : use(value);

/** A place among others: 23 of 24. */
export function rank(place, total) {
  if (place === null || place === undefined) return UNKNOWN;
  return total ? `${number(place)} of ${number(total)}` : number(place);
}

/** "1 category", "13 categories". */
export const count = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

/** How a percentage compares with a benchmark: "1.9% above". Unknown is an empty text. */
export function against(percent) {
  if (percent === null || percent === undefined) return '';
  if (Math.abs(percent) < 0.05) return 'in line with';
  return `${size(percent)} ${percent > 0 ? 'above' : 'below'}`;
}

/** How a percentage compares with the year before: "2.2% more than a year earlier". */
export function change(percent) {
  if (Math.abs(percent) < 0.05) return 'no change from a year earlier';
  return `${size(percent)} ${percent > 0 ? 'more' : 'less'} than a year earlier`;
}

// Days are formatted as days of UTC, which is how they are parsed, so no time zone shifts them.
const day = new Intl.DateTimeFormat(LOCALE, {dateStyle: 'medium', timeZone: 'UTC'});
const moment = new Intl.DateTimeFormat(LOCALE, {year: 'numeric', month: 'short', day: 'numeric',
  hour: 'numeric', minute: '2-digit', timeZoneName: 'short'});
const clockTime = new Intl.DateTimeFormat(LOCALE, {hour: 'numeric', minute: '2-digit',
  timeZoneName: 'short'});

/** Two days, both inclusive: Jan 1 – Sep 30, 2026. */
export const dateRange = (start, end) => day.formatRange(new Date(start), new Date(end));
/** A time in the reader's time zone, with the zone's name; only the hour if it is of today. */
export function time(iso) {
  if (!iso) return UNKNOWN;
  const then = new Date(iso);
  return (then.toDateString() === new Date().toDateString() ? clockTime : moment).format(then);
}
/** A time with its day, in the reader's time zone. */
export const dateTime = (iso) => iso ? moment.format(new Date(iso)) : UNKNOWN;

/** A word of a vocabulary as words: care_management_enrollment is "care management enrollment". */
export const words = (text) => text.replaceAll('_', ' ');
/** The same as the beginning of a sentence. */
export const sentence = (text) => words(text).replace(/^./, (letter) => letter.toUpperCase());

/** The unit of a utilization as words: admits_per_k is "admissions per 1,000". An open list. */
export function unit(name) {
  if (!name) return '';
  return words(name)
    .replace(/\bper k\b/, 'per 1,000')
    .replace(/\badmits\b/, 'admissions')
    .replace(/^percent (.*)/, '% $1');
}

const METRICS = {
  patient_count: 'Patients',
  risk_score: 'Risk score',
  cost_pmpm: 'Cost per member per month',
  total_cost: 'Total cost',
  cost_savings_opportunity: 'Savings opportunity',
};
/** The name of a headline number; one that is not known reads as it is written. */
export const metricName = (type) => METRICS[type] ?? sentence(type);

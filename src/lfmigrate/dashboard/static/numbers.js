/** How numbers, dates and words read. A sentence has to leave out what is unknown, null. */
import {html} from './lit-html.js';

const LOCALE = 'en-US';
const NAMED = {timeZoneName: 'short', hour: 'numeric', minute: '2-digit'};

export const UNKNOWN = html`<span aria-hidden="true">–</span><span class="hidden">unknown</span>`;

// What is rounded to zero has no sign; minus is the true minus sign.
function formatter(digits, {suffix = '', signed, ...options} = {}) {
  const format = new Intl.NumberFormat(LOCALE, {signDisplay: signed ? 'exceptZero' : 'negative',
    minimumFractionDigits: digits, maximumFractionDigits: digits, ...options});
  return (value) => value === null || value === undefined ? UNKNOWN
    : format.format(value).replace('-', '\u2212') + suffix;
}

const upTo = (digits) => ({minimumFractionDigits: 0, maximumFractionDigits: digits});
const usd = {style: 'currency', currency: 'USD'};

export const dollars = formatter(0, usd); // $390,275
export const dollarsSigned = formatter(0, {...usd, signed: true}); // +$390,275
export const dollarsShort = formatter(0, {...usd, signed: true, notation: 'compact', ...upTo(1)});
export const pmpm = formatter(2, usd); // $1,037.80
export const use = formatter(2); // 235.35
export const days = formatter(1); // 4.9
export const number = formatter(0, upTo(3)); // 5,212 and 1.085
export const rate = formatter(1, {suffix: '%'}); // 15.8%
export const percentSigned = formatter(1, {suffix: '%', signed: true}); // +5.4%
export const percentShort = formatter(0, {suffix: '%', signed: true, ...upTo(1)}); // +20%

// For a sentence that says the sign.
export const dollarsSize = (value) => dollars(Math.abs(value));
const size = (value) => rate(Math.abs(value));

export function metric(value, {displayFormat, metricType}) {
  if (displayFormat !== 'currency') return (displayFormat === 'percent' ? rate : number)(value);
  return /(^|_)pmpm(_|$)/.test(metricType) ? pmpm(value) : dollars(value);
}
export const kpi = (value, format) => (format === 'percent' ? rate : use)(value);

export const rank = (place, total) => total && place !== null
  ? `${number(place)} of ${number(total)}` : number(place);

export const count = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

/** 1.9% above (the benchmark) */
export function against(percent) {
  if (percent === null) return '';
  return Math.abs(percent) < 0.05 ? 'in line with'
    : `${size(percent)} ${percent > 0 ? 'above' : 'below'}`;
}

/** 2.2% more than a year earlier */
export const change = (percent) => Math.abs(percent) < 0.05 ? 'no change from a year earlier'
  : `${size(percent)} ${percent > 0 ? 'more' : 'less'} than a year earlier`;

// Days are parsed and formatted as days of UTC, so no time zone shifts them.
const day = new Intl.DateTimeFormat(LOCALE, {dateStyle: 'medium', timeZone: 'UTC'});
const clock = new Intl.DateTimeFormat(LOCALE, NAMED);
const moment = new Intl.DateTimeFormat(LOCALE, {...NAMED, year: 'numeric', month: 'short',
  day: 'numeric'});

export const dateRange = (start, end) => day.formatRange(new Date(start), new Date(end));
// In the reader's time zone; of today only the hour.
export const dateTime = (time) => time ? moment.format(new Date(time)) : UNKNOWN;
export const time = (at) => at && new Date(at).toDateString() === new Date().toDateString()
  ? clock.format(new Date(at)) : dateTime(at);

export const words = (text) => text.replaceAll('_', ' ');
export const sentence = (text) => words(text).replace(/^./, (letter) => letter.toUpperCase());

/** admits_per_k: admissions per 1,000 */
export const unit = (name) => words(name ?? '').replace(/\bper k\b/, 'per 1,000')
  .replace(/\badmits\b/, 'admissions');

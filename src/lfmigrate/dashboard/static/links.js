/** Links with an icon. */
import {html, nothing, svg} from './lit-html.js';
import {icon} from './templates.js';

const BACK = icon(svg`<path d="m12 19-7-7 7-7" /><path d="M19 12H5" />`);
const DOWNLOAD = icon(svg`<path d="M12 15V3" /><path d="M21 15v4a2 2 0 0 1-2 2H5a2 2 0 0
  1-2-2v-4" /><path d="m7 10 5 5 5-5" />`);

export const csvLink = (url, text = 'Download CSV', of = nothing) => html`<a class="quiet"
  href=${url} download aria-label=${of}>${DOWNLOAD}${text}</a>`;

export const backLink = (url, text) => html`<nav class="breadcrumb" aria-label="Breadcrumb"><a
  href=${url}>${BACK}${text}</a></nav>`;

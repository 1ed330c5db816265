/**
 * Icons of Lucide (https://lucide.dev), ISC licence and, for those from Feather, MIT licence:
 * icons.LICENSE.txt. They are decoration: the words are next to them.
 */
import {html, svg} from './lit-html.js';

const PATHS = {
  alert: svg`<path d="m21.73 18-8-14a2 2 0 0 0-3.48 0l-8 14A2 2 0 0 0 4 21h16a2 2 0 0 0
    1.73-3" /><path d="M12 9v4" /><path d="M12 17h.01" />`,
  back: svg`<path d="m12 19-7-7 7-7" /><path d="M19 12H5" />`,
  down: svg`<path d="m6 9 6 6 6-6" />`,
  download: svg`<path d="M12 15V3" /><path d="M21 15v4a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-4" />
    <path d="m7 10 5 5 5-5" />`,
  inbox: svg`<polyline points="22 12 16 12 14 15 10 15 8 12 2 12" /><path d="M5.45 5.11 2 12v6a2 2 0
    0 0 2 2h16a2 2 0 0 0 2-2v-6l-3.45-6.89A2 2 0 0 0 16.76 4H7.24a2 2 0 0 0-1.79 1.11z" />`,
  play: svg`<path d="M5 5a2 2 0 0 1 3.008-1.728l11.997 6.998a2 2 0 0 1 .003 3.458l-12 7A2 2 0 0 1
    5 19z" />`,
  workflow: svg`<rect width="8" height="8" x="3" y="3" rx="2" /><path d="M7 11v4a2 2 0 0 0 2 2h4" />
    <rect width="8" height="8" x="13" y="13" rx="2" />`,
};

export const icon = (name) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
  ${PATHS[name]}</svg>`;

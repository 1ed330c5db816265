/** What narrows a list down. */
import {html, nothing} from './lit-html.js';

/** Buttons that choose one value of a parameter: [value, text, number]. */
export const choice = (element, name, label, options) => html`<div class="field">
  <span aria-hidden="true">${label}</span>
  <div class="choice" role="group" aria-label=${label}>${options.map(([key, text, number]) => html`
    <button type="button" aria-pressed=${key === (element.state(name) ?? '')}
      @click=${() => element.go({[name]: key})}>${text}${number === undefined ? nothing
        : html` <span class="number">${number}</span>`}</button>`)}</div></div>`;

/**
 * What the four elements have in common: they read one document, keep all of their state in the
 * address, and show what they have while they ask for more.
 */
import {html, nothing, render} from './lit-html.js';
import {Problem, read} from './api.js';
import {dateRange, dateTime, time} from './numbers.js';
import {problemView, skeleton, staleNotice} from './parts.js';

const SKELETON_AFTER_MS = 300;
const STALE_AFTER_MS = 5 * 60 * 1000;

/**
 * Attributes: `api` and `href-base`, which stand before the addresses of the API and of the pages,
 * and `changed-by`, the name that a change of status is recorded with.
 *
 * An element extends it with `request()`, the address of its document; `heading(document)`, a text;
 * `view(document)`, a template; and, if it likes, `tools(document)` and `announcement(document)`.
 */
export class DashboardElement extends HTMLElement {
  data = null;
  problem = null;
  message = '';
  #slow = false;
  #url = null;
  #etag = null;
  #readAt = null;
  #reading = null;
  #listening = null;

  connectedCallback() {
    this.#listening = new AbortController();
    const {signal} = this.#listening;
    addEventListener('popstate', () => this.load(), {signal});
    document.addEventListener('visibilitychange', () => this.#wake(), {signal});
    addEventListener('beforeprint', () => this.#openDetails(), {signal});
    const watcher = new ResizeObserver(() => this.#nameScrollers());
    watcher.observe(this);
    signal.addEventListener('abort', () => watcher.disconnect());
    this.load();
  }

  disconnectedCallback() {
    this.#listening.abort();
    this.#reading?.abort();
  }

  get api() {
    return (this.getAttribute('api') ?? '').replace(/\/$/, '');
  }

  /** A value of the query, or undefined. */
  state(name) {
    return new URLSearchParams(location.search).get(name) || undefined;
  }

  /** The address of a page, in the same period. Parameters that are empty are left out. */
  href(path, parameters = {}) {
    const all = {period: this.state('period'), ...parameters};
    const query = new URLSearchParams(Object.entries(all).filter(([, value]) => value));
    const base = (this.getAttribute('href-base') ?? '').replace(/\/$/, '');
    return `${base}${path}${query.size ? `?${query}` : ''}`;
  }

  /** Change parameters of this page's address, and show what it then stands for. */
  go(parameters) {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(parameters)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    history.pushState(null, '', `${location.pathname}${query.size ? `?${query}` : ''}`);
    this.load({announce: true});
  }

  /** Read the document, unless it is the one on the screen. */
  async load({announce = false, again = false} = {}) {
    const url = this.request();
    if (url === this.#url && !again && (this.#reading || !this.problem)) {
      this.update();
      return;
    }
    this.#reading?.abort();
    const reading = this.#reading = new AbortController();
    const etag = url === this.#url && this.data ? this.#etag : null;
    this.#url = url;
    this.message = '';
    this.#slow = false;
    const timer = setTimeout(() => {
      this.#slow = true;
      this.update();
    }, SKELETON_AFTER_MS);
    this.update();
    try {
      const answer = await read(url, etag, reading.signal);
      if (answer) {
        this.data = this.merge(answer.document);
        this.#etag = answer.etag;
      }
      this.problem = null;
      this.#readAt = new Date();
      if (announce) this.message = this.announcement(this.data);
    } catch (error) {
      if (this.#reading !== reading) return;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      await this.explain?.(error);
    } finally {
      clearTimeout(timer);
      if (this.#reading === reading) {
        this.#reading = null;
        this.#slow = false;
        this.update();
      }
    }
  }

  /** Return what to show of a document that was read. */
  merge(fresh) {
    return fresh;
  }

  /** Whether the page is about one thing, whose name is its heading. */
  get subject() {
    return false;
  }

  announcement() {
    return 'Updated';
  }

  /** Say something to a screen reader. */
  announce(text) {
    this.message = text;
    this.update();
  }

  update() {
    if (!this.isConnected) return;
    const {data: shown, problem} = this;
    const heading = this.heading(shown);
    render(html`
      <div class="page ${this.subject ? 'subject' : ''}" aria-busy=${this.#slow}>
        ${shown ? this.#printHeader(shown) : nothing}
        ${this.breadcrumb?.(shown) ?? nothing}
        <div class="head">
          <h1>${heading}</h1>
          ${this.tools?.(shown) ?? nothing}
        </div>
        ${problem && shown ? staleNotice(problem, this.#readAt, () => this.retry()) : nothing}
        ${shown ? this.view(shown)
          : problem ? problemView(this, problem)
          : this.#slow ? skeleton : nothing}
        ${shown ? html`<footer class="foot">
          <p>Data updated ${dateTime(shown.dataUpdatedAt)}</p>
        </footer>` : nothing}
        <p class="hidden" role="status">${this.message}</p>
      </div>`, this);
    this.#nameScrollers();
    this.#frame(heading);
  }

  retry() {
    this.load({announce: true, again: true});
  }

  #wake() {
    const age = Date.now() - (this.#readAt ?? Date.now());
    if (document.visibilityState === 'visible' && age >= STALE_AFTER_MS && !this.#reading) {
      this.load({again: true});
    }
  }

  #printHeader({period, dataUpdatedAt}) {
    return html`<p class="print-only">
      ${period ? html`${period.periodLabel}, ${dateRange(period.startDate, period.endDate)}. ` : ''}
      Data updated ${dateTime(dataUpdatedAt)}. Printed ${time(new Date())}. ${location.href}
    </p>`;
  }

  // A printed page cannot be opened up. They are closed again afterwards, except for menus, which
  // are not printed.
  #openDetails() {
    const closed = this.querySelectorAll('details:not([open], .menu)');
    for (const details of closed) details.open = true;
    addEventListener('afterprint', () => {
      for (const details of closed) details.open = false;
    }, {once: true});
  }

  // What scrolls can be reached with the keyboard, and has a name; what does not is no stop.
  #nameScrollers() {
    for (const box of this.querySelectorAll('.scroll')) {
      const scrolls = box.scrollWidth > box.clientWidth + 1;
      if (scrolls) {
        box.tabIndex = 0;
        box.setAttribute('role', 'region');
        box.setAttribute('aria-label', box.querySelector('caption')?.textContent.trim() ?? 'Table');
      } else {
        for (const name of ['tabindex', 'role', 'aria-label']) box.removeAttribute(name);
      }
    }
  }

  // On our own pages: the title, and the period in the links of the header.
  #frame(heading) {
    const frame = this.closest('.lfmigrate-page');
    if (!frame) return;
    document.title = `${heading} – Leadership feedback`;
    for (const link of frame.querySelectorAll('.frame nav a')) {
      link.search = this.state('period') ? `?period=${this.state('period')}` : '';
    }
  }
}

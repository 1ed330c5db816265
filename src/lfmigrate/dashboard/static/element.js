import {html, nothing, render} from './lit-html.js';
import {Problem, read, withQuery} from './client.js';
import {dateRange, dateTime, time} from './numbers.js';
import {problemView, skeleton, staleNotice} from './templates.js';

const SKELETON_AFTER_MS = 300;
const STALE_AFTER_MS = 5 * 60 * 1000;

/**
 * An element reads one document, and keeps its state in the page's address. A subclass has
 * request(), heading(document) and view(document), and maybe breadcrumb, tools, announcement,
 * isRead, ways (out of a problem), and subject, if the heading is the name of one thing.
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
    // Back to a page that was kept as it was: a decision may have been made meanwhile.
    addEventListener('pageshow', ({persisted}) => persisted && this.load({again: true}), {signal});
    document.addEventListener('visibilitychange', () => this.#wake(), {signal});
    addEventListener('beforeprint', () => this.#openDetails(), {signal});
    const watcher = new ResizeObserver(() => this.#fit());
    watcher.observe(this);
    signal.addEventListener('abort', () => watcher.disconnect());
    this.load();
  }

  disconnectedCallback() {
    this.#listening.abort();
    this.#reading?.abort();
    this.#url = null;
  }

  get api() {
    return (this.getAttribute('api') ?? '').replace(/\/$/, '');
  }

  state(name) {
    return new URLSearchParams(location.search).get(name) || undefined;
  }

  /** The address of a page, in the same period. */
  href(path, parameters = {}) {
    const base = (this.getAttribute('href-base') ?? '').replace(/\/$/, '');
    return withQuery(base + path, {period: this.state('period'), ...parameters});
  }

  go(parameters) {
    const all = {...Object.fromEntries(new URLSearchParams(location.search)), ...parameters};
    history.pushState(null, '', withQuery(location.pathname, all));
    this.load({announce: true});
  }

  /** Read the document, unless it is the one on the screen. */
  async load({announce = false, again = false} = {}) {
    const url = this.request();
    const say = () => announce && (this.announcement?.(this.data) ?? 'Updated') || '';
    if (url === this.#url && !again && (this.#reading || !this.problem)) {
      this.announce(this.data ? say() : '');
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
      const fresh = answer && await this.merge(answer.document);
      if (reading.signal.aborted) return;
      if (answer) [this.data, this.#etag] = [fresh, answer.etag];
      this.problem = null;
      this.isRead?.();
      this.#readAt = new Date();
      this.message = say();
    } catch (error) {
      if (reading.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    } finally {
      clearTimeout(timer);
      if (this.#reading === reading) {
        this.#reading = null;
        this.#slow = false;
        this.update();
      }
    }
  }

  merge(fresh) {
    return fresh;
  }

  announce(text) {
    this.message = text;
    this.update();
  }

  update() {
    if (!this.isConnected) return;
    const {data: shown, problem} = this;
    const heading = this.heading(shown);
    const focused = this.contains(document.activeElement);
    render(html`
      <div class="page ${this.subject ? 'subject' : ''}" aria-busy=${this.#slow}>
        ${shown ? this.#printHeader(shown) : nothing}
        ${this.breadcrumb?.(shown) ?? nothing}
        <div class="head">
          <h1 tabindex="-1">${heading}</h1>
          ${this.tools?.(shown) ?? nothing}
        </div>
        ${problem && shown ? staleNotice(problem, this.#readAt, () => this.retry()) : nothing}
        ${shown ? this.view(shown)
          : problem ? problemView(this, problem)
          : this.#slow ? skeleton : nothing}
        ${shown ? html`<footer class="foot">
          <p>Data updated ${dateTime(shown.dataUpdatedAt ?? shown.updatedAt)}</p>
        </footer>` : nothing}
        <p class="hidden" role="status">${this.message}</p>
      </div>`, this);
    // The button that had the focus may be gone.
    if (focused && !this.contains(document.activeElement)) this.querySelector('h1').focus();
    this.#fit();
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

  #printHeader({period, dataUpdatedAt, updatedAt}) {
    return html`<p class="print-only">
      ${period ? html`${period.periodLabel}, ${dateRange(period.startDate, period.endDate)}. ` : ''}
      Data updated ${dateTime(dataUpdatedAt ?? updatedAt)}. ${location.href}
    </p>`;
  }

  // They are closed again afterwards. Menus are not printed.
  #openDetails() {
    const closed = this.querySelectorAll('details:not([open], .menu)');
    for (const details of closed) details.open = true;
    addEventListener('afterprint', () => {
      for (const details of closed) details.open = false;
    }, {once: true});
  }

  // What scrolls is a stop of the keyboard, and has a name. Labels that would touch are thinned.
  #fit() {
    for (const axis of this.querySelectorAll('.axis')) {
      axis.classList.remove('thin');
      const boxes = [...axis.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
      axis.classList.toggle('thin', boxes.some(({left}, index) =>
        left < boxes[index - 1]?.right + 8));
    }
    for (const box of this.querySelectorAll('.scroll')) {
      const scrolls = box.scrollWidth > box.clientWidth + 1;
      const name = box.querySelector('caption').textContent;
      for (const [key, value] of [['tabindex', 0], ['role', 'region'], ['aria-label', name]]) {
        if (scrolls) box.setAttribute(key, value);
        else box.removeAttribute(key);
      }
    }
  }

  // Only on our own pages.
  #frame(heading) {
    const frame = this.closest('.lfmigrate-page');
    if (!frame) return;
    document.title = `${heading} – Cost dashboard`;
    for (const link of frame.querySelectorAll('.frame a')) {
      link.search = withQuery('', {period: this.state('period')});
    }
  }
}

/** How is it carried out, and who has done it before? */
import {html, nothing, svg} from './lit-html.js';
import {address} from './client.js';
import {Decisions} from './decisions.js';
import {DashboardElement} from './element.js';
import {labels, reach, workflow} from './labels.js';
import {backLink} from './links.js';
import {dollars, sentence} from './numbers.js';
import {badge, col, icon, none, num, rowHead, savings, table} from './templates.js';

const PLAY = icon(svg`<path d="M5 5a2 2 0 0 1 3.008-1.728l11.997 6.998a2 2 0 0 1 .003 3.458l-12
  7A2 2 0 0 1 5 19z" />`);

/** The recommendation that the attribute `program` or the path names. */
export class ProgramImplementation extends DashboardElement {
  #decisions = new Decisions(this);

  get program() {
    const [, found] = location.pathname.match(/\/recommendations\/([^/]+)\/?$/) ?? [];
    return this.getAttribute('program') || found;
  }

  get subject() {
    return true;
  }

  request() {
    return address(this.api, `recommendations/${encodeURIComponent(this.program)}`);
  }

  isRead() {
    this.#decisions.forget();
  }

  heading(shown) {
    return shown?.title ?? 'Recommendation';
  }

  // Back to where the link was, with the filters that were set there.
  breadcrumb(shown) {
    const from = this.state('from') ?? '';
    const kept = Object.fromEntries(['status', 'priority', 'category', 'sort']
      .map((name) => [name, this.state(name)]));
    const [, slug] = from.match(/^deep-dive\.([a-z0-9-]+)$/) ?? [];
    const name = shown?.affectedCategories.find(({categorySlug}) => categorySlug === slug)
      ?.categoryName ?? sentence((slug ?? '').replaceAll('-', ' '));
    const [path, text] = from === 'insights' ? ['/', 'Cost performance']
      : slug ? [`/deep-dive/${slug}`, name] : ['/recommendations', 'Recommendations'];
    return backLink(this.href(path, kept), text);
  }

  ways() {
    return html`<p><a href=${this.href('/recommendations')}>All recommendations</a></p>`;
  }

  view(shown) {
    const {description, estimatedSavings, patientCohort, programResources, canChangeStatus} = shown;
    return html`
      <p class="about">${description}</p>
      <div class="program">
        <aside class="card" aria-label="In brief">
          <p class="worth">${savings(estimatedSavings)}</p>
          <p class="meta">${labels(shown)}</p>
          <dl><div><dt>Patients reached</dt><dd>${reach(shown)}</dd></div>
            ${patientCohort ? html`<div><dt>For whom</dt><dd>${patientCohort}</dd></div>` : nothing}
          </dl>
          ${workflow(shown)}
          <h2>Decision</h2>
          ${this.#decisions.view(shown, canChangeStatus)}
          ${canChangeStatus ? nothing : html`<p class="sub">The status cannot be changed here: the
            dashboard or its database role may only read.</p>`}
        </aside>
        <div class="details">
          ${shown.hasProgramDetails ? this.#details(shown, programResources)
            : none('No program details yet.')}
          ${this.#categories(shown)}
        </div>
      </div>`;
  }

  #details({programOverview, videoUrl}, resources) {
    const {implementationSteps, bestPractices, testimonials} = resources ?? {
      implementationSteps: [], bestPractices: [], testimonials: []};
    const item = ({title, content}) => html`<li><h3>${title}</h3><p>${content}</p></li>`;
    const paragraphs = programOverview?.split(/\n\s*\n/) ?? [];
    const video = URL.canParse(videoUrl) && /^https?:/i.test(videoUrl) && new URL(videoUrl).host;
    return html`
      ${paragraphs.length || video ? html`<section><h2>Overview</h2>${paragraphs.map((paragraph) =>
        html`<p>${paragraph}</p>`)}${video ? html`<p><a class="quiet" href=${videoUrl}
        rel="noreferrer">${PLAY}Watch the video on ${video}</a></p>`
        : nothing}</section>` : nothing}
      <section><h2>Steps</h2>${implementationSteps.length
        ? html`<ol class="steps">${implementationSteps.map(item)}</ol>`
        : none('No steps are described yet.')}</section>
      <section><h2>Best practices</h2>${bestPractices.length
        ? html`<ul class="practices">${bestPractices.map(item)}</ul>`
        : none('No best practices are described yet.')}</section>
      <section><h2>What others say</h2>${testimonials.length
        ? testimonials.map(({content, author, authorRole}) => html`<figure>
            <blockquote><p>${content}</p></blockquote>
            <figcaption>${author}${authorRole ? `, ${authorRole}` : ''}</figcaption></figure>`)
        : none('No one has been quoted yet.')}</section>`;
  }

  #categories({affectedCategories, estimatedSavings}) {
    return html`<section><h2>Categories it affects</h2>${affectedCategories.length ? html`${
      table('Categories it affects', affectedCategories, [
        rowHead('Category', ({categorySlug, categoryName}) => html`<a href=${
          this.href(`/deep-dive/${categorySlug}`)}>${categoryName}</a>`),
        col('Status', ({performanceStatus}) => badge(performanceStatus)),
        num('Savings a year', 'impactAmount', dollars),
      ])}<p class="total">Total: <strong>${savings(estimatedSavings)}</strong></p>`
      : none('No category is linked to it.')}</section>`;
  }
}

customElements.define('program-implementation', ProgramImplementation);

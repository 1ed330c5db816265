/**
 * The one thing that the pages write: the status of a recommendation.
 *
 * A decision is not shown before the server has confirmed it, and not written over another
 * person's without asking.
 */
import {html, nothing, svg} from './lit-html.js';
import {Problem, address, send} from './client.js';
import {sentence, time} from './numbers.js';
import {alertIcon, icon} from './templates.js';

const DOWN = icon(svg`<path d="m6 9 6 6 6-6" />`);

/** All statuses, and what a person did who set one: "m.alvarez accepted this". */
const DID = {
  not_started: 'set this back to not started',
  acknowledged: 'acknowledged this',
  accepted: 'accepted this',
  rejected: 'rejected this',
  already_doing: 'marked this as already being done',
  in_progress: 'started this',
  completed: 'completed this',
};
export const statuses = Object.keys(DID);
/** What is offered first: the new status, the button, and the statuses that it is offered for. */
const ACTIONS = [
  ['accepted', 'Accept', ['not_started', 'acknowledged']],
  ['in_progress', 'Start', ['accepted']],
  ['completed', 'Complete', ['in_progress']],
  ['rejected', 'Reject', ['not_started', 'acknowledged', 'accepted']],
  ['already_doing', 'Already doing', ['not_started', 'acknowledged']],
];

/** Who decided, and when. */
export function audit({status, statusChangedAt, statusChangedBy}) {
  return html`<p class="audit"><span class="chip ${status}">${sentence(status)}</span>
    ${statusChangedAt || statusChangedBy ? html`<span>${statusChangedBy
      ? html`by ${statusChangedBy}, ` : nothing}${time(statusChangedAt)}</span>` : nothing}</p>`;
}

/** The controls of one element's recommendations. */
export class Decisions {
  #element;
  #states = new Map(); // by id: {saving: true}, {conflict: document, wanted} or {problem: document}

  constructor(element) {
    this.#element = element;
  }

  /** The status of a recommendation, and the buttons that change it if the reader may. */
  view(recommendation, canChange) {
    const {saving, conflict, problem, wanted} = this.#states.get(recommendation.id) ?? {};
    const choose = (status) => (event) => this.#choose(event, recommendation, status);
    const button = (status, text) => html`<button type="button" aria-disabled=${saving ?? false}
      aria-label="${text}: ${recommendation.title}" @click=${choose(status)}>${text}</button>`;
    // Every button has a place of its own, so none of them turns into another one under a finger.
    return html`<div class="decision" data-id=${recommendation.id}>${audit(recommendation)}
      ${canChange ? html`<div class="actions">
        ${ACTIONS.map(([status, text, from]) => from.includes(recommendation.status)
          ? button(status, text) : nothing)}
        <details class="menu" @keydown=${closeOnEscape} @focusout=${closeOnLeave}>
          <summary aria-label="Change status: ${recommendation.title}">Change status${
            DOWN}</summary>
          <ul>${statuses.map((status) => html`<li><button type="button"
            aria-current=${status === recommendation.status} aria-disabled=${saving ?? false}
            @click=${choose(status)}>${sentence(status)}</button></li>`)}</ul>
        </details>
        ${saving ? html`<span class="saving">Saving…</span>` : nothing}
      </div>` : nothing}
      ${conflict ? this.#conflict(recommendation, conflict, wanted) : nothing}
      ${problem ? html`<div class="notice stale" role="alert">${alertIcon}
        <p><strong>${problem.title}.</strong> ${problem.detail ?? ''}</p></div>` : nothing}</div>`;
  }

  #conflict(recommendation, {currentStatus, statusChangedAt, statusChangedBy}, wanted) {
    const did = DID[currentStatus] ?? `set this to ${sentence(currentStatus)}`;
    const keep = () => this.#settle(recommendation, recommendation);
    return html`<div class="notice stale" role="alert">${alertIcon}
      <p>${statusChangedBy ?? 'Another person'} ${did}${statusChangedAt
        ? html` at ${time(statusChangedAt)}` : nothing}.</p>
      <span class="actions"><button type="button" @click=${keep}>Keep “${
        sentence(currentStatus)}”</button>
      <button type="button" @click=${() => this.#change(recommendation, wanted)}
        >Change to “${sentence(wanted)}”</button></span></div>`;
  }

  #choose(event, recommendation, status) {
    event.target.closest('details')?.removeAttribute('open');
    if (status !== recommendation.status) this.#change(recommendation, status);
  }

  async #change(recommendation, wanted) {
    const {id, status: expectedStatus} = recommendation;
    if (this.#states.get(id)?.saving) return;
    this.#show(id, {saving: true});
    try {
      const {api} = this.#element;
      // Without a name, JSON leaves the member out.
      const changedBy = this.#element.getAttribute('changed-by') ?? undefined;
      const {document} = await send(address(api, `recommendations/${id}`), {method: 'PATCH',
        headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({status: wanted, expectedStatus, changedBy})});
      if (!document?.recommendation) throw new Problem({title: 'The answer is not a status'});
      this.#settle(recommendation, document.recommendation);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const {kind, document} = error;
      if (kind === 'status-changed') this.#conflicts(recommendation, document, wanted);
      else if (kind && kind !== 'outcome-unknown') this.#show(id, {problem: document});
      else await this.#lookAgain(id, document);
    }
  }

  // What the other one decided is the status now, whatever the reader does next.
  #conflicts(recommendation, conflict, wanted) {
    const {currentStatus: status, statusChangedAt, statusChangedBy} = conflict;
    Object.assign(recommendation, {status, statusChangedAt, statusChangedBy});
    this.#show(recommendation.id, {conflict, wanted});
  }

  // The answer is lost: the change may have been made, or not.
  async #lookAgain(id, problem) {
    await this.#element.load({again: true});
    this.#show(id, {problem: this.#element.problem
      ? {...problem, detail: 'Whether the status was changed is not known.'}
      : {title: 'The answer was lost', detail: 'The status above is the one that is stored.'}});
  }

  /** The document was read again: what went wrong before is no longer true. */
  forget() {
    for (const [id, {problem}] of this.#states) if (problem) this.#states.delete(id);
  }

  #settle(recommendation, {status, statusChangedAt, statusChangedBy, updatedAt}) {
    Object.assign(recommendation, {status, statusChangedAt, statusChangedBy});
    if (updatedAt) recommendation.updatedAt = updatedAt;
    this.#element.message = `${recommendation.title}: ${sentence(status)}${
      statusChangedBy ? `, by ${statusChangedBy}` : ''}`;
    this.#show(recommendation.id, undefined);
    this.#element.decided?.(recommendation.id);
  }

  /** Show a state. A focus whose button is gone goes to the control that always remains. */
  #show(id, state) {
    const row = this.#element.querySelector(`.decision[data-id="${id}"]`);
    const focused = row?.contains(document.activeElement);
    if (state) this.#states.set(id, state);
    else this.#states.delete(id);
    this.#element.update();
    if (focused && !row.contains(document.activeElement)) row.querySelector('summary')?.focus();
  }
}

function closeOnEscape(event) {
  if (event.key !== 'Escape' || !event.currentTarget.open) return;
  event.currentTarget.open = false;
  event.currentTarget.querySelector('summary').focus();
}

// A click on a part that takes no focus leaves the focus nowhere, in some browsers on buttons, too.
function closeOnLeave({currentTarget: menu, relatedTarget}) {
  if (relatedTarget ? !menu.contains(relatedTarget) : !menu.matches(':hover')) menu.open = false;
}

/** What the list of recommendations and the page of one of them say alike. */
import {html, nothing, svg} from './lit-html.js';
import {count, number, sentence, words} from './numbers.js';
import {icon} from './templates.js';

const WORKFLOW = icon(svg`<rect width="8" height="8" x="3" y="3" rx="2" /><path d="M7 11v4a2 2 0 0 0
  2 2h4" /><rect width="8" height="8" x="13" y="13" rx="2" />`);

/** Priority, complexity, and whether the effect can be measured. */
export const labels = ({priority, implementationComplexity, isMeasurable}) => html`
  <span class="priority ${priority ?? ''}">${priority ? `${sentence(priority)} priority`
    : 'Priority unknown'}</span>
  <span>${implementationComplexity ? `${sentence(implementationComplexity)} complexity`
    : 'Complexity unknown'}</span>
  <span>${isMeasurable ? 'Measurable' : 'Not measurable'}</span>`;

/** How many patients of how many. */
export function reach({affectedLives, cohortSize}) {
  if (affectedLives === null) {
    return cohortSize === null ? 'Patients unknown'
      : `Unknown how many of ${number(cohortSize)} patients`;
  }
  return cohortSize === null ? count(affectedLives, 'patient', 'patients')
    : `${number(affectedLives)} of ${number(cohortSize)} patients`;
}

export const workflow = ({canConvertToWorkflow, workflowType}) => canConvertToWorkflow
  ? html`<p class="meta">${WORKFLOW}<span>Can become a workflow${workflowType
    ? `: ${words(workflowType)}` : ''}</span></p>` : nothing;

/**
 * The three endpoints as functions. Knows no element.
 */

/** A failed request, as the RFC 9457 document that the server sent, or one of the same form. */
export class Problem extends Error {
  constructor(document) {
    super(document.title);
    this.document = document;
    this.kind = (document.type ?? '').replace('urn:lfmigrate:dashboard:', '');
  }
}

const UNREACHABLE = {
  type: 'unreachable',
  title: 'The server cannot be reached',
  detail: 'Check the connection, and whether "lfmigrate serve" is running. Then try again.',
};

/** Return the address of an endpoint; parameters that are empty are left out. */
export function address(base, path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return `${base}/api/${path}${query.size ? `?${query}` : ''}`;
}

async function send(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(UNREACHABLE);
  }
  if (answer.ok || answer.status === 304) return answer;
  const title = `The server answered ${answer.status}`;
  throw new Problem(await answer.json().then(
    (document) => ({title, ...document}),
    () => ({title, detail: 'Try again, or look into the log of the server.'}),
  ));
}

/**
 * Read a document.
 *
 * @param {string} url
 * @param {?string} etag of the document that the caller has. From another origin the tag cannot be
 *   read, so it is null there, and the browser's own cache asks.
 * @param {AbortSignal} signal
 * @returns {Promise<?{document: object, etag: ?string}>} null if the caller's document is current
 */
export async function read(url, etag, signal) {
  const headers = {Accept: 'application/json', ...(etag ? {'If-None-Match': etag} : {})};
  const answer = await send(url, {headers, signal});
  if (answer.status === 304) return null;
  try {
    return {document: await answer.json(), etag: answer.headers.get('ETag')};
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem({title: 'The answer is not a document of the dashboard',
      detail: 'Check the address of the API.'});
  }
}

/**
 * Change the status of a recommendation.
 *
 * @returns {Promise<object>} id, status, statusChangedAt, statusChangedBy, updatedAt as written
 */
export async function changeStatus(base, id, status, expectedStatus, changedBy) {
  const answer = await send(address(base, `recommendations/${id}`), {
    method: 'PATCH',
    headers: {'Content-Type': 'application/json', Accept: 'application/json'},
    body: JSON.stringify({status, expectedStatus, ...(changedBy ? {changedBy} : {})}),
  });
  return (await answer.json()).recommendation;
}

/** A failed request, with an RFC 9457 document. */
export class Problem extends Error {
  constructor(document) {
    super(document.title);
    this.document = document;
    this.kind = document.type?.replace('urn:lfmigrate:dashboard:', '');
  }
}

const UNREACHABLE = {title: 'The server cannot be reached',
  detail: 'Check the connection, and whether "lfmigrate serve" is running.'};

// Empty parameters are left out.
export function withQuery(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  return query.size ? `${path}?${query}` : path;
}

export const address = (base, path, parameters) => withQuery(`${base}/api/${path}`, parameters);

export async function send(url, options) {
  const failed = (document) => {
    // A caller that has given up needs no reason.
    options.signal?.throwIfAborted();
    throw new Problem(document);
  };
  const answer = await fetch(url, options).catch(() => failed(UNREACHABLE));
  if (answer.status === 304) return null;
  const title = `The server answered ${answer.status}, and no document`;
  const document = await answer.json().catch(() => failed({title}));
  if (!answer.ok) failed({title, ...document});
  return {document, etag: answer.headers.get('ETag')};
}

/** Read {document, etag}, or null if the document of this etag is current. */
export const read = (url, etag, signal) => send(url, {signal,
  headers: etag ? {'If-None-Match': etag} : {}});

// The proxy's JSON API, as seen from the page.

const base = 'api/v1/';
const tokenName = 'nuthatch-token';
const patience = 10000; // milliseconds until an answer is given up

// Refused is the answer 401 or 403: the API wants a token, or another one.
export class Refused extends Error {}

// token is kept for this tab and gone with it.
export const token = {
  get: () => sessionStorage.getItem(tokenName),
  set: (value) => sessionStorage.setItem(tokenName, value),
  forget: () => sessionStorage.removeItem(tokenName),
};

// get reads one document. It throws Refused, or an Error whose message can be shown.
export async function get(path, parameters) {
  const query = parameters ? `?${new URLSearchParams(parameters)}` : '';
  const headers = { Accept: 'application/json' };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  const response = await fetch(base + path + query, {
    headers,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    signal: AbortSignal.timeout(patience),
  });
  if (response.status === 401 || response.status === 403) throw new Refused('a token is needed');
  let body;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  if (!response.ok) {
    const said = body && (typeof body.error === 'string' ? body.error : body.error?.message);
    throw new Error(said || `the proxy answered ${response.status}`);
  }
  if (body === null) throw new Error('the answer is not JSON');
  return body;
}

// Addresses that can be shared: #view, or #view/pool/server, which has the server open; behind a "?" what was chosen in
// the view: filters, the order, the time shown.

export function link(view, pool, server, chosen = {}) {
  const query = new URLSearchParams(Object.entries(chosen).filter(([, v]) => v !== undefined && v !== null && v !== '')).toString();
  const path = [view, pool, server].filter((part) => part !== undefined).map(encodeURIComponent).join('/');
  return `#${path}${query ? `?${query}` : ''}`;
}

// parse reads an address; what is no such address is the first view's.
export function parse(hash) {
  try {
    const [path, query = ''] = hash.slice(1).split(/\?(.*)/s);
    const [view, pool, server] = path.split('/').map(decodeURIComponent);
    return { view, pool, server, chosen: Object.fromEntries(new URLSearchParams(query)) };
  } catch {
    return { view: '', chosen: {} };
  }
}

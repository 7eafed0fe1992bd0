// Addresses that can be shared: #view, or #view/pool/server, which has the server open.

export function link(view, pool, server) {
  return `#${[view, pool, server].filter((part) => part !== undefined).map(encodeURIComponent).join('/')}`;
}

// parse reads an address; what is no such address is the first view's.
export function parse(hash) {
  try {
    const [view, pool, server] = hash.slice(1).split('/').map(decodeURIComponent);
    return { view, pool, server };
  } catch {
    return { view: '' };
  }
}

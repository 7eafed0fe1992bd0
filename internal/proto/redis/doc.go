// Package redis is what a pool needs to know of Redis's protocol: where a request
// ends and which of its words are keys, where a reply ends, how a request is
// split by server and its replies are put together again, and what the proxy
// answers itself.
//
//	client's bytes ─► request parser ─► msg.Request ─┬─ Forward ──► as it is
//	                     │                           ├─ Fragment ─► Head, Key.., Tail ──► servers
//	                     │ the command table         │                                     │
//	                     └ name, arity, keys,        └─ Local ────► Local                  ▼
//	                       treatment                                  Merge ◄── reply parser
//
// Bytes in, bytes out: nothing here does I/O, reads a clock or takes a lock. A
// Protocol, its parsers and what they return belong to one event loop.
//
// The parsers are resumable and linear. What they need of earlier bytes is in their
// state, so no byte is looked at twice because a read ended early. Bodies are skipped
// by their announced length. Announced lengths are checked against limits, and never
// allocated.
package redis

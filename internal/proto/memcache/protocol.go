// Package memcache is Memcached's text protocol, its meta commands included, as
// a proxy that shards needs it: where requests and replies begin and end, which
// words are keys, how a request of many keys is split by server, and how the
// replies become one.
//
//	client's bytes ─► requestParser ─► msg.Request ─► one server
//	                                       │
//	                                       └ many keys: FragmentHead, -Key, -Tail
//	                                                        │
//	server's bytes ─► replyParser ─► reply ◄── Merge ◄── a reply per server
//
// What stands here must keep requests and replies in step. So a request is only
// forwarded if the server will take exactly the same bytes for it and answer
// exactly once:
//
//   - the length of a value, and all that the server looks at before it reads the
//     value, is checked here: a server that objected to the line would take the
//     value for commands;
//   - a get of a key that is too long is refused here: memcached, failing a get,
//     drops the replies to earlier requests that it has not sent yet; and so is
//     the storing of one, whose value would be taken for commands;
//   - "noreply" is cut out, and the answer swallowed; so is a meta command's q,
//     and the answers swallowed that memcached would not have given;
//   - a meta command has no more words than every memcached takes: of more, some
//     leave the value unread;
//   - a line that is too long, or a NUL or a stray CR in it, never leaves.
//
// All else is the server's to judge, in its own words.
package memcache

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

const crlf = "\r\n"

var lf = []byte{'\n'}

// maxKeepSpans bounds the words, of 8 bytes each, for which a parser keeps
// memory between requests.
const maxKeepSpans = 4 << 10

// maxSize is the most that Options.MaxRequestSize can be: what a server takes
// for a value's length, and a msg.Span can describe.
const maxSize = 1<<31 - 1

// Options say what a pool's clients may do.
type Options struct {
	// MaxRequestSize bounds a request, its value included, in bytes. A value
	// that does not fit is refused and skipped; a line that does not fit is no
	// request at all. Zero, and all above 2 GiB - 1, mean 2 GiB - 1.
	MaxRequestSize int64
	// AllowFlush lets clients empty all servers, with flush_all.
	AllowFlush bool
	// ReadOnly refuses what may write.
	ReadOnly bool
	// Facts gives the proxy's own statistics, which "stats" tells, one by one to
	// tell. It is called on the event loop, so it must not wait. Nil: none.
	Facts func(tell func(name, value string))
}

// Protocol speaks Memcached's text protocol for one pool on one event loop.
type Protocol struct {
	maxRequest int
	allowFlush bool
	readOnly   bool
	facts      func(tell func(name, value string))
	// scratch gathers the head of a block that lies across chunks.
	scratch []byte
	// The mergeState is how far the merging of a split request's replies has come, and aside
	// that of one that is merged in slices.
	mergeState
	aside mergeState
	// pieces are some of a request's keys, each with the space before it.
	pieces [64]mbuf.Span
}

// New returns a Protocol with the given options.
func New(o Options) *Protocol {
	size := o.MaxRequestSize
	if size <= 0 || size > maxSize {
		size = maxSize
	}
	return &Protocol{maxRequest: int(size), allowFlush: o.AllowFlush, readOnly: o.ReadOnly, facts: o.Facts}
}

// NewRequestParser returns a parser for what a client sends.
func (p *Protocol) NewRequestParser() msg.RequestParser {
	return &requestParser{maxRequest: p.maxRequest, allowFlush: p.allowFlush, readOnly: p.readOnly}
}

// NewReplyParser returns a parser for what a server sends.
func (p *Protocol) NewReplyParser() msg.ReplyParser { return &replyParser{} }

// Local appends the error in req, or the proxy's own answer, or nothing for a
// quit or where the client expects no answer. A request that is not for the
// proxy to answer is one of a client that is not authenticated, and told so.
func (p *Protocol) Local(req *msg.Request, _ *msg.Session, pool *mbuf.Pool, out *mbuf.Chain) {
	if req.NoReply || req.Treatment == msg.Quit {
		return
	}
	line := req.Error
	if req.Treatment != msg.Local {
		line = "CLIENT_ERROR unauthenticated"
	}
	if line == "" {
		line = commands[req.Type].answer
	}
	if line == "" {
		p.appendFacts(pool, out)
		return
	}
	out.AppendString(pool, line)
	out.AppendString(pool, crlf)
}

// AppendError appends a SERVER_ERROR.
func (p *Protocol) AppendError(pool *mbuf.Pool, out *mbuf.Chain, why string) {
	out.AppendString(pool, "SERVER_ERROR ")
	out.AppendString(pool, why)
	out.AppendString(pool, crlf)
}

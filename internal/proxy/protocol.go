package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Protocol is what a pool needs to know of Redis or Memcached, and what each of them has.
// What only one of them has is optional: see capabilities. One Protocol serves one pool on
// one event loop, so it may keep scratch space.
//
// A request is answered here, by Local, if the parser says so (msg.Local, msg.Quit), or if
// one of the methods that look at it once more is not ok. Then Error of the request, or
// the session, says why. Its Treatment stays as the parser set it.
//
// It is declared here, where it is used; the protocols satisfy it without
// knowing this package.
type Protocol interface {
	Codec
	Splitter
}

// Codec reads and writes requests and replies.
type Codec interface {
	// NewRequestParser and NewReplyParser return parsers in their first state.
	NewRequestParser() msg.RequestParser
	NewReplyParser() msg.ReplyParser
	// Commands are the protocol's commands, by msg.Type. They never change.
	Commands() []msg.Command
	// Local appends the answer to a request that is answered here. It may change s.
	Local(req *msg.Request, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain)
	// AppendError appends an error in the protocol's form, for a request that
	// could not be served.
	AppendError(p *mbuf.Pool, out *mbuf.Chain, why string)
	// Verdict says what the reply means for a request of type t.
	Verdict(t msg.Type, r msg.Reply) msg.Verdict
	// ErrorPrefix is the word that the reply begins with if it is an error, at most
	// stats.MaxErrorName bytes and one more of it, in buf (64 bytes) or where it lies;
	// nil if the reply is none. refuses says why it is no answer to the request: the server
	// wants a login that the pool does not have (msg.LoginRefused), or will not have the
	// connection (msg.NoDescriptors, msg.AccessDenied), or takes no writes (msg.ReadOnly).
	ErrorPrefix(r msg.Reply, buf []byte) (prefix []byte, refuses msg.Reason)
	// SizeOfKey is how many bytes of the reply to a request for several keys are about
	// the i-th of them, which begins with key; 0 if the reply does not tell.
	SizeOfKey(t msg.Type, r msg.Reply, i int, key []byte) int
}

// Splitter makes several requests of one, and one reply of several.
type Splitter interface {
	// FragmentHead, FragmentKeys and FragmentTail build the sub-requests of req:
	// the head of each, for nkeys keys; then all keys in ascending order, with what
	// belongs to each, such as MSET's value, key from+i to outs[dealt[i]], or to none
	// if that is nil; then each tail.
	FragmentHead(req *msg.Request, nkeys int, p *mbuf.Pool, out *mbuf.Chain)
	FragmentKeys(req *msg.Request, from int, dealt []uint16, p *mbuf.Pool, outs []*mbuf.Chain)
	FragmentTail(req *msg.Request, p *mbuf.Pool, out *mbuf.Chain)
	// Merge appends to out the one reply to parent, from the replies, or
	// failures (Err), of parent.Frags; it leaves their Reply chains empty. It
	// reports whether the reply is an error that the proxy made itself.
	Merge(parent *msg.Msg, p *mbuf.Pool, out *mbuf.Chain) (failed bool)
	// MergeSome is Merge in slices, for one request at a time: each call merges what
	// belongs to about so many keys, until it is done. MergeStop gives up the request
	// that was begun, if one was.
	MergeSome(parent *msg.Msg, keys int, p *mbuf.Pool, out *mbuf.Chain) (done, failed bool)
	MergeStop(p *mbuf.Pool)
}

package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Protocol is what a pool needs to know of Redis or Memcached, and what both have. What
// only one of them has is optional: see capabilities. One Protocol serves one pool on
// one event loop, so it may keep scratch space.
//
// A request is answered by Local if the parser says so (msg.Local, msg.Quit), or if a
// later method returns ok == false. Then the request's Error, or the session, says why.
// Its Treatment stays as the parser set it.
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
	// Local appends the proxy's own answer to a request. It may change s.
	Local(req *msg.Request, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain)
	// AppendError appends an error in the protocol's form, for a request that
	// could not be served.
	AppendError(p *mbuf.Pool, out *mbuf.Chain, why string)
	// Verdict says what the reply means for a request of type t.
	Verdict(t msg.Type, r msg.Reply) msg.Verdict
	// ErrorPrefix is the first word of the reply if it is an error, otherwise nil. It
	// has at most stats.MaxErrorName+1 bytes, and lies in buf (64 bytes) or in the
	// reply. refuses says why the server refuses more than this request: it wants a
	// login that the pool does not have (msg.LoginRefused), does not accept the
	// connection (msg.NoDescriptors, msg.AccessDenied), takes no writes (msg.ReadOnly), or
	// has no data yet (msg.Loading, msg.MasterDown).
	ErrorPrefix(r msg.Reply, buf []byte) (prefix []byte, refuses msg.Reason)
	// SizeOfKey is how many bytes of the reply to a request for several keys are about
	// the i-th key, which begins with key. It is 0 if the reply does not say.
	SizeOfKey(t msg.Type, r msg.Reply, i int, key []byte) int
}

// Splitter makes several requests of one, and one reply of several.
type Splitter interface {
	// FragmentHead, FragmentKeys and FragmentTail build the sub-requests of req.
	// FragmentHead appends the head of one, for nkeys keys. FragmentKeys appends keys
	// in ascending order, with what belongs to each, such as MSET's value: key from+i
	// to outs[dealt[i]], unless that is nil. FragmentTail appends the tail of one.
	FragmentHead(req *msg.Request, nkeys int, p *mbuf.Pool, out *mbuf.Chain)
	FragmentKeys(req *msg.Request, from int, dealt []uint16, p *mbuf.Pool, outs []*mbuf.Chain)
	FragmentTail(req *msg.Request, p *mbuf.Pool, out *mbuf.Chain)
	// Merge appends the reply to parent to out. It makes it from the replies, or
	// failures (Err), of parent.Frags, and leaves their Reply chains empty. It reports
	// whether the reply is an error of the proxy's own.
	Merge(parent *msg.Msg, p *mbuf.Pool, out *mbuf.Chain) (failed bool)
	// MergeSome is Merge in slices, for one request at a time. Each call merges what
	// belongs to about keys keys, until done is true. MergeStop gives up a request that
	// was begun.
	MergeSome(parent *msg.Msg, keys int, p *mbuf.Pool, out *mbuf.Chain) (done, failed bool)
	MergeStop(p *mbuf.Pool)
}

package proxy

import (
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Protocol is what a pool needs to know of Redis or Memcached. One Protocol
// serves one pool on one event loop, so it may keep scratch space.
//
// A request is answered here, by Local, if the parser says so (msg.Local, msg.Quit), or if
// one of the methods below that look at it once more is not ok. Then Error of the request,
// or the session, says why. Its Treatment stays as the parser set it.
//
// It is declared here, where it is used; the protocols satisfy it without
// knowing this package.
type Protocol interface {
	// NewRequestParser and NewReplyParser return parsers in their first state.
	NewRequestParser() msg.RequestParser
	NewReplyParser() msg.ReplyParser

	// Commands are the protocol's commands, by msg.Type. They never change.
	Commands() []msg.Command

	// Resolve returns the lane of server connections that serves a session's lane.
	Resolve(lane msg.Lane) msg.Lane
	// Adopt has the session of a client that was there before a reload mean the same
	// under the pool's new configuration.
	Adopt(s *msg.Session)

	// Handshake appends what a fresh server connection of a lane says first,
	// before any request, and returns how many replies that will bring. Those are
	// given to HandshakeReply, one by one, and seen by no client.
	Handshake(lane msg.Lane, p *mbuf.Pool, out *mbuf.Chain) int
	// HandshakeReply looks at the i-th reply of the handshake, flat in b. The
	// text is empty if the server agreed, and else is what it objected. A reason
	// says that the connection is then not what the lane promises, and must not
	// be used.
	HandshakeReply(lane msg.Lane, i int, b []byte) (objection string, unfit msg.Reason)

	// Allows is not ok if a request is not to be carried out for what the client said, or
	// did not say, before: it has not logged in, or s.Bars. It is asked only of sessions of
	// that kind.
	Allows(req *msg.Request, s *msg.Session) (ok bool)
	// Local appends the answer to a request that is answered here. It may change s.
	Local(req *msg.Request, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain)

	// Ask appends the question that a request whose treatment is Learn raises, to
	// a server on the default lane, and returns what it is about: one answer does
	// for all requests with the same topic. If it appends nothing, what Report
	// returns finds the answer out. It is not ok if there is nothing to ask.
	Ask(req *msg.Request, s *msg.Session, p *mbuf.Pool, out *mbuf.Chain) (topic string, ok bool)
	// Learn keeps what a server's answer, flat in reply, says about the topic, for
	// all loops; the request is then parsed again. If the reply is no answer the
	// text is what the server says instead. A request that is to be learnt still
	// after that is answered here.
	Learn(topic string, reply []byte) (objection string)

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

	// Prepare looks at a request that is to go to every server. It may have other bytes
	// sent.
	Prepare(req *msg.Request) (ok bool)
	// OneServer picks which of the pool's n servers a request goes to whose
	// treatment is One. AppendOne then appends what goes to that server.
	OneServer(req *msg.Request, n int) (server int, ok bool)
	AppendOne(req *msg.Request, n int, p *mbuf.Pool, out *mbuf.Chain)
	// Inquire is what a request whose treatment is Gather wants to know. If it is about
	// clients that the request names one by one, these are appended to words, for ReadIDs.
	Inquire(req *msg.Request, s *msg.Session, p *mbuf.Pool, words *mbuf.Chain) (about msg.Inquiry, ok bool)
	// Report is what finds out the reply to a request whose treatment is Report, and
	// calls reply with it, once, on any goroutine. It is called outside the event
	// loops.
	Report(req *msg.Request, s *msg.Session) (find func(reply func([]byte)), ok bool)
	// Restore appends what a server must be told that may have forgotten
	// everything, and returns how many replies that will bring.
	Restore(p *mbuf.Pool, out *mbuf.Chain) int

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
	// Silent reports whether the client of a quiet request wants not to hear
	// this reply to it. The reply is not changed.
	Silent(t msg.Type, r msg.Reply) bool

	// AppendError appends an error in the protocol's form, for a request that
	// could not be served.
	AppendError(p *mbuf.Pool, out *mbuf.Chain, why string)
	// AppendCrossServer appends the error for a request that cannot be split and
	// whose keys a and b, among others, have different owners.
	AppendCrossServer(p *mbuf.Pool, out *mbuf.Chain, req *msg.Request, a, b []byte)
}

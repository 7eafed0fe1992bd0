package msg

import "nuthatch/internal/mbuf"

// Treatment is what becomes of a request.
type Treatment uint8

const (
	// Forward it, as it is, to the server that owns its keys.
	Forward Treatment = iota
	// Fragment it: one sub-request for each server that owns some of its keys,
	// the replies merged. With one owner it is forwarded as it is.
	Fragment
	// Watch forwards it on a private connection, which the client keeps until it no
	// longer needs it.
	Watch
	// Block forwards it on a private connection, which the client keeps until the
	// reply. The reply may take any time.
	Block
	// Subscribe has the client listen to channels, or listen no more.
	Subscribe
	// Publish forwards it to the server whose clients hear of the channel.
	Publish
	// Confirm asks each server that the client has written to, on a connection that the
	// client has to itself until the reply, for which no time is too long; the replies merged.
	Confirm
	// Track is CLIENT TRACKING: the client is told when keys change, or no more.
	Track
	// Monitor is MONITOR: the client sees every command.
	Monitor
	// Broadcast it, as it is, to every server of the pool; the replies merged.
	Broadcast
	// One server is asked. The protocol picks it, writes the request for it, and
	// writes the reply.
	One
	// Learn has the protocol ask a server what the request means; then it is
	// parsed again.
	Learn
	// Local means that the protocol answers the request itself, in its turn.
	Local
	// Gather is like Local, but all event loops of the process help to answer.
	Gather
	// Report is like Local, but the reply is about the whole process, and is made
	// outside the event loops.
	Report
	// Quit is like Local, and the client is closed after the reply.
	Quit
	// Ignore is no request at all, such as an empty line.
	Ignore
)

// ByKeys tells whether a request's keys say which servers it goes to.
func (t Treatment) ByKeys() bool { return t == Forward || t == Fragment || t == Watch || t == Block }

// ToServers tells whether a request goes to servers.
func (t Treatment) ToServers() bool {
	return t.ByKeys() || t == Confirm || t == Subscribe || t == Publish || t == Broadcast || t == One
}

// A Span is a range of a message's bytes.
type Span = mbuf.Span

// A Request is one request as a parser found it. It owns nothing: it is valid
// until its parser is used again, or until the bytes under View go.
type Request struct {
	// View is all bytes of the request.
	View mbuf.View
	Type Type
	// Only the parser sets Treatment.
	Treatment
	// Args are the request's words: for Redis all arguments, for Memcached the words of
	// the command line. The command's name is the first. After the words a parser may
	// list keys a second time, so that one FirstKey and one KeyStep reach them all.
	Args []Span
	// FirstKey, KeyStep and Nkeys say which Args are keys:
	// FirstKey, FirstKey+KeyStep, ...
	//
	// Invariant: with Forward, Fragment, Watch or Block, Nkeys >= 1, KeyStep >= 1, and the
	// last key's index is below len(Args); or, with Forward, there is no key, and
	// PlaceKey is set.
	FirstKey, KeyStep, Nkeys int
	// Omit is left out when the request is forwarded, and Instead is put in its place:
	// Memcached's " noreply", or a number that is replaced by another.
	Omit    Span
	Instead string
	// NoReply: the client expects no answer. The request is sent so that the server
	// answers all the same, and the answer is dropped.
	NoReply bool
	// Skip is how many bytes after the request are of no use, such as the value of a
	// request that was refused. They are dropped, without being parsed or stored,
	// before the next request.
	Skip int
	// Quiet: the client wants only some replies to this request. The request is sent so
	// that the server always answers. The protocol's Silent says which replies are
	// dropped.
	Quiet bool
	// PlaceKey, if not nil, is what the request is placed by, in place of its key: a
	// decoded base64 key of Memcached or, for a request without keys, the name of the
	// script that it runs. It is valid as long as the request.
	PlaceKey []byte
	// Aside, for Broadcast: the request must not wait behind requests that the servers
	// are working on.
	Aside bool
	// Stray: the words do not say where the keys are, or not as the command wants it. The
	// request goes to some server, which will refuse it.
	Stray bool
	// ReadOnly, for Local: the request may write, and is refused since the pool is for reading
	// alone.
	ReadOnly bool
	// Everyone, for Broadcast: servers that do not own any keys at present, since they are
	// ejected or disabled, are to get the request too.
	Everyone bool
	// Flushes, for Broadcast: the request empties the servers, none of which must be missed.
	Flushes bool
	// Error is why a request that Local answers is not served. Local makes the
	// protocol's error of it.
	Error string
}

// Key is the span of the i-th key.
func (r *Request) Key(i int) Span { return r.Args[r.FirstKey+i*r.KeyStep] }

// Keys fills dst with the keys from the i-th on, each in one piece. Keys that do not
// lie in one piece are gathered in scratch, which is returned for the next call. The
// keys are valid until then, or until the view's bytes go.
func (r *Request) Keys(i int, dst [][]byte, scratch []byte) []byte {
	scratch = scratch[:0]
	var near []byte
	first := 0
	at := r.FirstKey + i*r.KeyStep
	for k := range dst {
		s := r.Args[at]
		at += r.KeyStep
		off, n := int(s.Off)-first, int(s.Len)
		if off < 0 || off+n > len(near) {
			near, first = r.View.Near(int(s.Off))
			off = int(s.Off) - first
		}
		if off+n <= len(near) {
			dst[k] = near[off : off+n]
			continue
		}
		// Where scratch grows, the keys gathered before stay where they are.
		begin := len(scratch)
		scratch = r.View.Gather(int(s.Off), n, scratch)
		dst[k] = scratch[begin:]
	}
	return scratch
}

// A Session is what the proxy and its protocol remember of a client connection.
type Session struct {
	// ID is unique among the clients of the process.
	ID uint64
	// WallMicros is the time at which a request is answered by the proxy itself,
	// in microseconds since 1970.
	WallMicros int64
	// more is what few sessions have, or nil.
	more *sessionMore
	// Lane is the kind of connection that the client's requests need.
	Lane Lane
	// Collected is how many commands of a transaction wait for EXEC. Queueing is what
	// becomes of the present request in a transaction.
	Collected int32
	// Watched is how many keys the client has watched since its last transaction.
	Watched  int32
	Queueing Queueing
	// Authenticated: the client may use the pool. True from the start if the
	// user default needs no password.
	Authenticated bool
	// Bars are other reasons why requests are not carried out.
	Bars Bars
	// Replies is which replies the client wants from now on. Muted: the present
	// request gets no reply. Answering a request may change both.
	Replies Replies
	Muted   bool
	// User is the number of the user that the client is; 0: the user default.
	User uint16
}

// A sessionMore has the parts of a session that few sessions need.
type sessionMore struct {
	names    Names
	tracking *Tracking
}

// Names are what a client is called, and what it called by name.
type Names struct {
	// Name is what CLIENT SETNAME set.
	Name string
	// LibName and LibVersion are what CLIENT SETINFO set.
	LibName, LibVersion string
	// Asked is the number of the database that the last SELECT that failed asked for, if it was a
	// number.
	Asked string
}

// Len is how many bytes the names have.
func (n Names) Len() int { return len(n.Name) + len(n.LibName) + len(n.LibVersion) + len(n.Asked) }

// Names are the session's.
func (s *Session) Names() Names {
	if s.more == nil {
		return Names{}
	}
	return s.more.names
}

// SetNames replaces them.
func (s *Session) SetNames(n Names) {
	s.setMore(sessionMore{names: n, tracking: s.Tracking()})
}

func (s *Session) setMore(m sessionMore) {
	if m == (sessionMore{}) {
		s.more = nil
		return
	}
	s.more = &m
}

// Tracking is what the client has asked for with CLIENT TRACKING; nil: nothing.
//
// Invariant: it is set if and only if Bars has Tracked.
func (s *Session) Tracking() *Tracking {
	if s.more == nil {
		return nil
	}
	return s.more.tracking
}

// SetTracking sets what the client is told of from now on; nil: nothing.
func (s *Session) SetTracking(t *Tracking) {
	s.setMore(sessionMore{names: s.Names(), tracking: t})
	s.Bars &^= Tracked
	if t != nil {
		s.Bars |= Tracked
	}
}

// Bars are the reasons why some or all of a session's requests are not carried out,
// until the client does something about it: to carry them out would do what the client
// did not mean.
type Bars uint16

const (
	// RefusedMulti says that MULTI was refused, and neither EXEC nor DISCARD has come.
	RefusedMulti Bars = 1 << iota
	// FailedSelect says that the client is not in the database that it asked for last.
	FailedSelect
	// Collecting says that MULTI was accepted, and neither EXEC nor DISCARD has come.
	Collecting
	// Aborted says that a command was refused since then, so that EXEC carries nothing
	// out.
	Aborted
	// RefusedWatch says that WATCH was refused, so that the next transaction must not
	// be carried out.
	RefusedWatch
	// LostDatabase says that a reload took the database that the client chose out of
	// the pool.
	LostDatabase
	// Listening says that the client listens to channels.
	Listening
	// Tracked says that the client wants to be told when keys change. What it reads
	// goes over private connections.
	Tracked
	// Monitoring says that the client sees every command. It may send no command with
	// keys.
	Monitoring
	// Restricted says that the client's user may not do everything: each request is
	// judged by the user's rules.
	Restricted
	// UserGone says that a reload has removed the client's user: the client is about to
	// be closed.
	UserGone
	// Denied says that the present request was refused for lack of a right, or was a login
	// that failed. It is cleared when that has been counted.
	Denied
	// PassedOn says that the client is a user of the servers, which decide about each of its
	// requests, also about those that the proxy answers.
	PassedOn
	// Admitted says that the servers have accepted the login of the present request.
	Admitted
	// Subscribing says that the client is about to listen to channels, or not to listen: only
	// a request for more of the same is taken.
	Subscribing
	// Elsewhere says that the proxy is about to end, and that other proxies take the client's
	// requests.
	Elsewhere
)

// Replies says which replies a client wants to hear: CLIENT REPLY.
type Replies uint8

const (
	// RepliesOn is all of them.
	RepliesOn Replies = iota
	// RepliesOff is none.
	RepliesOff
	// RepliesSkip is all but that to the next request.
	RepliesSkip
)

// Begin notes that a request is taken.
func (s *Session) Begin() {
	s.Muted = s.Replies != RepliesOn
	if s.Replies == RepliesSkip {
		s.Replies = RepliesOn
	}
}

// Again notes that the request that was taken last will be taken again.
func (s *Session) Again() {
	if s.Muted && s.Replies == RepliesOn {
		s.Replies = RepliesSkip
	}
}

// A Lane is a kind of server connection: its version of the protocol, its database, and
// its user. Requests that differ in these never share a connection.
//
// A session's lane says what the client has asked for. Which lane of server connections
// serves it depends on the pool's configuration: see the protocol's Resolve.
type Lane struct {
	// DB is the number that the database has on the servers, or OwnDB.
	DB int
	// User is who the connection is logged in as; 0: whoever the pool says, which is what
	// every client has that has said nothing, and all clients unless servers decide who may
	// log in (auth_mode: passthrough). It is a number that the protocol has given to a name
	// with its password, or one of those below.
	User uint32
	// RESP is the version of Redis's protocol, 2 or 3. 0 means 2.
	RESP uint8
	// Aside: it is for requests that must not wait behind others, and its database
	// does not matter.
	Aside bool
	// Private: the connection is private. This is never set in a lane that is compared
	// with others.
	Private bool
	// Demand is what the server must be. It is never set in a lane that is compared with
	// others.
	Demand Demand
}

// A Demand is what a server must be, for a connection of a lane.
type Demand uint8

const (
	// AnyRole means that it may be anything.
	AnyRole Demand = iota
	// ForPrimary means that it must say that it is a primary (ROLE).
	ForPrimary
	// ForReplica means that it is told that it will be read from as the replica that it is in
	// its cluster (READONLY).
	ForReplica
)

// Users of lanes for the proxy's own requests, where servers decide who may log in.
const (
	// ServiceUser is who the proxy is itself.
	ServiceUser = ^uint32(0)
	// GuestUser is nobody: a fresh connection of it shows whether clients need a login.
	GuestUser = ServiceUser - 1
	// LoginUser is nobody: on such a connection logins are tried, and nothing else is sent.
	LoginUser = GuestUser - 1
)

// OwnDB stands for the pool's own database, whatever its number: that of a client
// that has chosen none.
const OwnDB = -1

// IsRESP3 reports whether the lane speaks RESP3.
func (l Lane) IsRESP3() bool { return l.RESP == 3 }

// DefaultLane is that of a client that has said nothing.
var DefaultLane = Lane{RESP: 2, DB: OwnDB}

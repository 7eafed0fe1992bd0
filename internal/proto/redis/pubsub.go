package redis

import (
	"bytes"
	"strconv"
	"strings"

	"nuthatch/internal/config"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// What clients say about channels, and what servers say on a connection whose client
// listens to some:
//
//	client                                     server
//	SUBSCRIBE a b  ─► Subscription ─► SUBSCRIBE a, to the owner of a
//	                                  SUBSCRIBE b, to the owner of b
//	               ◄─ AppendListens ◄─────────────── both say so
//	               ◄─ AppendMessage ◄─ Hear ◄─────── a message
//
// Events of keys have channels whose names tell the number of the database on the server.
// Clients see their own number for it.

const (
	// keyEvents is what the names of channels of events of keys begin with.
	keyEvents = "__key"
	// ownDatabase is what a client calls the pool's own database in them.
	ownDatabase = "@0__"
	// redisChannels is what channels begin with in which a server speaks to one connection.
	redisChannels = "__redis__:"
)

// whyRedisChannel is why such a channel cannot be listened to.
const whyRedisChannel = "a server sends the messages of a __redis__ channel to one connection only"

// channels are what the protocol knows of channels.
type channels struct {
	*rules
	*wordReader
}

// subscription is the row of a command that has a client listen, or listen no more.
func subscription(name string, arity int, what msg.Subscription, k keys, since, summary string) command {
	return command{
		name: name, arity: arity, keys: k, treatment: msg.Subscribe, subscription: what, since: since, summary: summary,
	}
}

// publish is the row of a command that sends a message to the server whose clients hear of
// its channel.
func publish(name string, k keys, since, summary, example string) command {
	c := forward(name, 3, neither, k, since, summary, example)
	c.treatment, c.keys = msg.Publish, k
	return c
}

// placeMessage has a message go to one server, if not all servers' clients are to hear it.
func (p *requestParser) placeMessage(r *msg.Request) {
	if p.publish == config.PublishOwner || p.cluster {
		r.Treatment = msg.Publish
		return
	}
	var buf [len(keyEvents)]byte
	if a := r.Args[1]; int(a.Len) >= len(buf) {
		if b, _ := r.View.Bytes(int(a.Off), len(buf), buf[:0]); string(b) == keyEvents {
			r.Treatment = msg.Publish
		}
	}
}

// placeAlong has the channel of a PUBLISH count as a key, if only the server that would own
// such a key has the channel's listeners: the message goes with its command, so that it must
// go there.
func (p channels) placeAlong(req *msg.Request, cmd *command) {
	if cmd.publishes && p.publish == config.PublishOwner && !bytes.HasPrefix(p.word(req, 1), []byte(keyEvents)) {
		req.FirstKey, req.KeyStep, req.Nkeys = 1, 1, 1
	}
}

// Subscription implements proxy.Messenger.
func (p channels) Subscription(req *msg.Request) (what msg.Subscription, ok bool) {
	what = commands[req.Type].subscription
	if !what.Ends {
		for i := range req.Args[1:] {
			var buf [len(redisChannels)]byte
			if a := req.Args[1+i]; int(a.Len) >= len(buf) {
				if b, _ := req.View.Bytes(int(a.Off), len(buf), buf[:0]); string(b) == redisChannels {
					req.Error = whyRedisChannel
					return what, false
				}
			}
		}
	}
	return what, true
}

// Audience implements proxy.Messenger.
func (p channels) Audience(kind msg.Channels, name []byte) (key []byte, at msg.Audience) {
	event := bytes.HasPrefix(name, []byte(keyEvents))
	switch {
	case kind == msg.ShardChannels:
	case kind == msg.Patterns && (event || p.publish == config.PublishOwner):
		return nil, msg.EveryServer
	case kind == msg.Patterns:
		return nil, msg.FirstServer
	case event && bytes.HasPrefix(name, []byte("__keyevent@")):
		return name, msg.EveryServer
	case event && bytes.HasPrefix(name, []byte("__keyspace@")):
		if _, key, ok := bytes.Cut(name, []byte("__:")); ok {
			return key, msg.OwnerOfKey
		}
	case !event && p.publish == config.PublishAll:
		return name, msg.AnyServer
	}
	return name, msg.OwnerOfKey
}

// Publishes implements proxy.Messenger.
func (channels) Publishes(req *msg.Request) bool {
	cmd := &commands[req.Type]
	return cmd.publishes || cmd.treatment == msg.Publish
}

// AppendPing implements proxy.Messenger.
func (channels) AppendPing(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, "*1\r\n$4\r\nPING\r\n")
}

// Published implements proxy.Messenger.
func (p channels) Published(req *msg.Request) (kind msg.Channels, name []byte) {
	kind = msg.ShardChannels
	if commands[req.Type].publishes {
		kind = msg.PlainChannels
	}
	return kind, p.word(req, 1)
}

// renames tells whether clients call the pool's database by another number than servers.
func (p channels) renames() bool { return p.databases.own != 0 && !p.databases.several() }

// ServerName implements proxy.Messenger.
func (p channels) ServerName(kind msg.Channels, name []byte) []byte {
	if kind == msg.ShardChannels || !p.renames() || !bytes.HasPrefix(name, []byte(keyEvents)) {
		return name
	}
	return bytes.Replace(name, []byte(ownDatabase), []byte(p.serversDatabase()), 1)
}

// serversDatabase is what servers call the pool's own database in names of channels.
func (p channels) serversDatabase() string { return "@" + strconv.Itoa(p.databases.own) + "__" }

// AppendSubscribe implements proxy.Messenger.
func (p channels) AppendSubscribe(what msg.Subscription, names []string, pool *mbuf.Pool, out *mbuf.Chain) {
	w := writer{pool: pool, out: out}
	w.array(1 + len(names))
	w.bulkString(verbOf(what))
	for _, name := range names {
		w.bulkString(name)
	}
}

// verbOf is the command that begins or ends to listen.
func verbOf(what msg.Subscription) string {
	verb := "subscribe"
	if what.Ends {
		verb = "unsubscribe"
	}
	return [msg.NumChannels]string{msg.PlainChannels: "", msg.Patterns: "p", msg.ShardChannels: "s"}[what.Channels] + verb
}

// AppendListens implements proxy.Messenger.
func (p channels) AppendListens(what msg.Subscription, name []byte, left *[msg.NumChannels]int, s *msg.Session, pool *mbuf.Pool, out *mbuf.Chain) {
	w := writer{pool, out, s.Lane.IsRESP3()}
	w.push(3)
	w.bulkString(verbOf(what))
	if name == nil {
		w.null()
	} else {
		w.number("$", int64(len(name)))
		out.Append(pool, name)
		w.raw("\r\n")
	}
	n := left[msg.ShardChannels]
	if what.Channels != msg.ShardChannels {
		n = left[msg.PlainChannels] + left[msg.Patterns]
	}
	w.integer(int64(n))
}

// push begins a push of n elements, which RESP2 has as an array.
func (w writer) push(n int) {
	if w.resp3 {
		w.number(">", int64(n))
		return
	}
	w.array(n)
}

// pushHead is as much of a push as Hear looks at to find its name.
const pushHead = 64

// A spoken is where the words of a push are.
type spoken struct {
	verb      []byte
	elements  int64
	name      msg.Span
	afterName int
}

// spoken reads the beginning of a push: how many elements it has, the first, and where the
// second is.
func (p channels) spoken(v *mbuf.View) (s spoken, ok bool) {
	var head []byte
	head, p.scratch = v.Bytes(0, min(v.Len(), pushHead), p.scratch)
	at := 0
	length := func(kind string) (n int64, ok bool) {
		end := bytes.IndexByte(head[at:], '\n')
		if end < 0 || strings.IndexByte(kind, head[at]) < 0 {
			return 0, false
		}
		n, ok = lineNumber(head[at : at+end+1])
		at += end + 1
		return n, ok
	}
	if s.elements, ok = length("*>"); !ok || s.elements < 2 {
		return s, false
	}
	n, ok := length("$")
	if !ok || n < 0 || at+int(n)+2 >= len(head) {
		return s, false
	}
	s.verb = head[at : at+int(n)]
	at += int(n) + 2
	if n, ok = length("$"); !ok || n < 0 || at+int(n) > v.Len() {
		return s, true // no name
	}
	s.name = msg.Span{Off: uint32(at), Len: uint32(n)}
	s.afterName = at + int(n) + 2
	return s, true
}

// Hear implements proxy.Messenger.
func (p channels) Hear(r msg.Reply) msg.Push {
	v := viewOf(r)
	s, ok := p.spoken(&v)
	if !ok {
		if firstByte(r) == '>' {
			return msg.Push{Heard: msg.Stray}
		}
		return msg.Push{Heard: msg.HeardReply}
	}
	push := msg.Push{Heard: msg.Stray}
	switch string(s.verb) {
	case "message":
		push.Heard = msg.HeardMessage
	case "pmessage":
		push.Heard, push.Channels = msg.HeardMessage, msg.Patterns
	case "smessage":
		push.Heard, push.Channels = msg.HeardMessage, msg.ShardChannels
	case "subscribe":
		push.Heard = msg.HeardBegun
	case "psubscribe":
		push.Heard, push.Channels = msg.HeardBegun, msg.Patterns
	case "ssubscribe":
		push.Heard, push.Channels = msg.HeardBegun, msg.ShardChannels
	case "unsubscribe":
		push.Heard = msg.HeardEnded
	case "punsubscribe":
		push.Heard, push.Channels = msg.HeardEnded, msg.Patterns
	case "sunsubscribe":
		push.Heard, push.Channels = msg.HeardEnded, msg.ShardChannels
	case "pong":
		push.Heard = msg.HeardReply
	}
	if s.afterName > 0 {
		push.Name, p.scratch = v.Bytes(int(s.name.Off), int(s.name.Len), p.scratch)
	}
	return push
}

func viewOf(r msg.Reply) mbuf.View {
	if r.Chain != nil {
		return mbuf.Whole(r.Chain)
	}
	return mbuf.Flat(r.Flat)
}

// AppendMessage implements proxy.Messenger.
func (p channels) AppendMessage(kind msg.Channels, r msg.Reply, shown string, s *msg.Session, pool *mbuf.Pool, out *mbuf.Chain) {
	w := writer{pool, out, s.Lane.IsRESP3()}
	if kind == msg.Patterns && p.isOfServer(r) {
		return
	}
	if kind != msg.ShardChannels && p.renames() && p.renamed(kind, r, shown, w) {
		return
	}
	mark := "*"
	if w.resp3 {
		mark = ">"
	}
	w.raw(mark)
	if r.Chain != nil {
		r.Chain.Advance(pool, 1)
		out.Splice(pool, r.Chain)
		return
	}
	out.Append(pool, r.Flat[1:])
}

// ofServer is how many bytes of a channel's name, as an element, tell whether it begins with
// redisChannels: its length has ten digits at the most.
const ofServer = len("$") + 10 + len("\r\n") + len(redisChannels)

// isOfServer reports whether a message, heard for a pattern, is of a channel that nobody can
// listen to. The proxy's own messages are: see waitChannel.
func (p channels) isOfServer(r msg.Reply) bool {
	v := viewOf(r)
	at, ok := p.spoken(&v)
	if !ok || at.afterName == 0 {
		return false
	}
	var head []byte
	head, p.scratch = v.Bytes(at.afterName, min(ofServer, v.Len()-at.afterName), p.scratch)
	return bytes.HasPrefix(head[bytes.IndexByte(head, '\n')+1:], []byte(redisChannels))
}

// renamed appends a message with the names that its client has for what the server names
// otherwise. It reports false if there are none.
func (p channels) renamed(kind msg.Channels, r msg.Reply, shown string, w writer) bool {
	v := viewOf(r)
	at, ok := p.spoken(&v)
	if !ok || at.afterName == 0 {
		return false
	}
	rest, channel := at.afterName, ""
	if kind == msg.Patterns {
		var head, name []byte
		head, p.scratch = v.Bytes(rest, min(pushHead, v.Len()-rest), p.scratch)
		end := bytes.IndexByte(head, '\n') + 1
		n, ok := lineNumber(head[:end])
		if !ok || n < 0 {
			return false
		}
		name, p.scratch = v.Bytes(rest+end, int(n), p.scratch)
		channel = string(name)
		if strings.HasPrefix(channel, keyEvents) {
			channel = strings.Replace(channel, p.serversDatabase(), ownDatabase, 1)
		}
		rest += end + int(n) + 2
	}
	if shown == "" {
		if channel == "" {
			return false
		}
		name, _ := v.Bytes(int(at.name.Off), int(at.name.Len), nil)
		shown = string(name)
	}
	w.push(int(at.elements))
	w.bulkString([msg.NumChannels]string{msg.PlainChannels: "message", msg.Patterns: "pmessage", msg.ShardChannels: "smessage"}[kind])
	w.bulkString(shown)
	if kind == msg.Patterns {
		w.bulkString(channel)
	}
	v.AppendTo(w.pool, w.out, rest, v.Len()-rest)
	return true
}

// whileListening tells whether a client that listens may send the command in RESP2, whose
// replies it could not tell from messages.
func whileListening(cmd *command) bool {
	return cmd.treatment == msg.Subscribe || cmd.answer == answerPing || cmd.answer == answerQuit || cmd.answer == answerReset
}

// listenerMayNot tells whether a client that listens may not send the request. What is
// wrong in itself has its own error.
func (p channels) listenerMayNot(req *msg.Request, cmd *command) bool {
	switch {
	case whileListening(cmd), req.Treatment == msg.Learn && cmd.id == unknown:
		return false
	case req.Error == unknownCommand, req.Error == unknownSubcommand, req.Error == wrongArity:
		return false
	}
	return true
}

// refuseListener says what a client that listens may send.
func (p channels) refuseListener(req *msg.Request, w writer) {
	name := commands[req.Type].name
	if commands[req.Type].id == unknown { // a learnt one
		name = plain(lower(nil, p.word(req, 0)), maxShown)
	}
	failure := "ERR "
	if commands[req.Type].answer == answerExec {
		failure = abortedBy
	}
	w.fail(failure, "Can't execute '", name,
		"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
}

// replyPong answers PING to a client that listens, in RESP2.
func replyPong(req *msg.Request, w writer) {
	w.array(2)
	w.bulkString("pong")
	if len(req.Args) == 1 {
		w.bulkString("")
		return
	}
	echo(req, 1, w)
}

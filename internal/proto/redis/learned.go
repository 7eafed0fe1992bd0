package redis

import (
	"bytes"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// What is learnt from servers: the commands of their modules, whether they speak
// RESP3, and what they say of themselves (see Survey).
//
//	request ─► parser ─► Learned ─┬─ known: Forward, by the keys that it has
//	                              └─ not known: Learn ─► Ask ─► server ─► Learn ─┐
//	                                    ▲            (COMMAND INFO, HELLO)       │
//	                                    └────────────────────────────────────────┘

// Learned is what the event loops of a pool have learnt together. Its methods may
// be called from any of them.
type Learned struct{ now atomic.Pointer[lessons] }

// lessons are what has been learnt so far. They are never changed, only replaced.
type lessons struct {
	resp3 verdict
	// survey is what the servers say of themselves; nil: they have not been asked.
	survey *Survey
	// commands are by lower-case name.
	commands map[string]*lesson
}

// A verdict is what is known of something that servers can do or not.
type verdict uint8

const (
	untested verdict = iota
	able
	unable
)

const (
	// maxLearned bounds how many commands are kept. One more replaces all others.
	maxLearned = 1 << 10
	// maxLearnedName is the longest name, in bytes, that servers are asked for.
	maxLearnedName = 64
	// maxLesson is the longest reply, in bytes, that is read as a command's
	// description. Redis's longest, that of CLUSTER, has 10 KB.
	maxLesson = 64 << 10
)

// unexpectedReply is the objection to a reply that is no answer.
const unexpectedReply = "an unexpected reply"

var nothingLearned = &lessons{}

// load returns what is known: nothing, if the Learned is nil.
func (l *Learned) load() *lessons {
	if l != nil {
		if now := l.now.Load(); now != nil {
			return now
		}
	}
	return nothingLearned
}

// update replaces what is known by a copy that change has changed.
func (l *Learned) update(change func(*lessons)) {
	for {
		old := l.now.Load()
		next := &lessons{}
		if old != nil {
			*next = *old
		}
		change(next)
		if l.now.CompareAndSwap(old, next) {
			return
		}
	}
}

func (l *Learned) keep(c *lesson) {
	l.update(func(n *lessons) {
		if len(n.commands) >= maxLearned {
			n.commands = nil
		}
		m := make(map[string]*lesson, len(n.commands)+1)
		maps.Copy(m, n.commands)
		m[c.name] = c
		n.commands = m
	})
}

// Surveyed reports whether the servers have been asked what they are.
func (l *Learned) Surveyed() bool { return l.load().survey != nil }

// SetSurvey keeps what the servers say of themselves.
func (l *Learned) SetSurvey(v *Survey) { l.update(func(n *lessons) { n.survey = v }) }

func (l *Learned) setRESP3(v verdict) { l.update(func(n *lessons) { n.resp3 = v }) }

// command returns what is known of a command by its name in any case, or nil.
func (l *Learned) command(name []byte) *lesson {
	commands := l.load().commands
	if len(commands) == 0 || len(name) > maxLearnedName {
		return nil
	}
	var buf [maxLearnedName]byte
	return commands[string(lower(buf[:0], name))]
}

// lower appends b to dst with its letters in lower case.
func lower(dst, b []byte) []byte {
	for _, c := range b {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// study says what becomes of a request that the table alone cannot explain: a command
// without a row, and HELLO.
func (p *requestParser) study(cmd *command) {
	switch r := &p.req; {
	case p.learned == nil:
	case cmd.answer == answerHello:
		if p.asks && p.learned.load().survey == nil {
			r.Treatment = msg.Learn
		}
		if len(r.Args) > 1 && isWord(r, 1, "3") && p.learned.load().resp3 == untested {
			r.Treatment = msg.Learn
		}
	case cmd.id == unknown && p.learns && r.Args[0].Len > 0 && r.Args[0].Len <= maxLearnedName:
		var buf [maxLearnedName]byte
		name := r.Args[0]
		b, _ := r.View.Bytes(int(name.Off), int(name.Len), buf[:0])
		if bytes.IndexByte(b, '|') >= 0 {
			return // COMMAND INFO takes it for a subcommand, and servers for nothing
		}
		c := p.learned.command(b)
		if c == nil {
			r.Treatment = msg.Learn
			return
		}
		how, why := c.locate(r, p.servers)
		p.spans = r.Args
		switch {
		case why != "":
			p.refuse(why)
		case p.readOnly && !c.calledBy(r).reads:
			p.refuseWrite()
		default:
			r.Treatment, r.Error = how, ""
		}
	}
}

// The topics of questions: the servers, which are asked outside the loops; HELLO; or a
// prefix and a command's name.
const (
	aboutServers = "servers"
	aboutHello   = "hello"
	aboutCommand = "command:"
)

// A learner asks servers, and keeps what they say in Learned.
type learner struct {
	*rules
	words *wordReader // the protocol's
}

// Ask implements proxy.Learner. A client that has not logged in may make the
// proxy ask for HELLO only, which says nothing of the servers' data.
func (n *learner) Ask(req *msg.Request, s *msg.Session, pool *mbuf.Pool, out *mbuf.Chain) (topic string, ok bool) {
	w := writer{pool: pool, out: out}
	if commands[req.Type].answer == answerHello {
		if n.facts != nil && n.learned.load().survey == nil {
			return aboutServers, true
		}
		w.request("HELLO")
		return aboutHello, true
	}
	if !s.Authenticated {
		return "", false
	}
	name := string(lower(nil, n.words.word(req, 0)))
	w.request("COMMAND", "INFO", name)
	return aboutCommand + name, true
}

// Learn implements proxy.Learner. If servers do not know a command, that is not kept,
// since a module may be loaded later.
func (n *learner) Learn(topic string, reply []byte) (objection string) {
	if topic == aboutHello {
		return n.learnHello(reply)
	}
	if text, ok := errorText(reply); ok {
		return withoutPassword(serverLoginOf(n.login), text)
	}
	if len(reply) > maxLesson {
		return "a reply of more than " + strconv.Itoa(maxLesson) + " bytes"
	}
	v, ok := readReply(reply)
	if !ok || len(v.elems) != 1 {
		return unexpectedReply
	}
	c := v.elems[0]
	if len(c.elems) == 0 { // null: the server does not know it
		return ""
	}
	l, ok := newLesson(c)
	if !ok {
		return unexpectedReply
	}
	if l.name != strings.TrimPrefix(topic, aboutCommand) {
		// A server's rename-command must not be bypassed: what it hides is not served
		// under another name.
		return "they have it as '" + plain([]byte(l.name), maxShown) + "', renamed"
	}
	n.learned.keep(l)
	return ""
}

// learnHello judges the reply to HELLO without a version, which changes nothing.
// Servers with RESP3 answer it: with what they are or, before Redis 6.2, by asking for
// the version.
func (n *learner) learnHello(reply []byte) (objection string) {
	text, failed := errorText(reply)
	switch {
	case !failed, strings.Contains(text, wrongArity), n.passes && strings.HasPrefix(text, "NOAUTH HELLO"):
		n.learned.setRESP3(able)
	case strings.Contains(strings.ToLower(text), unknownCommand):
		n.learned.setRESP3(unable)
	default:
		return withoutPassword(serverLoginOf(n.login), text)
	}
	return ""
}

// errorText is the text of a reply that is an error.
func errorText(reply []byte) (text string, ok bool) {
	if len(reply) == 0 || reply[0] != '-' {
		return "", false
	}
	return string(bytes.TrimRight(reply[1:], "\r\n")), true
}

package redis

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Commands that wait at their server. One of their words says how long:
//
//	BLPOP key ... timeout            the last, in seconds
//	BLMOVEM source dest a b timeout  the fifth; others behind it
//	BLMPOP timeout numkeys ...       the first
//	XREAD BLOCK milliseconds ...     the one behind BLOCK
//	WAIT replicas milliseconds       the last, likewise that of WAITAOF
//
// A learnt command does not say which it is.

// waitsLast says that the timeout is a command's last word.
const waitsLast = -1

// timeoutOf is the place of the word that says how long a request waits, and the word's
// unit; 0: not known.
func timeoutOf(req *msg.Request) (word int, unit time.Duration) {
	cmd := &commands[req.Type]
	switch {
	case cmd.treatment == msg.Confirm:
		return cmd.arity - 1, time.Millisecond
	case cmd.keys.rule == streamKeys:
		for i := 1; i+1 < len(req.Args); i++ {
			switch {
			case isWord(req, i, "block"):
				return i + 1, time.Millisecond
			case isWord(req, i, "count"):
				i++
			case isWord(req, i, "group"):
				i += 2
			case isWord(req, i, "streams"):
				return 0, 0
			}
		}
		return 0, 0
	case cmd.timeout == waitsLast:
		return len(req.Args) - 1, time.Second
	default:
		return cmd.timeout, time.Second
	}
}

// Patience implements proxy.Blocker. If the word is no time, the server refuses the
// request.
func (p *Protocol) Patience(req *msg.Request) int64 {
	word, unit := timeoutOf(req)
	if word == 0 || word >= len(req.Args) {
		return 0
	}
	n, err := strconv.ParseFloat(string(p.word(req, word)), 64)
	if err != nil || !(n > 0) || n > math.MaxInt64/2/float64(time.Second) {
		return 0
	}
	return max(1, int64(n*float64(unit)))
}

// AppendShorter implements proxy.Blocker. Whole seconds stay whole, for servers that
// know no fractions. The time is never 0, which would mean for ever.
func (p *Protocol) AppendShorter(req *msg.Request, patience int64, pool *mbuf.Pool, out *mbuf.Chain) {
	word, unit := timeoutOf(req)
	text := p.word(req, word)
	whole := unit == time.Millisecond || bytes.IndexByte(text, '.') < 0
	left := max(1, (time.Duration(patience)+time.Millisecond-1)/time.Millisecond) // in milliseconds
	shown := strconv.FormatFloat(float64(left)/1000, 'f', 3, 64)
	switch {
	case unit == time.Millisecond:
		shown = strconv.FormatInt(int64(left), 10)
	case whole:
		shown = strconv.FormatInt(int64((left+999)/1000), 10)
	}
	begin, end := req.Args[word-1].End()+2, req.Args[word].End()+2
	req.View.AppendTo(pool, out, 0, begin)
	writer{pool: pool, out: out}.bulkString(shown)
	req.View.AppendTo(pool, out, end, req.View.Len()-end)
}

// A confirmer knows what is said about what a client has written.
type confirmer struct{}

// waitChannel is where a server is told to publish something before a WAIT. No client can
// listen to it.
const waitChannel = redisChannels + "wait"

// AppendMark implements proxy.Confirmer.
func (confirmer) AppendMark(pool *mbuf.Pool, out *mbuf.Chain) {
	writer{pool: pool, out: out}.request("PUBLISH", waitChannel, "")
}

// Confirms implements proxy.Confirmer: no number of the reply is less than the request asks
// for.
func (confirmer) Confirms(req *msg.Request, reply []byte) bool {
	v, ok := readReply(reply)
	if !ok {
		return false
	}
	numbers := []replyValue{v}
	if v.first == '*' {
		numbers = v.elems
	}
	if len(numbers) != len(req.Args)-2 {
		return false
	}
	for i, n := range numbers {
		if least, ok := number(req, i+1); !ok || n.first != ':' || n.number < least {
			return false
		}
	}
	return true
}

// ClientID implements proxy.Blocker.
func (p *Protocol) ClientID(reply []byte) int64 {
	v, ok := readReply(reply)
	if !ok || v.first != ':' {
		return 0
	}
	return v.number
}

// AppendUnblock implements proxy.Blocker.
func (p *Protocol) AppendUnblock(id int64, fails bool, pool *mbuf.Pool, out *mbuf.Chain) {
	reason := "TIMEOUT"
	if fails {
		reason = "ERROR"
	}
	writer{pool: pool, out: out}.request("CLIENT", "UNBLOCK", strconv.FormatInt(id, 10), reason)
}

// Unblocked implements proxy.Blocker.
func (p *Protocol) Unblocked(r msg.Reply) msg.Unblocking {
	switch string(p.shortReply(r)) {
	case ":1\r\n":
		return msg.WasBlocked
	case ":0\r\n":
		return msg.NotBlocked
	default:
		return msg.NotAllowed
	}
}

// recalled is the answer to a request whose wait CLIENT UNBLOCK has ended with an
// error.
const recalled = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"

// Recalled implements proxy.Blocker.
func (p *Protocol) Recalled(r msg.Reply) bool { return string(p.shortReply(r)) == recalled }

// shortReply is a reply, in one piece and valid until the next call, or the beginning of one
// that is longer than recalled.
func (p *Protocol) shortReply(r msg.Reply) []byte {
	switch {
	case r.Chain == nil:
		return r.Flat
	case r.Chain.Len() <= len(recalled):
		p.scratch = r.Chain.AppendTo(p.scratch[:0])
		return p.scratch
	default:
		return r.Chain.Head().Bytes()
	}
}

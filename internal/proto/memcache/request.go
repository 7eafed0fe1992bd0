package memcache

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"strings"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// memcached's own bounds, in bytes.
const (
	maxKey = 250
	// maxLine bounds a line, without its end, that is not a get or gets: behind
	// that many bytes memcached gives up waiting for the line's end and closes.
	maxLine = 2048
	// maxIndent is how many spaces it accepts before a longer get or gets.
	maxIndent = 100
)

// binaryRequest is the first byte of every request of the binary protocol, and
// of none here.
const binaryRequest = 0x80

// redisRequest is the first byte of what Redis clients send, and of no command here.
const redisRequest = '*'

// memcached's own words for what is wrong with a request.
const (
	errUnknown   = "ERROR"
	errFormat    = "CLIENT_ERROR bad command line format"
	errDataChunk = "CLIENT_ERROR bad data chunk"
	errTooLarge  = "SERVER_ERROR object too large for cache"
)

var (
	errBinary = &msg.ProtocolError{
		Msg: "memcache: the client speaks the binary protocol, which is not supported",
	}
	errTLS = &msg.ProtocolError{
		Reply: "CLIENT_ERROR a client with TLS on a port without TLS\r\n",
		Msg:   "memcache: a client with TLS on a port without TLS",
	}
	// errRedis has a reply that the client understands.
	errRedis = &msg.ProtocolError{
		Reply: "-ERR this pool speaks Memcached's protocol, and not Redis's\r\n",
		Msg:   "memcache: the client speaks Redis's protocol, and the pool Memcached's (without redis: true)",
	}
	errLineTooLong = &msg.ProtocolError{
		Reply: "CLIENT_ERROR line too long\r\n",
		Msg:   "memcache: the client's line is too long for a request",
	}
)

// requestState is what the next byte of a client belongs to.
type requestState uint8

const (
	// inLine: the command line of a request.
	inLine requestState = iota
	// inBody: the value of a storage command, or the line end behind it.
	inBody
)

// A requestParser finds requests in a client's bytes.
//
//	inLine ─┬─ a storage command ─► inBody ─► a request
//	        ├─ any other ───────────────────► a request
//	        └─ refused, a value behind it ──► an error, and what to skip
//
// Between two requests it remembers nothing, so that one parser can serve many
// clients, one request after the other.
type requestParser struct {
	maxRequest int
	allowFlush bool
	readOnly   bool

	state requestState
	// err is sticky.
	err *msg.ProtocolError

	// The request in progress: its bytes so far, and the words of its line.
	size int
	args []msg.Span
	req  msg.Request
	// decoded is the base64 key of the request, decoded.
	decoded []byte
	valueBody

	// The line in progress. word is where the word begins that the last read
	// ended in, if inWord.
	inWord bool
	word   int
	// cr: the line so far ends with a CR. bad: the line holds a NUL, or a CR that
	// is not its end.
	cr, bad bool
	// head is the line so far, up to maxLine bytes, if it came in several reads.
	head []byte
}

// Parse implements msg.RequestParser.
func (p *requestParser) Parse(data []byte) (n int, done bool, err *msg.ProtocolError) {
	if p.err != nil || len(data) == 0 {
		return 0, false, p.err
	}
	if p.state == inLine {
		n, done = p.parseLine(data)
		if p.err != nil || done || p.state == inLine {
			return n, done, p.err
		}
	}
	m, done := p.parseBody(data[n:])
	return n + m, done, nil
}

// parseLine reads as much of the command line as data holds. At its end it
// knows the request: done, or the state is inBody.
func (p *requestParser) parseLine(data []byte) (n int, done bool) {
	if p.size == 0 && data[0] == binaryRequest {
		p.err = errBinary
		return 0, false
	}
	if p.size == 0 && data[0] == msg.TLSHandshake {
		p.err = errTLS
		return 0, false
	}
	if p.size == 0 && data[0] == redisRequest {
		p.err = errRedis
		return 0, false
	}
	piece, _, ended := bytes.Cut(data, lf)
	p.scanWords(piece)
	line := piece
	if !ended || p.size > 0 {
		p.head = append(p.head, piece[:min(len(piece), maxLine-len(p.head))]...)
		line = p.head
	}
	p.size += len(piece)
	if p.size > maxLine && !p.mayBeLong(line) {
		p.err = errLineTooLong
		return 0, false
	}
	if !ended {
		return len(piece), false
	}
	p.endWords()
	p.size++
	p.understand(line)
	return len(piece) + 1, p.state != inBody
}

// mayBeLong tells whether a line of more than maxLine bytes, of which line is
// the beginning, may go on.
func (p *requestParser) mayBeLong(line []byte) bool {
	if p.size >= p.maxRequest || len(p.args) == 0 {
		return false
	}
	name := p.args[0]
	return name.Off <= maxIndent && name.Len <= maxName && commands[lookup(wordOf(line, name))].long
}

// scanWords finds the words in the next piece of the line. A line end's CR is
// taken for part of its word; endWords puts that right.
func (p *requestParser) scanWords(piece []byte) {
	if len(piece) == 0 {
		return
	}
	cr := bytes.IndexByte(piece, '\r')
	if p.cr || cr >= 0 && cr < len(piece)-1 || bytes.IndexByte(piece, 0) >= 0 {
		p.bad = true
	}
	p.cr = piece[len(piece)-1] == '\r'
	begin := p.size
	if p.inWord {
		begin = p.word
	}
	i := 0
	for ; i+8 <= len(piece); i += 8 {
		for found := spacesOf(binary.LittleEndian.Uint64(piece[i:])); found != 0; found &= found - 1 {
			begin = p.space(begin, p.size+i+bits.TrailingZeros64(found)>>3)
		}
	}
	for ; i < len(piece); i++ {
		if piece[i] == ' ' {
			begin = p.space(begin, p.size+i)
		}
	}
	p.word, p.inWord = begin, begin < p.size+len(piece)
}

// spacesOf returns a set bit, its highest, for each of a word's eight bytes that is a
// space.
func spacesOf(word uint64) uint64 {
	const spaces, sevens = 0x2020202020202020, 0x7f7f7f7f7f7f7f7f
	word ^= spaces
	return ^(word&sevens + sevens | word | sevens)
}

// space ends the word that begins at begin, if there is one, with the space at at,
// and returns where the next may begin.
func (p *requestParser) space(begin, at int) int {
	if at > begin {
		p.args = append(p.args, msg.Span{Off: uint32(begin), Len: uint32(at - begin)})
	}
	return at + 1
}

// endWords ends the line's last word; size is the line's end.
func (p *requestParser) endWords() {
	if !p.inWord {
		return
	}
	end := p.size
	if p.cr {
		end--
	}
	p.space(p.word, end)
	p.inWord = false
}

// understand makes the line a request. Of a long line only the beginning is
// there; its words are not looked at.
func (p *requestParser) understand(line []byte) {
	p.req = msg.Request{Args: p.args, Treatment: msg.Local, Error: errUnknown}
	if len(p.args) == 0 {
		return
	}
	r := &p.req
	r.Type = lookup(wordOf(line, p.args[0]))
	c := &commands[r.Type]
	if r.Type == 0 {
		p.unknown(line)
		return
	}
	body, hasBody := p.bodyLength(c, line)
	r.Error = p.objection(c, line)
	if r.Error == "" && hasBody && body > uint64(p.maxRequest-min(p.size+2, p.maxRequest)) {
		r.Error = errTooLarge
	}
	switch {
	case r.Error == "" && hasBody:
		p.state, p.lack = inBody, int(body)+2
	case hasBody && r.Error != errUnknown:
		// A line of too few words, or too many, is no storage command, and what follows
		// it is unknown: memcached reads that as the next line.
		r.Skip = int(body) + 2
	}
	if r.Error == "" {
		p.accept(c, line)
	}
}

// unknown has a browser, or whatever else speaks HTTP, hung up on, as memcached
// does: such a client would take errors for a page, and send more.
func (p *requestParser) unknown(line []byte) {
	last := p.args[len(p.args)-1]
	if last.End() > len(line) || !bytes.HasPrefix(wordOf(line, last), []byte("HTTP/")) {
		return
	}
	if first := p.args[0]; first.Len >= 2 && bytes.IndexByte([]byte("gsacidt"), line[first.Off]) < 0 {
		p.req.Treatment, p.req.Error = msg.Quit, ""
	}
}

// bodyLength reads how long a body follows the line, if any does. A length that
// memcached does not accept counts as none.
func (p *requestParser) bodyLength(c *command, line []byte) (n uint64, ok bool) {
	if c.body == 0 || len(p.args) <= c.body {
		return 0, false
	}
	n, ok = parseUint(wordOf(line, p.args[c.body]))
	return n, ok && n <= math.MaxInt32-2
}

// objection returns what is wrong with the line, or "", and finds out whether
// the client wants to hear of it.
func (p *requestParser) objection(c *command, line []byte) string {
	n := len(p.args)
	switch {
	case n < c.min:
		return cmp.Or(c.tooFew, errUnknown)
	case c.max > 0 && n > c.max && c.tooMany == "":
		return errUnknown
	}
	if p.isNoreply(c, line, n-1) {
		last := p.args[n-1]
		p.req.NoReply = true
		p.req.Omit = msg.Span{Off: last.Off - 1, Len: last.Len + 1}
		if p.isNoreply(c, line, n-2) {
			return errFormat // it would be the last word, and silence the server
		}
	}
	switch {
	case c.refusal != "":
		return c.refusal
	case p.readOnly && p.mayWrite(c, line):
		p.req.ReadOnly = true
		return errReadOnly
	case c.flush && !p.allowFlush:
		return errNoFlush
	case c.merge == mergeStats && p.changesServers(line):
		return errStats
	case p.bad || (c.many || c.body > 0) && p.longKey(c):
		return errFormat
	case c.max > 0 && n > c.max:
		return c.tooMany
	case c.storage && !p.isStorage(c, line):
		return errFormat
	}
	if _, ok := p.bodyLength(c, line); c.body > 0 && !ok {
		return errFormat
	}
	if c.flags > 0 {
		return p.takeFlags(c, line)
	}
	if w := c.base64; w > 0 && n > w && string(wordOf(line, p.args[w])) == "b" {
		p.decodeKey(c, line)
	}
	return ""
}

// mayWrite tells whether the command, with the flags of the line, may write.
func (p *requestParser) mayWrite(c *command, line []byte) bool {
	if !c.reads {
		return true
	}
	if c.changing == "" {
		return false
	}
	for _, word := range p.args[min(c.flags, len(p.args)):] {
		if strings.IndexByte(c.changing, line[word.Off]) >= 0 {
			return true
		}
	}
	return false
}

// isNoreply tells whether the i-th word, if it is the line's last, silences the
// server.
func (p *requestParser) isNoreply(c *command, line []byte, i int) bool {
	return c.noreply > 0 && i >= c.noreply && string(wordOf(line, p.args[i])) == "noreply"
}

// longKey tells whether a key is longer than memcached takes.
func (p *requestParser) longKey(c *command) bool {
	keys := p.args[c.key:]
	if !c.many {
		keys = keys[:1]
	}
	for _, key := range keys {
		if key.Len > maxKey {
			return true
		}
	}
	return false
}

// isStorage tells whether the server will take the line of a storage command,
// and read the body behind it, given that its length is one.
func (p *requestParser) isStorage(c *command, line []byte) bool {
	flags, ok := parseUint(wordOf(line, p.args[2]))
	if !ok || flags > math.MaxUint32 || !isExptime(wordOf(line, p.args[3])) {
		return false
	}
	if c.min > c.body+1 { // cas: its unique
		_, ok = parseUint(wordOf(line, p.args[c.body+1]))
	}
	return ok
}

// accept fills in what becomes of a request that nothing is wrong with.
func (p *requestParser) accept(c *command, line []byte) {
	r := &p.req
	r.Treatment = c.treatment
	switch c.treatment {
	case msg.Forward, msg.Fragment:
		r.FirstKey, r.KeyStep, r.Nkeys = c.key, 1, 1
	case msg.Broadcast:
		if c.merge == mergeStats {
			p.acceptStats(line)
		}
		return
	case msg.Watch, msg.Block, msg.Subscribe, msg.Publish, msg.Track, msg.Monitor, msg.Confirm, msg.One, msg.Learn, msg.Local, msg.Gather,
		msg.Report, msg.Quit, msg.Ignore:
		return
	}
	if !c.many {
		return
	}
	r.Nkeys = len(p.args) - c.key
	if r.Nkeys == 1 {
		r.Treatment = msg.Forward
	}
}

// changesServers reports whether a stats changes what all clients of the servers
// see, or what the servers do: it sets counters to zero, or turns some on.
func (p *requestParser) changesServers(line []byte) bool {
	args := p.args[1:]
	if len(args) > 0 && string(wordOf(line, args[0])) == "servers" {
		args = args[1:]
	}
	if len(args) == 0 {
		return false
	}
	switch string(wordOf(line, args[0])) {
	case "reset", "sizes_enable", "sizes_disable":
		return true
	case "detail":
		return len(args) > 1 && string(wordOf(line, args[1])) != "dump"
	}
	return false
}

// acceptStats tells the three forms of stats apart: the proxy's own, the
// servers', and the servers' of some kind.
func (p *requestParser) acceptStats(line []byte) {
	if len(p.args) == 1 {
		p.req.Treatment = msg.Local
		return
	}
	if kind := p.args[1]; string(wordOf(line, kind)) == "servers" {
		p.req.Omit = msg.Span{Off: kind.Off - 1, Len: kind.Len + 1}
	}
}

// parseBody reads as much of the body, and of the line end behind it, as data
// holds.
func (p *requestParser) parseBody(data []byte) (n int, done bool) {
	n, ok := p.skip(data)
	if !ok {
		p.req.Treatment, p.req.Error = msg.Local, errDataChunk
	}
	p.size += n
	return n, p.lack == 0
}

// Words implements msg.RequestParser.
func (p *requestParser) Words() int { return len(p.args) }

// Ready implements msg.RequestParser: all words are known.
func (p *requestParser) Ready(*mbuf.View, int) (read int, ready bool) { return 0, true }

// Finish implements msg.RequestParser.
func (p *requestParser) Finish(b []byte) *msg.Request {
	p.req.View.SetFlat(b)
	return p.finish()
}

// FinishChain implements msg.RequestParser.
func (p *requestParser) FinishChain(c *mbuf.Chain) *msg.Request {
	p.req.View.SetWhole(c)
	return p.finish()
}

// finish describes the request that the view holds.
func (p *requestParser) finish() *msg.Request {
	invariant.Check(p.req.View.Len() == p.size, "memcache: the view is not the request that was parsed")
	p.state, p.size = inLine, 0
	p.cr, p.bad = false, false
	p.head = p.head[:0]
	if cap(p.args) > maxKeepSpans {
		p.args = nil // the request keeps its own reference
	}
	p.args = p.args[:0]
	return &p.req
}

// spanSize is what a word in args takes, in bytes.
const spanSize = 8

// Held implements msg.RequestParser.
func (p *requestParser) Held() int { return cap(p.args)*spanSize + cap(p.head) }

// Forget implements msg.RequestParser.
func (p *requestParser) Forget() { p.req = msg.Request{} }

// Restrict implements msg.RequestParser. There is no login.
func (p *requestParser) Restrict() {}

// Adopt implements msg.RequestParser.
func (p *requestParser) Adopt(of msg.RequestParser) {
	if of, ok := of.(*requestParser); ok {
		p.maxRequest, p.allowFlush, p.readOnly = of.maxRequest, of.allowFlush, of.readOnly
	}
}

// Body implements msg.RequestParser.
func (p *requestParser) Body() int {
	return p.lack
}

// Size implements msg.RequestParser.
func (p *requestParser) Size() int { return p.size }

func wordOf(line []byte, s msg.Span) []byte { return line[s.Off:s.End()] }

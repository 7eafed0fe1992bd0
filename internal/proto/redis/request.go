package redis

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"nuthatch/internal/invariant"
	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Redis's limits: the length of one argument in bytes, and the number of
// arguments of one request.
const (
	maxBulk = 512 << 20
	maxArgs = math.MaxInt32
)

// Redis's limits for a client that has not logged in. Here they concern an inline request,
// too.
const (
	maxBulkBeforeAuth = 16 << 10
	maxArgsBeforeAuth = 10
)

// keptLine is how many bytes of an inline request a parser keeps room for between
// two requests.
const keptLine = 1 << 10

// requestState is what a parser expects next.
type requestState uint8

const (
	atStart  requestState = iota // a request's first byte
	inCount                      // the rest of "*2\r\n"
	atMark                       // an argument's '$'
	inLength                     // the rest of "$16\r\n"
	inBody                       // the argument, and its line end
	inInline                     // the rest of an inline request's line
	atEnd                        // nothing: the request is whole, Finish is due
	failed                       // nothing: the bytes are not the protocol
)

// A requestParser implements msg.RequestParser.
//
// It is stricter than Redis in one thing. Redis skips two bytes at the end of a line
// without looking at them. So it accepts bytes that another server would not. Here a
// line must end in "\r\n".
type requestParser struct {
	// static after construction, but for Adopt
	requestSettings

	// The request in progress.

	state requestState
	// bulk is the longest argument that it may have, in bytes.
	bulk int
	// done is the number of its bytes in earlier calls of Parse.
	done int
	// words is the number of arguments. left is how many of them have not come yet.
	left, words int
	bulkBody
	head header
	err  *msg.ProtocolError
	wordSpans
	inl inline

	// What Finish returned, and room for its PlaceKey.
	req   msg.Request
	place [placeSize]byte
}

func newRequestParser(maxSize int, tooLong *msg.ProtocolError, desk *desk) *requestParser {
	return &requestParser{
		requestSettings: requestSettings{max: maxSize, tooLong: tooLong}, bulk: maxBulk, wordSpans: wordSpans{desk: desk},
	}
}

// Adopt implements msg.RequestParser.
func (p *requestParser) Adopt(of msg.RequestParser) {
	if of, ok := of.(*requestParser); ok {
		p.requestSettings = of.requestSettings
	}
}

// Restrict implements msg.RequestParser.
func (p *requestParser) Restrict() {
	invariant.Check(p.state == atStart, "redis: Restrict within a request")
	p.bulk = maxBulkBeforeAuth
}

// restricted: the request comes from a client that has not logged in.
func (p *requestParser) restricted() bool { return p.bulk == maxBulkBeforeAuth }

// Size implements msg.RequestParser.
func (p *requestParser) Size() int { return p.done }

// Held implements msg.RequestParser. The parser keeps almost nothing of the words.
func (p *requestParser) Held() int { return cap(p.inl.line) }

// Forget implements msg.RequestParser.
func (p *requestParser) Forget() {
	p.forget()
	p.req.Args = nil
}

// Body implements msg.RequestParser. The line end behind the body counts.
func (p *requestParser) Body() int {
	if p.state != inBody {
		return 0
	}
	return p.need
}

// Parse implements msg.RequestParser.
func (p *requestParser) Parse(data []byte) (n int, done bool, err *msg.ProtocolError) {
	invariant.Check(p.state != atEnd, "redis: Parse before Finish")
	if p.state != atStart {
		p.takeUp()
	}
	n = p.read(data)
	if p.state != atEnd && p.state != failed {
		p.putDown()
	}
	return n, p.state == atEnd, p.err
}

// read is Parse for a parser whose words lie on the desk.
func (p *requestParser) read(data []byte) int {
	i := 0
	for i < len(data) {
		switch p.state {
		case atStart:
			i = p.start(data)
		case inCount:
			i = p.readCount(data, i)
		case atMark:
			i = p.args(data, i)
		case inLength:
			i = p.length(data, i)
		case inBody:
			i = p.body(data, i)
		case inInline:
			i = p.inline(data, i)
		case atEnd, failed:
			p.done += i
			return i
		}
	}
	p.done += i
	return i
}

// start looks at the first bytes of a request.
func (p *requestParser) start(data []byte) int {
	p.begin()
	if data[0] != '*' {
		if data[0] == msg.TLSHandshake {
			p.fail(errTLS)
			return 0
		}
		p.inl.reset()
		p.state = inInline
		return 0
	}
	p.head = header{}
	p.state = inCount
	// Nearly all requests have between one and nine arguments.
	if len(data) >= 4 && data[2] == '\r' && data[3] == '\n' && data[1]-'1' < 9 {
		p.left = int(data[1] - '0')
		p.words = p.left
		p.state = atMark
		return 4
	}
	return 1
}

// readCount goes on reading the number of arguments.
func (p *requestParser) readCount(data []byte, i int) int {
	n, done := p.head.read(data[i:])
	if !done {
		return i + n
	}
	v, ok := p.head.number()
	switch {
	case p.head.tooLong():
		p.fail(errLongCount)
	case !ok || v > maxArgs:
		p.fail(errCount)
	case v > maxArgsBeforeAuth && p.restricted():
		p.fail(errCountBeforeAuth)
	case v <= 0:
		p.state = atEnd
	default:
		p.left, p.words, p.state = int(v), int(v), atMark
	}
	return i + n
}

// args reads arguments while they are whole.
func (p *requestParser) args(data []byte, i int) int {
	if p.left >= manyArgs {
		i = p.many(data, i)
	}
	spans, left, bulk := p.spans, p.left, p.bulk
	// limit is the offset in data after which no argument may end.
	base, limit := p.done, p.max-p.done
	for left > 0 && i < len(data) {
		n, body := 0, i
		if i+8 <= len(data) {
			var size int
			n, size = shortBulk(binary.LittleEndian.Uint64(data[i:]))
			body += size
		}
		if body == i {
			if data[i] != '$' {
				p.fail(errMark(data[i]))
				break
			}
			var ok bool
			n, body, ok = shortNumber(data, i+1)
			if !ok {
				i = p.oddLength(data, i+1, body, n)
				break
			}
		}
		end := body + n + 2
		if n > bulk || end > limit {
			p.large(int64(n))
			break
		}
		if !p.lost {
			spans = append(spans, msg.Span{Off: uint32(base + body), Len: uint32(n)})
		}
		if end > len(data) {
			i, p.need, p.state = body, n+2, inBody
			break
		}
		if data[end-2] != '\r' || data[end-1] != '\n' {
			p.fail(errEnd)
			break
		}
		i = end
		left--
	}
	if left == 0 {
		p.state = atEnd
	}
	p.spans, p.left = spans, left
	return i
}

// manyArgs: from so many arguments on they are expected to be alike.
const manyArgs = 8

// many reads arguments while they are whole, correct and not very long. The rest is
// left to args. In a request of many arguments, most are as long as the one before the last:
// keys among keys, and values among values.
func (p *requestParser) many(data []byte, i int) int {
	spans, left, base := p.spans, p.left, uint32(p.done)
	stop := min(len(data)-8, p.max-p.done)
	heads := [2]head{{word: 1}, {word: 1}} // nothing
	for k := uint(0); left > 0 && i <= stop; left-- {
		// Slices of a known capacity are the cheapest to make.
		word := binary.LittleEndian.Uint64(data[i : i+8 : i+8])
		h := &heads[k%2]
		k++
		if !h.isAt(word) && !h.read(word) {
			break
		}
		end := i + h.end
		if end > stop || binary.LittleEndian.Uint16(data[end-2:end:end]) != lineEnd {
			break
		}
		if !p.lost {
			spans = append(spans, msg.Span{Off: base + uint32(i+h.size), Len: uint32(h.end - h.size - 2)})
		}
		i = end
	}
	p.spans, p.left = spans, left
	return i
}

// oddLength handles a length that is not a number, or has come only in part. It begins
// at data[i], and its digits end at data[j] and have the value n. length goes on
// reading it.
func (p *requestParser) oddLength(data []byte, i, j, n int) int {
	p.state = inLength
	p.head = header{}
	leading0 := j > i+1 && data[i] == '0'
	switch {
	case leading0:
		return i
	case j == len(data):
		p.head.value, p.head.size = uint64(n), j-i
		return j
	case j+1 == len(data) && data[j] == '\r':
		p.head.value, p.head.size, p.head.cr = uint64(n), j-i, true
		return j + 1
	default:
		return i
	}
}

// length goes on reading the length of an argument.
func (p *requestParser) length(data []byte, i int) int {
	n, done := p.head.read(data[i:])
	i += n
	if !done {
		return i
	}
	v, ok := p.head.number()
	switch {
	case p.head.tooLong():
		p.fail(errLongLength)
	case !ok || v < 0:
		p.fail(errLength)
	case v > int64(p.bulk):
		p.large(v)
	case p.done+i+int(v)+2 > p.max:
		p.fail(p.tooLong)
	default:
		p.add(p.done+i, int(v))
		p.need, p.state = int(v)+2, inBody
	}
	return i
}

// body goes on with an argument.
func (p *requestParser) body(data []byte, i int) int {
	i, ok := p.skip(data, i)
	switch {
	case !ok:
		p.fail(errEnd)
	case p.need == 0:
		p.left--
		p.state = atMark
		if p.left == 0 {
			p.state = atEnd
		}
	}
	return i
}

// inline reads the part of an inline request's line that has come.
func (p *requestParser) inline(data []byte, i int) int {
	end := bytes.IndexByte(data[i:], '\n')
	piece := data[i:]
	if end >= 0 {
		piece = piece[:end]
	}
	switch n := len(p.inl.line) + len(piece); {
	case n > p.max && p.max < maxLine:
		p.fail(p.tooLong)
		return i
	case n > maxLine:
		p.fail(errLongInline)
		return i
	}
	p.inl.line = append(p.inl.line, piece...)
	if end < 0 {
		return len(data)
	}
	most, longest := maxLine, maxLine
	if p.restricted() {
		most, longest = maxArgsBeforeAuth, maxBulkBeforeAuth
	}
	spans, why := p.inl.split(p.spans, most, longest)
	p.spans = spans
	p.state = atEnd
	if why != nil {
		p.fail(why)
	}
	return i + end + 1
}

func (p *requestParser) fail(err *msg.ProtocolError) {
	p.state, p.err = failed, err
}

// large refuses an argument of n bytes, for Redis's reason if Redis would refuse it
// too.
func (p *requestParser) large(n int64) {
	switch {
	case n > maxBulk:
		p.fail(errLength)
	case n > int64(p.bulk):
		p.fail(errLengthBeforeAuth)
	default:
		p.fail(p.tooLong)
	}
}

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

// finish describes the request that the view holds. The view of an inline request becomes a
// view of the same request as RESP, in a buffer of the parser.
//
// The keys of a few commands are at irregular places: those of ZUNIONSTORE, or of SORT
// with STORE. Their spans are listed once more after the request's words, and FirstKey
// points there.
func (p *requestParser) finish() *msg.Request {
	invariant.Check(p.state == atEnd, "redis: Finish of a request that is not whole")
	r := &p.req
	p.state, p.done, p.bulk = atStart, 0, maxBulk
	if p.lost {
		p.find(r.View, p.max, p.words)
	}
	if p.inl.used {
		r.View.SetFlat(p.inl.resp)
		p.inl.used = false
	}
	r.Error, r.PlaceKey, r.Aside, r.Stray, r.ReadOnly, r.FirstKey, r.KeyStep, r.Nkeys = "", nil, false, false, false, 0, 0, 0
	if r.Omit.Len > 0 {
		r.Omit, r.Instead = msg.Span{}, ""
	}
	if len(p.spans) == 0 {
		r.Type, r.Treatment, r.Args = unknown, msg.Ignore, nil
		return r
	}
	name := p.spans[0]
	var cmd *command
	if flat := r.View.FlatBytes(); flat != nil {
		cmd = lookup(flat[name.Off:name.End()])
	} else {
		cmd = p.lookupAcross(name)
	}
	if cmd.subs > 0 && len(p.spans) > 1 {
		if sub := p.lookupSub(cmd); sub != nil {
			if cmd = sub; p.mayNotInspect(cmd) {
				return r
			}
		} else if cmd.reason == "" {
			r.Type, r.Args = cmd.id, p.spans
			p.refuse(unknownSubcommand)
			return r
		}
	}
	r.Type, r.Treatment, r.Args = cmd.id, cmd.treatment, p.spans
	switch {
	case len(p.spans) < cmd.minArgs, len(p.spans) > cmd.maxArgs:
		p.refuse(wrongArity)
	case !cmd.treatment.ByKeys():
		p.support(cmd)
		if cmd.ofOne && p.servers == 1 {
			r.Treatment, r.Error, r.PlaceKey = cmd.alone(), "", p.place[:0]
		}
		if cmd.publishes {
			p.placeMessage(r)
		}
		if cmd.flushes && !p.allowFlush {
			p.refuse(noFlush)
		}
		if cmd.treatment == msg.Monitor && !p.allowMonitor {
			p.refuse(noMonitor)
		}
		if cmd.answer == answerACL && p.passes { // the users are the servers'
			r.Treatment, r.PlaceKey = msg.Forward, p.place[:0]
		}
		if cmd.id == unknown || cmd.answer == answerHello {
			p.study(cmd)
		}
	case cmd.keys.rule == oneKey:
		r.FirstKey, r.KeyStep, r.Nkeys = cmd.keys.first, 1, 1
	default:
		p.locate(cmd)
	}
	if cmd.database != noDatabase && r.Treatment == msg.Forward {
		if fault := p.databases.hold(r, cmd.database); fault != "" {
			p.refuse(fault)
		}
	}
	if p.readOnly && cmd.mayWrite && r.Error == "" {
		p.refuseWrite()
	}
	return r
}

// locate finds the keys of a request whose command has them elsewhere than in one
// place.
func (p *requestParser) locate(cmd *command) {
	r, words := &p.req, len(p.spans)
	undivided, why := cmd.keys.locate(r)
	p.spans = r.Args
	switch cmd.keys.rule {
	case sortKeys:
		why = p.checkPatterns(r, words)
	case scriptKeys:
		if why == keyless {
			why = p.placeScript(r, cmd)
		}
	case noKey, oneKey, rangeOfKeys, countedKeys, pairedKeys, storeKey, streamKeys, migrateKeys:
	}
	switch {
	case why == waits:
		r.Treatment = msg.Block
	case r.Treatment == msg.Watch && p.refusesWatch:
		p.refuse(transactionsOff)
	case why != "":
		p.refuse(why)
	case undivided:
		r.Treatment = msg.Forward
	}
}

// lookupSub finds the subcommand of cmd that the second word names, or nil.
func (p *requestParser) lookupSub(cmd *command) *command {
	word := p.spans[1]
	if int(word.Len) > maxName {
		return nil
	}
	var buf [maxName + 1]byte
	b, _ := p.req.View.Bytes(int(word.Off), int(word.Len), buf[:0])
	return cmd.lookupSub(b)
}

// The errors of the request parser, in Redis's words where it has any.
var (
	errCount            = protocolError("invalid multibulk length")
	errLongCount        = protocolError("too big mbulk count string")
	errLength           = protocolError("invalid bulk length")
	errLongLength       = protocolError("too big bulk count string")
	errCountBeforeAuth  = protocolError("unauthenticated multibulk length")
	errLengthBeforeAuth = protocolError("unauthenticated bulk length")
	errLongInline       = protocolError("too big inline request")
	errTLS              = protocolError("a client with TLS on a port without TLS")
	errQuotes           = protocolError("unbalanced quotes in request")
	errEnd              = protocolError(`expected "\r\n" behind a bulk`)
)

func errMark(got byte) *msg.ProtocolError {
	if got == '\r' || got == '\n' {
		got = ' ' // it would end the reply's line
	}
	return protocolError("expected '$', got '" + string([]byte{got}) + "'")
}

func errTooLarge(limit int) *msg.ProtocolError {
	return protocolError("request exceeds the limit of " + strconv.Itoa(limit) + " bytes")
}

func protocolError(text string) *msg.ProtocolError {
	return &msg.ProtocolError{Reply: "-ERR Protocol error: " + text + "\r\n", Msg: "Protocol error: " + text}
}

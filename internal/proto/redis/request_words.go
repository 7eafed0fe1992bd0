package redis

import (
	"crypto/sha1" //nolint:gosec // See keyless.go.
	"hash"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/pages"
)

// The places of a request's words are written on a desk that all parsers of a protocol
// share. A request that is whole is parsed, served and forgotten before the next one is
// looked at. If a request has come only in part, its parser takes a few places from the
// desk. If there are many, it forgets them, and reads the request a second time when it
// is whole. So a partial request costs only its bytes.
//
//	begin ─► desk ── not all there ─► own ── more comes ─► desk ─► Finish
//	                            └──► lost ── all there ── find ──┘

const (
	// firstDesk is how many words the desk has room for at first.
	firstDesk = 32
	// maxOwn is how many words a parser keeps of a partial request.
	maxOwn = 8
	// maxDesk is how many words the desk keeps room for between two requests, and as many
	// its wide part.
	maxDesk = 64 << 10
	// spanSize is how many bytes the place of a word takes.
	spanSize = 8
)

// A desk is where the parsers of one protocol write.
type desk struct {
	spans []msg.Span
	// again is the parser that reads requests a second time; nil until it is needed.
	again *requestParser
	// wide is for the words of a request that has more than maxDesk, and of one that is read
	// in slices; nil until it is needed. max_memory does not count them, so they go back to
	// the system with the request, if they are many. On Go's heap they would wait for the
	// collector. Measured with max_memory at 64 MB: under a flood of MGETs of 400,000 keys 76
	// to 84 MB would be resident at the peak instead of 72, and with eight clients' MGETs of a
	// million keys 91 to 96 instead of 76. Fresh pages cost a fifth of the time of splitting.
	// The whole process takes no more time, since the collector has less to do.
	wide *pages.Region
	// reader is the parser that reads a request a second time, in slices, and writes
	// its words there.
	reader *requestParser

	// sum hashes scripts; nil until it is needed. digest is room for its result.
	sum    hash.Hash
	digest [sha1.Size]byte
}

// room is room for that many words.
func (d *desk) room(words int) []msg.Span {
	if words <= maxDesk {
		return slices.Grow(d.spans[:0], words)
	}
	return d.far(words)
}

// far is room for that many words, which may stay there.
func (d *desk) far(words int) []msg.Span {
	if d.wide == nil || len(d.wide.Bytes) < words*spanSize {
		d.wide = pages.Map((words*spanSize + pages.Size - 1) / pages.Size * pages.Size)
	}
	if d.wide == nil {
		return make([]msg.Span, 0, words)
	}
	return pages.Slice[msg.Span](d.wide)
}

// wordSpans are the words of the request in progress.
type wordSpans struct {
	desk *desk // static after construction

	// spans are the words so far. They lie on the desk during a call of Parse,
	// and from the last one until the request is forgotten.
	spans []msg.Span
	// lost: there were too many to keep.
	lost bool
	own  [maxOwn]msg.Span
	// second reads the request a second time, in slices; nil: it is not read again.
	second *requestParser
	// readTo is how far that has come.
	readTo int
}

// begin clears the desk for a new request.
func (w *wordSpans) begin() {
	if w.second != nil {
		w.forget() // its words lie where those of other requests must not be written
	}
	w.keepRoom()
	w.spans, w.lost = w.desk.spans[:0], false
}

// takeUp puts on the desk what putDown took from there.
func (w *wordSpans) takeUp() {
	if !w.lost {
		w.spans = append(w.desk.spans[:0], w.spans...)
	}
}

// putDown takes from the desk what the parser needs when it goes on.
func (w *wordSpans) putDown() {
	w.keepRoom()
	if len(w.spans) > maxOwn {
		w.lost = true
	}
	if w.lost {
		w.spans = nil
		return
	}
	w.spans = w.own[:copy(w.own[:], w.spans)]
}

// keepRoom has the desk keep a larger room that was made. The desk's first room is
// larger than maxOwn, so a parser's own never becomes the desk's.
func (w *wordSpans) keepRoom() {
	if c := cap(w.spans); c > cap(w.desk.spans) && c <= maxDesk {
		w.desk.spans = w.spans[:0]
	}
}

// add adds a word.
func (w *wordSpans) add(off, n int) {
	if !w.lost {
		w.spans = append(w.spans, msg.Span{Off: uint32(off), Len: uint32(n)})
	}
}

// forget gives up the words of a request that has been served. Their pages go back to the
// system, but for as many as the desk keeps: the next request would have to get them anew.
func (w *wordSpans) forget() {
	d := w.desk
	many := cap(w.spans) > maxDesk
	if w.second != nil { // keys may be listed once more behind its words
		many = d.reader == w.second && 2*len(w.second.spans) > maxDesk
	}
	if many && d.wide != nil {
		d.wide.Drop(0, len(d.wide.Bytes))
	}
	w.spans, w.second = nil, nil
}

// Words implements msg.RequestParser.
func (p *requestParser) Words() int {
	if p.inl.used {
		return len(p.spans)
	}
	return p.words
}

// pieceOfWords is how many bytes are read at a time for each word that is wanted: the
// least that a word has.
const pieceOfWords = len("$0\r\n\r\n")

// Ready implements msg.RequestParser: it reads the request a second time, in pieces.
// Other requests use the desk meanwhile, so the words are written to wide. There is
// room for keys that are listed once more. If another request was read in this way
// meanwhile, reading begins anew.
func (p *requestParser) Ready(v *mbuf.View, words int) (read int, ready bool) {
	if p.inl.used {
		flat := mbuf.Flat(p.inl.resp)
		v = &flat
	}
	if p.second == nil || p.desk.reader != p.second {
		p.second, p.readTo = newRequestParser(p.max, nil, p.desk), 0
		p.desk.reader = p.second
		p.spans, p.lost = nil, true
	}
	q := p.second
	if q.state == atEnd {
		return 0, true
	}
	before := len(q.spans)
	kept := p.desk.spans
	if p.readTo == 0 {
		p.desk.spans = p.desk.far(2*p.Words() + 2) // where q begins to write
	}
	piece, first := v.Near(p.readTo)
	piece = piece[p.readTo-first:]
	p.readTo += q.read(piece[:min(len(piece), words*pieceOfWords)])
	p.desk.spans = kept
	read = len(q.spans) - before
	if q.state != atEnd {
		return read, false
	}
	p.spans, p.lost = q.spans, false
	return read, true
}

// find looks for the words of a whole request, in at most limit bytes. words is how
// many there are; find makes room for them at once.
func (w *wordSpans) find(v mbuf.View, limit, words int) {
	p := w.desk.again
	if p == nil {
		p = newRequestParser(limit, nil, w.desk)
		w.desk.again = p
	}
	kept := w.desk.spans
	w.desk.spans = w.desk.room(words)
	p.state, p.done, p.max = atStart, 0, limit
	for off := 0; off < v.Len(); {
		b, first := v.Near(off)
		p.read(b)
		off = first + len(b)
	}
	w.spans, w.lost = p.spans, false
	p.spans = nil
	if cap(w.desk.spans) > maxDesk {
		w.desk.spans = kept
	}
}

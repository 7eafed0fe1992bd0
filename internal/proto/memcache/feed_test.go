package memcache_test

import (
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
)

// seen is what a test wants to know of a request.
type seen struct {
	raw       string
	treatment msg.Treatment
	keys      []string
	omit      string
	noReply   bool
	quiet     bool
	place     string
	skip      int
	err       string
}

// stream is what became of a client's bytes.
type stream struct {
	requests []seen
	// failed: the bytes turned out to be no request. Else rest is what was left,
	// of a request that is not complete, or to be skipped.
	failed bool
	rest   int
}

// feed gives the pieces to a request parser, one read after the other, and
// stores what the parser's contract says its caller has to.
func feed(t testing.TB, o memcache.Options, pieces ...[]byte) stream {
	t.Helper()
	var s stream
	f := feeder{t: t, parser: memcache.New(o).NewRequestParser()}
	for _, piece := range pieces {
		for len(piece) > 0 {
			n := min(len(piece), f.skip)
			f.skip -= n
			s.rest = f.skip
			if piece = piece[n:]; len(piece) == 0 {
				break
			}
			n, ok := f.parse(piece, &s)
			if !ok {
				s.failed = true
				return s
			}
			piece = piece[n:]
		}
	}
	return s
}

type feeder struct {
	t      testing.TB
	parser msg.RequestParser
	pool   mbuf.Pool
	stored mbuf.Chain
	skip   int
}

func (f *feeder) parse(b []byte, s *stream) (n int, ok bool) {
	f.t.Helper()
	n, done, err := f.parser.Parse(b)
	if err != nil {
		if _, _, again := f.parser.Parse([]byte("get a\r\n")); again == nil {
			f.t.Fatal("an error of the parser is not sticky")
		}
		return 0, false
	}
	if n > len(b) || !done && n < len(b) || n == 0 {
		f.t.Fatalf("Parse took %d of %d bytes, done %v", n, len(b), done)
	}
	size := n
	if !done || f.stored.Len() > 0 {
		f.stored.Append(&f.pool, b[:n])
		size = f.stored.Len()
	}
	if f.parser.Size() != size {
		f.t.Fatalf("Size is %d, want %d", f.parser.Size(), size)
	}
	s.rest = size
	if !done {
		return n, true
	}
	if f.parser.Body() != 0 {
		f.t.Fatalf("a whole request lacks %d bytes", f.parser.Body())
	}
	var req *msg.Request
	if f.stored.Len() > 0 {
		req = f.parser.FinishChain(&f.stored)
	} else {
		req = f.parser.Finish(b[:n])
	}
	s.requests = append(s.requests, look(req))
	f.skip = req.Skip
	s.rest = f.skip
	f.stored.Release(&f.pool)
	return n, true
}

func look(req *msg.Request) seen {
	r := seen{
		raw: text(req, msg.Span{Len: uint32(req.View.Len())}), treatment: req.Treatment,
		omit: text(req, req.Omit), noReply: req.NoReply, quiet: req.Quiet, place: string(req.PlaceKey),
		skip: req.Skip, err: req.Error,
	}
	for i := range req.Nkeys {
		r.keys = append(r.keys, text(req, req.Key(i)))
	}
	return r
}

func text(req *msg.Request, s msg.Span) string {
	b, _ := req.View.Bytes(int(s.Off), int(s.Len), nil)
	return string(b)
}

// bytewise cuts b into pieces of one byte.
func bytewise(b string) [][]byte {
	pieces := make([][]byte, len(b))
	for i := range pieces {
		pieces[i] = []byte{b[i]}
	}
	return pieces
}

// flatten returns the bytes of c and releases it.
func flatten(p *mbuf.Pool, c *mbuf.Chain) string {
	s := string(c.AppendTo(nil))
	c.Release(p)
	return s
}

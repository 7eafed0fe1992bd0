package redis

import (
	"strconv"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// A fragmenter makes several requests from one, for the servers of its keys.
type fragmenter struct {
	// pieces is scratch space: what belongs to some of a request's keys.
	pieces [64]mbuf.Span
}

// FragmentHead appends the beginning of a request for nkeys of req's keys.
func (*fragmenter) FragmentHead(req *msg.Request, nkeys int, pool *mbuf.Pool, out *mbuf.Chain) {
	var buf [64]byte
	others := len(req.Args) - req.Nkeys*req.KeyStep
	b := append(buf[:0], '*')
	b = strconv.AppendInt(b, int64(others+nkeys*req.KeyStep), 10)
	b = append(b, commands[req.Type].head...)
	if req.FirstKey > 1 { // behind their number
		b = appendNumber(b, nkeys)
	}
	out.Append(pool, b)
}

// appendNumber appends a number as a word of a request.
func appendNumber(b []byte, n int) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], int64(n), 10)
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\n"...)
	b = append(b, text...)
	return append(b, "\r\n"...)
}

// FragmentKeys appends len(dealt) of req's keys, from the from-th on, with what belongs
// to each, each to the sub-request that it is dealt to.
func (f *fragmenter) FragmentKeys(req *msg.Request, from int, dealt []uint16, pool *mbuf.Pool, outs []*mbuf.Chain) {
	at := req.FirstKey - 1 + from*req.KeyStep
	for len(dealt) > 0 {
		pieces := f.piecesFrom(req, at, len(dealt))
		req.View.Deal(pool, pieces, dealt, outs)
		dealt = dealt[len(pieces):]
		at += len(pieces) * req.KeyStep
	}
}

// piecesFrom are the pieces of req of the next keys, at most n: each is a key with what
// belongs to it. at is the word before the first. A piece begins after the line end of the
// word before it, and ends with its own last line end.
func (f *fragmenter) piecesFrom(req *msg.Request, at, n int) []mbuf.Span {
	pieces := f.pieces[:min(len(f.pieces), n)]
	off := req.Args[at].End() + 2
	for i := range pieces {
		at += req.KeyStep
		end := req.Args[at].End() + 2
		pieces[i] = mbuf.Span{Off: uint32(off), Len: uint32(end - off)}
		off = end
	}
	return pieces
}

// FragmentTail appends the words after the keys: MSETEX's options.
func (*fragmenter) FragmentTail(req *msg.Request, pool *mbuf.Pool, out *mbuf.Chain) {
	last := req.FirstKey + req.Nkeys*req.KeyStep - 1
	if last == len(req.Args)-1 {
		return
	}
	tail := req.Args[last].End() + len("\r\n")
	req.View.AppendTo(pool, out, tail, req.View.Len()-tail)
}

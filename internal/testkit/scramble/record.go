// Package scramble stands in for TLS in tests: a stage whose bytes on the wire are
// not those of the handler, come in records of other lengths, have a handshake before
// them and a last word behind them, and a client's or server's end of it.
//
//	record   kind, length (2), padding: how many of the bytes that follow
//	         body, padding, sum
//	kinds    hello    the first of each side, once
//	         data     bytes of the handler's
//	         ping     is to be answered by a pong, whenever it comes
//	         pong     means nothing
//	         bye      no more comes
//
// Every byte is changed by where it stands in the stream, so that one that is lost,
// comes twice or is overtaken shows.
package scramble

import "errors"

type kind byte

const (
	hello kind = iota + 1
	data
	ping
	pong
	bye
)

const (
	header    = 4
	maxBody   = 16 << 10
	maxPadded = header + maxBody + 255 + 1
)

// ErrRecord means bytes that are no record.
var ErrRecord = errors.New("scramble: bytes that are no record")

// A stream is one direction of a connection.
type stream struct {
	state   uint32
	records int
}

// next is what the next byte of the stream is changed by.
func (s *stream) next() byte {
	s.state = s.state*1664525 + 1013904223
	return byte(s.state >> 24)
}

// appendRecord appends a record with that body.
func (s *stream) appendRecord(dst []byte, k kind, body []byte) []byte {
	s.records++
	pad := s.records * 7 % 23
	start := len(dst)
	dst = append(dst, byte(k), byte(len(body)>>8), byte(len(body)), byte(pad))
	dst = append(dst, body...)
	for i := range pad {
		dst = append(dst, byte(i))
	}
	sum := byte(s.records)
	for _, b := range dst[start:] {
		sum += b
	}
	dst = append(dst, sum)
	for i := range dst[start:] {
		dst[start+i] ^= s.next()
	}
	return dst
}

// A reader takes records off a stream.
type reader struct {
	stream
	// in is what has come of a record that is not whole, unscrambled.
	in []byte
}

// take takes bytes off src until a record is whole, and reports its kind, 0 if there
// is none yet, its body, valid until the next call, and how many bytes it took.
func (r *reader) take(src []byte) (k kind, body []byte, used int, err error) {
	for {
		if n := r.need(); len(r.in) == n {
			k, body, err = r.whole()
			r.in = r.in[:0]
			return k, body, used, err
		}
		if used == len(src) {
			return 0, nil, used, nil
		}
		r.in = append(r.in, src[used]^r.next())
		used++
	}
}

// need is how long the record is, as far as it can be told.
func (r *reader) need() int {
	if len(r.in) < header {
		return header
	}
	return header + int(r.in[1])<<8 + int(r.in[2]) + int(r.in[3]) + 1
}

func (r *reader) whole() (kind, []byte, error) {
	r.records++
	sum := byte(r.records)
	for _, b := range r.in[:len(r.in)-1] {
		sum += b
	}
	k, n := kind(r.in[0]), int(r.in[1])<<8+int(r.in[2])
	if sum != r.in[len(r.in)-1] || k < hello || k > bye || n > maxBody || (k == hello) != (r.records == 1) {
		return 0, nil, ErrRecord
	}
	return k, r.in[header : header+n], nil
}

package redis

import (
	"crypto/sha1" //nolint:gosec // It is how Redis names a script; nothing is kept secret by it.
	"encoding/hex"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// Scripts and functions that name no key are placed by their names: the SHA1 of a
// script, so that its text and its SHA1 lead to one server, or the function's name.

const (
	// placeSize is the most bytes of a name that a script or function is placed by.
	placeSize = 64
	// maxPlacedText is the longest text, in bytes, that is placed by its SHA1:
	// computing it holds up the event loop.
	maxPlacedText = 1 << 20
)

// Why a script without keys is refused in a pool of several servers.
const (
	namesNoKey = "it names no key, and the pool has several servers: name a key whose server is to run it, or set keyless_scripts: any"
	longScript = "it names no key, and its text is too long to choose a server by: name a key"
)

// placeScript finds what a script without keys is placed by, or says why it is not
// served.
func (p *requestParser) placeScript(r *msg.Request, cmd *command) (why string) {
	script := r.Args[1]
	switch {
	case p.servers <= 1:
		r.PlaceKey = p.place[:0]
	case p.keyless == config.KeylessRefuse:
		return namesNoKey
	case !cmd.runsText:
		r.PlaceKey = p.nameOf(r, script)
	case script.Len > maxPlacedText:
		return longScript
	default:
		r.PlaceKey = p.sumOf(r, script)
	}
	return ""
}

// nameOf is the part of a script's or function's name that it is placed by. Redis
// ignores case.
func (p *requestParser) nameOf(r *msg.Request, script msg.Span) []byte {
	var buf [placeSize]byte
	b, _ := r.View.Bytes(int(script.Off), int(min(script.Len, placeSize)), buf[:0])
	return lower(p.place[:0], b)
}

// sumOf is the name that Redis gives to a script's text.
func (p *requestParser) sumOf(r *msg.Request, script msg.Span) []byte {
	sum := &p.desk.sum
	if *sum == nil {
		*sum = sha1.New() //nolint:gosec // See the import.
	}
	(*sum).Reset()
	for off, end := int(script.Off), script.End(); off < end; {
		near, first := r.View.Near(off)
		near = near[off-first : min(len(near), end-first)]
		(*sum).Write(near)
		off += len(near)
	}
	b := (*sum).Sum(p.desk.digest[:0])
	return hex.AppendEncode(p.place[:0], b)
}

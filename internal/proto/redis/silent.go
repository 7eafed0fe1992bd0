package redis

import "nuthatch/internal/msg"

// Fits implements proxy.Protocol: of a command whose replies are merged, it tells
// by the first byte whether a reply has a shape that can be. Any can be an error,
// and any may have attributes before it. A push of RESP3 answers none: the proxy asks
// for none on connections that clients share.
func (p *Protocol) Fits(t msg.Type, r msg.Reply) bool {
	first := firstByte(r)
	if first == '>' {
		return false
	}
	kind := commands[t].merge
	if kind == mergeNone || first == '-' || first == '!' || first == '|' {
		return true
	}
	switch kind {
	case mergeStatus:
		return first == '+'
	case mergeSum:
		return first == ':'
	case mergeMin:
		return first == ':' || first == '*'
	case mergeElements, mergeAllOf, mergePairSums, mergeScan:
		return first == '*'
	case mergeConcat:
		return first == '*' || first == '~' || first == '%' || first == '_' || first == '$'
	case mergeBusy:
		return first == '*' || first == '%'
	case mergeLoad:
		return first == '$'
	case mergeNone, mergeAny, mergeSame, mergeOneOK:
	}
	return true
}

func firstByte(r msg.Reply) byte {
	if r.Chain != nil {
		c := newCursor(r.Chain)
		return c.first()
	}
	if len(r.Flat) == 0 {
		return 0
	}
	return r.Flat[0]
}

// Silent implements proxy.Protocol. No request of Redis is quiet.
func (p *Protocol) Silent(msg.Type, msg.Reply) bool { return false }

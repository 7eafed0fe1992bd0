package hashkit

import "bytes"

// Tag is a pair of bytes, such as "{}", between which the hashed part of a key
// stands. The zero Tag is no tag: keys are hashed whole.
type Tag [2]byte

// Of returns the part of key that is hashed: what stands between the first
// opening byte and the next closing byte after it. It is all of key if there is
// no tag, no opening byte, no closing byte after the first opening one, or
// nothing in between; later opening bytes are never tried. The result shares
// key's memory.
func (t Tag) Of(key []byte) []byte {
	if t == (Tag{}) {
		return key
	}
	_, rest, ok := bytes.Cut(key, t[:1])
	if !ok {
		return key
	}
	if end := bytes.IndexByte(rest, t[1]); end > 0 {
		return rest[:end]
	}
	return key
}

// Ring is all that decides which server of a pool owns a key. It is immutable
// once in use; a change (a server ejected, a configuration reloaded) makes a new
// one.
type Ring struct {
	Hash      Hash
	Tag       Tag
	Continuum *Continuum // not nil
}

// Server returns the index of the server that owns key, or -1 if no server is
// live: then nutcracker refuses the request, also in a pool of one server. rnd
// decides when the distribution is random, and is ignored otherwise.
func (r *Ring) Server(key []byte, rnd uint32) int {
	c := r.Continuum
	if c.servers == 1 {
		return c.live - 1 // 0, or -1 while it is ejected
	}
	if c.distribution == Random {
		return c.Index(rnd)
	}
	return c.Index(r.KeyHash(key))
}

// KeyHash returns the value under which key is looked up on the continuum. As in
// nutcracker that is 0, without any hashing, for an empty key and in a pool of
// one server.
func (r *Ring) KeyHash(key []byte) uint32 {
	if r.Continuum.servers == 1 || len(key) == 0 {
		return 0
	}
	return r.Hash.Sum(r.Tag.Of(key))
}

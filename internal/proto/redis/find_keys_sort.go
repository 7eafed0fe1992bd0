package redis

import (
	"bytes"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/msg"
)

// SORT reads keys that it does not name. Its patterns become keys, with a sorted
// element in place of the first '*':
//
//	SORT list BY weight_* GET object_*->name GET # STORE sorted
//
// They belong to any server, and the server that sorts finds only its own.

// findSort finds the keys that SORT and SORT_RO name: what is sorted, and where the
// result is stored. A word after another option is no option. As in Redis, the last
// STORE counts.
func (k *keys) findSort(r *msg.Request) {
	r.FirstKey, r.KeyStep, r.Nkeys = k.first, 1, 1
	if !k.dest {
		return
	}
	store := 0
	for i := sortOptions; i+1 < len(r.Args); i++ {
		switch {
		case isWord(r, i, "store"):
			i++
			store = i
		case isWord(r, i, "limit"):
			i += 2
		case isWord(r, i, "by"), isWord(r, i, "get"):
			i++
		}
	}
	if store > 0 {
		r.Args = append(r.Args, r.Args[store])
		relist(r)
	}
}

// sortOptions is the first word of SORT's that can be an option.
const sortOptions = 2

// Why a SORT is refused in a pool of several servers.
const (
	strayPattern = "in a pool of several servers, a pattern behind BY or GET must have the sorted key's hash tag before its '*'; " +
		"or sort BY nosort"
	untaggedPattern = "in a pool of several servers without a hash_tag, patterns behind BY and GET lead to keys of any of them; " +
		"sort BY nosort"
)

// checkPatterns says why a SORT is refused: its patterns may lead to keys of other
// servers than the sorted key's. words is the number of r's own words.
func (p *requestParser) checkPatterns(r *msg.Request, words int) (why string) {
	if p.servers <= 1 {
		return ""
	}
	for i := sortOptions; i+1 < words; i++ {
		switch {
		case isWord(r, i, "store"):
			i++
		case isWord(r, i, "limit"):
			i += 2
		case isWord(r, i, "by"), isWord(r, i, "get"):
			i++
			if p.isNear(r, r.Args[sorted.first], r.Args[i]) {
				continue
			}
			if p.tag == (hashkit.Tag{}) {
				return untaggedPattern
			}
			return strayPattern
		}
	}
	return ""
}

// isNear tells whether a pattern leads to no key, or only to keys that are hashed by
// the same bytes as the given key: the part before the first '*' has these bytes
// between the pool's hash tag.
func (p *requestParser) isNear(r *msg.Request, key, pattern msg.Span) bool {
	text, _ := r.View.Bytes(int(pattern.Off), int(pattern.Len), nil)
	fixed, _, leads := bytes.Cut(text, []byte{'*'})
	if !leads {
		return true
	}
	tag := p.tag.Of(fixed)
	name, _ := r.View.Bytes(int(key.Off), int(key.Len), nil)
	return len(tag) < len(fixed) && bytes.Equal(tag, p.tag.Of(name))
}

package redis

import "nuthatch/internal/msg"

// maxWord is the longest word, in bytes, that the proxy itself makes sense of.
const maxWord = 64 << 10

// A wordReader reads the words of requests.
type wordReader struct {
	// scratch gathers a word that lies in several chunks.
	scratch []byte
}

// word is the i-th word of a request, valid until the next call. It is empty if the
// word exceeds maxWord.
func (r *wordReader) word(req *msg.Request, i int) []byte {
	a := req.Args[i]
	if a.Len > maxWord {
		return nil
	}
	var b []byte
	b, r.scratch = req.View.Bytes(int(a.Off), int(a.Len), r.scratch)
	return b
}

// is tells whether the i-th word of a request is the given one, whatever its case. The
// given one must be in lower case.
func (r *wordReader) is(req *msg.Request, i int, word string) bool {
	return i < len(req.Args) && isNamed(word, r.word(req, i))
}

// shownName is the command that a request calls, as an error shows it.
func (r *wordReader) shownName(req *msg.Request) string {
	name := plain(r.word(req, 0), maxShown)
	if commands[req.Type].sub != "" {
		name += " " + plain(r.word(req, 1), maxShown)
	}
	return name
}

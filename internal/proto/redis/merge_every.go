package redis

import (
	"strconv"
	"strings"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

const (
	// maxNamed is how many servers an error names, in each of its lists.
	maxNamed = 16
	// maxServerError is how many bytes of a server's error are repeated.
	maxServerError = 256
)

// mergeEvery appends the status that the servers give, or the first server's. If one of them has not done what the
// request asks, the reply is an error. It says which, why, and which have done it. If all
// refuse in the same words, the reply is these.
func (m *merger) mergeEvery(parent *msg.Msg, failure msg.Reason, pool *mbuf.Pool, out *mbuf.Chain) msg.Reason {
	var done, not []*msg.Msg
	unlike := false
	for i, f := range parent.Frags {
		if m.cursors[i].absent {
			not = append(not, f)
		} else {
			done = append(done, f)
		}
		unlike = unlike || i > 0 && !sameBytes(&f.Reply, &parent.Frags[0].Reply)
	}
	w := writer{pool: pool, out: out}
	switch {
	case failure == msg.OK && !unlike, len(not) == 0: // a save may be scheduled here and started there
		out.Splice(pool, &parent.Frags[0].Reply)
		return msg.OK
	}
	prefix, why := m.whyNot(not[0])
	command := strings.ReplaceAll(strings.ToUpper(commands[parent.Type].name), "|", " ")
	text := "'" + command + "' failed at server '" + serverOf(not[0]) + "': " + why
	if len(not) > 1 {
		text += "; and at " + serversOf(not[1:])
	}
	if len(done) > 0 {
		text += "; carried out by " + serversOf(done)
	} else {
		text += "; carried out by no server"
	}
	if failure != msg.OK {
		m.said = prefix + " " + text
		return failure
	}
	w.fail(prefix, " ", text)
	return msg.OK
}

// whyNot says why a server has not done it, behind the prefix of the error.
func (m *merger) whyNot(f *msg.Msg) (prefix, why string) {
	if f.Err != msg.OK {
		// The command has no key.
		why = strings.Replace(f.Err.String(), " of this key", "", 1)
		if f.Sent != 0 {
			why += "; it is not known whether it was carried out there"
		}
		return "ERR", why
	}
	c := newCursor(&f.Reply)
	line := m.line(&c)
	if line[0] == '!' { // RESP3's long error: the text is the next line
		line = append([]byte{'-'}, m.line(&c)...)
	}
	text := strings.TrimRight(string(line[1:min(len(line), maxServerError)]), "\r\n")
	prefix, why, ok := strings.Cut(text, " ")
	if !ok || prefix != strings.ToUpper(prefix) {
		return "ERR", text
	}
	return prefix, why
}

// serverOf is the name of the server that a fragment was for.
func serverOf(f *msg.Msg) string { return f.Via.ServerName() }

// serversOf lists them.
func serversOf(frags []*msg.Msg) string {
	names := make([]string, 0, maxNamed+1)
	for _, f := range frags[:min(len(frags), maxNamed)] {
		names = append(names, "'"+serverOf(f)+"'")
	}
	if more := len(frags) - maxNamed; more > 0 {
		names = append(names, "and "+strconv.Itoa(more)+" more")
	}
	return strings.Join(names, ", ")
}

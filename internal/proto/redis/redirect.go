package redis

import (
	"bytes"
	"strconv"
	"strings"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// redirects read what nodes of a Redis Cluster say in place of a reply. They are the same
// in every pool.
type redirects struct{}

// maxRedirect is how many bytes of an error are looked at. A host name has 255 at most.
const maxRedirect = 320

// unready are the beginnings of errors of a node that carries a request out at another
// time, or of which another one must be asked. A script may make errors of its own, after
// it has written. So the server's whole text is compared where it is short.
var unready = []string{
	"CLUSTERDOWN The cluster is down", "CLUSTERDOWN Hash slot not served", "READONLY You can't write against a read only replica",
	"LOADING ", "MASTERDOWN Link with MASTER is down",
}

const triesAgain = "TRYAGAIN Multiple keys request during rehashing of slot"

// Redirect implements proxy.Redirector.
func (redirects) Redirect(r msg.Reply) msg.Redirect {
	b := r.Flat
	if r.Chain != nil {
		b = nil
		for k := r.Chain.Head(); k != nil && len(b) < maxRedirect; k = k.Next() {
			b = append(b, k.Bytes()...)
		}
	}
	if len(b) == 0 || b[0] != '-' {
		return msg.Redirect{}
	}
	line, _, _ := bytes.Cut(b[1:], []byte("\r\n"))
	text := string(line[:min(len(line), maxRedirect)])
	kind := msg.Carried
	switch first, _, _ := strings.Cut(text, " "); first {
	case "MOVED":
		kind = msg.Moved
	case "ASK":
		kind = msg.Asks
	case "TRYAGAIN":
		if strings.HasPrefix(text, triesAgain) {
			kind = msg.TriesAgain
		}
		return msg.Redirect{Kind: kind}
	default:
		for _, s := range unready {
			if strings.HasPrefix(text, s) {
				kind = msg.Unready
			}
		}
		return msg.Redirect{Kind: kind}
	}
	words := strings.Split(text, " ")
	if len(words) < 3 {
		return msg.Redirect{}
	}
	colon := strings.LastIndexByte(words[2], ':') // an IPv6 address has no brackets
	slot, err := strconv.Atoi(words[1])
	if err != nil || slot < 0 || slot >= maxSlots || colon < 0 {
		return msg.Redirect{}
	}
	port, err := strconv.Atoi(words[2][colon+1:])
	if err != nil || port <= 0 || port > 65535 {
		return msg.Redirect{}
	}
	return msg.Redirect{Kind: kind, Slot: slot, Host: strings.Trim(words[2][:colon], "[]"), Port: port}
}

// maxSlots is how many slots a cluster has.
const maxSlots = 16384

// AppendAsking implements proxy.Redirector.
func (redirects) AppendAsking(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, "*1\r\n$6\r\nASKING\r\n")
}

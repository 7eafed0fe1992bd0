package redis

import (
	"strconv"
	"strings"

	"nuthatch/internal/msg"
)

// The subcommands of CLIENT that are about the client itself. CLIENT LIST, INFO, KILL and
// UNBLOCK, which are about the pool's clients, are in client_list.go.

// maxClientName bounds what CLIENT SETNAME may set, in bytes.
const maxClientName = 1 << 10

// answerClient answers the subcommands with which clients introduce themselves.
func (n *introducer) answerClient(req *msg.Request, s *msg.Session, w writer) {
	switch commands[req.Type].sub {
	case "setname":
		if fault := nameFault(req, 2, n.words); fault != "" {
			w.fail("ERR ", fault)
			return
		}
		setName(s, string(n.words.word(req, 2)))
		w.ok()
	case "getname":
		name := s.Names().Name
		if name == "" {
			w.null()
			return
		}
		w.bulkString(name)
	case "id":
		w.integer(int64(s.ID))
	case "setinfo":
		setInfo(req, n.words, s, w)
	case "reply":
		switchReplies(req, n.words, s, w)
	case "caching":
		answerCaching(req, n.words, s, w)
	case "getredir":
		answerRedirect(s, w)
	case "trackinginfo":
		answerTrackingInfo(s, w)
	case "no-evict", "no-touch":
		n.answerNever(req, w)
	default: // the rest makes no difference to a proxy
		w.ok()
	}
}

// answerNever answers CLIENT NO-EVICT and CLIENT NO-TOUCH, which are off.
func (n *introducer) answerNever(req *msg.Request, w writer) {
	switch {
	case n.words.is(req, 2, "off"):
		w.ok()
	case !n.words.is(req, 2, "on"):
		w.fail("ERR ", syntaxError)
	case commands[req.Type].sub == "no-evict":
		w.fail("ERR 'CLIENT NO-EVICT' is not supported by nuthatch: at max_memory any client may be closed")
	default:
		w.fail("ERR 'CLIENT NO-TOUCH' is not supported by nuthatch: clients share connections to servers, so the reads of all clients count as use")
	}
}

// switchReplies is CLIENT REPLY. What is switched off are the client's replies
// alone: servers answer as ever, and the proxy drops the answers in their turn.
func switchReplies(req *msg.Request, r *wordReader, s *msg.Session, w writer) {
	switch {
	case r.is(req, 2, "on"):
		s.Replies, s.Muted = msg.RepliesOn, false
		w.ok()
	case r.is(req, 2, "off"):
		s.Replies, s.Muted = msg.RepliesOff, true
	case r.is(req, 2, "skip"):
		if s.Replies != msg.RepliesOff {
			s.Replies = msg.RepliesSkip
		}
		s.Muted = true
	default:
		w.fail("ERR ", syntaxError)
	}
}

// setInfo is CLIENT SETINFO.
func setInfo(req *msg.Request, r *wordReader, s *msg.Session, w writer) {
	value := r.word(req, 3)
	for _, c := range value {
		if c < '!' || c > '~' {
			w.fail("ERR ", strings.ToLower(plain(r.word(req, 2), maxShown)), " cannot contain spaces, newlines or special characters.")
			return
		}
	}
	if req.Args[3].Len > maxClientName {
		w.fail("ERR library names and versions cannot be longer than ", strconv.Itoa(maxClientName), " bytes.")
		return
	}
	text, names := string(value), s.Names()
	switch {
	case r.is(req, 2, "lib-name"):
		names.LibName = text
	case r.is(req, 2, "lib-ver"):
		names.LibVersion = text
	default:
		w.fail("ERR Unrecognized option '", plain(r.word(req, 2), maxShown), "'")
		return
	}
	s.SetNames(names)
	w.ok()
}

// nameFault is why the i-th word of a request cannot be a client's name, or nothing.
func nameFault(req *msg.Request, i int, r *wordReader) string {
	if req.Args[i].Len > maxClientName {
		return "Client names cannot be longer than " + strconv.Itoa(maxClientName) + " bytes."
	}
	for _, c := range r.word(req, i) {
		if c < '!' || c > '~' {
			return "Client names cannot contain spaces, newlines or special characters."
		}
	}
	return ""
}

// setName gives the client a name.
func setName(s *msg.Session, name string) {
	names := s.Names()
	names.Name = name
	s.SetNames(names)
}

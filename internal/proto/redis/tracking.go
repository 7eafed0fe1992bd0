package redis

import (
	"bytes"
	"slices"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
)

// Client tracking: what clients ask for, and what servers say when keys have changed:
//
//	client                                   server
//	CLIENT TRACKING ON  ─► Tracking
//	GET k               ─► Tracks ─► AppendTracking: CLIENT TRACKING ON
//	                                 GET k
//	                    ◄─ Invalidated ◄─ >2 invalidate *1 k

// maxPrefixes is how many prefixes a client may name. maxPrefixBytes is how long all of
// them may be together.
const maxPrefixes, maxPrefixBytes = 128, 64 << 10

// The errors of CLIENT TRACKING: Redis's own words first, then those of the proxy.
const (
	prefixAlone     = "PREFIX option requires BCAST mode to be enabled"
	otherBroadcast  = "You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode."
	optedBroadcast  = "OPTIN and OPTOUT are not compatible with BCAST"
	optedBoth       = "You can't specify both OPTIN mode and OPTOUT mode"
	optedOther      = "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode."
	redirectsTwice  = "A client can only redirect to a single other client"
	redirectsAway   = "The client ID you want redirect to does not exist"
	tooManyPrefixes = "too many prefixes: 128 with 64 KB together at the most"

	cachingAlone = "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
	cachingYes   = "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
	cachingNo    = "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."

	trackingOff    = "the pool's tracking is off"
	trackingRESP2  = "invalidations are sent in RESP3 only; send HELLO 3 first"
	trackingOthers = "invalidations go to the connection that has read the keys; send HELLO 3, and leave REDIRECT out"
)

// A keyTracker is Redis's part of client tracking.
type keyTracker struct {
	*rules
	words *wordReader // the protocol's
	// head is scratch: the beginning of a push.
	head []byte
}

// isOwnRefusal reports whether the proxy refuses what Redis would do.
func isOwnRefusal(why string) bool {
	return why == answeredHere || why == trackingOff || why == trackingRESP2 || why == trackingOthers
}

// track is the row of CLIENT TRACKING.
func track(name string, arity int, since, summary string) command {
	c := local(name, arity, answerClient, since, summary)
	c.treatment, c.merge = msg.Track, mergeStatus
	return c
}

// monitor is the row of MONITOR.
func monitor(name string, arity int, since, summary string) command {
	c := local(name, arity, answerClient, since, summary)
	c.treatment, c.merge = msg.Monitor, mergeStatus
	return c
}

// AppendMonitor implements proxy.Monitored.
func (blockWords) AppendMonitor(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, "*1\r\n$7\r\nMONITOR\r\n")
}

// Tracking implements proxy.Tracker. What is wrong with a request is found in Redis's order: it
// looks for the client to redirect to when it comes to its id, and at the rest if there is one.
func (k *keyTracker) Tracking(req *msg.Request, s *msg.Session) (wants *msg.Tracking, seeks, ok bool) {
	wants, to, fault := trackingOf(req, k.words)
	switch {
	case fault != "":
	case k.words.is(req, 2, "off"):
		return nil, false, true
	case !k.words.is(req, 2, "on"):
		fault = syntaxError
	default:
		fault = checkTracking(wants, s.Tracking())
	}
	switch {
	case fault != "":
		req.Error = fault
	case !k.tracking:
		req.Error = trackingOff
	case to != 0:
		req.Error = trackingOthers
	case !s.Lane.IsRESP3():
		req.Error = trackingRESP2
	}
	return wants, to != 0 && req.Error != "", req.Error == ""
}

// redirect reads a CLIENT TRACKING that is refused, and names the client to redirect to. If
// there is such a client, the answer is the other reason.
func (q *inquiry) redirect(req *msg.Request, p *Protocol, s *msg.Session, pool *mbuf.Pool) {
	p.Tracking(req, s)
	_, q.id, _ = trackingOf(req, &p.wordReader)
	q.what = seekClient
	var text mbuf.Chain
	p.refuse(req, &commands[req.Type], writer{pool: pool, out: &text})
	q.other = string(text.AppendTo(nil))
	text.Release(pool)
	req.Error = ""
}

// trackingOf reads the options of CLIENT TRACKING. to is the id of the client that is to be told;
// 0: the client itself. The fault counts only if there is such a client.
func trackingOf(req *msg.Request, r *wordReader) (wants *msg.Tracking, to uint64, fault string) {
	wants = &msg.Tracking{}
	n, size := len(req.Args), 0
	for i := 3; i < n; i++ {
		switch {
		case r.is(req, i, "redirect") && i+1 < n:
			i++
			id, ok := number(req, i)
			switch {
			case to != 0:
				return nil, to, redirectsTwice
			case !ok:
				return nil, 0, notInteger
			case id <= 0:
				return nil, 0, redirectsAway
			}
			to = uint64(id)
		case r.is(req, i, "bcast"):
			wants.Broadcast = true
		case r.is(req, i, "optin"):
			wants.OptIn = true
		case r.is(req, i, "optout"):
			wants.OptOut = true
		case r.is(req, i, "noloop"):
			wants.NoLoop = true
		case r.is(req, i, "prefix") && i+1 < n:
			i++
			if size += int(req.Args[i].Len); len(wants.Prefixes) == maxPrefixes || size > maxPrefixBytes {
				return nil, to, tooManyPrefixes
			}
			wants.Prefixes = append(wants.Prefixes, string(r.word(req, i)))
		default:
			return nil, to, syntaxError
		}
	}
	return wants, to, ""
}

// checkTracking says why a client with the tracking has (nil: none) may not ask for
// wants; empty: it may. It adds the new prefixes to those that the client has.
func checkTracking(wants, has *msg.Tracking) (fault string) {
	switch {
	case !wants.Broadcast && len(wants.Prefixes) > 0:
		return prefixAlone
	case has != nil && has.Broadcast != wants.Broadcast:
		return otherBroadcast
	case wants.Broadcast && (wants.OptIn || wants.OptOut):
		return optedBroadcast
	case wants.OptIn && wants.OptOut:
		return optedBoth
	case has != nil && (wants.OptIn && has.OptOut || wants.OptOut && has.OptIn):
		return optedOther
	}
	if !wants.Broadcast {
		return ""
	}
	var known []string
	if has != nil {
		known = has.Prefixes
	}
	if fault := overlapOf(wants.Prefixes, known); fault != "" {
		return fault
	}
	if len(wants.Prefixes) == 0 {
		wants.Prefixes = []string{""}
	}
	wants.Prefixes = append(wants.Prefixes, known...)
	slices.Sort(wants.Prefixes)
	wants.Prefixes = slices.Compact(wants.Prefixes) // the client may ask for all keys again
	if len(wants.Prefixes) > maxPrefixes {
		return tooManyPrefixes
	}
	return ""
}

// overlapOf says which of the prefixes is the beginning of another one; empty: none is.
func overlapOf(prefixes, known []string) (fault string) {
	begins := func(a, b string) bool { n := min(len(a), len(b)); return a[:n] == b[:n] }
	shown := func(s string) string { return plain([]byte(s), maxShown) }
	const ofOne = "'. Prefixes for a single client must not overlap."
	for i, p := range prefixes {
		for _, k := range known {
			if begins(p, k) {
				return "Prefix '" + shown(p) + "' overlaps with an existing prefix '" + shown(k) + ofOne
			}
		}
		for _, other := range prefixes[i+1:] {
			if begins(p, other) {
				return "Prefix '" + shown(p) + "' overlaps with another provided prefix '" + shown(other) + ofOne
			}
		}
	}
	return ""
}

// AppendTracking implements proxy.Tracker.
func (*keyTracker) AppendTracking(t *msg.Tracking, pool *mbuf.Pool, out *mbuf.Chain) {
	if t == nil {
		writer{pool: pool, out: out}.request("CLIENT", "TRACKING", "OFF")
		return
	}
	words := []string{"CLIENT", "TRACKING", "ON"}
	for _, option := range []struct {
		is   bool
		word string
	}{{t.Broadcast, "BCAST"}, {t.OptIn, "OPTIN"}, {t.OptOut, "OPTOUT"}, {t.NoLoop, "NOLOOP"}} {
		if option.is {
			words = append(words, option.word)
		}
	}
	if t.Broadcast && t.Prefixes[0] != "" { // that one, the first, begins all keys
		for _, prefix := range t.Prefixes {
			words = append(words, "PREFIX", prefix)
		}
	}
	writer{pool: pool, out: out}.request(words...)
}

// AppendCaching implements proxy.Tracker.
func (*keyTracker) AppendCaching(t *msg.Tracking, pool *mbuf.Pool, out *mbuf.Chain) {
	if t.OptIn {
		out.AppendString(pool, "*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n")
	} else {
		out.AppendString(pool, "*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$2\r\nNO\r\n")
	}
}

// AppendInvalid implements proxy.Tracker.
func (*keyTracker) AppendInvalid(pool *mbuf.Pool, out *mbuf.Chain) {
	out.AppendString(pool, ">2\r\n$10\r\ninvalidate\r\n_\r\n")
}

// Tracks implements proxy.Tracker. Nobody can tell whether a script, or a command that
// a server has explained, reads: they count as reads.
func (*keyTracker) Tracks(req *msg.Request, s *msg.Session) bool {
	t := s.Tracking()
	return !t.Broadcast && req.ByKeys() && req.Nkeys > 0 && t.Caching == t.OptIn &&
		commands[req.Type].access != write && req.Treatment != msg.Watch
}

// EndCaching implements proxy.Tracker.
func (*keyTracker) EndCaching(req *msg.Request, s *msg.Session) {
	cmd := &commands[req.Type]
	if cmd.answer != answerClient && cmd.answer != answerMulti && cmd.treatment != msg.Gather && cmd.treatment != msg.Track {
		s.Tracking().Caching = false
	}
}

// invalidHead is how many bytes of a push Invalidated looks at.
const invalidHead = 64

// Invalidated implements proxy.Tracker.
func (k *keyTracker) Invalidated(r msg.Reply) (keys int, ok bool) {
	b := r.Flat
	if r.Chain != nil {
		k.head = k.head[:0]
		for at := r.Chain.Head(); at != nil && len(k.head) < invalidHead; at = at.Next() {
			b := at.Bytes()
			k.head = append(k.head, b[:min(len(b), invalidHead-len(k.head))]...)
		}
		b = k.head
	}
	rest, ok := bytes.CutPrefix(b, []byte(">2\r\n$10\r\ninvalidate\r\n"))
	if !ok || len(rest) == 0 {
		return 0, false
	}
	end := bytes.IndexByte(rest, '\n')
	switch {
	case rest[0] == '_':
		return msg.AllInvalid, true
	case rest[0] == '*' && end > 0:
		n, ok := lineNumber(rest[:end+1])
		return int(n), ok && n >= 0
	}
	return 0, false
}

// answerCaching is CLIENT CACHING.
func answerCaching(req *msg.Request, r *wordReader, s *msg.Session, w writer) {
	t := s.Tracking()
	switch {
	case t == nil:
		w.fail("ERR ", cachingAlone)
	case r.is(req, 2, "yes") && !t.OptIn:
		w.fail("ERR ", cachingYes)
	case r.is(req, 2, "no") && !t.OptOut:
		w.fail("ERR ", cachingNo)
	case !r.is(req, 2, "yes") && !r.is(req, 2, "no"):
		w.fail("ERR ", syntaxError)
	default:
		t.Caching = true
		w.ok()
	}
}

// answerRedirect is CLIENT GETREDIR.
func answerRedirect(s *msg.Session, w writer) {
	if s.Tracking() == nil {
		w.integer(-1)
		return
	}
	w.integer(0)
}

// answerTrackingInfo is CLIENT TRACKINGINFO.
func answerTrackingInfo(s *msg.Session, w writer) {
	t := s.Tracking()
	flags, prefixes := []string{"off"}, []string(nil)
	if t != nil {
		flags = flags[:0]
		for _, f := range []struct {
			is   bool
			word string
		}{
			{true, "on"},
			{t.Broadcast, "bcast"},
			{t.OptIn, "optin"},
			{t.OptIn && t.Caching, "caching-yes"},
			{t.OptOut, "optout"},
			{t.OptOut && t.Caching, "caching-no"},
			{t.NoLoop, "noloop"},
		} {
			if f.is {
				flags = append(flags, f.word)
			}
		}
		prefixes = t.Prefixes
	}
	w.mapping(3)
	w.bulkString("flags")
	w.set(len(flags))
	for _, f := range flags {
		w.bulkString(f)
	}
	w.bulkString("redirect")
	answerRedirect(s, w)
	w.bulkString("prefixes")
	w.array(len(prefixes))
	for _, p := range prefixes {
		w.bulkString(p)
	}
}

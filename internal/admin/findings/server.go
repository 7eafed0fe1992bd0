package findings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/units"
)

const (
	// leastShown is the shortest time, in seconds, that slow servers are compared with in words.
	leastShown = 16e-6
	// flapsFrom is how often a server must have begun to fail in the last minute to flap.
	flapsFrom = 3
	// settlesAfter is for how long a server that has failed must be up to be slow: connections are
	// made again, and requests have waited for them.
	settlesAfter = 10 * time.Second
	// silentAfter is for how long a server must be silent.
	silentAfter = 2 * time.Second
	// maxErrors is how many prefixes of error replies are named.
	maxErrors = 3
)

// subject names a server, with its address if that is another word.
func subject(v *api.Server) string {
	if v.Address != v.Name && v.Address != "" {
		return "server " + v.Name + " (" + v.Address + ")"
	}
	return "server " + v.Name
}

// about adds a finding about a server.
func (f *finder) about(v *api.Server, kind string, fails bool, form string, args ...any) *api.Finding {
	one := f.add(kind, fails, v.Pool, form, args...)
	one.Server = v.Name
	if v.Address != v.Name {
		one.Address = v.Address
	}
	return one
}

// rest is what the servers of a pool are together: owns: one of them has keys; up: one is up.
type rest struct{ owns, up bool }

// server finds a server that is not up, is slow, or answers with errors.
func (f *finder) server(v *api.Server, of rest) {
	f.state(v, of)
	f.silent(v)
	if v.Falls >= flapsFrom {
		fails := v.State != "up" || v.Recent != nil && v.Recent.Failed > 0
		f.about(v, serverFlaps, fails, "%s fails again and again:: it failed %d times in the last minute, and answered in between", subject(v), v.Falls).Last = &v.LastFall
	}
	switch {
	case v.State != "up" || v.Falls >= flapsFrom: // that is said
	case v.Since != nil && f.now.Sub(*v.Since) < settlesAfter:
	case v.Slow != nil:
		one := f.about(v, serverSlow, false, "%s is slow:: %s", subject(v), slow(v.Slow))
		one.Since, one.Last = &v.Slow.Since, &v.Slow.Last
	}
	switch n := v.Counters["private_connections"]; {
	case v.MaxPrivate == 0:
	case n >= int64(v.MaxPrivate):
		f.about(v, privateConnections, true, "%s: private connections are at their limit, more are refused:: %d of %d (private_connections)", subject(v), n, v.MaxPrivate).Step = 1
	case float64(n) >= nearly*float64(v.MaxPrivate):
		f.about(v, privateConnections, false, "%s: private connections are near their limit:: %d of %d (private_connections)", subject(v), n, v.MaxPrivate)
	}
	if replies := seenErrors(v.Recent); len(replies) > 0 {
		words, first, fails := recentErrors(replies)
		one := f.about(v, serverErrors, fails, "%s answers with errors:: %s a second%s", subject(v), words, within(v.Recent.Window))
		if one.Cause = meaning(v, first); one.Cause != "" {
			one.Reason = first
			one.Text += "; " + first + ": " + one.Cause
		}
	}
}

// within says which window a number is of.
func within(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return ", in the last " + units.Window(seconds)
}

// meaning is what an error reply with the prefix means at the server.
func meaning(v *api.Server, prefix string) string {
	switch {
	case v.Node != nil && (prefix == "MOVED" || prefix == "ASK" || prefix == "TRYAGAIN"):
		return "requests were sent again in vain, and clients got an error: nodes do not agree who has a slot, or it took too long (cluster_max_redirects, timeout)"
	case prefix == "NOAUTH" && v.LoginKey == "":
		return "it wants a password, and the pool has none (server_password or redis_auth)"
	case prefix == "NOAUTH":
		return "it wants a password, and has not got the right one (" + v.LoginKey + ")"
	case prefix == "WRONGPASS" && v.LoginKey != "":
		return "it refuses the password that it is told (" + v.LoginKey + ")"
	case prefix == "ERR" && v.LoginKey != "":
		return "requests are at fault, or the server has no password: then it answers the pool's login so (" + v.LoginKey + "), and the log says it"
	}
	return stats.ErrorMeaning(prefix)
}

// state finds that the server is not up. One that is tried again is as bad as an ejected one
// until it has answered.
func (f *finder) state(v *api.Server, of rest) {
	if v.State == "up" || v.Node != nil && v.Node.Role == "gone" {
		return
	}
	since, why := "", ""
	if v.Since != nil {
		since = " for " + units.Age(f.now.Sub(*v.Since))
	}
	cause := v.Cause
	if cause == "" {
		cause = strings.ReplaceAll(v.Reason, "_", " ")
	}
	if cause != "" {
		why = ": " + cause
	}
	keeps := v.Share > 0 || !of.owns
	if v.State == "probing" {
		keeps = v.KeepsKeys || !of.up
	}
	follows := "the other servers get its keys"
	if keeps {
		follows = "requests for its keys fail"
	}
	if v.Replication != nil && v.Replication.Of != "" {
		keeps, follows = false, "it is not read from"
	}
	fails, name := keeps, subject(v)
	text := name + " is " + v.State + since + why + "; " + follows
	switch v.State {
	case "failing":
		fails, follows, text = true, "its requests fail", name+" fails"+since+why
		if said := unasked(v); said != "" {
			fails, follows, text = false, said, text+"; "+said
		}
	case "probing":
		follows, text = "it is tried again", name+" has failed"+since+", and is tried again"+why
	case "disabled":
		cause, text = "", name+" is disabled"+since+"; "+follows
	}
	one := f.about(v, serverState, fails, "%s", text)
	one.Label, one.Reason, one.Cause, one.Follows, one.Since = v.State, v.Reason, cause, follows, v.Since
	if reason, ok := msg.ReasonNamed(v.Reason); ok && reason != msg.OK {
		one.Help = strings.TrimSpace(reason.Meaning() + " " + reason.Advice())
	}
}

// unasked says what a server is that no request goes to, as it is a replica that is not read from,
// or a node without slots; empty: requests may go to it.
func unasked(v *api.Server) string {
	n, r := v.Node, v.Replication
	switch {
	case r != nil && r.Of != "":
		if r.State == "fit" {
			return ""
		}
		return "it is a replica of " + r.Of + ", and is not read from"
	case n == nil || n.Role == "" || n.Slots > 0:
		return ""
	}
	said := "no request goes to it: it is a " + n.Role + " without slots"
	if n.Of != "" {
		said = "no request goes to it: it is a replica of " + n.Of
	}
	if n.Failing {
		return said + ", and the cluster says that it fails"
	}
	return said + ", and the cluster says that it is well"
}

// silent finds that the server sends nothing while requests wait for it. If it fails, that is
// found already.
func (f *finder) silent(v *api.Server) {
	silent := time.Duration(v.Counters["silent"])
	if v.State != "up" || silent < silentAfter {
		return
	}
	since := f.now.Add(-silent)
	wait := v.Counters["in_queue"] + v.Counters["out_queue"] - v.Counters["private_waiting"]
	one := f.about(v, serverSilent, true, "%s does not answer:: it has sent nothing for %s, and %s", subject(v), units.Age(silent), units.Count(wait, "request")+units.Plural(wait, " waits", " wait"))
	one.Follows, one.Since = "its requests wait", &since
}

// slow says how a server is slow now.
func slow(s *api.Slow) string {
	than := "with the others "
	if s.Before {
		than = "in the minutes before "
	}
	kind := cmp.Or(s.Family, "request")
	usual := units.Seconds(max(float64(s.Usual), leastShown))
	takes, last := units.Seconds(float64(s.Takes)), units.Window(s.Window)
	switch s.Way {
	case api.SlowHalf:
		return fmt.Sprintf("half of its %ss in the last %s take %s or longer, %s%s", kind, last, takes, than, usual)
	case api.SlowAll:
		return fmt.Sprintf("all of its %d %ss in the last %s took %s or longer, %s%s", s.Count, kind, last, takes, than, usual)
	}
	return fmt.Sprintf("one %s in a hundred takes %s or longer, %s%s, in the last %s", kind, takes, than, usual, last)
}

// seenErrors are a server's error replies in the window, without those that no client got: the
// requests were sent again, or elsewhere.
func seenErrors(of *api.Rates) map[string]float64 {
	switch {
	case of == nil:
		return nil
	case of.Refusals > 0:
		return of.ErrorReplies
	}
	seen := maps.Clone(of.ErrorReplies)
	maps.DeleteFunc(seen, func(prefix string, _ float64) bool { return slices.Contains(stats.Refusals, prefix) })
	return seen
}

// recentErrors are the most frequent error replies, by prefix, and the first prefix that is
// about the server or, without one, the first; fails: there is one about the server.
func recentErrors(of map[string]float64) (text, first string, fails bool) {
	prefixes := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
	})
	var words []string
	for i, prefix := range prefixes {
		if !slices.Contains(stats.RequestErrors, prefix) && !fails {
			first, fails = prefix, true
		}
		if i < maxErrors {
			words = append(words, units.PerSecond(of[prefix])+" "+prefix)
		}
	}
	return strings.Join(words, ", "), cmp.Or(first, prefixes[0]), fails
}

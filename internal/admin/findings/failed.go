package findings

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/msg"
	"nuthatch/internal/units"
)

// maxReasons is how many reasons of failed requests are named.
const maxReasons = 3

// failed finds requests that have failed, and why.
func (f *finder) failed(p *api.Pool) {
	r := p.Recent
	if r == nil || r.Failed <= 0 {
		return
	}
	// A request counts when it comes, and its failure when it is answered.
	all := max(r.Requests, r.Failed)
	one := f.add(failedRequests, true, p.Name, "%s of %s requests a second failed in the last %s", units.PerSecond(r.Failed), units.PerSecond(all), units.Window(r.Window))
	names := slices.SortedFunc(maps.Keys(r.FailedReasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.FailedReasons[b], r.FailedReasons[a]), cmp.Compare(a, b))
	})
	var words []string
	for i, name := range names[:min(len(names), maxReasons)] {
		text, help := name, ""
		if reason, ok := msg.ReasonNamed(name); ok {
			text = shown(reason)
			help = strings.TrimSpace(reason.Meaning() + " " + reason.Advice())
		}
		if i == 0 {
			one.Reason, one.Cause, one.Help = name, text, cmp.Or(help, one.Help)
		}
		if len(names) > 1 {
			text = units.PerSecond(r.FailedReasons[name]) + " " + text
		}
		words = append(words, text)
	}
	if len(words) > 0 {
		one.Text += ": " + strings.Join(words, ", ")
	}
	blame(p, one)
}

// shown is a reason in words. Of some, clients get nutcracker's.
func shown(why msg.Reason) string {
	switch why {
	case msg.ServerEOF:
		return "a server closed the connection"
	case msg.BadReply:
		return "a server's reply does not fit the request"
	default:
		return why.String()
	}
}

// protocol finds clients that do not speak the pool's protocol.
func (f *finder) protocol(p *api.Pool) {
	r := p.Recent
	if r == nil || r.InvalidClients <= 0 {
		return
	}
	ours, other := "Redis", "Memcached's"
	if p.Protocol != "redis" {
		ours, other = "Memcached", "Redis's (redis: true)"
	}
	f.add(clientProtocol, false, p.Name, "clients are closed because they do not speak %s's protocol:: %s a second%s; do they speak %s, or TLS? The log says what they sent",
		ours, units.PerSecond(r.InvalidClients), within(r.Window), other)
}

// logins finds clients that log in with a wrong name or password, or do not log in.
func (f *finder) logins(p *api.Pool) {
	r := p.Recent
	if r == nil {
		return
	}
	if r.DeniedStrangers > 0 {
		f.add(clientStrangers, false, p.Name, "clients have not logged in, and their requests are refused (NOAUTH):: %s of %s requests a second%s",
			units.PerSecond(r.DeniedStrangers), units.PerSecond(max(r.Requests, r.DeniedStrangers)), within(r.Window))
	}
	if r.FailedLogins > 0 {
		f.add(clientLogins, false, p.Name, "clients log in with a wrong name or password:: %s a second%s; 'nuthatch ctl denials' shows who",
			units.PerSecond(r.FailedLogins), within(r.Window))
	}
}

// blame names the server whose requests failed, if most failures are of one. The others are of
// several servers, or of none: the pool's own limits.
func blame(p *api.Pool, one *api.Finding) {
	if len(p.Servers) < 2 {
		return
	}
	for i := range p.Servers {
		v := &p.Servers[i]
		if v.Recent == nil || v.Recent.Failed <= p.Recent.Failed/2 {
			continue
		}
		part := "most"
		if v.Recent.Failed >= p.Recent.Failed {
			part = "all"
		}
		one.Text += "; " + part + " of them at " + subject(v)
		one.Server = v.Name
		if v.Address != v.Name {
			one.Address = v.Address
		}
		return
	}
}

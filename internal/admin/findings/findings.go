// Package findings finds what needs a look: in the words of an operator, of the present state
// of the process, its pools and their servers.
//
//	api.Info, api.Pools ─► Of ─► GET /api/v1/findings ─► ctl status, top, page
//
// It is pure, and the only place with the rules. What fails requests, or turns clients away,
// comes first.
package findings

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/units"
)

const (
	// nearly is the part of a bound from which on it needs a look.
	nearly = 0.8
	// CertificateSoon is how long before its end a certificate needs a look.
	CertificateSoon = 14 * 24 * time.Hour
)

// A finder collects findings.
type finder struct {
	found []api.Finding
	now   time.Time
}

// Of finds what needs a look.
func Of(info *api.Info, pools *api.Pools) api.Findings {
	f := &finder{found: []api.Finding{}, now: pools.Time}
	f.process(info, pools)
	for i := range pools.Pools {
		f.pool(&pools.Pools[i])
	}
	slices.SortStableFunc(f.found, func(a, b api.Finding) int {
		switch {
		case a.Fails == b.Fails:
			return 0
		case a.Fails:
			return -1
		}
		return 1
	})
	return api.Findings{Time: pools.Time, Fails: len(f.found) > 0 && f.found[0].Fails, Findings: f.found}
}

// detailed parts, in the form of a text, the title and details that may be others at each look.
// In the text it is a colon.
const detailed = ":: "

// add adds a finding of a kind; about is its pool. The caller may add to it.
func (f *finder) add(name string, fails bool, about, form string, args ...any) *api.Finding {
	k := kind(name)
	text := fmt.Sprintf(form, args...)
	title, _, _ := strings.Cut(text, detailed)
	text = strings.Replace(text, detailed, ": ", 1)
	f.found = append(f.found, api.Finding{Kind: name, Label: k.Text, Help: k.Help, Fails: fails, Pool: about, Text: text, Title: title})
	return &f.found[len(f.found)-1]
}

func (f *finder) process(info *api.Info, pools *api.Pools) {
	if info.State == "draining" {
		f.add(draining, false, "", "draining: no more clients are accepted, and the proxy ends when the last one has gone")
	} else {
		for _, why := range info.NotReady {
			f.add(notReady, false, "", "not ready:: %s", why)
		}
	}
	if r := info.LastReload; r != nil && r.Refused {
		f.add(reloadRefused, false, "", "the last reload was refused, %s ago, by %s: %s", units.Age(info.Time.Sub(r.Time)), r.By, r.Text).Since = &r.Time
	}
	p := &info.Process
	beside := ""
	if p.RingMemory > 0 {
		beside = fmt.Sprintf(", beside %s for rings of io_uring", units.Size(p.RingMemory))
	}
	switch held := fmt.Sprintf("%s of %s held for clients%s", units.Size(p.HeldMemory), units.Size(p.HardMemory), beside); {
	case p.HardMemory <= 0:
	case p.HeldMemory >= p.HardMemory:
		f.add(memory, true, "", "memory is full:: %s; clients are hardly read from", held).Step = 2
	case p.HeldMemory >= p.SoftMemory:
		f.add(memory, false, "", "memory is short:: %s; clients wait, and those that do not read are closed", held).Step = 1
	case float64(p.HeldMemory) >= nearly*float64(p.SoftMemory):
		f.add(memory, false, "", "memory is nearly short:: %s; above %s clients wait", held, units.Size(p.SoftMemory))
	}
	f.descriptors(p)
	for i := range p.Certificates {
		f.shown(&p.Certificates[i])
	}
	total := 0
	for i := range pools.Pools {
		total += pools.Pools[i].Clients
	}
	f.clients("", total, p.MaxClients, "descriptors")
}

// descriptors finds that there are hardly any left.
func (f *finder) descriptors(p *api.ProcessInfo) {
	switch {
	case p.MaxDescriptors == 0:
	case p.Descriptors >= p.MaxDescriptors:
		f.add(descriptors, true, "", "no descriptor is left:: %d of %d are in use", p.Descriptors, p.MaxDescriptors).Step = 1
	case float64(p.Descriptors) >= nearly*float64(p.MaxDescriptors):
		f.add(descriptors, false, "", "descriptors are nearly used up:: %d of %d", p.Descriptors, p.MaxDescriptors)
	}
}

// clients finds a number of clients that is near a bound.
func (f *finder) clients(pool string, n, most int, bound string) {
	switch {
	case most == 0:
	case n >= most:
		f.add(clients, true, pool, "clients are at their limit, more are refused:: %d of %d (%s)", n, most, bound).Step = 1
	case float64(n) >= nearly*float64(most):
		f.add(clients, false, pool, "clients are near their limit:: %d of %d (%s)", n, most, bound)
	}
}

func (f *finder) pool(p *api.Pool) {
	if p.Paused {
		one := f.add(poolPaused, false, p.Name, "its requests wait: %s", paused(p, f.now))
		one.Since, one.Until = p.PausedSince, p.PausedUntil
	}
	lost := Lost(p)
	if lost {
		f.add(noServer, true, p.Name, "no server of the pool is left:: all requests for keys fail")
	}
	f.cluster(p)
	f.sentinels(p)
	f.replicas(p)
	f.peers(p)
	f.certificate(p)
	f.clients(p.Name, p.Clients, p.MaxClients, "client_connections")
	f.failed(p)
	f.protocol(p)
	f.logins(p)
	owned := 0.0
	for i := range p.Servers {
		owned += p.Servers[i].Share
	}
	for i := range p.Servers {
		f.server(&p.Servers[i], rest{owns: owned > 0, up: !lost})
	}
}

// paused says how much longer the pool is paused, by whom, and since when.
func paused(p *api.Pool, now time.Time) string {
	text := "paused"
	if p.PausedUntil != nil {
		text += " for " + units.Age(p.PausedUntil.Sub(now)) + " more"
	}
	if p.PausedBy != "" {
		text += " by " + p.PausedBy
	}
	if p.PausedSince != nil {
		text += ", begun " + units.Age(now.Sub(*p.PausedSince)) + " ago"
	}
	return text
}

// Lost reports whether no server of the pool is left. One that was ejected and is tried again
// has yet to answer.
func Lost(p *api.Pool) bool {
	for i := range p.Servers {
		if p.Servers[i].State == "up" {
			return false
		}
	}
	return len(p.Servers) > 0
}

// cluster finds what is wrong with the map of the pool's cluster.
func (f *finder) cluster(p *api.Pool) {
	c := p.Cluster
	if c == nil {
		return
	}
	switch {
	case c.Problem != "" && c.Refuses:
		f.add(clusterMap, true, p.Name, "the cluster refuses requests:: %s", c.Problem).Since = c.Since
	case c.Problem != "" && c.Several:
		title, details, _ := strings.Cut(c.Problem, ": ")
		f.add(clusterMap, false, p.Name, "%s:: %s", title, details).Since = c.Since
	case c.Problem != "":
		f.add(clusterMap, c.Covered < c.Slots, p.Name, "the map of the cluster is not complete:: %s", c.Problem).Since = c.Since
	}
	for _, seed := range c.Seeds {
		if seed.Problem != "" {
			f.add(clusterSeed, false, p.Name, "seed %s is of no use:: %s", seed.Address, seed.Problem)
		}
	}
}

// peers finds other proxies of the pool that are of no use.
func (f *finder) peers(p *api.Pool) {
	if p.Emulated == nil {
		return
	}
	for i := range p.Emulated.Peers {
		switch one := &p.Emulated.Peers[i]; one.State {
		case "silent":
			f.add(peer, false, p.Name, "peer %s does not answer:: %s", one.Address, one.Problem).Since = &one.Since
		case "stranger":
			f.add(peer, false, p.Name, "peer %s is no proxy with this pool:: %s", one.Address, one.Problem).Since = &one.Since
		}
	}
}

// shown finds that a certificate that the proxy shows ends soon, or that its files cannot be used.
// The pool's own, for its clients, is found by its counter.
func (f *finder) shown(c *api.Certificate) {
	if c.Refused != "" {
		f.add(certificate, false, c.Pool, "%s: the files cannot be used as they are, and what was read before stays in use:: %s", c.Block, c.Refused)
	}
	f.signers(c)
	if c.Until == nil || c.Block == "tls" {
		return
	}
	its := "the certificate of " + c.Block
	f.ends(c.Pool, c.Until, its+" has ended: whoever looks at it refuses to connect", its+" ends")
}

// ends finds that a certificate has ended, or ends soon; ended and ends say so.
func (f *finder) ends(pool string, at *time.Time, ended, ends string) {
	switch left := at.Sub(f.now); {
	case left <= 0:
		f.add(certificate, true, pool, "%s", ended)
	case left < CertificateSoon:
		one := f.add(certificate, false, pool, "%s in %s", ends, units.Age(left))
		one.Title, one.Until = ends+" soon", at
	}
}

// SignersKey is the key of a block of TLS that names those who sign certificates of the other
// side.
func SignersKey(block string) string {
	if block == "tls" || block == "admin_tls" {
		return "client_ca"
	}
	return "ca"
}

// signers finds that the certificates end soon that sign those of the other side.
func (f *finder) signers(c *api.Certificate) {
	if c.SignersUntil == nil {
		return
	}
	key, follows := SignersKey(c.Block), "no new connection is made"
	if key == "client_ca" {
		follows = "clients that show a certificate are refused"
	}
	their := "the certificates of " + key + " in " + c.Block
	f.ends(c.Pool, c.SignersUntil, their+" have ended: "+follows, their+" end")
}

// certificate finds that the pool's certificate ends soon.
func (f *finder) certificate(p *api.Pool) {
	ends := p.Counters["certificate_until"]
	if ends == 0 {
		return
	}
	at := time.UnixMicro(ends)
	f.ends(p.Name, &at, "its certificate has ended: new clients with TLS fail", "its certificate ends")
}

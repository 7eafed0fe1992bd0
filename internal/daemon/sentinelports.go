package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"

	"nuthatch/internal/acl"
	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/sentinelport"
)

const (
	// sentinelClients is how many clients there may be where a pool answers as a Sentinel, and
	// sentinelPart is the part of all descriptors that they may have at the most.
	sentinelClients = 4096
	sentinelPart    = 16
)

// sentinelRoom is how many clients of a pool that answers as a Sentinel have descriptors, of
// limit; 0 is not known.
func sentinelRoom(limit int) int {
	if limit == 0 {
		return sentinelClients
	}
	return max(1, min(sentinelClients, limit/sentinelPart))
}

// sentinelPorts open and close the listeners where pools answer as Sentinels. The generation
// says which there are. A caller holds lockGeneration's lock, or is the start.
type sentinelPorts struct {
	*core
	ports *ports
}

// openAll gives g its listeners: those that old has at the same addresses, and new ones, which
// do not serve yet. The error names all that could not be opened; then none of the new ones is
// left open.
func (s *sentinelPorts) openAll(g, old *generation) error {
	g.sentinels = make([]*sentinelport.Port, len(g.conf.Pools))
	var faults []error
	for i := range g.conf.Pools {
		p := &g.conf.Pools[i]
		at := p.Emulate.SentinelListen
		if at == (config.Address{}) {
			continue
		}
		if g.sentinels[i] = old.sentinelAt(at); g.sentinels[i] != nil {
			continue
		}
		l, err := s.ports.listen(at)
		if err != nil {
			faults = append(faults, fmt.Errorf("pool '%s': listen on '%s': %w", p.Name, at, s.ports.takenBy(err, at)))
			continue
		}
		g.sentinels[i] = sentinelport.New(l, at, s.log)
	}
	if len(faults) > 0 {
		g.closeSentinelsWithout(old)
	}
	return errors.Join(faults...)
}

// sentinelAt is the port at an address, or nil. g may be nil.
func (g *generation) sentinelAt(at config.Address) *sentinelport.Port {
	if g == nil {
		return nil
	}
	for _, p := range g.sentinels {
		if p != nil && p.Place() == at {
			return p
		}
	}
	return nil
}

// closeSentinelsWithout closes the ports of g that other, which may be nil, does not have.
func (g *generation) closeSentinelsWithout(other *generation) {
	for _, p := range g.sentinels {
		if p != nil && (other == nil || !slices.Contains(other.sentinels, p)) {
			p.Close()
		}
	}
}

// serve has the ports of g answer for their pools.
func (s *sentinelPorts) serve(g *generation, limit int) {
	for i, port := range g.sentinels {
		if port == nil {
			continue
		}
		port.Set(s.settings(g, i, limit))
		g.emulations[i].tellOn(port)
		port.Serve()
	}
}

// settings are what the i-th pool answers as a Sentinel.
func (s *sentinelPorts) settings(g *generation, i, limit int) sentinelport.Settings {
	p := &g.conf.Pools[i]
	secured := p.AnnouncesTLS()
	o := sentinelport.Settings{
		Name: p.SentinelName(), Board: g.emulations[i].board, Access: p.Access(secured),
		LoginTime: p.ClientLoginTimeout, Most: sentinelRoom(limit), Version: s.opts.Version,
	}
	o.Login, o.Open = loginOf(p, g.users[i].users)
	if secured {
		end := g.tls.pools[i].Clients
		o.Secure = func(conn net.Conn) net.Conn { return end.Accept(conn) }
	}
	return o
}

// loginOf is how clients log in to a pool, and whether they need not. Where the servers decide,
// nobody needs to: what is told is no secret of theirs.
func loginOf(p *config.Pool, users *acl.Users) (login func(user, password []byte) bool, open bool) {
	switch {
	case users != nil:
		d := users.Default()
		return func(user, password []byte) bool {
			_, ok := users.Login(user, password)
			return ok
		}, d.IsOn() && !d.NeedsPassword()
	case p.RedisAuth == "":
		return nil, true
	}
	return func(user, password []byte) bool {
		now, before := p.RedisAuth.Equal(password), p.RedisAuthPrevious.Equal(password)
		return string(user) == acl.DefaultName && (now || before)
	}, false
}

// files adds copies of the listening sockets of g. They are the caller's, also with an error.
func (s *sentinelPorts) files(g *generation, files []*os.File) ([]*os.File, error) {
	for _, p := range g.sentinels {
		if p == nil {
			continue
		}
		f, err := p.File()
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

// logStart logs where pools answer as Sentinels.
func (s *sentinelPorts) logStart(g *generation) {
	for i, port := range g.sentinels {
		if port != nil {
			p := &g.conf.Pools[i]
			s.log.Notice("pool answers as a Sentinel", slog.String("pool", p.Name), slog.String("name", p.SentinelName()),
				slog.String("addr", port.Addr().String()), slog.Bool("tls", p.AnnouncesTLS()))
		}
	}
}

// aboutSentinel is what is seen of the i-th pool's port; nil: it has none.
func (g *generation) aboutSentinel(i int) *api.EmulatedSentinel {
	if i >= len(g.sentinels) || g.sentinels[i] == nil {
		return nil
	}
	port, p := g.sentinels[i], &g.conf.Pools[i]
	n := port.Counts()
	about := &api.EmulatedSentinel{
		Listens: port.Addr().String(), Name: p.SentinelName(), Others: []string{},
		Clients: n.Clients, Subscribers: n.Subscribers, Refused: n.Refused, LoginsFailed: n.LoginsFailed, Switches: n.Switches,
	}
	for _, at := range g.emulations[i].board.Map().Sentinels {
		about.Others = append(about.Others, at.String())
	}
	return about
}

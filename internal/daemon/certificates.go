package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/preview"
	"nuthatch/internal/socket"
	"nuthatch/internal/tlsstage"
)

// maxHanded is the most bytes of the keys that one program hands to the next.
const maxHanded = 64 << 10

// certificatesLook is how often the files of TLS are looked at.
const certificatesLook = 2 * time.Second

// certificates are what pools speak TLS with: they are loaded with a configuration, and
// again when their files change. Its methods may be called from any goroutine.
type certificates struct {
	*core
	handshakes *tlsstage.Handshakes
	tickets    tlsstage.Tickets
}

func newCertificates(c *core) *certificates {
	return &certificates{core: c, handshakes: tlsstage.NewHandshakes(c.opts.Config.Process.Threads)}
}

// A security is what a configuration's files of TLS have.
type security struct {
	// pools are how they speak TLS, in the order of the configuration, nil for one that does
	// not.
	pools []*tlsstage.Pool
	// sentinels are how they speak TLS with their sentinels, nil for one that does not.
	sentinels []*tlsstage.End
	// admin is what the admin listener shows on TCP; nil: it speaks no TLS.
	admin *tlsstage.End
	// ticketKeys are those that proxies share; nil: the process has its own.
	ticketKeys []tlsstage.TicketKey
}

// load reads what conf needs. What cannot be used stays as old has it, which may be nil.
func (s *certificates) load(conf *config.Config, old *generation) (security, error) {
	return loadTLS(conf, s.handshakes, &s.tickets, old)
}

// loadTLS reads all files of TLS. The error names all that cannot be used and that old, which
// may be nil, has nothing in place of.
func loadTLS(conf *config.Config, h *tlsstage.Handshakes, tickets *tlsstage.Tickets, old *generation) (security, error) {
	pools, sentinels := make([]*tlsstage.Pool, len(conf.Pools)), make([]*tlsstage.End, len(conf.Pools))
	names, named := new(tlsstage.Names), false
	var faults []error
	keys, err := readTicketKeys(&conf.Process)
	if err != nil {
		faults = append(faults, err)
	}
	for i := range conf.Pools {
		p := &conf.Pools[i]
		before := old.endsOf(p.Name)
		if p.Sentinel.TLS.On() {
			if sentinels[i], err = tlsstage.ForServers(&p.Sentinel.TLS, before.sentinels); err != nil {
				faults = append(faults, fmt.Errorf("%spool '%s': sentinel_tls: %w", conf.PlaceOf(p.Name, "sentinel_tls.ca"), p.Name, err))
			}
		}
		if !p.TLS.On() && !p.ServerTLS.On() {
			continue
		}
		t := &tlsstage.Pool{Handshakes: h, PlainReply: "SERVER_ERROR this port needs TLS\r\n"}
		if p.Protocol == config.Redis {
			t.PlainReply = "-ERR this port needs TLS\r\n"
		}
		var errs [2]error
		if p.TLS.On() {
			t.Clients, errs[0] = tlsstage.ForClients(&p.TLS, tickets, before.clients)
		}
		if p.ServerTLS.On() {
			t.Servers, errs[1] = tlsstage.ForServers(&p.ServerTLS, before.servers)
		}
		for i, block := range []string{"tls", "server_tls"} {
			if errs[i] != nil {
				key := block + ".cert"
				if block == "server_tls" && p.ServerTLS.Cert == "" {
					key = block + ".ca"
				}
				faults = append(faults, fmt.Errorf("%spool '%s': %s: %w", conf.PlaceOf(p.Name, key), p.Name, block, errs[i]))
			}
		}
		t.Name, pools[i] = p.Name, t
		names.Add(t, p.TLS.ServerNames())
		named = named || p.TLS.NameList != ""
	}
	for _, t := range pools {
		if t != nil && named {
			t.Names = names
		}
	}
	all := security{pools: pools, sentinels: sentinels, ticketKeys: keys}
	if conf.Process.AdminTLS.On() {
		var before *tlsstage.End
		if old != nil {
			before = old.tls.admin
		}
		if all.admin, err = tlsstage.ForClients(&conf.Process.AdminTLS, tickets, before); err != nil {
			faults = append(faults, fmt.Errorf("admin_tls: %w", err))
		}
	}
	return all, errors.Join(faults...)
}

// readTicketKeys reads the keys that proxies share; nil if there are none.
func readTicketKeys(p *config.Process) ([]tlsstage.TicketKey, error) {
	if p.TLSTicketKeysFile == "" {
		return nil, nil
	}
	keys, err := tlsstage.ReadTicketKeys(p.TLSTicketKeysFile)
	if err != nil {
		return nil, fmt.Errorf("tls_ticket_keys_file: %w", err)
	}
	return keys, nil
}

// apply has the bounds of g hold, and its keys of tickets be used.
func (s *certificates) apply(g *generation) {
	most := g.conf.Process.TLSHandshakes
	if soft := s.identity.Limits().SoftMark(); soft > 0 { // what is under way takes an eighth of it at the most
		most = min(most, max(1, int(soft/8/tlsstage.HandshakeSize)))
	}
	s.handshakes.Set(most, g.conf.Process.TLSHandshakeTimeout)
	s.share(g, g.tls.ticketKeys)
}

// share has the pools of g, and the admin listener, use keys of tickets that proxies share; none: the process's own.
func (s *certificates) share(g *generation, keys []tlsstage.TicketKey) {
	s.tickets.Share(keys)
	for _, t := range g.tls.pools {
		if t != nil && t.Clients != nil {
			t.Clients.RotateTickets(&s.tickets)
		}
	}
	if g.tls.admin != nil {
		g.tls.admin.RotateTickets(&s.tickets)
	}
}

// watch loads files again that have changed, until the instance ends.
func (s *certificates) watch() {
	tick := time.NewTicker(certificatesLook)
	defer tick.Stop()
	// refusedKeys is what was last told of the file of keys.
	refusedKeys := ""
	for {
		select {
		case <-tick.C:
		case <-s.life.stopping:
			return
		}
		g := s.current.Load()
		refusedKeys = s.lookAtKeys(g, refusedKeys)
		g.eachEnd(s.look)
	}
}

// eachEnd calls f for each end of g, with the name of its pool, which is empty for the admin
// listener, and with the block that it is made of.
func (g *generation) eachEnd(f func(pool, block string, e *tlsstage.End)) {
	for i := range g.conf.Pools {
		name, ends := g.conf.Pools[i].Name, g.ends(i)
		for _, one := range []struct {
			block string
			end   *tlsstage.End
		}{{"tls", ends.clients}, {"server_tls", ends.servers}, {"sentinel_tls", ends.sentinels}} {
			if one.end != nil {
				f(name, one.block, one.end)
			}
		}
	}
	if e := g.tls.admin; e != nil {
		f("", "admin_tls", e)
	}
}

// whose names a block of TLS.
func whose(pool, block string) string {
	if pool == "" {
		return block
	}
	return "pool '" + pool + "': " + block
}

// certificates are what is in use of each block of TLS.
func (g *generation) certificates() (all []api.Certificate) {
	g.eachEnd(func(pool, block string, e *tlsstage.End) {
		c := api.Certificate{Pool: pool, Block: block, Refused: e.Refused()}
		if until := e.Until(); !until.IsZero() {
			c.Until = &until
		}
		if until := e.SignersUntil(); !until.IsZero() {
			c.SignersUntil = &until
		}
		all = append(all, c)
	})
	return all
}

// refused are the blocks of g whose files cannot be used.
func (g *generation) refused() (all []preview.Refused) {
	g.eachEnd(func(pool, block string, e *tlsstage.End) {
		if why := e.Refused(); why != "" {
			all = append(all, preview.Refused{Pool: pool, Block: block, Why: why})
		}
	})
	return all
}

// tellRefused tells which files cannot be used, after a start or a reload.
func (s *certificates) tellRefused(all []preview.Refused) {
	for _, r := range all {
		s.refused(r.Pool, r.Block, r.Why)
	}
}

// lookAtKeys reads the keys of tickets again, and returns why they cannot be used, which
// was told as was before.
func (s *certificates) lookAtKeys(g *generation, was string) (refused string) {
	keys, err := readTicketKeys(&g.conf.Process)
	if err == nil {
		s.share(g, keys)
		return ""
	}
	if err.Error() != was {
		s.log.Error("the keys of session tickets cannot be used, the old ones stay in use", errAttr(err))
		s.journal.addEvent(events.Event{Kind: events.CertificatesRefused, Text: "the keys of session tickets cannot be used, the old ones stay in use: " + err.Error()})
	}
	return err.Error()
}

// look loads the files of an end again if they have changed.
func (s *certificates) look(pool, block string, e *tlsstage.End) {
	was := e.Refused()
	changed, err := e.Load()
	switch {
	case err != nil && err.Error() != was:
		s.refused(pool, block, err.Error())
	case changed:
		s.log.Notice("certificates have changed, and are used from now on", slog.String("pool", pool), slog.String("block", block))
		s.journal.addEvent(events.Event{Kind: events.CertificatesChanged, Pool: pool, Text: block + ": certificates have changed, and are used from now on"})
	}
}

// refused tells that the files of a block cannot be used.
func (s *certificates) refused(pool, block, why string) {
	const follows = "certificates cannot be used, the old ones stay in use"
	s.log.Error(follows, slog.String("pool", pool), slog.String("block", block), slog.String("error", why))
	s.journal.addEvent(events.Event{Kind: events.CertificatesRefused, Pool: pool, Text: block + ": " + follows + ": " + why})
}

// adminConn is a connection to the admin listener as the current configuration has it.
func (c *core) adminConn(conn net.Conn) net.Conn { return c.current.Load().tls.admin.Accept(conn) }

// serverEnds are how the pools of g speak TLS with their servers, nil for one that does not.
func (g *generation) serverEnds() []*tlsstage.End {
	ends := make([]*tlsstage.End, len(g.tls.pools))
	for i := range g.tls.pools {
		ends[i] = g.ends(i).servers
	}
	return ends
}

// A poolEnds is how a pool speaks TLS with its clients, its servers and its sentinels; nil: it
// does not.
type poolEnds struct{ clients, servers, sentinels *tlsstage.End }

// allEnds are how the pools of g do.
func (g *generation) allEnds() []poolEnds {
	all := make([]poolEnds, len(g.conf.Pools))
	for i := range all {
		all[i] = g.ends(i)
	}
	return all
}

// ends are how the i-th pool of g does.
func (g *generation) ends(i int) poolEnds {
	ends := poolEnds{sentinels: g.tls.sentinels[i]}
	if t := g.tls.pools[i]; t != nil {
		ends.clients, ends.servers = t.Clients, t.Servers
	}
	return ends
}

// endsOf are how the pool of that name does; g may be nil, or have no such pool.
func (g *generation) endsOf(name string) poolEnds {
	if at := g.poolIn(name); at >= 0 {
		return g.ends(at)
	}
	return poolEnds{}
}

// file adds the keys of tickets, for the program that takes over, to files. They are in
// memory alone: no file system has them.
func (s *certificates) file(files []*os.File) ([]*os.File, error) {
	handed, err := s.tickets.Hand()
	if err != nil {
		return files, err
	}
	f, err := socket.MemoryFile("ticket keys", handed)
	if err != nil {
		return files, err
	}
	return append(files, f), nil
}

// take takes the keys of tickets that the program before has handed over. Without them
// clients shake hands in full.
func (s *certificates) take(in *inherited) {
	if in == nil || in.keys == nil {
		return
	}
	defer in.keys.Close()
	handed, err := io.ReadAll(io.NewSectionReader(in.keys, 0, maxHanded))
	if err == nil {
		err = s.tickets.Take(handed)
	}
	if err != nil {
		s.log.Warn("the keys of session tickets were not taken over: clients cannot resume their sessions", errAttr(err))
	}
}

package daemon

import (
	"context"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/config"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/socket"
	"nuthatch/internal/topology"
)

const (
	// surveyPatience is how long a server may take to answer, and so how long a client
	// may wait. A server that did not answer gets surveyImpatience until surveyAgain has
	// passed, so that a hanging server delays few clients.
	surveyPatience   = 500 * time.Millisecond
	surveyImpatience = 25 * time.Millisecond
	surveyAgain      = 5 * time.Second
	// surveyRest is the least pause between two rounds of questions. surveyShare times
	// the length of the last round, up to surveyRestMax, is another.
	surveyRest    = 5 * time.Millisecond
	surveyRestMax = 100 * time.Millisecond
	surveyShare   = 4
	// surveyAtOnce is how many servers are asked at a time.
	surveyAtOnce = 64
	// lastWordAge is how long a server's last answer counts when it no longer answers.
	lastWordAge = time.Minute
)

// A survey asks the servers of a pool about themselves, on connections of its own,
// in rounds, and only while clients ask:
//
//	ask ─► waiting ─► rest ─► round: every server at once ─► Learned.SetSurvey ─► done
//
// It belongs to the reporter's goroutine; a round has a goroutine for each server.
type survey struct {
	// last is what the servers said last that there were in the last round.
	last map[*topology.Health]*lastWord
	// waiting are called at the end of the next round, served at the end of the
	// present one.
	waiting, served []func()
	// busy: a round is under way, or the rest before it. begun is when the last one
	// began.
	busy  bool
	begun time.Time
	// rested is when the next one may begin.
	rested time.Time
}

// A lastWord is a server's last answer.
type lastWord struct {
	said *redis.Said
	at   time.Time
	// silent is when it last did not answer, though it had time to.
	silent time.Time
}

// survey asks the servers of a pool, and calls done when their answers are in the
// pool's Learned. It and done run on the reporter's goroutine.
func (r *reporter) survey(name string, done func()) {
	s := r.surveys[name]
	if s == nil {
		if len(r.surveys) > len(r.current.Load().conf.Pools) {
			clear(r.surveys) // of pools that a reload took away; rounds under way go on
		}
		s = &survey{}
		r.surveys[name] = s
	}
	s.waiting = append(s.waiting, done)
	if !s.busy {
		r.beginRound(name, s)
	}
}

// surveyAgain asks the servers of g again for pools whose clients have asked before,
// since a reload may have changed them. Meanwhile HELLO has the old answers.
func (r *reporter) surveyAgain(g *generation) {
	for i, l := range g.learned {
		if name := g.conf.Pools[i].Name; l.Surveyed() {
			// If too much waits, the next client's question starts the round.
			r.outside(func(done func()) { r.survey(name, done) })
		}
	}
}

// beginRound begins a round after a rest.
func (r *reporter) beginRound(name string, s *survey) {
	s.busy = true
	if rest := time.Until(s.rested); rest > 0 {
		time.AfterFunc(rest, func() { r.result(func() { r.round(name, s) }) })
		return
	}
	r.round(name, s)
}

// result runs f on the reporter.
func (r *reporter) result(f func()) {
	select {
	case r.results <- f:
	case <-r.life.stopping:
	}
}

// round asks the servers.
func (r *reporter) round(name string, s *survey) {
	s.begun = time.Now()
	s.served, s.waiting = append(s.served, s.waiting...), nil
	g := r.current.Load()
	i := g.pool(name)
	if i < 0 { // a reload took the pool away
		r.endRound(name, s)
		return
	}
	snap, end := g.topo[i].Snapshot(), g.ends(i).servers
	places := snap.Primaries() // what replicas say would be counted twice
	servers := make([]*topology.Health, len(places))
	for j, at := range places {
		servers[j] = snap.Servers[at]
	}
	secure := func(j int, conn net.Conn) net.Conn { return end.Secure(conn, snap.Server(places[j]).Address) }
	s.setServers(servers)
	patience := make([]time.Duration, len(servers))
	for j, h := range servers {
		patience[j] = s.last[h].patience(&g.conf.Pools[i], s.begun)
	}
	r.running.Go(func() {
		said := r.askServers(&g.conf.Pools[i], servers, patience, secure)
		r.result(func() {
			now := r.current.Load()
			if !now.has(g.topo[i]) { // a reload took the pool away, and another may have its name
				r.round(name, s)
				return
			}
			g.learned[i].SetSurvey(redis.NewSurvey(s.heard(servers, said), time.Now().UnixMicro()))
			if now != g {
				// A reload may have brought other servers, which are asked next. Those that
				// waited get this round's answer.
				s.waiting = append(s.waiting, func() {})
			}
			r.endRound(name, s)
		})
	})
}

// setServers makes s ready for a round of these servers. Of those that there were before the
// last words stay.
func (s *survey) setServers(servers []*topology.Health) {
	last := make(map[*topology.Health]*lastWord, len(servers))
	for _, h := range servers {
		if last[h] = s.last[h]; last[h] == nil {
			last[h] = new(lastWord)
		}
	}
	s.last = last
}

// patience is how long the server may take in a round.
func (l *lastWord) patience(p *config.Pool, now time.Time) time.Duration {
	d := surveyPatience
	if now.Sub(l.silent) < surveyAgain {
		d = surveyImpatience
	}
	if p.Timeout > 0 {
		d = min(d, p.Timeout)
	}
	return d
}

// endRound tells those that wait, and begins the next round if somebody has asked
// meanwhile.
func (r *reporter) endRound(name string, s *survey) {
	now := time.Now()
	s.busy, s.rested = false, now.Add(min(max(surveyRest, surveyShare*now.Sub(s.begun)), surveyRestMax))
	served := s.served
	s.served = nil
	for _, done := range served {
		done()
	}
	if len(s.waiting) > 0 && !s.busy {
		r.beginRound(name, s)
	}
}

// heard keeps the servers' answers, and adds the last answers of those that did
// not answer now.
func (s *survey) heard(servers []*topology.Health, said []*redis.Said) []*redis.Said {
	now, answered := time.Now(), false
	for i := range said {
		last := s.last[servers[i]]
		if said[i] != nil {
			answered = true
			last.said, last.at, last.silent = said[i], now, time.Time{}
			continue
		}
		if now.Sub(last.silent) >= surveyAgain {
			last.silent = now
		}
		if now.Sub(last.at) > lastWordAge {
			last.said = nil
		}
	}
	if !answered {
		return nil
	}
	for i := range said {
		said[i] = s.last[servers[i]].said
	}
	return said
}

// askServers asks the servers of a pool that get requests. It has nothing of
// those that do not answer in time. secure makes a connection to one of them as the pool
// has it.
func (r *reporter) askServers(
	p *config.Pool, servers []*topology.Health, patience []time.Duration, secure func(i int, conn net.Conn) net.Conn,
) []*redis.Said {
	said := make([]*redis.Said, len(servers))
	ctx, cancel := context.WithTimeout(context.Background(), surveyPatience)
	defer cancel()
	go func() {
		select {
		case <-r.life.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	slots := make(chan struct{}, surveyAtOnce)
	var asking sync.WaitGroup
	for i, h := range servers {
		if s := h.State().State; s == topology.Ejected || s == topology.Disabled {
			continue
		}
		slots <- struct{}{} // each is given back within a server's patience
		asking.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, patience[i])
			defer cancel()
			said[i] = askServer(ctx, h.Addrs(), p.ServerLogin(), func(conn net.Conn) net.Conn { return secure(i, conn) })
		})
	}
	asking.Wait()
	return said
}

// askServer asks the first of a server's addresses that can be connected to. It is
// nil if there is no answer; requests to the server fail too, and report why.
func askServer(ctx context.Context, addrs []unix.Sockaddr, login config.Login, secure func(net.Conn) net.Conn) *redis.Said {
	for _, sa := range addrs {
		addr := socket.NetAddr(sa)
		if conn, err := new(net.Dialer).DialContext(ctx, addr.Network(), addr.String()); err == nil {
			return interview(ctx, secure(conn), login)
		}
	}
	return nil
}

func interview(ctx context.Context, conn net.Conn, login config.Login) *redis.Said {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	said, err := redis.Interview(conn, login)
	if err != nil {
		return nil
	}
	return said
}

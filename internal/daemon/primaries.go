package daemon

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strconv"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/proto/redis"
	"nuthatch/internal/sentinel"
)

// sentinelPoll is how often sentinels are asked at the least, even if they tell of changes
// by themselves.
const sentinelPoll = 10 * time.Second

// A primaries has the servers of one pool that sentinels know. What they say is published
// as the addresses of a name are.
type primaries struct {
	resolver *resolver
	pool     string
	targets  []*target
	watcher  *sentinel.Watcher
}

// newPrimaries returns the servers of the pool that sentinels know; nil: none. end is how
// the pool speaks TLS with its servers, sentinels how with the sentinels; nil: it does not.
func newPrimaries(r *resolver, p *config.Pool, targets []*target, t poolEnds) *primaries {
	if len(targets) == 0 {
		return nil
	}
	s := &primaries{resolver: r, pool: p.Name, targets: targets}
	var names []string
	known := make(map[string]bool)
	for _, t := range targets {
		if name := t.addr.Host; !known[name] {
			known[name] = true
			names = append(names, name)
		}
	}
	o := sentinel.Options{
		Sentinels: p.Sentinel.Addresses, Login: p.Sentinel.Login(), Poll: min(sentinelPoll, r.interval),
		IsPrimary: func(ctx context.Context, addr string) (bool, error) {
			return isPrimary(ctx, addr, p.ServerLogin(), func(conn net.Conn) net.Conn { return t.servers.Secure(conn, targets[0].addr) })
		},
		Publish: s.publish, Missed: s.missed, Tell: s.tell,
	}
	if t.sentinels != nil {
		o.Secure = func(a config.Address) *tls.Config { return t.sentinels.ConfigFor(a) }
	}
	s.watcher = sentinel.New(o, names)
	return s
}

// isPrimary asks a server whether it is a primary. A server that does not say may be one.
func isPrimary(ctx context.Context, addr string, login config.Login, secure func(net.Conn) net.Conn) (bool, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	role, err := redis.AskRole(secure(conn), login)
	if err != nil {
		return false, err
	}
	return role == redis.RolePrimary || role == redis.RoleUnknown, nil
}

// publish gives the servers that have this name the address.
func (s *primaries) publish(name string, to sentinel.Place) {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(to.Addr)
	n, bad := strconv.Atoi(port)
	if err != nil || bad != nil {
		return // it was looked at before
	}
	for _, t := range s.targets {
		if t.addr.Host == name {
			s.resolver.resolveAs(ctx, t, host, n)
		}
	}
}

// missed reports whether a server of this name has failed, or is no primary, since the
// last call.
func (s *primaries) missed(name string) (was bool) {
	for _, t := range s.targets {
		if t.addr.Host == name {
			was = t.server.WasUnreachable() || was
		}
	}
	return was
}

// tell logs a change, and adds its event.
func (s *primaries) tell(c sentinel.Change) {
	log, e := s.resolver.log, events.Event{Pool: s.pool}
	attrs := []slog.Attr{slog.String("pool", s.pool)}
	switch {
	case c.Sentinel != "" && c.Primary != "" && c.Problem != "":
		e.Kind, e.Server = events.SentinelDoubted, s.serverOf(c.Primary)
		e.Text = "sentinel " + c.Sentinel + " is not believed: " + c.Problem
		log.Warn("sentinel is not believed", append(attrs, slog.String("sentinel", c.Sentinel), slog.String("primary", c.Primary), slog.String("reason", c.Problem))...)
	case c.Sentinel != "" && c.Primary != "":
		e.Kind, e.Server = events.SentinelAnswers, s.serverOf(c.Primary)
		e.Text = "sentinel " + c.Sentinel + " is believed again about " + c.Primary
		log.Notice("sentinel is believed again", append(attrs, slog.String("sentinel", c.Sentinel), slog.String("primary", c.Primary))...)
	case c.Sentinel != "" && c.Problem != "":
		e.Kind, e.Text = events.SentinelFails, "sentinel "+c.Sentinel+" is of no use: "+c.Problem
		log.Warn("sentinel is of no use", append(attrs, slog.String("sentinel", c.Sentinel), slog.String("reason", c.Problem))...)
	case c.Sentinel != "":
		e.Kind, e.Text = events.SentinelAnswers, "sentinel "+c.Sentinel+" answers again"
		log.Notice("sentinel answers again", append(attrs, slog.String("sentinel", c.Sentinel))...)
	case c.Problem != "":
		e.Kind, e.Server = events.PrimaryLost, s.serverOf(c.Primary)
		e.Text = "the primary " + c.Primary + " cannot be found: " + c.Problem + stays(c.From)
		log.Warn("primary cannot be found"+stays(c.From), append(attrs, slog.String("primary", c.Primary), slog.String("reason", c.Problem))...)
	case c.From.Addr == c.To.Addr:
		e.Kind, e.Server, e.Text = events.PrimaryFound, s.serverOf(c.Primary), "the primary "+c.Primary+" is found again, at "+c.To.Addr
		log.Notice("primary is found again", append(attrs, slog.String("primary", c.Primary), slog.String("address", c.To.Addr))...)
	default:
		e.Kind, e.Server = events.PrimaryChanged, s.serverOf(c.Primary)
		e.Text = "the primary " + c.Primary + " is " + c.To.Addr + " now, and no longer " + c.From.Addr + " (epoch " + strconv.FormatInt(c.To.Epoch, 10) + ")"
		log.Warn("primary is another server now", append(attrs, slog.String("primary", c.Primary),
			slog.String("old", c.From.Addr), slog.String("new", c.To.Addr), slog.Int64("epoch", c.To.Epoch))...)
	}
	s.resolver.tell(e)
}

func stays(at sentinel.Place) string {
	if at.Addr == "" {
		return ""
	}
	return "; " + at.Addr + " stays in use"
}

// serverOf is the name in the statistics of the first server that is that primary.
func (s *primaries) serverOf(name string) string {
	for _, t := range s.targets {
		if t.addr.Host == name {
			return t.name
		}
	}
	return ""
}

// lookUp asks the sentinels once, before start.
func (s *primaries) lookUp(ctx context.Context) {
	s.watcher.Look(ctx)
	for _, t := range s.targets {
		if at := s.watcher.Place(t.addr.Host); t.known == nil && at.Addr != "" { // known from before a reload
			s.publish(t.addr.Host, at)
		}
	}
}

// start publishes what was found, watches, and is told of trouble.
func (s *primaries) start() {
	for _, t := range s.targets {
		t.publish()
	}
	s.targets[0].topo.OnUnreachable(func() {
		s.resolver.wake()
		s.watcher.Wake()
	})
	s.watcher.Start()
}

// follow has the watchers of r begin with what those of the resolver before knew.
func (r *resolver) follow(before *resolver) {
	for _, p := range r.primaries {
		for _, q := range before.primaries {
			if p != nil && q != nil && p.pool == q.pool {
				p.watcher.Continue(q.watcher)
			}
		}
	}
	for _, c := range r.clusters {
		for _, d := range before.clusters {
			if c != nil && d != nil && c.conf.Name == d.conf.Name {
				c.before = d
			}
		}
	}
}

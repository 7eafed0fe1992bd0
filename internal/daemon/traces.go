package daemon

import (
	"log/slog"
	"net"
	"strconv"
	"sync"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/proxy"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/tracing"
)

// traces are the requests that become traces, and who sends them.
type traces struct {
	ring     *slowlog.Log
	counts   tracing.Counts
	examples tracing.Examples

	mu       sync.Mutex
	settings config.Tracing
	exporter *tracing.Exporter // nil: there are no traces
}

// apply has traces sent as the configuration in force says.
func (t *traces) apply(in *Instance, g *generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	want := g.conf.Process.Tracing
	if want == t.settings {
		return
	}
	t.end()
	t.settings = want
	if !want.On() {
		return
	}
	var err error
	t.exporter, err = tracing.Start(tracing.Options{
		Settings: want, Ring: t.ring, Log: in.log, IsRedis: in.isRedis, Address: in.addressOf,
	}, &t.counts, &t.examples)
	if err != nil {
		in.log.Warn("there are no traces: the exporter cannot start", slog.String("endpoint", want.Endpoint), errAttr(err))
	}
}

// stop ends the exporter, if there is one.
func (t *traces) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
	t.settings = config.Tracing{}
}

func (t *traces) end() {
	if t.exporter != nil {
		t.exporter.Stop()
		t.exporter = nil
		t.examples.Clear()
	}
}

// traced fills in what the loops need to know.
func (t *traces) traced(p *config.Process, m *proxy.Measures) {
	if !p.Tracing.On() {
		return
	}
	t.ring.Resize(tracing.RingLen)
	m.Traces, m.TraceEvery, m.TraceSlow = t.ring, int64(p.Tracing.Sample), p.Tracing.Slow
}

// Traces implements admin.Instance.
func (in *Instance) Traces() admin.Traces {
	t := in.traces
	shown := admin.Traces{
		Exported: t.counts.Exported.Load(), Overwritten: t.counts.Overwritten.Load(), Failed: t.counts.Failed.Load(),
	}
	for of, e := range t.examples.All {
		shown.Examples = append(shown.Examples, admin.TraceExample{
			Pool: of.Pool, Command: of.Command, Failed: of.Failed, TraceID: e.TraceID, Duration: e.Duration, At: e.At,
		})
	}
	return shown
}

// isRedis reports whether a pool speaks Redis.
func (in *Instance) isRedis(pool string) bool {
	g := in.current.Load()
	i := g.pool(pool)
	return i >= 0 && g.conf.Pools[i].Protocol == config.Redis
}

// addressOf is where a server is by the configuration. A node of a cluster is named by its
// address.
func (in *Instance) addressOf(pool, server string) (host string, port int) {
	g := in.current.Load()
	if i := g.pool(pool); i >= 0 {
		for j := range g.conf.Pools[i].Servers {
			s := &g.conf.Pools[i].Servers[j]
			if s.StatsName() != server {
				continue
			}
			if s.Address.Path != "" {
				return s.Address.Path, 0
			}
			return s.Address.Host, s.Address.Port
		}
	}
	h, p, err := net.SplitHostPort(server)
	if err != nil {
		return "", 0
	}
	n, _ := strconv.Atoi(p) // 0 if it is no number
	return h, n
}

package daemon

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/socket"
	"nuthatch/internal/topology"
)

// A server that dies without requests closes its connections, as one does that closes what is
// idle. To tell them apart it is connected to once more, a moment later and beside the loops:
//
//	the server closes an idle connection ──► a second or two ──► connect
//	    it accepts                                                  well: nothing is said
//	    nothing is there (refused, no such host or socket)          failing, and tried again
//	                                                                every 5 s until it accepts
//
// A server with health checks needs none of that, and the nodes of a cluster are asked otherwise.
// Nothing is sent.
const (
	// forsakenLook is how often servers are looked at, and forsakenAgain how often those are tried
	// that were gone. A server that restarts has as long as forsakenLook at least.
	forsakenLook  = time.Second
	forsakenAgain = 5 * time.Second
	// forsakenTimeout bounds a try. One that takes longer says nothing.
	forsakenTimeout = time.Second
	// forsakenAtOnce is how many servers are tried at the same time.
	forsakenAtOnce = 16
)

// A forsaken is a server that has closed its connections.
type forsaken struct {
	conf *config.Server
	pool string
	// due is when it is tried next. gone: it is failing, since nothing was there.
	due  int64
	gone bool
}

// A mourner finds servers that have closed their connections and are gone.
type mourner struct {
	log  *logging.Logger
	tell func(events.Event)
	now  func() int64
	of   map[*topology.Health]*forsaken
}

// watchForsaken looks for them until the instance ends.
func (in *Instance) watchForsaken() {
	w := &mourner{log: in.log, tell: in.journal.addEvent, now: in.Now, of: make(map[*topology.Health]*forsaken)}
	tick := time.NewTicker(forsakenLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g := in.current.Load()
			w.look(g.conf, g.topo)
		case <-in.life.stopping:
			return
		}
	}
}

// look tries the servers whose turn it is, and notes those that have closed connections since the
// last look.
func (w *mourner) look(conf *config.Config, topo []*topology.Topology) {
	now := w.now()
	there := make(map[*topology.Health]*forsaken)
	var due []*topology.Health
	for i := range conf.Pools {
		if conf.Pools[i].HealthCheck.Interval > 0 || conf.Pools[i].Cluster.On {
			continue
		}
		snap := topo[i].Snapshot()
		for j, h := range snap.Servers {
			f, again := w.of[h], h.WasForsaken()
			switch {
			case f == nil && !again || h.Service() != topology.InService:
				continue
			case f == nil:
				f = &forsaken{conf: snap.Server(j), pool: conf.Pools[i].Name, due: now + int64(forsakenLook)/2}
			case now >= f.due:
				due = append(due, h)
			}
			there[h] = f
		}
	}
	w.of = there
	var trying sync.WaitGroup
	places := make(chan struct{}, forsakenAtOnce)
	for _, h := range due {
		places <- struct{}{}
		trying.Go(func() {
			w.try(h, w.of[h])
			<-places
		})
	}
	trying.Wait()
	for _, h := range due {
		if f := w.of[h]; !f.gone {
			delete(w.of, h)
		}
	}
}

// try connects to the server, and tells what has changed.
func (w *mourner) try(h *topology.Health, f *forsaken) {
	why := msg.OK
	for _, addr := range h.Addrs() {
		if why = connects(socket.NetAddr(addr)); why == msg.OK {
			break
		}
	}
	now := w.now()
	f.due = now + int64(forsakenAgain)
	about := []slog.Attr{slog.String("pool", f.pool), slog.String("server", f.conf.Text), slog.String("name", f.conf.StatsName())}
	subject := topology.Subject(f.conf)
	e := events.Event{Pool: f.pool, Server: f.conf.StatsName()}
	switch {
	case why != msg.OK && topology.IsUnreachable(why):
		if !h.Gone(why, now) {
			f.gone = f.gone && !h.IsUp()
			return
		}
		f.gone = true
		h.Told(topology.Cause(nil, why, false, 0))
		e.Kind, e.Reason, e.Text = events.ServerFails, why.Name(), subject+" fails: it has closed its connections, and cannot be connected to: "+why.String()
		w.log.Warn(e.Text, append(about, slog.String("reason", why.String()))...)
	case f.gone && why == msg.OK:
		f.gone = false
		if !h.Reached(now) {
			return // requests have found it otherwise
		}
		e.Kind, e.For = events.ServerAnswers, h.Trouble()
		after := e.For.Round(time.Second)
		e.Text = subject + " accepts connections again"
		w.log.Warn(e.Text, append(about, slog.Duration("after", after))...)
		e.Text += " after " + after.String()
	default:
		return
	}
	w.tell(e)
}

// connects is why an address cannot be connected to; msg.OK if it can.
func connects(addr net.Addr) msg.Reason {
	ctx, cancel := context.WithTimeout(context.Background(), forsakenTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, addr.Network(), addr.String())
	if err != nil {
		return topology.ReasonOf(err)
	}
	_ = conn.Close() // nothing was sent
	return msg.OK
}

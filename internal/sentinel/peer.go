package sentinel

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"nuthatch/internal/config"
	"nuthatch/internal/redisclient"
)

const (
	// askTime is how long a sentinel may take to answer.
	askTime = 500 * time.Millisecond
	// listenAgain is the pause before a lost subscription is made again. listenRarely is the
	// pause if the sentinel does not allow it.
	listenAgain  = time.Second
	listenRarely = time.Minute
	// signTime is after how long of silence a subscription is probed.
	signTime = 2 * time.Second
)

// channels are the events of Sentinel after which a primary may be elsewhere.
var channels = []string{
	"+switch-master", "+promoted-slave", "+failover-state-reconf-slaves", "+failover-end", "+config-update-from",
	"+monitor", "+reboot", "+odown", "-odown", "-sdown",
}

var (
	// errUnknown means that the sentinel does not know the primary's name.
	errUnknown = errors.New("it does not know the primary's name")
	// errNonsense means that the sentinel has answered something else than an address.
	errNonsense = errors.New("its answer is no address")
)

// A peer is one sentinel.
type peer struct {
	// static after construction
	addr   config.Address
	secure bool // it is spoken to in TLS
	client *redis.Client

	mu     sync.Mutex
	asking bool // an answer is awaited
	status Status
	// last is what it has last said of primaries, by their names, and heard is when.
	last  map[string]opined
	heard time.Time
}

// An opined is what a sentinel says of a primary: where it is, and whether it has taken it for
// down.
type opined struct {
	Place
	down bool
}

// newPeer makes the client of one sentinel. Nothing is connected yet.
func newPeer(addr config.Address, login config.Login, secure func(config.Address) *tls.Config) *peer {
	client := redisclient.New(redisclient.Options{Addr: addr, Login: login, Secure: secure, Time: askTime, Connections: 2})
	return &peer{addr: addr, secure: secure != nil, client: client, status: Status{Address: addr.String()}}
}

// ask asks where the primaries of these names are. An error means that the sentinel has
// not answered at all. The places of names that it does not know are nowhere, and unknown
// is why.
func (p *peer) ask(ctx context.Context, names []string) (places []opined, unknown error, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	pipe := p.client.Pipeline()
	masters, addrs := make([]*redis.MapStringStringCmd, len(names)), make([]*redis.StringSliceCmd, len(names))
	for i, name := range names {
		masters[i] = redis.NewMapStringStringCmd(ctx, "SENTINEL", "MASTER", name)
		addrs[i] = redis.NewStringSliceCmd(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
		_ = pipe.Process(ctx, masters[i])
		_ = pipe.Process(ctx, addrs[i])
	}
	if err := redisclient.Ask(ctx, pipe); err != nil {
		return nil, nil, err
	}
	places = make([]opined, len(names))
	for i := range names {
		about, err := masters[i].Result()
		if err == nil {
			places[i].Place, err = placeOf(about, addrs[i])
			places[i].down = isDown(about["flags"])
		}
		switch {
		case err == nil:
		case strings.HasPrefix(err.Error(), "NOAUTH"), strings.HasPrefix(err.Error(), "WRONGPASS"), strings.HasPrefix(err.Error(), "NOPERM"):
			return nil, nil, err
		case strings.Contains(err.Error(), "No such master"), errors.Is(err, redis.Nil):
			unknown = errUnknown
		default:
			unknown = err
		}
	}
	return places, unknown, nil
}

// isDown reports whether a sentinel with these flags of a primary has taken it for down, alone or
// with others.
func isDown(flags string) bool {
	return slices.ContainsFunc(strings.Split(flags, ","), func(f string) bool { return f == "s_down" || f == "o_down" })
}

// placeOf is the place that a sentinel's two answers tell.
func placeOf(about map[string]string, addr *redis.StringSliceCmd) (Place, error) {
	at, err := addr.Result()
	if err != nil {
		return Place{}, err
	}
	epoch, err := strconv.ParseInt(about["config-epoch"], 10, 64)
	if err != nil || len(at) != 2 || at[0] == "" {
		return Place{}, errNonsense
	}
	if port, err := strconv.Atoi(at[1]); err != nil || port < 1 || port > 65535 {
		return Place{}, errNonsense
	}
	return Place{net.JoinHostPort(at[0], at[1]), epoch}, nil
}

// listen has hint called for each event of the sentinel's after which a primary may be
// elsewhere, until ctx ends.
func (p *peer) listen(ctx context.Context, hint func()) {
	for ctx.Err() == nil {
		err := p.hear(ctx, hint)
		pause := listenAgain
		if _, refused := errors.AsType[redis.Error](err); refused { // it does not allow it, and is asked alone
			pause = listenRarely
		}
		p.set(func(s *Status) { s.Subscribed = false })
		again := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			again.Stop()
		case <-again.C:
		}
	}
}

// hear is listen, until the subscription ends.
func (p *peer) hear(ctx context.Context, hint func()) error {
	subscription := p.client.Subscribe(ctx, channels...)
	defer subscription.Close()
	// A wait for an event does not end with ctx.
	stop := context.AfterFunc(ctx, func() { _ = subscription.Close() })
	defer stop()
	silent := false
	for ctx.Err() == nil {
		m, err := subscription.ReceiveTimeout(ctx, signTime)
		var late net.Error
		switch {
		case err == nil:
		case errors.As(err, &late) && late.Timeout() && !silent:
			silent = true
			if err := subscription.Ping(ctx); err != nil {
				return err
			}
			continue
		default:
			return err
		}
		silent = false
		switch m.(type) {
		case *redis.Subscription:
			p.set(func(s *Status) { s.Subscribed = true })
		case *redis.Message:
			hint()
		}
	}
	return ctx.Err()
}

// set changes the status.
func (p *peer) set(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}

// begin notes that the sentinel is asked, and reports false if it has not answered the last
// question yet.
func (p *peer) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.asking
	p.asking = true
	return !was
}

// keep notes what the sentinel has said of these names; no places: it has not answered.
func (p *peer) keep(names []string, places []opined) {
	if places == nil {
		return
	}
	last, said := make(map[string]opined, len(names)), make(map[string]Place, len(names))
	for i, name := range names {
		if places[i].Addr != "" {
			last[name], said[name] = places[i], places[i].Place
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.heard, p.status.Said = last, time.Now(), said
}

// end notes what came of a question, and returns the change of its state.
func (p *peer) end(now time.Time, problem error) (change Change, changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking = false
	s := &p.status
	s.Asked = now
	text := ""
	switch {
	case problem == nil:
	case strings.HasPrefix(problem.Error(), "WRONGPASS"), strings.HasPrefix(problem.Error(), "NOAUTH"):
		text = "it refuses the login ('sentinel_user', 'sentinel_password'): " + problem.Error()
	default:
		text = redisclient.Why(problem, p.secure)
	}
	was, is := s.Problem == "", text == ""
	if was != is {
		s.Since = now
	}
	s.Problem = text
	return Change{Sentinel: s.Address, Problem: text}, was != is
}

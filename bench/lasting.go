package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Clients that wait at a server or listen to channels have a server connection each. Their
// memory is looked at when nothing has happened for a while:
//
//	10,000 clients ─► proxy ─► 10,000 connections to three servers

// lastingClients is how many there are, at the most.
const lastingClients = 10_000

// lastingTarget is the most KB for each of them that nuthatch sets itself.
const lastingTarget = 6.0

// lastingKind is what a client asks for. Its reply may come at once, or as good as never.
type lastingKind struct {
	request func(i int) exchange
	waits   bool
}

var (
	blocks = lastingKind{func(i int) exchange {
		return exchange{request: respRequest("BLPOP", fmt.Sprintf("queue:%05d", i), "0"), requests: 1}
	}, true}
	listens = lastingKind{func(i int) exchange {
		channel := fmt.Sprintf("channel:%05d", i)
		return exchange{
			respRequest("SUBSCRIBE", channel),
			[]byte("*3\r\n" + bulk("subscribe") + bulk(channel) + ":1\r\n"), 1, nil,
		}
	}, false}
)

// lastings are what is measured: clients of these kinds, as many of each.
var lastings = []struct {
	title string
	kinds []lastingKind
}{
	{"blocked clients", []lastingKind{blocks}},
	{"subscribers", []lastingKind{listens}},
	{"clients, half of each", []lastingKind{blocks, listens}},
}

// redisLasting has room for them.
var redisLasting = topology{redis: true, servers: realServers, pools: 1, sessions: true, lasting: true}

// lastingResult is what one proxy needs for them.
type lastingResult struct {
	title, proxy  string
	clients       int
	descriptors   int
	before, after []float64 // bytes, by round
}

// perClient is how many KB each client has cost, by round.
func (l lastingResult) perClient() []float64 {
	var each []float64
	for i := range l.after {
		each = append(each, max(0, l.after[i]-l.before[i])/1e3/float64(l.clients))
	}
	return each
}

// measureLasting measures all kinds, with as many clients as there are descriptors for. Each
// round starts the proxy anew.
func (r *rig) measureLasting(ctx context.Context) (results []lastingResult, err error) {
	w := work{name: "lasting", topology: redisLasting}
	each := min(lastingClients, (r.descriptors-2*descriptorReserve)/2)
	for _, l := range lastings {
		ofKind := each / len(l.kinds)
		for _, p := range r.programs {
			if !p.can(w) {
				continue
			}
			res := lastingResult{title: fmt.Sprintf("%d %s", each, l.title), proxy: p.name, clients: ofKind * len(l.kinds)}
			for range r.rounds {
				if err := r.last(ctx, p, w, l.kinds, ofKind, &res); err != nil {
					return results, fmt.Errorf("%s of %s: %w", res.title, p.name, err)
				}
				fmt.Fprintf(r.progress, "%s  %-10s  %.2f KB each, %d descriptors\n",
					res.title, p.name, res.perClient()[len(res.after)-1], res.descriptors)
			}
			results = append(results, res)
		}
	}
	return results, nil
}

// last measures once.
func (r *rig) last(ctx context.Context, p program, w work, kinds []lastingKind, each int, res *lastingResult) (err error) {
	running, err := r.start(ctx, p, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	before, err := readMemory(running.pid())
	if err != nil {
		return err
	}
	ctx, cancel := within(ctx, 10*idleTime)
	defer cancel()
	var entered []*session
	defer func() {
		for _, s := range entered {
			s.close()
		}
	}()
	for _, kind := range kinds {
		s, err := kind.enter(ctx, running.addrs[0], each)
		if err != nil {
			return errors.Join(err, running.ended())
		}
		entered = append(entered, s)
		if err := r.awaitBlocked(ctx, kind, each); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(idleTime):
	}
	after, err := readMemory(running.pid())
	if err != nil {
		return err
	}
	res.before, res.after = append(res.before, float64(before)), append(res.after, float64(after))
	res.descriptors, err = countDescriptors(running.pid())
	return err
}

// enter connects n clients of that kind, and lets each send its request.
func (k lastingKind) enter(ctx context.Context, addr string, n int) (*session, error) {
	ping := exchange{respRequest("PING"), []byte("+PONG\r\n"), 1, nil}
	s, err := openSession(ctx, []exchange{ping}, n, addr)
	if err != nil {
		return nil, err
	}
	s.exchanges, s.next = nil, 0
	for i := range s.clients {
		s.exchanges = append(s.exchanges, k.request(i))
	}
	if !k.waits {
		_, err = s.closedLoop(ctx, 0)
	}
	for i, c := range s.clients {
		if !k.waits || err != nil {
			break
		}
		_, err = write(c.fd, s.exchanges[i].request)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

var errBlocked = errors.New("the servers do not have them all")

// awaitBlocked waits until all n clients, if they are to wait, do so at their servers.
func (r *rig) awaitBlocked(ctx context.Context, kind lastingKind, n int) error {
	if !kind.waits {
		return nil
	}
	for {
		blocked := 0
		for _, addr := range r.servers.redis {
			here, err := blockedAt(addr)
			if err != nil {
				return err
			}
			blocked += here
		}
		if blocked == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d clients wait", errBlocked, blocked, n)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// blockedAt asks a server how many of its clients wait.
func blockedAt(addr string) (int, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, fmt.Errorf("deadline: %w", err)
	}
	if _, err := conn.Write(respRequest("INFO", "clients")); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "blocked_clients:"); ok {
			return strconv.Atoi(n)
		}
	}
	return 0, fmt.Errorf("INFO has no blocked_clients: %w", lines.Err())
}

// countDescriptors is how many descriptors a process has open.
func countDescriptors(pid int) (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("descriptors: %w", err)
	}
	return len(open), nil
}

// lastingTable has a row for each kind.
func lastingTable(all []lastingResult) table {
	t := table{left: 2, head: []string{"clients", "proxy", "descriptors", "before", "after", "KB per client"}}
	for _, l := range all {
		t.add(l.title, l.proxy, number(float64(l.descriptors)), number(median(l.before)/1e6), number(median(l.after)/1e6), spread(l.perClient()))
	}
	return t
}

package dashboard_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/dashboard"
)

// fixture is an API without a proxy: pools and servers of any number, whose
// counters grow with a clock that every answer turns by a second.
type fixture struct {
	window time.Duration // that was asked for last
	age    time.Duration // of the process, if it is younger than a window
	url    string

	mu      sync.Mutex
	token   string // asked for if it is not empty
	broken  bool   // every answer is 503
	tick    int
	servers int
	ill     map[int]string // state by the index of the server
	clients []api.Client
	change  func(*api.Pools) // what is else with the pools; nil: nothing
	about   func(*api.Info)  // what is else with the process; nil: nothing
	asked   []string         // paths below /api/v1/
}

// began is when the fixture's proxy started.
var began = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func startFixture(t testing.TB, servers int) *fixture {
	t.Helper()
	f := &fixture{servers: servers, ill: map[int]string{}}
	mux := http.NewServeMux()
	mux.Handle("/", dashboard.Handler())
	mux.HandleFunc("/api/v1/", f.answer)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

// with changes the fixture between two answers.
func (f *fixture) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// count is how many questions have been asked.
func (f *fixture) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fixture) answer(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
	f.asked = append(f.asked, path)
	f.window = 10 * time.Second
	if asked, err := time.ParseDuration(r.FormValue("window")); err == nil {
		f.window = asked
	}
	w.Header().Set("Content-Type", "application/json")
	if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"a token is needed"}`))
		return
	}
	if f.broken {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"the proxy is ending"}`))
		return
	}
	documents := map[string]func() any{
		"info": f.info, "pools": f.pools, "findings": f.findings, "fields": f.fields, "clients": f.clientList, "slowlog": f.slowlog, "hotkeys": f.hotkeys,
		"config": f.config, "where": func() any { return f.where(r.FormValue("key")) },
		"denials": f.denials, "events": f.events, "history": func() any { return f.history(r.FormValue("pool"), r.FormValue("server"), r.FormValue("column")) },
	}
	document := documents[path]
	if document == nil {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"error":"no such path"}`))
		return
	}
	_ = json.NewEncoder(w).Encode(document())
}

func (f *fixture) now() time.Time {
	return began.Add(3*24*time.Hour + 4*time.Hour + time.Duration(f.tick)*time.Second)
}

func (f *fixture) info() any {
	loops := make([]api.LoopInfo, 4)
	for i := range loops {
		loops[i] = api.LoopInfo{ID: i, Counters: map[string]int64{"clients": 52 + int64(i)}, Busy: 0.31 + 0.06*float64(i) + 0.05*math.Sin(float64(f.tick)/7)}
	}
	i := api.Info{
		Program: "nuthatch", Version: "0.1.0", Go: "go1.26.0", Host: "cache-proxy-3", PID: 4711, Started: began,
		Time: f.now(), Uptime: f.now().Sub(began).Seconds(), ConfigFile: "/etc/nuthatch/nutcracker.yml",
		State: "serving", Ready: true, Loops: loops, Engine: "epoll",
		Process: api.ProcessInfo{
			Connections: 240, TotalConnections: 18230, Descriptors: 268, MaxDescriptors: 65536,
			ResidentMemory: 92<<20 + int64(f.tick)<<14, HeapMemory: 61 << 20, MaxMemory: 1 << 30,
			HeldMemory: 31 << 20, SoftMemory: 500 << 20, HardMemory: 640 << 20, MaxClients: 65000, CPU: 6212, Goroutines: 19,
		},
	}
	if f.about != nil {
		f.about(&i)
	}
	return i
}

// wave is a load that goes up and down, of requests per second and server.
func wave(i, tick int) float64 {
	phase := float64(i%7) / 3
	return 900 + 250*math.Sin(float64(tick)/11+phase) + 90*math.Sin(float64(tick)/2.3+phase*5) + float64(i*37%400)
}

// grown is how much wave has let through until tick.
func grown(i, tick int) int64 {
	total := 1e6
	for t := range tick {
		total += wave(i, t)
	}
	return int64(total)
}

// findings are those of the pools that were asked for last.
func (f *fixture) findings() any {
	info, pools := f.info().(api.Info), f.poolsNow()
	found := findings.Of(&info, &pools)
	return &found
}

// fields are a few of the words that the API explains.
func (f *fixture) fields() any {
	return api.Fields{
		Findings: findings.Kinds,
		Reasons:  []api.Explained{{Name: "Connection refused", Text: "Connection refused", Help: "Nothing listens there. Is the server running?"}},
	}
}

func (f *fixture) pools() any {
	f.tick++
	return f.poolsNow()
}

func (f *fixture) poolsNow() api.Pools {
	names := []string{"sessions", "catalog", "ratelimit"}
	now := f.now()
	p := api.Pools{Time: now, Window: &api.Window{Seconds: f.window.Seconds(), Since: now.Add(-f.window), Until: now}}
	if f.age > 0 && f.age < f.window {
		p.Window.Seconds = f.age.Seconds()
	}
	for n, name := range names {
		from, to := n*f.servers/len(names), (n+1)*f.servers/len(names)
		p.Pools = append(p.Pools, f.pool(name, from, to))
	}
	if f.change != nil {
		f.change(&p)
	}
	return p
}

func (f *fixture) pool(name string, from, to int) api.Pool {
	p := api.Pool{
		Name: name, Protocol: "redis", Listen: "0.0.0.0:22121", Hash: "fnv1a_64", Distribution: "ketama",
		Clients: 70 + from%9, Latency: f.latency(from, 1.4),
	}
	var requests, failed int64
	for i := from; i < to; i++ {
		s := f.server(name, i, to-from)
		requests += s.Counters["responses"]
		failed += s.Reasons["failed_requests"]["Connection refused"]
		p.Servers = append(p.Servers, s)
	}
	p.Counters = map[string]int64{
		"client_eof": 812, "client_err": 3, "client_connections": int64(p.Clients), "server_ejects": 4,
		"forward_error": failed, "fragments": requests / 5, "client_requests": requests,
	}
	p.Reasons = map[string]map[string]int64{"failed_requests": {"Connection refused": failed, "Connection timed out": 14}}
	return p
}

func (f *fixture) server(pool string, i, siblings int) api.Server {
	state := f.ill[i]
	s := api.Server{
		Pool: pool, Name: fmt.Sprintf("%s-%03d", pool, i), Address: fmt.Sprintf("10.20.%d.%d:6379", i/200, i%200+10), Weight: 1,
		Share: 1 / float64(siblings), State: "up", Latency: f.latency(i, 1), MaxPrivate: 256,
	}
	n := grown(i, f.tick)
	failed := int64(i % 3)
	if state != "" {
		since := began.Add(76 * time.Hour).Add(-time.Duration(i*17) * time.Second)
		s.State, s.Since, s.Share = state, &since, 0
		s.Reason = "Connection refused"
		n = 1e6
		failed += int64(f.tick * 3)
	}
	if failed > 0 {
		s.Reasons = map[string]map[string]int64{
			"failed_requests": {"Connection refused": failed}, "closed_connections": {"Connection refused": failed, "Broken pipe": 2},
		}
	}
	s.Counters = map[string]int64{
		"server_eof": 1, "server_err": 2, "server_timedout": 2, "server_connections": 4, "requests": n, "request_bytes": n * 58,
		"responses": n - 1, "response_bytes": n * 410, "in_queue": int64(i % 4), "in_queue_bytes": int64(i % 4 * 58),
		"out_queue": int64(8 + i%11), "out_queue_bytes": 512, "private_connections": int64(i % 7), "private_waiting": int64(i % 7 / 2),
	}
	return s
}

func (f *fixture) latency(i int, factor float64) *api.Latency {
	median := api.Seconds(180+30*math.Sin(float64(f.tick)/9+float64(i))+float64(i%13)*4) * 1e-6 * api.Seconds(factor)
	tail := api.Seconds(1 + 0.4*math.Sin(float64(f.tick)/4+float64(i)))
	return &api.Latency{
		Count: grown(i, f.tick), P50: median, P90: median * 2.1, P99: median * 5 * tail, P999: median * 22 * tail, Max: 0.241,
	}
}

func (f *fixture) clientList() any {
	clients := f.clients
	for i := range 220 {
		clients = append(clients, api.Client{
			ID: uint64(1000 + i), Pool: "sessions", Loop: i % 4, Address: fmt.Sprintf("10.1.%d.%d:%d", i/50, i%50, 40000+i),
			Name: "checkout-" + fmt.Sprint(i%12), Library: "go-redis", LibraryVersion: "9.23.0", Age: int64(i * 211), Idle: int64(i % 40),
			Protocol: 2 + i%2, InFlight: i % 17, Held: i * i % 9000, Unsent: i % 5 * 900, Private: i % 3, Blocked: i%3 > 0,
		})
	}
	return api.Clients{Time: f.now(), Total: len(clients) + 30, Clients: clients}
}

func (f *fixture) slowlog() any {
	var log api.SlowLog
	for i := range 40 {
		took := 0.012 + float64(i*i%23)/200
		wait := took * 0.1 * float64(i%3)
		log.Entries = append(log.Entries, api.SlowEntry{
			ID: int64(40 - i), Time: f.now().Add(-time.Duration(i*41) * time.Second), Pool: "catalog", Server: fmt.Sprintf("catalog-%03d", i%4),
			Client: "10.1.0.7:40112", Command: "mget", Key: fmt.Sprint("item:", i*7919), KeyLength: len(fmt.Sprint("item:", i*7919)), Duration: took,
			Connect: wait, Queue: took * 0.15, Turn: took * 0.05, ServerTime: took*0.8 - wait,
		})
	}
	return log
}

func (f *fixture) hotkeys() any {
	p := api.PoolKeys{Pool: "sessions"}
	for i := range 24 {
		part := 1 / (1 + float64(i)*0.7)
		p.Keys = append(p.Keys, api.HotKey{Key: fmt.Sprintf("session:{%x}", i*7919), KeyLength: 11, Server: fmt.Sprintf("sessions-%03d", i%8), Rate: 4200 * part, Error: 40 + 300*part*part, Share: 0.11 * part})
		p.BigReplies = append(p.BigReplies, api.LargeKey{
			Key: fmt.Sprint("export:", i), KeyLength: 9, Size: 9 << 20 / (i + 1), Command: "get", Time: f.now(),
		})
	}
	return api.HotKeys{Pools: []api.PoolKeys{p}}
}

func (f *fixture) denials() any {
	return api.Denials{Time: f.now(), Pools: []api.PoolDenials{{
		Pool: "sessions", Counts: map[string]int64{"failed_logins": 12, "denied_keys": 1234, "address_refused": 3}, Waiting: 2,
		Records: []api.Denial{
			{Time: f.now().Add(-time.Minute), First: began, Count: 40, Reason: "command", Context: "toplevel", Object: "flushall", User: "billing", Client: "id=77 addr=10.0.0.5:51234"},
			{Time: f.now().Add(-time.Hour), First: began, Count: 1, Reason: "auth", Context: "toplevel", Object: "auth", Client: "id=78 addr=10.0.0.6:51235"},
		},
	}, {Pool: "catalog", Counts: map[string]int64{}, Records: []api.Denial{}}}}
}

func (f *fixture) events() any {
	list := api.Events{Started: began, Events: []api.Event{
		{ID: 1, Time: began, Kind: "started", Severity: "notice", Text: "nuthatch-0.1.0 started on pid 4711"},
		{
			ID: 2, Time: f.now().Add(-2 * time.Minute), Kind: "server_ejected", Severity: "failure", Pool: "sessions", Server: "sessions-001", Reason: "conn_refused",
			Text: "server sessions-001 (10.20.0.11:6379) fails: Connection refused; ejected: the other servers get its keys",
		},
		{ID: 3, Time: f.now().Add(-time.Minute), Kind: "pool_paused", Severity: "notice", Pool: "catalog", Text: "requests wait", By: "admin 10.0.0.9:4242 kim", Duration: 30},
	}}
	list.Last = 3
	return list
}

// history is an hour in which there was a peak half an hour ago.
func (f *fixture) history(pool, server, column string) any {
	h := api.History{Time: f.now(), Pool: pool, Server: server, Column: column, Step: 10, At: []int64{}, Values: map[string]api.Values{}}
	names := []string{"requests", "failed", "p50", "p99", "p999", "clients", "received", "sent", "memory", "busy"}
	if column != "" {
		names = nil
		for i := range f.servers {
			names = append(names, fmt.Sprintf("%s-%03d", pool, i))
		}
	}
	for i := range 360 {
		h.At = append(h.At, f.now().Add(time.Duration(i-360)*10*time.Second).UnixMilli())
		for n, name := range names {
			v := 1000 + 100*float64(n)
			if i > 170 && i < 190 {
				v *= 4
			}
			if name[0] == 'p' && column == "" {
				v /= 1e6
			}
			h.Values[name] = append(h.Values[name], float32(v))
		}
	}
	return h
}

func (f *fixture) config() any {
	settings := []api.Setting{
		{Key: "listen", Value: "0.0.0.0:22121"},
		{Key: "hash", Value: "fnv1a_64", Default: "fnv1a_64"},
		{Key: "timeout", Value: "400ms", Default: ""},
		{Key: "distribution", Value: "ketama", Default: "ketama"},
		{Key: "server_retry_timeout", Value: "2s", Default: "30s"},
		{Key: "auto_eject_hosts", Value: "true", Default: "false"},
		{Key: "redis", Value: "true", Default: "false"},
		{Key: "client_max_pipeline", Value: "1024", Default: "1024"},
		{Key: "client_max_queued", Value: "1mb", Default: "1mb"},
	}
	c := api.Configuration{
		File: "/etc/nuthatch/nutcracker.yml", Text: "sessions:\n  listen: 0.0.0.0:22121\n",
		Process: []api.Setting{{Key: "threads", Value: "4", Default: "1"}, {Key: "admin", Value: "127.0.0.1:22223", Default: "127.0.0.1:22223"}},
	}
	for _, name := range []string{"sessions", "catalog", "ratelimit"} {
		c.Pools = append(c.Pools, api.PoolConfiguration{Name: name, Settings: settings, Servers: []string{"10.20.0.10:6379:1 " + name + "-000"}})
	}
	return c
}

func (f *fixture) where(key string) any {
	point := uint32(0x8a30f1c2)
	return api.Where{Placements: []api.Placement{{
		Pool: "sessions", Key: key, Hashed: key, Function: "fnv1a_64", Hash: 0x8a2b11e4, Distribution: "ketama", Point: &point,
		Server: "sessions-000", Address: "10.20.0.10:6379", State: "up", Why: "The hash falls between two points; the upper one is sessions-000's.",
	}}}
}

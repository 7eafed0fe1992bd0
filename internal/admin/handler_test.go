package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/acl"
	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/hotkeys"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/preview"
	"nuthatch/internal/slowlog"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

const testConfig = `
nuthatch:
  ready_servers: 50
alpha:
  listen: 127.0.0.1:22121
  redis: true
  redis_auth: "s3cret"
  hash_tag: "{}"
  auto_eject_hosts: true
  servers:
    - 127.0.0.1:6379:1 one
    - 127.0.0.1:6380:3 two
beta:
  listen: 127.0.0.1:22122
  distribution: modula
  servers:
    - 127.0.0.1:11211:1 one
    - 127.0.0.1:11212:1 two
`

// An instance stands in for the proxy: it has a configuration, and notes the
// orders that it gets.
type instance struct {
	traces   Traces
	conf     *config.Config
	topo     []*topology.Topology
	orders   []string
	refuse   error // what orders are answered
	drains   bool
	asked    uint64 // how often for latencies
	active   int64  // grows each time that somebody looks, unless it is idle
	idle     bool
	pulses   int64 // how often for pulses
	started  time.Time
	cpu      float64
	paused   string // the pool that is
	cluster  *api.Cluster
	emulated *api.Emulated
	// strict: actions need a token, or the socket for actions.
	strict bool
	socket string
	// reading are the tokens for reading alone.
	reading []config.Secret
	memory  int64 // of answers
	log     events.Log
}

func newInstance(t *testing.T) *instance {
	t.Helper()
	conf, err := config.Parse("test.yml", []byte(testConfig))
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{conf: conf}
	for i := range conf.Pools {
		in.topo = append(in.topo, topology.New(&conf.Pools[i]))
	}
	return in
}

func (in *instance) order(form string, args ...any) error {
	in.orders = append(in.orders, fmt.Sprintf(form, args...))
	return in.refuse
}

func (in *instance) Facts() api.Info {
	return api.Info{Program: "nuthatch", State: "serving", Started: in.started}
}

func (in *instance) Usage() (api.ProcessInfo, []api.LoopInfo, error) {
	until := time.Unix(1700000000, 0)
	return api.ProcessInfo{
		HeldMemory: 1, SoftMemory: 2, HardMemory: 3, MaxMemory: 4,
		Certificates: []api.Certificate{{Pool: "alpha", Block: "server_tls"}, {Block: "admin_tls", Until: &until, Refused: "damaged"}},
	}, []api.LoopInfo{{CPU: in.cpu}}, in.refuse
}
func (in *instance) Ready() bool                                     { return !in.drains }
func (in *instance) Alive(context.Context) error                     { return in.refuse }
func (in *instance) InForce() (*config.Config, []*topology.Topology) { return in.conf, in.topo }
func (in *instance) Now() int64                                      { return 1 }
func (in *instance) Wall(at int64) time.Time                         { return time.Unix(0, at) }
func (in *instance) LoopCPU() ([]float64, error)                     { return []float64{in.cpu}, in.refuse }

func (in *instance) Activity() []int64 {
	if !in.idle {
		in.active++
	}
	return []int64{in.active}
}

// Pulse grows with each call: two requests of 1 ms at beta, one of them fails.
func (in *instance) Pulse() (*Pulse, error) {
	in.pulses++
	p := &Pulse{CPU: []float64{in.cpu}, Memory: 1 << 20}
	for i := range in.conf.Pools {
		p.Pools = append(p.Pools, PoolPulse{Name: in.conf.Pools[i].Name})
	}
	beta := &p.Pools[0]
	beta.Clients, beta.Requests, beta.Failed, beta.Received, beta.Sent = 3, 2*in.pulses, in.pulses, 10*in.pulses, 20*in.pulses
	beta.Times.Add(int64(time.Millisecond), uint64(2*in.pulses))
	return p, in.refuse
}

func (in *instance) PausedSince(string) time.Time { return time.Unix(9e8, 0) }

func (in *instance) Cluster(string) *api.Cluster { return in.cluster }

func (in *instance) Emulated(string) *api.Emulated { return in.emulated }

func (in *instance) Sentinels(string) *api.Sentinels { return nil }
func (in *instance) PausedBy(string) string          { return "admin 1.2.3.4:5 somebody" }

func (in *instance) PausedUntil(pool string) time.Time {
	if pool != in.paused {
		return time.Time{}
	}
	return time.Unix(1e9, 0)
}

func (in *instance) Clients(pool string, most int) ([]api.Client, error) {
	return []api.Client{{ID: 7, Pool: pool}, {ID: 9, Pool: pool}}[:min(most, 2)], in.refuse
}

func (in *instance) Snapshot() *stats.Snapshot {
	if in.refuse != nil {
		return nil
	}
	var layout stats.Layout
	for i := range in.conf.Pools {
		p := &in.conf.Pools[i]
		l := stats.PoolLayout{Name: p.Name}
		for j := range p.Servers {
			l.Servers = append(l.Servers, p.Servers[j].StatsName())
		}
		layout = append(layout, l)
	}
	snap := stats.Sum(layout, []*stats.Shard{stats.NewShard(layout)})
	snap.Pools[0].Servers[1].Values[stats.Requests] = 42
	snap.Pools[0].Servers[1].Vectors[stats.ClosedConnections][msg.ConnReset] = 3
	return snap
}

// Latency grows with each call: of beta's second server, one read of 1 ms more, of
// its clients two.
func (in *instance) Latency() ([]PoolLatency, error) {
	in.asked++
	var pools []PoolLatency
	for i := range in.conf.Pools {
		p := PoolLatency{Name: in.conf.Pools[i].Name}
		for j := range in.conf.Pools[i].Servers {
			p.Servers = append(p.Servers, ServerLatency{Name: in.conf.Pools[i].Servers[j].StatsName()})
		}
		pools = append(pools, p)
	}
	get := CommandLatency{Command: msg.Command{Name: "get", Family: msg.Reads}}
	get.Add(int64(time.Millisecond), 2*in.asked)
	pools[0].Commands = []CommandLatency{get}
	pools[0].Servers[1].Families[msg.Reads].Add(int64(time.Millisecond), in.asked)
	return pools, in.refuse
}

func (in *instance) HotKeys(n int) ([]PoolKeys, error) {
	keys := make([]hotkeys.Key, n)
	for i := range keys {
		keys[i] = hotkeys.Key{Key: fmt.Sprint("hot", i), Len: 4, Rate: 10}
	}
	large := []Large{{Key: "large", KeyLen: 5, Size: 9000, Command: "set"}}
	return []PoolKeys{{Name: "beta", Hot: keys, Requests: large}, {Name: "alpha"}}, in.refuse
}

func (in *instance) Traces() Traces { return in.traces }

func (in *instance) SlowLog(n int) []*slowlog.Entry {
	all := []*slowlog.Entry{
		{ID: 2, Pool: "alpha", Command: "get", Duration: 3 * time.Second, Server: 2 * time.Second, Queue: time.Second},
		{ID: 1, Pool: "beta", Command: "set"},
	}
	if n < 0 {
		return all
	}
	return all[:min(n, len(all))]
}

func (in *instance) Events() *events.Log { return &in.log }

func (in *instance) Denials(pool string) []acl.Record {
	if pool != "alpha" {
		return nil
	}
	return []acl.Record{
		{Entry: acl.Entry{Reason: "key", Context: acl.TopLevel, Object: "secret:1", User: "alice", Client: "id=7"}, Count: 3, At: 2000, First: 1000},
		{Entry: acl.Entry{Reason: "command", Context: acl.InMulti, Object: "flushall", User: "bob", Client: "id=8"}, Count: 1, At: 1500, First: 1500},
	}
}

func (in *instance) AnswerMemory() int64 { return in.memory }

func (in *instance) Preview(conf *config.Config, reveals bool, take func(int64) error) (*preview.Change, error) {
	switch {
	case conf == nil:
		conf = in.conf
	case !reveals:
		conf = conf.WithoutGuesses(in.conf)
	}
	if err := take(preview.Memory(in.conf, conf)); err != nil {
		return nil, err
	}
	return &preview.Change{Report: preview.Compare(in.conf, conf)}, in.refuse
}

func (in *instance) Reload(by string) (*preview.Change, error) {
	return &preview.Change{Report: &preview.Report{}}, in.order("reload %s", by)
}
func (in *instance) Drain(by string)         { _ = in.order("drain %s", by) }
func (in *instance) Upgrade(by string) error { return in.order("upgrade %s", by) }
func (in *instance) Pause(_ context.Context, pool string, limit time.Duration, by string) error {
	return in.order("pause %s %v %s", pool, limit, by)
}
func (in *instance) Resume(pool, by string) error { return in.order("resume %s %s", pool, by) }
func (in *instance) SetService(pool, server string, s topology.Service, by string) error {
	return in.order("%v %s %s %s", s, pool, server, by)
}
func (in *instance) OutOfService(string) topology.Service { return topology.OffTheRing }
func (in *instance) Reconnect(pool, server, by string) error {
	return in.order("reconnect %s %q %s", pool, server, by)
}
func (in *instance) KillClient(id uint64, by string) error { return in.order("kill %d %s", id, by) }

// A stage is an admin listener over an instance.
type stage struct {
	*instance
	t        *testing.T
	recorder *Recorder
	port     *HTTPPort
	url      string
}

// listenAt makes an admin listener of the test's own address that takes itself
// for one at addr.
func listenAt(t *testing.T, addr config.Address, in *instance, tokens ...config.Secret) *stage {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	recorder := NewRecorder(in)
	h := NewHTTP(l, addr, HTTPOptions{
		Instance: in, Recorder: recorder, Logger: logging.Discard(),
		Tokens: func() []config.Secret { return tokens }, ReadTokens: func() []config.Secret { return in.reading }, Insecure: func() bool { return !in.strict },
		ActionSocket: func() string { return in.socket },
	})
	h.Serve()
	t.Cleanup(h.Close)
	return &stage{instance: in, t: t, recorder: recorder, port: h, url: "http://" + l.Addr().String()}
}

func newStage(t *testing.T, tokens ...config.Secret) *stage {
	t.Helper()
	loopback := config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: 22223}
	return listenAt(t, loopback, newInstance(t), tokens...)
}

// do sends a request. headers are names and values in turn; an order has the
// content type that orders need, unless they say another.
func (s *stage) do(method, path, body string, headers ...string) (status int, head http.Header, text string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(s.t, answer)); err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, b.String()
}

// status is that of the answer to a GET.
func (s *stage) status(path string) int {
	s.t.Helper()
	status, _, _ := s.do(http.MethodGet, path, "")
	return status
}

// get reads an answer of the API.
func get[T any](s *stage, path string) T {
	s.t.Helper()
	status, _, text := s.do(http.MethodGet, path, "")
	if status != http.StatusOK {
		s.t.Fatalf("GET %s: status %d: %s", path, status, text)
	}
	var body T
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		s.t.Fatalf("GET %s: %v in %s", path, err, text)
	}
	return body
}

func TestPools(t *testing.T) {
	s := newStage(t)
	pools := get[api.Pools](s, "/api/v1/pools").Pools
	if len(pools) != 2 || pools[0].Name != "beta" || pools[1].Name != "alpha" {
		t.Fatalf("pools %+v, want beta and alpha, nutcracker's order", pools)
	}
	if got := pools[0].Servers[1].Counters["requests"]; got != 42 {
		t.Errorf("beta's second server has %d requests, want 42", got)
	}
	if got := pools[0].Servers[1].Reasons["closed_connections"]; len(got) != 1 || got["conn_reset"] != 3 {
		t.Errorf("its connections were closed for %v, want 3 by conn_reset", got)
	}
	two := pools[1].Servers[1]
	if two.Share < 0.6 || two.Share > 0.9 || two.State != "up" || two.Address != "127.0.0.1:6380" {
		t.Errorf("a server of weight 3 out of 4 is %+v", two)
	}
	if got := get[api.Pools](s, "/api/v1/pools?pool=beta").Pools; len(got) != 1 || got[0].Protocol != "memcached" {
		t.Errorf("the pool beta is %+v", got)
	}
	s.topo[1].SetService(s.topo[1].Servers()[1], topology.OffTheRing, 1)
	list := get[api.Servers](s, "/api/v1/servers?pool=alpha").Servers
	if list[0].State != "up" || list[0].Share != 1 || list[1].State != "disabled" || list[1].Share != 0 {
		t.Errorf("with one server disabled: %+v", list)
	}
}

func TestWhere(t *testing.T) {
	s := newStage(t)
	q := "/api/v1/where?pool=alpha&key=a%7Bx%7Db&key=x"
	both := get[api.Where](s, q).Placements
	if both[0].Hashed != "x" || !both[0].Tagged || both[1].Tagged || both[0].Server != both[1].Server || both[0].Hash != both[1].Hash {
		t.Errorf("keys of one tag: %+v", both)
	}
	owner := s.conf.Pools[1].Servers
	gone := 0
	if both[0].Server == owner[1].Name {
		gone = 1
	}
	s.topo[1].SetService(s.topo[1].Servers()[gone], topology.OffTheRing, 1)
	moved := get[api.Where](s, q).Placements[0]
	if moved.Home != both[0].Server || moved.Server == both[0].Server || !strings.Contains(moved.Why, "disabled") {
		t.Errorf("with its server disabled the key is at %+v", moved)
	}
	slots := get[api.Where](s, "/api/v1/where?pool=beta&key=x").Placements[0]
	if !strings.Contains(slots.Why, "divided by 2 slots") {
		t.Errorf("modula's reason is %q", slots.Why)
	}
	for i := range s.conf.Pools[0].Servers {
		s.conf.Pools[0].Servers[i].Weight = 1 << 31 // together 1<<32, which is 0 in 32 bits
	}
	s.topo[0] = s.topo[0].Next(&s.conf.Pools[0], 1)
	slots = get[api.Where](s, "/api/v1/where?pool=beta&key=x").Placements[0]
	if !strings.Contains(slots.Why, fmt.Sprintf("divided by 4294967296 slots that leaves %d", slots.Hash)) {
		t.Errorf("modula's reason with as many slots as hashes is %q", slots.Why)
	}
	if all := get[api.Where](s, "/api/v1/where?key=x").Placements; len(all) != 2 {
		t.Errorf("a key in all pools: %+v", all)
	}
}

// TestConfigHasNoSecrets, and its text is a configuration.
func TestConfigHasNoSecrets(t *testing.T) {
	s := newStage(t, "t0ken")
	status, _, text := s.do(http.MethodGet, "/api/v1/config", "", "Authorization", "Bearer t0ken")
	if status != http.StatusOK || strings.Contains(text, "s3cret") || strings.Contains(text, "t0ken") {
		t.Fatalf("status %d, and a secret in it or not: %s", status, text)
	}
	var shown api.Configuration
	if err := json.Unmarshal([]byte(text), &shown); err != nil {
		t.Fatal(err)
	}
	again, err := config.Parse("again.yml", []byte(shown.Text))
	if err != nil {
		t.Fatalf("the text is no configuration:\n%s\n%v", shown.Text, err)
	}
	if r := preview.Compare(s.conf, again); len(r.Added)+len(r.Removed) > 0 || len(r.Pools) != 1 || len(r.Pools[0].Settings) != 1 {
		t.Errorf("but for the password, the text differs:\n%v", r)
	}
}

func TestReadiness(t *testing.T) {
	s := newStage(t)
	if status, _, text := s.do(http.MethodGet, "/readyz", ""); status != http.StatusOK {
		t.Errorf("status %d: %s", status, text)
	}
	s.topo[0].SetService(s.topo[0].Servers()[0], topology.Refused, 1) // one of two is the share that is asked for
	if status, _, text := s.do(http.MethodGet, "/readyz", ""); status != http.StatusOK {
		t.Errorf("with half of the servers up: status %d: %s", status, text)
	}
	s.topo[0].SetService(s.topo[0].Servers()[1], topology.Refused, 1)
	if status, _, text := s.do(http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable ||
		!strings.Contains(text, "beta") || strings.Contains(text, "alpha") {
		t.Errorf("with no server of beta up: status %d: %s", status, text)
	}
	if info := get[api.Info](s, "/api/v1/info"); info.Ready || len(info.NotReady) != 1 {
		t.Errorf("the info says ready: %t, %q", info.Ready, info.NotReady)
	}
	s.drains = true
	if status, _, text := s.do(http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "draining") {
		t.Errorf("draining: status %d: %s", status, text)
	}
}

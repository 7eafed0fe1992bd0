package topology

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// poolOf reads a pool with that many servers.
func poolOf(t testing.TB, servers int, lines string) *config.Pool {
	t.Helper()
	var b strings.Builder
	b.WriteString("alpha:\n  listen: 127.0.0.1:22121\n  redis: true\n" + lines + "  servers:\n")
	for i := range servers {
		fmt.Fprintf(&b, "  - 127.0.0.1:6379:1 s%d\n", i)
	}
	conf, err := config.Parse("test.yml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return &conf.Pools[0]
}

// The ring of many servers is made outside the loops: until it is there requests go by
// the old one. What changes while it is made is in the next one.
func TestLargeRingsAreMadeAside(t *testing.T) {
	const servers = 200
	topo := New(poolOf(t, servers, "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 1000\n"))
	var builds []func()
	topo.BuildAside(func(build func()) { builds = append(builds, build) })
	live := func() int { return topo.Ring().Continuum.Live() }
	topo.Failed(topo.Servers()[3], msg.ConnRefused, 1, 1)
	topo.Failed(topo.Servers()[4], msg.ConnRefused, 1, 1)
	if n := live(); n != servers || len(builds) != 1 {
		t.Fatalf("before the ring is made %d servers are on it, and %d are made", n, len(builds))
	}
	builds[0]()
	if n := live(); n != servers-2 {
		t.Errorf("with two servers ejected %d are on the ring", n)
	}
	const later = int64(2e9)
	var back []*Health
	tried := func(server *Health) { back = append(back, server) }
	for range 3 {
		topo.Current(later, tried)
	}
	if n := live(); n != servers-2 || len(builds) != 2 || len(back) != 2 {
		t.Fatalf("when their time is over, and before the ring is made, %d are on it, %d rings are made, %d servers are to be tried",
			n, len(builds)-1, len(back))
	}
	builds[1]()
	if ring := topo.Current(later, tried); ring.Table.Ring().Continuum.Live() != servers || ring.retryAt != 0 || len(builds) != 2 {
		t.Errorf("then %d are on it", live())
	}
	// One that fails while a ring is made is not on the next one.
	topo.Failed(topo.Servers()[5], msg.ConnRefused, later, later)
	topo.aside = func(func()) { t.Error("two rings are made at once") }
	topo.Failed(topo.Servers()[6], msg.ConnRefused, later, later)
	builds[2]()
	if n := live(); n != servers-2 {
		t.Errorf("with one more ejected while the ring was made, %d are on it", n)
	}
}

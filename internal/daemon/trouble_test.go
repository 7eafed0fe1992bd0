package daemon

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/events"
	"nuthatch/internal/logging"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/topology"
)

// Of a server that goes on failing one line is written in a minute, with what
// failed in that minute; of one that answers again, or is disabled, none.
func TestTroubleIsToldOnceAMinute(t *testing.T) {
	conf, err := config.Parse("trouble.yml", []byte("p:\n  listen: 127.0.0.1:1\n  health_check: {interval: 1s, fall: 1, rise: 1}\n"+
		"  servers:\n  - 127.0.0.1:2:1 one\n  - 127.0.0.1:3:1 two\n  - 127.0.0.1:4:1 three\n"))
	if err != nil {
		t.Fatal(err)
	}
	topo := []*topology.Topology{topology.New(&conf.Pools[0])}
	var text bytes.Buffer
	log, err := logging.New(logging.Options{Level: logging.Notice, Writer: &text})
	if err != nil {
		t.Fatal(err)
	}
	snap, asked := stats.Sum(stats.Layout{{Name: "p", Servers: []string{"one", "two", "three"}}}, nil), 0
	teller := &troubleTeller{journal: journal{log: log, events: new(events.Log)}, snap: func() *stats.Snapshot {
		asked++
		n := *snap
		n.Pools = []stats.PoolSnapshot{snap.Pools[0]}
		n.Pools[0].Servers = append([]stats.ServerSnapshot(nil), snap.Pools[0].Servers...)
		return &n
	}, of: make(map[serverID]*trouble)}

	now := int64(0)
	pass := func(d time.Duration) {
		for end := now + int64(d); now < end; {
			now += int64(troubleLook)
			snap.Pools[0].Servers[0].Vectors[stats.ServerFailedRequests][msg.ConnRefused] += 100
			teller.look(conf, topo, now)
		}
	}
	pass(10 * time.Minute)
	if asked != 0 {
		t.Errorf("the loops were asked %d times when all servers were up", asked)
	}
	topo[0].Checked(topo[0].Servers()[0], msg.Timedout, now+1)
	topo[0].Checked(topo[0].Servers()[0], msg.ConnRefused, now+2)
	topo[0].Servers()[0].Told(msg.ConnRefused.String())
	topo[0].SetService(topo[0].Servers()[1], topology.Refused, now)
	topo[0].Checked(topo[0].Servers()[2], msg.Timedout, now)
	topo[0].Checked(topo[0].Servers()[2], msg.OK, now+1)
	asked = 0
	pass(3*time.Minute + 5*time.Second)
	if asked != 4 {
		t.Errorf("the loops were asked %d times in three minutes", asked)
	}
	topo[0].Checked(topo[0].Servers()[0], msg.OK, now)
	pass(10 * time.Minute)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3:\n%s", len(lines), &text)
	}
	for i, after := range []string{"1m1s", "2m1s", "3m1s"} {
		want := "server one (127.0.0.1:2) still fails: Connection refused pool=p server=127.0.0.1:2:1 name=one " +
			"reason=conn_refused after=" + after + " in=1m0s requests_failed=6000 connections_failed=0 tried=0 failed_checks=0 cause=\"Connection refused\""
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("%s\nwant %s", lines[i], want)
		}
	}
}

// TestOtherCausesAreTold: a server that begins to fail for another cause than was told has a line
// and an event more, once for each cause, and only if it goes on failing for it.
func TestOtherCausesAreTold(t *testing.T) {
	conf, err := config.Parse("causes.yml", []byte("p:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n  - 127.0.0.1:2:1 one\n"))
	if err != nil {
		t.Fatal(err)
	}
	topo := []*topology.Topology{topology.New(&conf.Pools[0])}
	h := topo[0].Servers()[0]
	var text bytes.Buffer
	log, err := logging.New(logging.Options{Level: logging.Notice, Writer: &text})
	if err != nil {
		t.Fatal(err)
	}
	journal := journal{log: log, events: new(events.Log)}
	snap := stats.Sum(stats.Layout{{Name: "p", Servers: []string{"one"}}}, nil)
	teller := &troubleTeller{journal: journal, snap: func() *stats.Snapshot { return snap }, of: make(map[serverID]*trouble)}
	now := int64(0)
	looks := func(n int, why msg.Reason) {
		for range n {
			now += int64(troubleLook)
			if why != msg.OK {
				topo[0].Failed(h, why, 1, now)
			}
			teller.look(conf, topo, now)
		}
	}
	begin := func(why msg.Reason) {
		topo[0].Failed(h, why, 1, now)
		h.Told(topology.Cause(&conf.Pools[0], why, false, 0))
	}
	begin(msg.ConnRefused)
	looks(5, msg.ConnRefused)
	looks(1, msg.ConnReset) // the connections of a server that ends
	looks(3, msg.OK)
	looks(5, msg.ConnReset)
	looks(5, msg.ConnRefused)
	looks(5, msg.ConnReset)
	topo[0].Answered(h, now)
	looks(2, msg.OK)
	begin(msg.ConnRefused)
	looks(5, msg.ConnReset)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "server one (127.0.0.1:2) fails otherwise now: it accepts connections and closes them without an answer; does it want TLS (server_tls)?"
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], want+" pool=p server=127.0.0.1:2:1 name=one reason=conn_reset cause=") || !strings.Contains(lines[1], want) {
		t.Errorf("%d lines, want 2:\n%s", len(lines), &text)
	}
	if e := journal.events.LatestOf(events.ServerCause); e == nil || e.Text != want || e.Reason != "conn_reset" || e.Server != "one" || journal.events.Count(events.ServerCause) != 2 {
		t.Errorf("%+v", e)
	}
}

package admin

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/logging"
	"nuthatch/internal/stats"
)

// toldIn are the lines of a lookout that finds, at each second of a time, what found says,
// without their time and process.
func toldIn(t *testing.T, seconds int, found func(second int) []api.Finding) string {
	t.Helper()
	var text bytes.Buffer
	log, err := logging.New(logging.Options{Level: logging.Notice, Writer: &text})
	if err != nil {
		t.Fatal(err)
	}
	l := &lookout{log: log, told: make(map[told]*telling)}
	for i := range seconds {
		l.tell(found(i), time.Unix(int64(i), 0))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^.*lookout\.go:[0-9]+ `).ReplaceAllString(text.String(), "")
}

// foundOf is what is found of a pool with these servers.
func foundOf(servers ...api.Server) []api.Finding {
	now := time.Unix(1e9, 0)
	all := findings.Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "p", Servers: servers}}})
	return all.Findings
}

// The lines about what lasts have one message each, and what changes in members.
func TestLookout(t *testing.T) {
	got := toldIn(t, 90, func(second int) []api.Finding {
		if second > 70 {
			return nil
		}
		silent := int64(time.Duration(second+3) * time.Second)
		return foundOf(api.Server{Pool: "p", Name: "two", Address: "10.0.0.2:6379", State: "up", Counters: map[string]int64{"silent": silent, "out_queue": 3, "private_waiting": 1}})
	})
	const about, details = "finding=server_silent pool=p server=10.0.0.2:6379 name=two", `details="it has sent nothing for %s, and 2 requests wait"`
	want := "server two (10.0.0.2:6379) does not answer " + about + fmt.Sprintf(" "+details, "3s") + "\n" +
		"still: server two (10.0.0.2:6379) does not answer " + about + fmt.Sprintf(" after=1m0s "+details, "1m03s") + "\n" +
		"no longer: server two (10.0.0.2:6379) does not answer " + about + " lasted=1m10s\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A few slow requests of a single window are no line.
func TestLookoutWaitsForASecondWindow(t *testing.T) {
	of := func(name string, p99 api.Seconds) api.Server {
		l := &api.Latency{Recent: &api.RecentLatency{Window: 10, Latency: api.Latency{Count: 400, P99: p99}}}
		return api.Server{Pool: "p", Name: name, Address: name + ":1", State: "up", Latency: l}
	}
	slowFor := func(seconds int) string {
		return toldIn(t, 60, func(second int) []api.Finding {
			if second > seconds {
				return nil
			}
			return foundOf(of("one", .001), of("two", .05))
		})
	}
	if got := slowFor(9); got != "" {
		t.Errorf("slow in one window: %s", got)
	}
	const about = " finding=server_slow pool=p server=two:1 name=two "
	want := "server two (two:1) is slow" + about + `details="one request in a hundred takes 50ms or longer, with the others 1ms, in the last 10s"` + "\n" +
		"no longer: server two (two:1) is slow" + about + "lasted=15s\n"
	if got := slowFor(15); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// If all clients wait for a server that hangs, the loops do nothing, and are looked at all the
// same.
func TestLooksWhileRequestsWait(t *testing.T) {
	in := newInstance(t)
	in.idle = true
	r, looks := NewRecorder(in), 0
	for i, waits := range []bool{false, false, true, true, false} {
		r.waits = waits
		r.gather(ofLook, func() { looks++ })
		if want := []int{1, 1, 2, 3, 3}[i]; looks != want {
			t.Errorf("%d: %d looks, want %d", i, looks, want)
		}
	}
	snap := in.Snapshot()
	if anySilent(snap) || anySilent(nil) {
		t.Error("nobody waits")
	}
	snap.Pools[1].Servers[0].Values[stats.Silent] = 1
	if !anySilent(snap) {
		t.Error("somebody waits")
	}
}

package admin

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/admin/findings"
	"nuthatch/internal/events"
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
	l := newLookout(log, new(events.Log))
	for i := range seconds {
		l.tell(found(i), time.Unix(int64(i), 0))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^.*lookout[a-z_]*\.go:[0-9]+ `).ReplaceAllString(text.String(), "")
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
		"no longer: server two (10.0.0.2:6379) does not answer " + about + " lasted=1m10s ended=1970-01-01T00:01:10Z\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Sentinels that do not agree in a single window are no line.
func TestLookoutWaitsForASecondWindow(t *testing.T) {
	f := api.Finding{Kind: "sentinel", Pool: "p", Text: "sentinels do not agree: three", Title: "sentinels do not agree"}
	foundFor := func(seconds int) string {
		return toldIn(t, 60, func(second int) []api.Finding {
			if second > seconds {
				return nil
			}
			return []api.Finding{f}
		})
	}
	if got := foundFor(9); got != "" {
		t.Errorf("in one window: %s", got)
	}
	want := "sentinels do not agree finding=sentinel pool=p details=three\nno longer: sentinels do not agree finding=sentinel pool=p lasted=15s ended=1970-01-01T00:00:15Z\n"
	if got := foundFor(15); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The end of what is slow is told at the first look that does not find it, that of what comes and
// goes after ten seconds.
func TestLookoutTellsOfTheEnd(t *testing.T) {
	slow := api.Server{Pool: "p", Name: "one", State: "up", Slow: &api.Slow{Way: api.SlowHalf, Takes: .03, Usual: .001, Window: 2}}
	full := api.Server{Pool: "p", Name: "two", State: "up", Recent: &api.Rates{ErrorReplies: map[string]float64{"OOM": 2}}}
	for what, tt := range map[string]struct {
		server api.Server
		over   int
	}{"is slow": {slow, 20}, "answers with errors": {full, 29}} {
		for seconds, ends := range map[int]int{tt.over: 0, tt.over + 1: 1} {
			got := toldIn(t, seconds, func(second int) []api.Finding {
				if second >= 20 {
					return nil
				}
				return foundOf(tt.server)
			})
			if strings.Count(got, what) != 1+ends || strings.Count(got, "no longer: ") != ends {
				t.Errorf("a server that %s until second 20, at second %d:\n%s", what, seconds-1, got)
			}
		}
	}
}

// Each edge of a bound is told once: that it is near, reached, only near again, and over. One that
// comes and goes while it is near is reached all the while.
func TestLookoutTellsOfEachEdgeOfABound(t *testing.T) {
	at := func(n int) []api.Finding {
		now := time.Unix(1e9, 0)
		pools := &api.Pools{Time: now, Pools: []api.Pool{{Name: "p", Clients: n, MaxClients: 100}}}
		return findings.Of(&api.Info{Time: now, State: "serving"}, pools).Findings
	}
	near := func(n int) string {
		return fmt.Sprintf("clients are near their limit finding=clients pool=p details=\"%d of 100 (client_connections)\"\n", n)
	}
	const full = "clients are at their limit, more are refused finding=clients pool=p"
	for what, tt := range map[string]struct {
		clients func(second int) int
		want    string
	}{
		"up and down": {
			func(second int) int { return []int{10, 90, 100, 95, 10}[second/20] },
			near(90) + full + " details=\"100 of 100 (client_connections)\"\n" +
				"no longer: " + full + " lasted=19s details=\"95 of 100 (client_connections)\" ended=1970-01-01T00:00:59Z\n" +
				"no longer: clients are near their limit finding=clients pool=p lasted=59s ended=1970-01-01T00:01:19Z\n",
		},
		"at the limit, now and then": {
			func(second int) int { return 99 + second%2 },
			near(99) + full + " details=\"100 of 100 (client_connections)\"\n" +
				"still: " + full + " after=1m1s details=\"100 of 100 (client_connections)\"\n",
		},
		"at once, and all go": {
			func(second int) int { return []int{10, 100, 10, 10, 10}[second/20] },
			full + " details=\"100 of 100 (client_connections)\"\n" + "no longer: " + full + " lasted=19s ended=1970-01-01T00:00:39Z\n",
		},
	} {
		if got := toldIn(t, 100, func(second int) []api.Finding { return at(tt.clients(second)) }); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", what, got, tt.want)
		}
	}
}

// Each step of the memory is an edge, also one that is passed at once.
func TestLookoutTellsOfMemory(t *testing.T) {
	at := func(held int64) []api.Finding {
		process := api.ProcessInfo{HeldMemory: held, SoftMemory: 100 << 20, HardMemory: 200 << 20}
		now := time.Unix(1e9, 0)
		return findings.Of(&api.Info{Time: now, State: "serving", Process: process}, &api.Pools{Time: now}).Findings
	}
	got := toldIn(t, 140, func(second int) []api.Finding { return at([]int64{10, 95, 120, 210, 120, 95, 10}[second/20] << 20) })
	var lines []string
	for line := range strings.Lines(got) {
		lines = append(lines, regexp.MustCompile(` finding=memory| details="[^"]*"`).ReplaceAllString(strings.TrimSpace(line), ""))
	}
	want := []string{
		"memory is nearly short", "memory is short", "memory is full",
		"no longer: memory is full lasted=19s ended=1970-01-01T00:01:19Z",
		"no longer: memory is short lasted=59s ended=1970-01-01T00:01:39Z",
		"no longer: memory is nearly short lasted=1m39s ended=1970-01-01T00:01:59Z",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	got = toldIn(t, 60, func(second int) []api.Finding { return at([]int64{10, 210, 10}[second/20] << 20) })
	if strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, "memory is full ") || !strings.Contains(got, "\nno longer: memory is full finding=memory lasted=19s ended=1970-01-01T00:00:39Z") {
		t.Errorf("full at once, and nothing: %s", got)
	}
}

// How long a server was slow is from the first second in which it was to the last, and errors in the
// window from the first to the last, though they are found for longer.
func TestLookoutTellsHowLongItWas(t *testing.T) {
	got := toldIn(t, 60, func(second int) []api.Finding {
		if second < 4 || second >= 24 {
			return nil
		}
		last := min(second, 12)
		slow := api.Slow{Since: time.Unix(2, 0), Last: time.Unix(int64(last), 0), Way: api.SlowHalf, Takes: .03, Usual: .001, Window: 2}
		errors := api.Rates{Window: 10, ErrorReplies: map[string]float64{"OOM": 2}}
		return foundOf(api.Server{Pool: "p", Name: "one", State: "up", Slow: &slow, Recent: &errors})
	})
	for _, want := range []string{
		"no longer: server one is slow finding=server_slow pool=p server=one name=one lasted=10s ended=1970-01-01T00:00:12Z\n",
		"no longer: server one answers with errors finding=server_errors pool=p server=one name=one lasted=11s ended=1970-01-01T00:00:15Z\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant in it\n%s", got, want)
		}
	}
}

// TestLookoutTellsOfBeginningsAndEnds: slow servers, errors about a server and pools without one
// have events, with how long it lasted; one that comes and goes, one a minute.
func TestLookoutTellsOfBeginningsAndEnds(t *testing.T) {
	log := logging.Discard()
	journal := new(events.Log)
	l := newLookout(log, journal)
	slow, full, well := api.Server{Pool: "p", Name: "slow", State: "up"}, api.Server{Pool: "p", Name: "full", State: "up"}, api.Server{Pool: "p", Name: "well", State: "up"}
	slow.Slow = &api.Slow{Way: api.SlowHalf, Takes: .03, Usual: .001, Window: 2}
	full.Recent = &api.Rates{ErrorReplies: map[string]float64{"OOM": 2}}
	wrong := api.Server{Pool: "p", Name: "wrong", State: "up", Recent: &api.Rates{ErrorReplies: map[string]float64{"WRONGTYPE": 2}}}
	dead := api.Server{Pool: "p", Name: "well", State: "failing"}
	at := func(second int, servers ...api.Server) { l.tell(foundOf(servers...), time.Unix(int64(second), 0)) }
	for second := range 30 {
		at(second, slow, full, wrong)
	}
	at(40, well)
	at(42, slow, full) // within a minute of the last
	at(53, well)
	at(70, slow)
	at(82, well)
	at(100, dead)
	at(112, well)
	var got []string
	all, _, _ := journal.After(0, 100, "")
	for _, e := range all {
		got = append(got, fmt.Sprint(e.Time.Unix(), " ", e.Kind, " ", e.Server, " ", e.For))
	}
	want := []string{
		"0 server_slow slow 0s", "0 server_errors full 0s", "40 server_slow_over slow 29s", "40 server_errors_over full 21s",
		"70 server_slow slow 0s", "82 server_slow_over slow 2s", "100 no_server  0s", "112 no_server_over  2s",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if e := journal.LatestOf(events.ServerSlow); e.Text != "server slow is slow: half of its requests in the last 2s take 30ms or longer, with the others 1ms" {
		t.Errorf("%+v", e)
	}
	if e := journal.LatestOf(events.NoServerOver); e.Text != "no longer: no server of the pool is left; it lasted 2s, and ended 12s ago" {
		t.Errorf("%+v", e)
	}
	at(500, well)
	if len(l.begun) > 0 || len(l.told) > 0 {
		t.Errorf("kept for ever: %v, %v", l.begun, l.told)
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

// When all clients have gone, it is looked for the end of what was found, until no window has it.
func TestLooksForTheEnd(t *testing.T) {
	in, now := newInstance(t), time.Unix(1e9, 0)
	r := newRecorder(in, func() time.Time { return now })
	for after, want := range map[time.Duration]bool{0: true, idleFor: true, idleFor + time.Second: false} {
		l := newLookout(logging.Discard(), new(events.Log))
		l.now = presentOf(in, r)
		r.worked = now.Add(-after)
		l.told[told{kind: "client_logins"}] = &telling{first: now, last: now}
		if l.look(r); r.waits != want {
			t.Errorf("%v after the last work: %t", after, r.waits)
		}
	}
}

package proxy_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"nuthatch/internal/logging"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

// A server that says what is no reply, on one connection after another, and is
// tried again and again, fills no log: of each kind of line at most twenty are
// written in a second, and how many more there were is told.
func TestLinesAboutAServerAreLimited(t *testing.T) {
	const most, probes = 20, 200
	var text bytes.Buffer
	log, err := logging.New(logging.Options{Level: logging.Notice, JSON: true, Writer: &text})
	if err != nil {
		t.Fatal(err)
	}
	s := testkit.StartScripted(t, func(k *testkit.Talk) {
		k.Command()
		k.Reply("nonsense\r\n")
		k.Drain()
	})
	begun := time.Now()
	r := startLoggedRig(t, oneServer(s.Addr(),
		"  auto_eject_hosts: true\n  eject: fail\n  server_failure_limit: 1\n  server_retry_timeout: 1\n"), log)
	u := r.dial()
	await(t, "probes that fail", func() bool {
		u.line(command("GET", "a"))
		return r.stat().Servers[0].Values[stats.Probes] >= probes
	})
	r.awaitIdle()
	seconds := int(time.Now().Unix()-begun.Unix()) + 1
	due := int(r.stat().Servers[0].Values[stats.Probes])
	for _, n := range r.stat().Servers[0].Vectors[stats.ClosedConnections] {
		due += 2 * int(n) // each for nonsense, which is told too
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	count, all := map[string]int{}, 0
	for dec := json.NewDecoder(&text); dec.More(); {
		var line struct {
			Msg  string
			Left int `json:"left_out"`
		}
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if all += line.Left; line.Left == 0 {
			count[line.Msg]++
			all++
		}
	}
	for _, kind := range []string{"closed server connection", "server sent what is no reply", "server is tried again with one request"} {
		if n := count[kind]; n == 0 || n > most*seconds {
			t.Errorf("%d lines in %d seconds: %s", n, seconds, kind)
		}
	}
	if all < due {
		t.Errorf("%d lines are written or told to be left out, want %d at least", all, due)
	}
	if t.Failed() {
		t.Log(count)
	}
}

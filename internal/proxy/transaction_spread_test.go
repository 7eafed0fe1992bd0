package proxy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// A transaction of several servers of which one fails its health checks is not sent to the
// others. When it passes them again, the next transaction is.
func TestPartsOfServerThatFailsItsChecks(t *testing.T) {
	c := converse(t, "  redis: true\n  timeout: 400\n  transactions: per_server\n  health_check:\n    interval: 1s\n    fall: 2\n    rise: 1\n", telling{}, 1)
	p := c.join()
	keys := [2]string{c.keyLike("k0.%d.1", 0, 0), c.keyLike("k0.%d.1", 1, 0)}
	exec := func() string {
		t.Helper()
		for _, words := range [][]string{{"MULTI"}, {"GET", keys[0]}, {"GET", keys[1]}, {"EXEC"}} {
			p.out = append(p.out, command(words...)...)
		}
		p.say(len(p.out))
		for range 5 {
			c.answerStubs()
		}
		heard := p.hearShown()
		return heard[len(heard)-1]
	}
	good := exec()
	if strings.Contains(good, "-ERR") {
		t.Fatalf("%q", good)
	}
	c.check(1, msg.ConnRefused)
	if got := exec(); got != good {
		t.Errorf("after one failed check: %q, want %q", got, good)
	}
	c.check(1, msg.ConnRefused)
	if got := exec(); got != "-ERR Connection refused" {
		t.Errorf("after two failed checks: %q", got)
	}
	c.check(1, msg.OK)
	if got := exec(); got != good {
		t.Errorf("after a good check: %q, want %q", got, good)
	}
	c.end(true)
}

// A server that could not be connected to a moment ago is known to be away, whether its pool
// ejects or not, and without a pause before the next attempt. Transactions alone find out that it
// is back.
func TestPartsOfServerThatCannotBeConnectedTo(t *testing.T) {
	for _, lines := range []string{"", "  auto_eject_hosts: true\n  server_failure_limit: 1000\n"} {
		well := testkit.StartScripted(t, block)
		away := testkit.Refused(t)
		r := startRig(t, twoServers(well.Addr(), away, lines+"  transactions: per_server\n  reconnect_backoff: 0\n  server_retry_timeout: 1000\n"))
		u := r.dial()
		words := []string{"MULTI"}
		for _, k := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			words = append(words, "SET "+k+" x")
		}
		words = append(words, "EXEC")
		exec := func() string {
			t.Helper()
			for _, w := range words {
				u.send(command(strings.Fields(w)...))
			}
			for range len(words) - 1 {
				u.line("")
			}
			got := u.line("")
			if n, ok := strings.CutPrefix(got, "*"); ok {
				for range int(n[0] - '0') {
					got += u.line("")
				}
			}
			return got
		}
		exec() // nobody knows yet
		for range 3 {
			if got := exec(); got != "-ERR Connection refused\r\n" {
				t.Errorf("%q: %q", lines, got)
			}
		}
		testkit.StartScriptedAt(t, away, block)
		good := "*7\r\n" + strings.Repeat("+OK\r\n", 7)
		testkit.Await(t, "the transaction to be carried out", func() error {
			if got := exec(); got != good {
				return errors.New(got)
			}
			return nil
		})
	}
}

// block answers MULTI, SET and EXEC.
func block(k *testkit.Talk) {
	queued := 0
	for {
		args, ok := k.Command()
		if !ok {
			return
		}
		switch args[0] {
		case "MULTI":
			queued = 0
			k.Reply("+OK\r\n")
		case "EXEC":
			k.Reply("*" + string(rune('0'+queued)) + "\r\n" + strings.Join(slices.Repeat([]string{"+OK\r\n"}, queued), ""))
		default:
			queued++
			k.Reply("+QUEUED\r\n")
		}
	}
}

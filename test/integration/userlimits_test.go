package integration

import (
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/testkit"
)

// limitOfAlice is what the API says of a user's limits.
func limitOfAlice(c *controller) (found api.LimitedUser) {
	for _, p := range read[api.Denials](c, "denials").Pools {
		for _, u := range p.Users {
			if u.User == "alice" {
				return u
			}
		}
	}
	return found
}

// TestUserLimits: the clients of a user have its limits together, on two event loops, and a
// reload changes them for those that are there. API, ctl and metrics tell of it.
func TestUserLimits(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	path := writeUsers(t, "user default off\nuser alice on >a ~* &* +@all\nuser bob on >b ~* &* +@all\n")
	listen := testkit.FreeAddr(t)
	pool := func(limits string) string {
		return testkit.Pool{
			Name: "alpha", Listen: listen, Protocol: testkit.Redis, Servers: testkit.Names(server),
			Lines: []string{"acl_file: " + path, "user_limits: {alice: {" + limits + "}}"},
		}.String()
	}
	text, ctl := withAdmin(t, pool("clients: 12, requests_per_second: 1, request_burst: 50, max_wait: 100ms"))
	_, settings, _ := strings.Cut(text, "nuthatch:\n")
	p := testkit.StartNuthatch(t, text)
	var alice []*testkit.Client
	for range 12 { // as many as reach both loops, whichever the kernel takes
		c := p.Dial(testkit.Redis)
		says(t, c, "AUTH alice a", "+OK")
		alice = append(alice, c)
	}
	over := p.Dial(testkit.Redis)
	says(t, over, "AUTH alice a", "-ERR max number of clients of this user reached (user_limits)")
	over.ExpectEnd()
	bob := p.Dial(testkit.Redis)
	says(t, bob, "AUTH bob b", "+OK")
	refused := overTheRate(t, alice, bob)
	testkit.Await(t, "the waits and refusals to be told", func() error {
		if u := limitOfAlice(ctl); u.Clients != 12 || u.MaxClients != 12 || u.Waits == 0 || u.RefusedRequests != int64(refused) || u.RefusedClients != 1 {
			return fmt.Errorf("%+v, %d refused", u, refused)
		}
		return nil
	})
	if out := ctl.do("denials"); !strings.Contains(out, "12 of 12") || !strings.Contains(out, "user client limit") {
		t.Errorf("ctl denials: %s", out)
	}
	if out := ctl.do("clients"); strings.Count(out, "  alice  ") != 12 || strings.Count(out, "  bob ") != 1 {
		t.Errorf("ctl clients: %s", out)
	}

	// More clients, and no rate.
	reload(t, p, pool("clients: 13, in_flight: 1, max_wait: 1h")+"nuthatch:\n"+settings)
	for _, c := range alice {
		for range 20 {
			says(t, c, "GET x", "$-1")
		}
	}
	last := p.Dial(testkit.Redis)
	says(t, last, "AUTH alice a", "+OK", "GET x", "$-1")
	oneInFlight(t, ctl, alice, bob)
	for _, c := range append(alice, last) {
		c.Close()
	}
	testkit.Await(t, "them to be gone", func() error {
		if u := limitOfAlice(ctl); u.Clients != 0 || u.InFlight != 0 || u.Waiting != 0 {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
}

// overTheRate has the clients ask for more than their user may. It returns how many requests were
// refused. The other one has no limit.
func overTheRate(t *testing.T, alice []*testkit.Client, bob *testkit.Client) (refused int) {
	t.Helper()
	const late = "-ERR the user's limit on requests a second is reached (user_limits)\r\n"
	served := 0
	for i := 0; refused == 0 || i < 100; i++ {
		switch got := alice[i%len(alice)].Do("GET", "x"); got {
		case "$-1\r\n":
			served++
		case late:
			refused++
		default:
			t.Fatalf("GET: %q", got)
		}
		says(t, bob, "GET x", "$-1")
	}
	if served < 30 { // of a burst of 50, 12 are logins
		t.Errorf("%d requests were served, the burst is 50", served)
	}
	return refused
}

// oneInFlight has one of the clients take the place that there is for all of them.
func oneInFlight(t *testing.T, ctl *controller, alice []*testkit.Client, bob *testkit.Client) {
	t.Helper()
	alice[0].Send(testkit.RESP("BLPOP", "list", "0"))
	testkit.Await(t, "it to be in flight", func() error {
		if n := limitOfAlice(ctl).InFlight; n != 1 {
			return fmt.Errorf("%d are in flight", n)
		}
		return nil
	})
	for _, c := range alice[1:] {
		c.Send(testkit.RESP("GET", "x"))
	}
	testkit.Await(t, "the others to wait", func() error {
		if n := limitOfAlice(ctl).Waiting; n != 11 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	says(t, bob, "RPUSH list 1", ":1")
	alice[0].Expect("*2\r\n$4\r\nlist\r\n$1\r\n1\r\n")
	for _, c := range alice[1:] {
		c.Expect("$-1\r\n")
	}
}

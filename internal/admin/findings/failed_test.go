package findings

import (
	"strings"
	"testing"
	"time"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/msg"
)

// one is the finding of that kind, about the pool alpha with these servers.
func one(t *testing.T, kind string, recent *api.Rates, servers ...api.Server) api.Finding {
	t.Helper()
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", Recent: recent, Servers: servers}}})
	for i := range found.Findings {
		if found.Findings[i].Kind == kind {
			return found.Findings[i]
		}
	}
	return api.Finding{}
}

// Failed requests are found with the reasons, and are never more than all.
func TestFailedRequests(t *testing.T) {
	f := one(t, failedRequests, &api.Rates{Window: 10, Requests: 16, Failed: 17, FailedReasons: map[string]float64{
		"request_timed_out": 13, "server_busy": 2, "conn_refused": 1.5, "no_server": .5,
	}})
	if want := "17 of 17 requests a second failed in the last 10s: 13 request timed out, 2.0 "; !strings.HasPrefix(f.Text, want) ||
		!strings.HasSuffix(f.Text, ", 1.5 Connection refused") || f.Reason != "request_timed_out" || f.Cause != "request timed out" || !strings.Contains(f.Help, "request_timeout") {
		t.Errorf("%+v, want %q", f, want)
	}
	f = one(t, failedRequests, &api.Rates{Window: 10, Requests: 16, Failed: 1, FailedReasons: map[string]float64{"conn_refused": 1}})
	if want := "1.0 of 16 requests a second failed in the last 10s: Connection refused"; f.Text != want {
		t.Errorf("%q, want %q", f.Text, want)
	}
	f = one(t, failedRequests, &api.Rates{Window: 10, Requests: 16, Failed: 1, FailedReasons: map[string]float64{msg.ServerEOF.Name(): 1}})
	if !strings.HasSuffix(f.Text, ": a server closed the connection") {
		t.Errorf("%q does not say what clients call unknown", f.Text)
	}
	f = one(t, failedRequests, &api.Rates{Window: 10, Requests: 16, Failed: 1, FailedReasons: map[string]float64{msg.BadReply.Name(): 1}})
	if !strings.HasSuffix(f.Text, ": a server's reply does not fit the request") {
		t.Errorf("%q does not say what clients call an invalid argument", f.Text)
	}
}

// The server is named at which all, or most, failed.
func TestFailedRequestsOfAServer(t *testing.T) {
	with := func(name string, failed float64) api.Server {
		s := server(name, "up", "", "")
		s.Recent = &api.Rates{Failed: failed}
		return s
	}
	for _, c := range []struct {
		one, two float64
		want     string
		server   string
	}{
		{0, 2, "Connection refused; all of them at server two (two:6379)", "two"},
		{1.5, 0, "Connection refused; most of them at server one (one:6379)", "one"},
		{1, 1, "Connection refused", ""},
	} {
		f := one(t, failedRequests, &api.Rates{Window: 10, Requests: 16, Failed: 2, FailedReasons: map[string]float64{"conn_refused": 2}}, with("one", c.one), with("two", c.two))
		if !strings.HasSuffix(f.Text, ": "+c.want) || f.Server != c.server {
			t.Errorf("%v and %v: %+v, want %q", c.one, c.two, f, c.want)
		}
	}
}

// Clients of another protocol are found, and it is said which.
func TestClientsOfAnotherProtocol(t *testing.T) {
	for protocol, want := range map[string]string{
		"redis":     "clients are closed because they do not speak Redis's protocol: 0.1 a second, in the last 10s; do they speak Memcached's, or TLS?",
		"memcached": "clients are closed because they do not speak Memcached's protocol: 0.1 a second, in the last 10s; do they speak Redis's (redis: true), or TLS?",
	} {
		p := api.Pool{Name: "alpha", Protocol: protocol, Recent: &api.Rates{Window: 10, InvalidClients: .1}}
		found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{p}}).Findings
		if len(found) != 1 || found[0].Kind != clientProtocol || found[0].Fails || !strings.HasPrefix(found[0].Text, want) {
			t.Errorf("%s: %+v, want %q", protocol, found, want)
		}
	}
}

// Clients with a wrong password are found.
func TestFailedLogins(t *testing.T) {
	p := api.Pool{Name: "alpha", Protocol: "redis", Recent: &api.Rates{Window: 10, FailedLogins: .1}}
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{p}}).Findings
	want := "clients log in with a wrong name or password: 0.1 a second, in the last 10s; 'nuthatch ctl denials' shows who"
	if len(found) != 1 || found[0].Kind != clientLogins || found[0].Fails || found[0].Pool != "alpha" || found[0].Text != want {
		t.Errorf("%+v, want %q", found, want)
	}
}

// Clients that do not log in are found, whatever becomes of the others.
func TestClientsWithoutLogin(t *testing.T) {
	p := api.Pool{Name: "alpha", Protocol: "redis", Recent: &api.Rates{Window: 10, Requests: 12, DeniedStrangers: 9.5}}
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{p}}).Findings
	want := "clients have not logged in, and their requests are refused (NOAUTH): 9.5 of 12 requests a second, in the last 10s"
	if len(found) != 1 || found[0].Kind != clientStrangers || found[0].Fails || found[0].Pool != "alpha" || found[0].Text != want {
		t.Errorf("%+v, want %q", found, want)
	}
}

// A pool with a password does not have none.
func TestUnknownLogin(t *testing.T) {
	s := server("one", "up", "", "")
	s.Recent = &api.Rates{ErrorReplies: map[string]float64{"NOAUTH": 1}}
	for key, want := range map[string]string{"": "the pool has none (server_password or redis_auth)", "redis_auth": "has not got the right one (redis_auth)", "server_password": "has not got the right one (server_password)"} {
		s.LoginKey = key
		if f := one(t, serverErrors, nil, s); !strings.Contains(f.Text, want) || !strings.Contains(f.Cause, want) {
			t.Errorf("%+v, want %q", f, want)
		}
	}
}

// The redirects of a cluster's node are no errors: requests follow them. Those of a server that is
// in no cluster are: its clients get them.
func TestRedirectsAreNoErrors(t *testing.T) {
	s := server("one", "up", "", "")
	s.Recent = &api.Rates{ErrorReplies: map[string]float64{"MOVED": 1, "ASK": 2, "OOM": 3}, Refusals: 3}
	if f := one(t, serverErrors, nil, s); !strings.Contains(f.Text, "MOVED") || !f.Fails {
		t.Errorf("in no cluster: %+v", f)
	}
	s.Node, s.Recent.Refusals = &api.ClusterNode{}, 0
	if f := one(t, serverErrors, nil, s); strings.Contains(f.Text, "MOVED") || strings.Contains(f.Text, "ASK") || !strings.Contains(f.Text, "OOM") {
		t.Errorf("of a cluster: %+v", f)
	}
	delete(s.Recent.ErrorReplies, "OOM")
	found := Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", Servers: []api.Server{s}}}}).Findings
	if len(found) != 0 {
		t.Errorf("redirects alone: %+v", found)
	}
}

// A server that was ejected and is tried again is as bad as it was before, until it has answered.
func TestProbedServers(t *testing.T) {
	with := func(state string, share float64, keeps bool) api.Server {
		s := server("dead", state, "conn_refused", "")
		s.Share, s.KeepsKeys = share, keeps
		return s
	}
	well := server("well", "up", "", "")
	for _, keeps := range []bool{false, true} {
		share := 0.
		if keeps {
			share = .5
		}
		ejected, probed := one(t, serverState, nil, well, with("ejected", share, keeps)), one(t, serverState, nil, well, with("probing", .5, keeps))
		if ejected.Fails != keeps || probed.Fails != keeps {
			t.Errorf("ejected fails: %t, tried again: %t, want %t", ejected.Fails, probed.Fails, keeps)
		}
		for _, s := range []api.Server{with("ejected", share, keeps), with("probing", 1, keeps)} {
			if one(t, noServer, nil, s).Kind == "" || !one(t, serverState, nil, s).Fails {
				t.Errorf("%s alone: a server is left", s.State)
			}
		}
	}
}

// A server that hangs is found, unless it has just begun, or is known to fail.
func TestSilentServer(t *testing.T) {
	for _, c := range []struct {
		state  string
		silent time.Duration
		want   string
	}{
		{"up", 1900 * time.Millisecond, ""},
		{"up", 4 * time.Second, "server one (one:6379) does not answer: it has sent nothing for 4s, and 5 requests wait"},
		{"failing", 4 * time.Second, ""},
	} {
		s := server("one", c.state, "", "")
		s.Counters = map[string]int64{"silent": int64(c.silent), "in_queue": 4, "out_queue": 2, "private_waiting": 1}
		f := one(t, serverSilent, nil, s)
		if f.Text != c.want || c.want != "" && (!f.Fails || f.Address != "one:6379" || !f.Since.Equal(now.Add(-c.silent))) {
			t.Errorf("%s for %v: %+v", c.state, c.silent, f)
		}
	}
}

// A node without slots, and a replica that is not read from, fails no request.
func TestFailingServersThatNobodyAsks(t *testing.T) {
	for _, c := range []struct {
		node  *api.ClusterNode
		of    *api.Replication
		want  string
		fails bool
	}{
		{nil, nil, "fails: Connection refused", true},
		{&api.ClusterNode{Role: "primary", Slots: 1}, nil, "fails: Connection refused", true},
		{&api.ClusterNode{}, nil, "fails: Connection refused", true},
		{&api.ClusterNode{Role: "replica", Of: "two"}, nil, "; no request goes to it: it is a replica of two, and the cluster says that it is well", false},
		{&api.ClusterNode{Role: "primary", Failing: true}, nil, "; no request goes to it: it is a primary without slots, and the cluster says that it fails", false},
		{&api.ClusterNode{Role: "replica", Of: "two"}, &api.Replication{Of: "two", State: "fit"}, "fails: Connection refused", true},
		{nil, &api.Replication{Of: "two", State: "no_answer"}, "; it is a replica of two, and is not read from", false},
		{nil, &api.Replication{Role: "primary"}, "fails: Connection refused", true},
	} {
		s := server("one", "failing", "conn_refused", "Connection refused")
		s.Node, s.Replication = c.node, c.of
		if f := one(t, serverState, nil, s, server("two", "up", "", "")); f.Fails != c.fails || !strings.HasSuffix(f.Text, c.want) {
			t.Errorf("%+v, %+v: %+v, want %q", c.node, c.of, f, c.want)
		}
	}
}

// MOVED and the like that no client got are no finding; those that one got are.
func TestRefusalsThatNoClientGot(t *testing.T) {
	s := server("one", "up", "", "")
	s.Recent = &api.Rates{ErrorReplies: map[string]float64{"MOVED": .3, "ASK": .1, "READONLY": .2}}
	if f := one(t, serverErrors, nil, s); f.Kind != "" {
		t.Errorf("%+v", f)
	}
	s.Recent.ErrorReplies["OOM"] = .1
	if f := one(t, serverErrors, nil, s); !f.Fails || f.Reason != "OOM" || strings.Contains(f.Text, "MOVED") {
		t.Errorf("%+v", f)
	}
	delete(s.Recent.ErrorReplies, "OOM")
	s.Recent.Refusals = .1
	if f := one(t, serverErrors, nil, s); !f.Fails || f.Reason != "MOVED" || !strings.Contains(f.Cause, "the key belongs to another node") {
		t.Errorf("%+v", f)
	}
	s.Node = &api.ClusterNode{Role: "primary"}
	if f := one(t, serverErrors, nil, s); !f.Fails || !strings.Contains(f.Cause, "sent again in vain") {
		t.Errorf("%+v", f)
	}
}

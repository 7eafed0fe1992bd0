package daemon

import (
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
	"nuthatch/internal/topology"
)

// A server that takes connections and does not answer the handshake, as Redis without TLS, is named
// for that, whichever time ends the wait, and by the checks of servers, too.
func TestTLSServerSilent(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	secured := "server_tls: {ca: " + a.CA + ", server_name: cache}"
	for _, tt := range []struct {
		name    string
		lines   []string
		process string
		asks    bool
	}{
		{"timeout", []string{"timeout: 300ms"}, "", true},
		{"connect_timeout", []string{"connect_timeout: 300ms"}, "", true},
		{"tls_handshake_timeout", nil, "  tls_handshake_timeout: 300ms\n", true},
		{"health_check", []string{"timeout: 30s", "health_check: {interval: 50ms, timeout: 300ms, fall: 1, rise: 1}"}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			listen := testkit.FreeAddr(t)
			s := startStageWith(t, pool("alpha", listen, testkit.Names(server), append(tt.lines, secured)...), tt.process)
			if tt.asks {
				if got, want := testkit.Dial(t, testkit.Redis, listen).Do("GET", "k"), "-ERR "+msg.TLSUnanswered.String()+"\r\n"; got != want {
					t.Errorf("a client gets %q, want %q", got, want)
				}
				awaitTrue(t, "the reason", func() bool {
					return s.Snapshot().Pools[0].Servers[0].Vectors[stats.ClosedConnections][msg.TLSUnanswered] > 0
				})
				return
			}
			state := s.awaitState(topology.Failing)
			if state.Reason != msg.TLSUnanswered {
				t.Errorf("the server fails for %q", state.Reason)
			}
		})
	}
}

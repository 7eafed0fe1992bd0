package admin

import (
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/topology"
)

// What users with limits have is in the API and in the metrics, for those alone that the
// configuration names.
func TestLimitedUsers(t *testing.T) {
	conf, err := config.Parse("test.yml", []byte(`alpha:
  listen: 127.0.0.1:1
  redis: true
  users: {alice: {rules: "on nopass"}, bob: {rules: "on nopass"}}
  user_limits: {bob: {in_flight: 8}, alice: {clients: 4}}
  servers:
  - 10.0.0.1:7000:1
`))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(&conf.Pools[0])
	topo.UserRates("carol").Clients.Add(1) // of an earlier configuration
	alice, bob := topo.UserRates("alice"), topo.UserRates("bob")
	alice.Clients.Add(3)
	alice.Excess.Add(2)
	alice.InFlight.Add(5) // is not told without a bound
	bob.InFlight.Add(7)
	bob.Held.Add(1)
	bob.Waits.Add(6)
	bob.Late.Add(9)
	topos := []*topology.Topology{topo}
	want := []api.LimitedUser{
		{User: "alice", Clients: 3, MaxClients: 4, RefusedClients: 2},
		{User: "bob", InFlight: 7, MaxInFlight: 8, Waiting: 1, Waits: 6, RefusedRequests: 9},
	}
	if got := limitedUsers(conf, topos, "alpha"); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := limitedUsers(conf, topos, "beta"); got != nil {
		t.Errorf("of another pool: %+v", got)
	}
	shown := written(t, newUserCollector(&instance{conf: conf, topo: topos}))
	for _, line := range []string{
		`nuthatch_user_clients{pool="alpha",user="alice"} 3`, `nuthatch_user_max_clients{pool="alpha",user="alice"} 4`,
		`nuthatch_user_refused_clients_total{pool="alpha",user="alice"} 2`, `nuthatch_user_requests_in_flight{pool="alpha",user="bob"} 7`,
		`nuthatch_user_limit_waiting{pool="alpha",user="bob"} 1`, `nuthatch_user_limit_waits_total{pool="alpha",user="bob"} 6`,
		`nuthatch_user_refused_requests_total{pool="alpha",user="bob"} 9`,
	} {
		if !strings.Contains(shown, line+"\n") {
			t.Errorf("the metrics lack %s:\n%s", line, shown)
		}
	}
	for _, no := range []string{"carol", `in_flight{pool="alpha",user="alice"}`, `max_clients{pool="alpha",user="bob"}`} {
		if strings.Contains(shown, no) {
			t.Errorf("the metrics have %s:\n%s", no, shown)
		}
	}
}

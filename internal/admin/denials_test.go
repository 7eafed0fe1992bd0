package admin

import (
	"maps"
	"net/http"
	"testing"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

// Denials are counted by what was refused, and shown with keys only if the slow log has keys.
func TestDenials(t *testing.T) {
	s := newStage(t)
	list := get[api.Denials](s, "/api/v1/denials?pool=alpha").Pools
	if len(list) != 1 || list[0].Pool != "alpha" || len(list[0].Records) != 2 {
		t.Fatalf("%+v", list)
	}
	key, command := list[0].Records[0], list[0].Records[1]
	if key.Object != "" || key.User != "alice" || key.Count != 3 || key.Time.UnixMilli() != 2000 || key.First.UnixMilli() != 1000 {
		t.Errorf("a key that was denied: %+v", key)
	}
	if command.Object != "flushall" || command.Context != "multi" || command.Reason != "command" {
		t.Errorf("a command that was denied: %+v", command)
	}
	s.conf.Process.SlowlogKeys = true
	if all := get[api.Denials](s, "/api/v1/denials").Pools; len(all) != len(s.conf.Pools) || all[1].Records[0].Object != "secret:1" || all[0].Records == nil {
		t.Errorf("with slowlog_keys: %+v", all)
	}
	if status, _, text := s.do(http.MethodGet, "/api/v1/denials?pool=none", ""); status != http.StatusNotFound {
		t.Errorf("of a pool that there is not: %d: %s", status, text)
	}
}

// Each kind of refusal counts under its own name.
func TestDenialCounts(t *testing.T) {
	var p stats.PoolSnapshot
	p.Values[stats.FailedLogins], p.Values[stats.DeniedWrites], p.Values[stats.ClientRequests] = 1, 2, 99
	p.Values[stats.DeniedStrangers] = 8
	p.Vectors[stats.FailedRequests][msg.NoPermission], p.Vectors[stats.ClosedClients][msg.NoPermission] = 3, 4
	p.Vectors[stats.FailedRequests][msg.UserRequestRate], p.Vectors[stats.ClosedClients][msg.UserClientLimit] = 6, 7
	p.Vectors[stats.RefusedClients][msg.AddressRefused], p.Vectors[stats.FailedRequests][msg.Timedout] = 5, 99
	want := map[string]int64{"failed_logins": 1, "denied_strangers": 8, "denied_writes": 2, "no_permission": 7, "address_refused": 5, "user_request_rate": 6, "user_client_limit": 7}
	if got := denialCounts(&p); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

package findings

import (
	"testing"

	"nuthatch/internal/admin/api"
)

// TestReplicaFindings: that no replica of a primary is read from needs a look, and is red where its
// reads fail; as long as one is read from, nothing does.
func TestReplicaFindings(t *testing.T) {
	primary := func(name string) api.Server {
		v := server(name, "up", "", "")
		v.Replication = &api.Replication{Role: "primary"}
		return v
	}
	replica := func(name, of, state, why string) api.Server {
		v := server(name, "up", "", "")
		v.Share, v.Replication = 0, &api.Replication{Role: "replica", Of: of, State: state, Why: why}
		return v
	}
	ejected := replica("r3", "p", "fit", "")
	ejected.State = "disabled"
	unfit := []api.Server{primary("p"), replica("r1", "p", "loading", "it loads its data"), replica("r2", "p", "lags", "it is 7 bytes behind"), ejected}
	const reasons = "r1: it loads its data, r2: it is 7 bytes behind, r3: it is disabled"
	for _, tt := range []struct {
		name, policy, want, title string
		fails                     bool
		servers                   []api.Server
	}{
		{"primary", "", "", "", false, unfit},
		{"prefer_replica", "prefer_replica", "no replica is read from, and reads go to primaries: " + reasons, "no replica is read from, and reads go to primaries", false, unfit},
		{"nearest", "nearest", "no replica is read from, and reads go to primaries: " + reasons, "no replica is read from, and reads go to primaries", false, unfit},
		{"prefer_primary", "prefer_primary", "no replica is read from, and reads fail if the primary does: " + reasons, "no replica is read from, and reads fail if the primary does", false, unfit},
		{"replica", "replica", "no replica is read from, and reads fail: " + reasons, "no replica is read from, and reads fail", true, unfit},
		{"one is fit", "replica", "", "", false, append(unfit[:4:4], replica("r4", "p", "fit", ""))},
		{
			"one of two primaries", "replica", "no replica of p is read from, and reads fail: " + reasons, "no replica of p is read from, and reads fail",
			true, append(unfit[:4:4], primary("q"), replica("q1", "q", "fit", "")),
		},
		{
			"many", "nearest", "no replica is read from, and reads go to primaries: r1: it loads its data, r2: it is 7 bytes behind, r3: it is disabled, q1: it does not answer and 1 more", "no replica is read from, and reads go to primaries",
			false, append(unfit[:4:4], primary("q"), replica("q1", "q", "no_answer", "it does not answer"), replica("q2", "q", "no_answer", "it does not answer")),
		},
		{"a primary without one fails", "replica", "no replica of q is read from, and reads fail: q has none", "no replica of q is read from, and reads fail", true, []api.Server{primary("p"), replica("r4", "p", "fit", ""), primary("q")}},
		{"a primary without one", "prefer_replica", "", "", false, []api.Server{primary("p"), replica("r4", "p", "fit", ""), primary("q")}},
	} {
		found := api.Finding{}
		for _, f := range Of(&api.Info{Time: now, State: "serving"}, &api.Pools{Time: now, Pools: []api.Pool{{Name: "alpha", ReadPolicy: tt.policy, Servers: tt.servers}}}).Findings {
			if f.Kind == replicas {
				found = f
			}
		}
		if found.Text != tt.want || found.Title != tt.title || found.Fails != tt.fails {
			t.Errorf("%s: %+v, want %q", tt.name, found, tt.want)
		}
	}
}

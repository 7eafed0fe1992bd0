package main

import (
	"strings"
	"testing"
)

// TestReplicasAreConfigured: both works have the same primary and replicas, and differ in the policy.
func TestReplicasAreConfigured(t *testing.T) {
	s := servers{redis: []string{"other:1"}, replicated: []string{"p:1", "r:1", "r:2"}}
	policies := map[string]string{"get-primary": "primary", "get-replicas": "prefer_replica"}
	works := replicaWorks()
	for _, w := range works {
		text := nutcrackerYAML(s, w.topology, []string{"here:1"})
		want := "  read_policy: " + policies[w.name] + "\n  replicas: {server0: [r:1, r:2]}\n  servers:\n    - p:1:1 server0\n"
		if !strings.HasSuffix(text, want) {
			t.Errorf("%s: %s", w.name, text)
		}
	}
	if r := replicaTargets[0]; len(works) != len(policies) || r.of != works[0].name || r.work != works[1].name {
		t.Errorf("%+v of %d works", r, len(works))
	}
	if text := nutcrackerYAML(s, redisOne, []string{"here:1"}); strings.Contains(text, "replica") {
		t.Errorf("without replicas: %s", text)
	}
}

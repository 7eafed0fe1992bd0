package sentinel_test

import (
	"context"
	"slices"
	"testing"
)

// Replicas are those that any sentinel knows that names the primary's place. Sentinels that
// name another one are not believed, and those that do not answer are not waited for.
func TestReplicas(t *testing.T) {
	s := newScene(t, 3, never)
	s.await(one)
	s.sentinels[0].replicas = []string{"10.0.0.2:7", one}
	s.sentinels[1].replicas = []string{"10.0.0.3:7", "10.0.0.2:7", "[2001:db8::7]:7"}
	s.sentinels[2].say(two, 1, false)
	s.sentinels[2].replicas = []string{"10.0.0.9:7"}
	if got, ok := s.watcher.Replicas(context.Background(), "main"); !ok || !slices.Equal(got, []string{"10.0.0.2:7", "10.0.0.3:7", "[2001:db8::7]:7"}) {
		t.Errorf("the replicas are %v (%t)", got, ok)
	}
	for _, k := range s.sentinels {
		k.say(two, 1, false)
	}
	if got, ok := s.watcher.Replicas(context.Background(), "main"); ok {
		t.Errorf("the replicas are %v, and no sentinel names the primary", got)
	}
}

package preview

import (
	"strings"
	"testing"
)

// TestListenersWarned: a change that gives each client that listens connections of its own names the
// bound of them.
func TestListenersWarned(t *testing.T) {
	own := []string{"redis: true", "private_connections: 70"}
	shared := []string{"redis: true", "pubsub: {connections: shared}"}
	report := Compare(parse(t, three, shared...), parse(t, three, own...))
	if got := report.Pools[0].Warnings; len(got) != 1 || !strings.Contains(got[0].What, "at most 70") {
		t.Errorf("to own: warnings %+v", got)
	}
	report = Compare(parse(t, three, own...), parse(t, three, shared...))
	if got := report.Pools[0].Warnings; len(got) != 0 {
		t.Errorf("to shared: warnings %+v", got)
	}
}

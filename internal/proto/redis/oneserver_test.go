package redis

import (
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/msg"
)

// A command about one server goes to the one that a pool has, in a transaction too,
// and is not carried out behind a MULTI that was refused. A pool of several refuses it.
func TestCommandsAboutOneServer(t *testing.T) {
	for _, words := range [][]string{
		{"MEMORY", "STATS"}, {"MEMORY", "DOCTOR"}, {"memory", "malloc-stats"},
	} {
		one, several := scriptPool(1, config.KeylessRefuse), scriptPool(3, config.KeylessRefuse)
		r := parseWords(t, one, words...)
		if r.Treatment != msg.Forward || r.Error != "" || r.PlaceKey == nil || r.Nkeys != 0 {
			t.Errorf("%q, one server: treatment %d, %q, placed by %q", words, r.Treatment, r.Error, r.PlaceKey)
		}
		if got := one.barrier(r, &msg.Session{Authenticated: true, Bars: msg.RefusedMulti}); got != inRefusedMulti {
			t.Errorf("%q behind a refused MULTI: barrier %d", words, got)
		}
		if got := one.Collect(r, &msg.Session{Authenticated: true, Bars: msg.Collecting}); got != msg.Queued {
			t.Errorf("%q in a transaction: %d", words, got)
		}
		r = parseWords(t, several, words...)
		if r.Treatment != msg.Local || r.Error != oneServer {
			t.Errorf("%q, several servers: treatment %d, %q", words, r.Treatment, r.Error)
		}
		if got := several.barrier(r, &msg.Session{Authenticated: true, Bars: msg.RefusedMulti}); got != noBarrier {
			t.Errorf("%q, refused, behind a refused MULTI: barrier %d", words, got)
		}
	}
}

package sentinel_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/sentinel"
	"nuthatch/internal/testkit"
)

// awaitDoubted waits until the watcher does not believe the n-th sentinel, or believes all.
func (s *scene) awaitDoubted(n int) {
	s.t.Helper()
	testkit.Await(s.t, "who is doubted", func() error {
		want := ""
		if n >= 0 {
			want = s.sentinels[n].addr
		}
		if addr, why := s.watcher.Doubted("main"); addr != want {
			return fmt.Errorf("%q: %s", addr, why)
		}
		return nil
	})
}

// stays checks that the primary was never published anywhere but at one.
func (s *scene) stays() {
	s.t.Helper()
	if at := s.watcher.Moved("main"); !at.IsZero() || s.watcher.Place("main").Addr != one {
		s.t.Errorf("it moved at %v, and is at %v", at, s.watcher.Place("main"))
	}
}

// TestLies: a sentinel that alone names another server, by an epoch that nobody knows, is not
// believed while the primary of the others is one, whatever is at that server. It is told of. A
// failover of which the others know is followed.
func TestLies(t *testing.T) {
	for _, test := range []struct {
		name    string
		replica bool
	}{{"a primary", false}, {"no primary", true}} {
		t.Run(test.name, func(t *testing.T) {
			s := newScene(t, 3, 20*time.Millisecond)
			s.set(func() { s.replica[three] = test.replica })
			s.sentinels[2].say(three, 99, true)
			s.awaitTold("main" + s.sentinels[2].addr + ": it alone says that main is at " + three +
				", by the config epoch 99; others say " + one + ", which is still a primary")
			s.awaitDoubted(2)
			s.stays()
			for _, k := range s.sentinels[:2] {
				k.say(two, 6, false)
			}
			s.await(two)
			s.awaitDoubted(2)
			s.sentinels[2].say(two, 6, false)
			s.awaitDoubted(-1)
			testkit.Await(t, "to be told that all are believed", func() error {
				s.mu.Lock()
				defer s.mu.Unlock()
				if !slices.Contains(s.told, "main"+s.sentinels[2].addr+": ") {
					return fmt.Errorf("told: %q", s.told)
				}
				return nil
			})
			s.mu.Lock()
			defer s.mu.Unlock()
			if text := strings.Join(s.told, "\n"); strings.Contains(text, "cannot be") || strings.Contains(text, "out of date") {
				t.Errorf("told:\n%s", text)
			}
		})
	}
}

// TestSecondVoice: a failover by hand, of which one sentinel knows first while the old primary
// still is one, is followed as soon as a second one knows, or the old primary is none.
func TestSecondVoice(t *testing.T) {
	for _, then := range []string{"a second sentinel", "the old primary is a replica", "the old primary is gone"} {
		t.Run(then, func(t *testing.T) {
			s := newScene(t, 3, 20*time.Millisecond)
			s.sentinels[0].say(two, 6, true)
			s.awaitDoubted(0)
			s.stays()
			switch then {
			case "a second sentinel":
				s.sentinels[1].say(two, 6, true)
			case "the old primary is a replica":
				s.set(func() { s.replica[one] = true })
			case "the old primary is gone":
				s.set(func() { s.gone[one] = true })
			}
			s.await(two)
			s.awaitDoubted(-1)
		})
	}
}

// TestTakenForDown: if the others have taken the old primary for down, one sentinel's word is
// enough, even if it says that it is a primary: they may be cut off from it, and nuthatch not.
func TestTakenForDown(t *testing.T) {
	s := newScene(t, 3, never)
	for _, k := range s.sentinels {
		k.mu.Lock()
		k.about = []string{"flags", "master,s_down"}
		k.mu.Unlock()
	}
	s.sentinels[0].say(two, 6, true)
	s.await(two)
	if addr, _ := s.watcher.Doubted("main"); addr != "" {
		t.Errorf("%s was doubted", addr)
	}
}

// TestPins: a sentinel that names the right place by a great epoch does not keep it there when
// the others know of a failover.
func TestPins(t *testing.T) {
	s := newScene(t, 3, 20*time.Millisecond)
	s.sentinels[2].say(one, 999, true)
	testkit.Await(t, "it to have said so", func() error {
		if said := s.watcher.Sentinels()[2].Said["main"]; said.Epoch != 999 {
			return fmt.Errorf("it has said %v", said)
		}
		return nil
	})
	for _, k := range s.sentinels[:2] {
		k.say(two, 6, true)
	}
	s.await(two)
	s.awaitDoubted(2)
	if at := s.watcher.Place("main"); at != (sentinel.Place{Addr: two, Epoch: 6}) {
		t.Errorf("it is at %v", at)
	}
}

// TestAloneForLong: one sentinel was believed while the primary of the others was away. When that
// is back, and nobody else has come to say what the one says, the others are believed.
func TestAloneForLong(t *testing.T) {
	s := newSceneOf(t, 3, sentinel.Options{Poll: 20 * time.Millisecond, Doubt: 200 * time.Millisecond})
	s.set(func() { s.gone[one] = true })
	s.sentinels[2].say(three, 99, true)
	s.await(three)
	s.set(func() { s.gone[one] = false })
	s.await(one)
	s.awaitDoubted(2)
}

// TestLiedForLong: a sentinel that was not believed for long is not believed either when the primary
// of the others fails. They make a failover, and that is followed.
func TestLiedForLong(t *testing.T) {
	for _, fails := range []string{"nobody reaches it", "it is a replica"} {
		t.Run(fails, func(t *testing.T) {
			// It is told of after more than this time.
			s := newSceneOf(t, 3, sentinel.Options{Poll: 20 * time.Millisecond, Doubt: 900 * time.Millisecond})
			s.sentinels[2].say(three, 99, true)
			s.awaitDoubted(2)
			s.set(func() { s.gone[one], s.replica[one] = fails == "nobody reaches it", fails == "it is a replica" })
			s.sentinels[0].say(two, 6, true)
			s.await(two)
			s.mu.Lock()
			defer s.mu.Unlock()
			if want := []string{one, two}; !slices.Equal(s.published, want) {
				t.Errorf("published: %v, want %v", s.published, want)
			}
		})
	}
}

// TestOnlyWordLeft: if the others take their primary for down and make no failover, the word of a
// sentinel that was not believed before is all that is left.
func TestOnlyWordLeft(t *testing.T) {
	s := newSceneOf(t, 3, sentinel.Options{Poll: 20 * time.Millisecond, Doubt: 900 * time.Millisecond})
	s.sentinels[2].say(three, 99, true)
	s.awaitDoubted(2)
	s.set(func() { s.gone[one] = true })
	s.awaitTold("main: " + one + ", which sentinels name, cannot be asked whether it is a primary: connection refused")
	s.stays()
	for _, k := range s.sentinels[:2] {
		k.mu.Lock()
		k.about = []string{"flags", "master,s_down,o_down"}
		k.mu.Unlock()
	}
	s.await(three)
}

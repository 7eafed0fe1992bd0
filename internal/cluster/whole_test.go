package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// lastWhole is the last map for which all nodes were asked, or nil.
func (w *watch) lastWhole() *Map {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range slices.Backward(w.maps) {
		if m.Whole {
			return m
		}
	}
	return nil
}

// All primaries are asked which slots are on their way, those that others do not know yet too.
// One may be silent, and two may not.
func TestAllNodesAreAsked(t *testing.T) {
	var fakes []*fake
	for range 5 {
		fakes = append(fakes, startFake(t))
	}
	says := func(moves map[int]string, known int, but ...int) {
		for i, f := range fakes {
			var lines []string
			for j, other := range fakes[:max(known, i+1)] {
				line := fmt.Sprintf("%d %s master %d", j+1, other.Addr(), j+1)
				if j < 4 {
					line += fmt.Sprintf(" %d-%d", j*4096, j*4096+4095)
				}
				if j == i {
					line += " " + moves[i]
				}
				lines = append(lines, line)
			}
			f.says(lines...)
			if slices.Contains(but, i) {
				f.mu.Lock()
				f.nodes = ""
				f.mu.Unlock()
			}
		}
	}
	says(nil, 4)
	w := newWatch(t, config.Login{}, fakes[0].Addr())
	w.Look(t.Context())
	w.Start()
	for _, tt := range []struct {
		name  string
		moves map[int]string
		known int
		but   []int
		want  string
	}{
		{"nothing moves", nil, 4, nil, ""},
		{"both tell", map[int]string{0: "[7->-" + id(2) + "]", 1: "[7-<-" + id(1) + "]"}, 4, nil, "7:1>2 7:1>2"},
		{"one tells", map[int]string{3: "[4095-<-" + id(1) + "]"}, 4, []int{0}, "4095:1>4"},
		{"to a new node", map[int]string{0: "[9->-" + id(5) + "]", 4: "[9-<-" + id(1) + "]"}, 5, nil, "9:1>5 9:1>5"},
		{"to a node that nobody knows", map[int]string{2: "[8200->-" + id(9) + "]"}, 5, nil, "8200:3>?"},
		{"words that are none", map[int]string{2: "[] [x->-" + id(1) + "] [99999->-" + id(1) + "] [5=" + id(1) + "]"}, 5, nil, ""},
	} {
		says(tt.moves, tt.known, tt.but...)
		before := w.lastWhole()
		w.WakeWhole()
		testkit.Await(t, tt.name, func() error {
			m := w.lastWhole()
			if m == before {
				return errNotYet
			}
			var all []string
			for _, move := range m.Moves {
				name := func(at int32) string {
					if at < 0 {
						return "?"
					}
					return strings.TrimLeft(m.Nodes[at].ID, "0")
				}
				all = append(all, fmt.Sprintf("%d:%s>%s", move.Slot, name(move.From), name(move.To)))
			}
			slices.SortFunc(all, cmp.Compare[string])
			if got := strings.Join(all, " "); got != tt.want || m.Covered != NumSlots {
				return fmt.Errorf("%w: %q, and %d slots have primaries", errNotYet, got, m.Covered)
			}
			return nil
		})
	}
	says(nil, 5, 1, 2)
	if got := w.askWhole(t.Context()); got != nil {
		t.Errorf("two of five nodes are silent, and %d answers count", len(got))
	}
}

package sentinel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/config"
)

// TestCandidates: the newest epoch wins, then the most votes, then what is known.
func TestCandidates(t *testing.T) {
	says := func(places ...Place) (all []answer) {
		for i, p := range places {
			all = append(all, answer{Place: p, by: i})
		}
		return all
	}
	a5, a6, b5, b6, b4, c9 := Place{"a", 5}, Place{"a", 6}, Place{"b", 5}, Place{"b", 6}, Place{"b", 4}, Place{"c", 9}
	tests := []struct {
		name    string
		known   Place
		answers []answer
		want    []Place
	}{
		{"nobody answers", a5, nil, nil},
		{"at the start", Place{}, says(a5, a5, a5), []Place{a5}},
		{"nothing new", a5, says(a5, a5, a5), []Place{a5}},
		{"one knows of a failover first", a5, says(a5, b6, a5), []Place{b6, a5}},
		{"all know", a5, says(b6, b6, b6), []Place{b6}},
		{"one is out of date", b6, says(a5, b6, b6), []Place{b6}},
		{"only one that is out of date answers", b6, says(a5), nil},
		{"most were set up anew", b6, says(a5, a5, b6), []Place{b6, a5}},
		{"all were set up anew", b6, says(a5, a5, a5), []Place{a5}},
		{"one lies", a5, says(a5, c9, a5), []Place{c9, a5}},
		{"they do not agree", a5, says(b5, a5), []Place{a5, b5}},
		{"most say another place", a5, says(b5, b5, a5), []Place{b5, a5}},
		{"the address changes without a failover", a5, says(b5, b5, b5), []Place{b5}},
		{"a newer epoch at the same place", a5, says(a6, a5, a5), []Place{a6, a5}},
		{"an older one of one", a5, says(b4, a5, a5), []Place{a5}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []Place
			for _, c := range candidates(test.known, test.answers, 3) {
				got = append(got, c.Place)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("candidates are %v, want %v", got, test.want)
			}
		})
	}
}

// TestSuspect: a sentinel is suspected if it alone has the newest epoch. What silent ones have said
// shortly before counts. If the others have taken what they name for down, a failover is expected.
func TestSuspect(t *testing.T) {
	a5, b6, c9 := Place{"a", 5}, Place{"b", 6}, Place{"c", 9}
	tests := []struct {
		name    string
		known   Place
		alone   time.Duration // for how long one alone has been believed
		answers []answer
		past    map[int]time.Duration // who named a5, and how long ago
		want    Place
	}{
		{"all agree", a5, 0, []answer{{a5, 0, false}, {a5, 1, false}}, nil, Place{}},
		{"one", a5, 0, []answer{{c9, 0, false}}, nil, Place{}},
		{"one against two", a5, 0, []answer{{a5, 0, false}, {c9, 1, false}, {a5, 2, false}}, nil, c9},
		{"one against one", a5, 0, []answer{{c9, 1, false}, {a5, 2, false}}, nil, c9},
		{"two against one", a5, 0, []answer{{b6, 0, false}, {b6, 1, false}, {a5, 2, false}}, nil, Place{}},
		{"at the start", Place{}, 0, []answer{{a5, 0, false}, {a5, 1, false}, {c9, 2, false}}, nil, c9},
		{"the others have taken it for down", a5, 0, []answer{{a5, 0, true}, {c9, 1, false}, {a5, 2, true}}, nil, c9},
		{"one of the others has not", a5, 0, []answer{{a5, 0, true}, {c9, 1, false}, {a5, 2, false}}, nil, c9},
		{"the others were silent for a moment", a5, 0, []answer{{c9, 1, false}}, map[int]time.Duration{0: time.Second}, c9},
		{"the others have been silent for long", a5, 0, []answer{{c9, 1, false}}, map[int]time.Duration{0: time.Minute, 2: time.Minute}, Place{}},
		{"it has just been believed", c9, time.Second, []answer{{a5, 0, false}, {c9, 1, false}, {a5, 2, false}}, nil, Place{}},
		{"it was believed long ago", c9, time.Minute, []answer{{a5, 0, false}, {c9, 1, false}, {a5, 2, false}}, nil, c9},
		{"it was believed, and others agreed", c9, 0, []answer{{a5, 0, false}, {c9, 1, false}, {a5, 2, false}}, nil, Place{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := New(Options{Sentinels: make([]config.Address, 3)}, []string{"main"})
			for i, p := range w.peers {
				if ago, has := test.past[i]; has {
					p.last, p.heard = map[string]opined{"main": {Place: a5}}, time.Now().Add(-ago)
				}
			}
			if test.alone > 0 {
				w.alone["main"] = time.Now().Add(-test.alone)
			}
			var got Place
			expected := strings.HasPrefix(test.name, "the others have taken it for down")
			if s := w.suspect("main", test.known, test.answers, w.remembered("main", test.answers)); s != nil {
				got = s.lone.Place
				if s.expected != expected {
					t.Errorf("a failover is expected: %v", s.expected)
				}
			}
			if got != test.want {
				t.Errorf("suspected: %v, want %v", got, test.want)
			}
		})
	}
}

// TestClipped: an epoch that only one sentinel knows counts as that of others that name its place.
func TestClipped(t *testing.T) {
	a5, a99, b6 := Place{"a", 5}, Place{"a", 99}, Place{"b", 6}
	tests := []struct {
		name          string
		answers, past []answer
		want          []answer
	}{
		{"all agree", []answer{{a5, 0, false}, {a5, 1, false}}, nil, []answer{{a5, 0, false}, {a5, 1, false}}},
		{"one has a newer one", []answer{{a5, 0, false}, {a99, 1, true}}, nil, []answer{{a5, 0, false}, {a5, 1, true}}},
		{"another said so before", []answer{{a99, 1, false}}, []answer{{a5, 0, false}}, []answer{{a5, 1, false}}},
		{"of another place", []answer{{b6, 0, false}, {a99, 1, false}}, nil, []answer{{b6, 0, false}, {a99, 1, false}}},
		{"two have it", []answer{{a99, 0, false}, {a99, 1, false}, {a5, 2, false}}, nil, []answer{{a99, 0, false}, {a99, 1, false}, {a5, 2, false}}},
		{"only one answers", []answer{{a99, 1, false}}, nil, []answer{{a99, 1, false}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := clipped(test.answers, test.past); !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

package sentinel

import (
	"slices"
	"testing"
)

// TestCandidates: the newest epoch wins, then the most votes, then what is known.
func TestCandidates(t *testing.T) {
	says := func(places ...Place) (all []answer) {
		for i, p := range places {
			all = append(all, answer{p, i})
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

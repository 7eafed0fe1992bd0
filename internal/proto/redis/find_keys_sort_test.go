package redis

import (
	"strings"
	"testing"

	"nuthatch/internal/msg"
)

// TestSortPatterns: over several servers, a SORT whose patterns lead to keys that
// may be elsewhere is refused, and no other.
func TestSortPatterns(t *testing.T) {
	for _, tt := range []struct {
		request, tag string
		servers      int
		why          string
	}{
		{"SORT list", "", 3, ""},
		{"SORT list BY nosort GET # GET fixed LIMIT 0 1 ASC ALPHA STORE list", "", 3, ""},
		{"SORT list BY w_*", "", 3, untaggedPattern},
		{"sort_ro list by w_*", "", 3, untaggedPattern},
		{"SORT list GET # get o_*->name", "", 3, untaggedPattern},
		{"SORT list BY w_* STORE d", "", 1, ""},
		{"SORT list BY w_*", "", 1, ""},
		{"SORT {a}list BY w_*", "{}", 3, strayPattern},
		{"SORT {a}list BY {a}w_*", "{}", 3, ""},
		{"SORT_RO {a}list BY {a}w_* GET {a}o_*->name GET #", "{}", 3, ""},
		{"SORT {a}list BY {a}w_* GET {b}o_*", "{}", 3, strayPattern},
		{"SORT a BY {a}w_*", "{}", 3, ""},               // the key itself is hashed as the tag is
		{"SORT {a}list BY *{a}", "{}", 3, strayPattern}, // an element may have a tag of its own
		{"SORT {a}list BY {a*}", "{}", 3, strayPattern},
		{"SORT {a}list BY {}w_*", "{}", 3, strayPattern},
		{"SORT {}list BY {}w_*", "{}", 3, strayPattern}, // an empty tag is none
		{"SORT {a}list BY w_*->{a}", "{}", 3, strayPattern},
		{"SORT $a$list BY $a$w_*", "$$", 3, ""},
		{"SORT {a}list BY {a}w_*", "$$", 3, strayPattern},
		{"SORT {a}list STORE {a}d GET by BY {b}*", "{}", 3, strayPattern},
		{"SORT list STORE get BY nosort", "", 3, ""},
		{"SORT list LIMIT by w_*", "", 3, ""}, // no number: the server refuses it
		{"SORT list BY", "", 3, ""},
	} {
		r := parseOne(t, New(Options{Servers: tt.servers, HashTag: tt.tag}), tt.request)
		treatment := msg.Forward
		if tt.why != "" {
			treatment = msg.Local
		}
		if r.Error != tt.why || r.Treatment != treatment {
			t.Errorf("%s, tag %q, %d servers: treatment %d, %q; want %q", tt.request, tt.tag, tt.servers, r.Treatment, r.Error, tt.why)
		}
	}
}

// TestSortRefusal: the error says what to do.
func TestSortRefusal(t *testing.T) {
	c := converse(t, Options{Servers: 2, HashTag: "{}"})
	got, _ := c.say(resp("Sort", "list", "BY", "w_*"))
	if !strings.HasPrefix(got, "-ERR 'Sort' is not supported by nuthatch: in a pool of several servers, a pattern") {
		t.Errorf("%q", got)
	}
}

// TestSortInPieces: the patterns are found wherever the bytes lie.
func TestSortInPieces(t *testing.T) {
	p := New(Options{Servers: 3, HashTag: "{}"})
	for words, why := range map[string]string{"SORT {a}list BY {a}w_*": "", "SORT {a}list BY {b}w_*": strayPattern} {
		data := resp(strings.Fields(words)...)
		for cut := 1; cut < len(data); cut++ {
			c := conversation{t: t, proto: p, parser: p.NewRequestParser()}
			chain := chainOf(&c.pool, data, cut)
			for _, piece := range [][]byte{data[:cut], data[cut:]} {
				if _, _, err := c.parser.Parse(piece); err != nil {
					t.Fatal(err)
				}
			}
			if r := c.parser.FinishChain(chain); r.Error != why {
				t.Errorf("%s, cut at %d: %q, want %q", words, cut, r.Error, why)
			}
			chain.Release(&c.pool)
		}
	}
}

package config

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestOverlaps(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:1", "127.0.0.1:1", true},
		{"127.0.0.1:1", "127.0.0.1:2", false},
		{"127.0.0.1:1", "127.0.0.2:1", false},
		{"0.0.0.0:1", "127.0.0.1:1", true},
		{"0.0.0.0:1", "0.0.0.0:1", true},
		{"0.0.0.0:1", "10.0.0.1:2", false},
		{"0.0.0.0:1", "[::1]:1", false},
		{"[::]:1", "[::1]:1", true},
		{"[::]:1", "127.0.0.1:1", true},
		{"[::]:1", "0.0.0.0:1", true},
		{"[::]:1", "a.example:1", true},
		{"[::1]:1", "[0:0::1]:1", true},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1:1", true},
		{"a.example:1", "A.example:1", true},
		{"a.example:1", "b.example:1", false},
		{"a.example:1", "127.0.0.1:1", false},
		{"a.example:1", "0.0.0.0:1", true},
		{"localhost:1", "127.0.0.1:1", true},
		{"localhost:1", "[::1]:1", true},
		{"localhost:1", "127.0.0.2:1", false},
		{"127.1:1", "127.0.0.1:1", true},
		{"0:1", "127.0.0.1:1", true},
		{"/a", "/a 0600", true},
		{"/a/../b", "/b", true},
		{"/a", "/b", false},
		{"/a", "127.0.0.1:1", false},
	}
	for _, tt := range tests {
		a, errA := ParseListen(tt.a)
		b, errB := ParseListen(tt.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Overlaps(b) != tt.want || b.Overlaps(a) != tt.want {
			t.Errorf("%s and %s: %t, %t, want %t", tt.a, tt.b, a.Overlaps(b), b.Overlaps(a), tt.want)
		}
	}
	if (Address{}).Overlaps(Address{}) {
		t.Error("two listeners that there are not overlap")
	}
}

// TestListenTable compares what the table finds with a look at each pair.
func TestListenTable(t *testing.T) {
	texts := []string{
		"127.0.0.1:1", "127.0.0.2:1", "0.0.0.0:1", "[::]:1", "[::1]:1", "localhost:1", "a.example:1", "127.0.0.1:2", "0.0.0.0:2", "/a", "/./a", "/b",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var table listenTable
		var there []*listening
		for range 6 {
			addr, err := ParseListen(texts[random.IntN(len(texts))])
			if err != nil {
				t.Fatal(err)
			}
			l := &listening{Address: addr, by: fmt.Sprint(len(there)), shares: random.IntN(3) == 0}
			inTheWay := false
			for _, other := range there {
				same := l.canonical() == other.canonical()
				if _, kind := l.host(); kind == hostName {
					same = same || !other.isEvery() // localhost
				}
				if _, kind := other.host(); kind == hostName {
					same = same || !l.isEvery()
				}
				if l.Overlaps(other.Address) && (same || !l.shares || !other.shares) {
					inTheWay = true
				}
			}
			if found := table.add(l); (found != nil) != inTheWay {
				t.Fatalf("%s beside %v: found %v, want one: %t", l, there, found, inTheWay)
			}
			if !inTheWay {
				there = append(there, l)
			}
		}
	}
}

func (l *listening) isEvery() bool {
	_, kind := l.host()
	return kind == everyIP || kind == everyIP4
}

// TestDefaultAdminIsTaken: a file for nutcracker that listens where the admin listener
// is by default means what it says.
func TestDefaultAdminIsTaken(t *testing.T) {
	for listen, want := range map[string]int{"127.0.0.1:22223": 1, "0.0.0.0:22223": 1, "127.0.0.2:22223": 0} {
		cfg, err := Parse("a.yml", []byte("a:\n  listen: "+listen+"\n  timeout: 400\n  servers: [10.0.0.1:11211:1]\n"))
		if err != nil {
			t.Fatal(err)
		}
		if len(cfg.Warnings) != want || want > 0 && cfg.Warnings[0].Key != "nuthatch.admin" {
			t.Errorf("%s: %v", listen, cfg.Warnings)
		}
	}
}

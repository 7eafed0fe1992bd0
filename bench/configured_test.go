package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestConfigurationsRun: all configurations of nuthatch start, the users' rules let the works pass, the
// collector gets what the traced one sends, and each is compared.
func TestConfigurationsRun(t *testing.T) {
	restorePinning(t)
	var stdout, stderr bytes.Buffer
	if code := run(strings.Fields("-rounds 1 -n 0.02 -works get-p16,mset-100 -proxies nuthatch -observed -users -engines"), &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d\n%s", code, stderr.String())
	}
	words := strings.Join(strings.Fields(stdout.String()), " ")
	for _, want := range []string{
		"## What observing costs", "| GET, pipeline 16 | nuthatch to bare |", "| GET, pipeline 16 | traced to nuthatch |",
		"## What users cost", "| GET, pipeline 16 | users to nuthatch |", "| MSET of 100 keys, 3 servers | users to nuthatch |",
		"## What the engines cost", "| GET, pipeline 16 | io_uring to epoll |",
	} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
}

// TestMedianWithin compares with the tables of the sign test: of 20 values the 6th and the 15th.
func TestMedianWithin(t *testing.T) {
	values := func(n int) (list []float64) {
		for i := n; i > 0; i-- {
			list = append(list, float64(i))
		}
		return list
	}
	for _, c := range []struct {
		n         int
		low, high float64
	}{{0, 0, 0}, {1, 1, 1}, {5, 1, 5}, {6, 1, 6}, {9, 2, 8}, {10, 2, 9}, {20, 6, 15}, {100, 40, 61}} {
		if low, high := medianWithin(values(c.n)); low != c.low || high != c.high {
			t.Errorf("of %d values: %v to %v, want %v to %v", c.n, low, high, c.low, c.high)
		}
	}
}

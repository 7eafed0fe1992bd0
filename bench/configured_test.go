package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestObservedRun: the three configurations start, and are compared; the collector gets what the
// traced one sends.
func TestObservedRun(t *testing.T) {
	restorePinning(t)
	var stdout, stderr bytes.Buffer
	if code := run(strings.Fields("-rounds 1 -n 0.02 -works get-p16 -proxies nuthatch -observed"), &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d\n%s", code, stderr.String())
	}
	words := strings.Join(strings.Fields(stdout.String()), " ")
	for _, want := range []string{"## What observing costs", "| GET, pipeline 16 | nuthatch to bare |", "| GET, pipeline 16 | traced to nuthatch |"} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
}

// TestUsersRun: a pool with users starts, its rules let the works pass, and it is compared.
func TestUsersRun(t *testing.T) {
	restorePinning(t)
	var stdout, stderr bytes.Buffer
	if code := run(strings.Fields("-rounds 1 -n 0.02 -works get-p16,mset-100 -proxies nuthatch -users"), &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d\n%s", code, stderr.String())
	}
	words := strings.Join(strings.Fields(stdout.String()), " ")
	for _, want := range []string{"## What users cost", "| GET, pipeline 16 | users to nuthatch |", "| MSET of 100 keys, 3 servers | users to nuthatch |"} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
}

// TestEnginesRun: both engines start where the kernel allows it, and are compared.
func TestEnginesRun(t *testing.T) {
	restorePinning(t)
	var stdout, stderr bytes.Buffer
	if code := run(strings.Fields("-rounds 1 -n 0.02 -works get-p16 -proxies nuthatch -engines"), &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d\n%s", code, stderr.String())
	}
	words := strings.Join(strings.Fields(stdout.String()), " ")
	for _, want := range []string{"## What the engines cost", "| GET, pipeline 16 | io_uring to epoll |"} {
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

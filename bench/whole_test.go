package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWholeRun measures for a moment with real servers and proxies: what it
// says is worth nothing, but all of it must be there, and nothing of this
// machine's names.
func TestWholeRun(t *testing.T) {
	restorePinning(t)
	file := filepath.Join(t.TempDir(), "report.md")
	var stdout, stderr bytes.Buffer
	args := strings.Fields("-rounds 1 -n 0.02 -works get-p16,mc-get -open -proxies nutcracker,nuthatch,relay -o " + file)
	if code := run(args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d\n%s", code, stderr.String())
	}
	got := stdout.String()
	words := strings.Join(strings.Fields(got), " ") // wherever its lines end
	for _, want := range []string{
		"nutcracker-0.", "This is nuthatch-", "Redis server", "memcached 1.",
		"; relay: " + relayAbout + ";", "TCP congestion control ", "`relay` is a part of this benchmark",
		"| GET, pipeline 16 | relay |", "| memcached get | relay |",
		"## Targets", "## Ratios to nutcracker", "## What was measured", "## Latency against offered load",
		"| GET, pipeline 16 ", "| memcached get ", " 50% |",
	} {
		if !strings.Contains(words, strings.TrimSpace(want)) {
			t.Errorf("no %q", want)
		}
	}
	for _, unwanted := range []string{"failed", "NaN", "Inf", os.TempDir(), "/bin/"} {
		if strings.Contains(got, unwanted) {
			t.Errorf("%q is in it", unwanted)
		}
	}
	if host, err := os.Hostname(); err == nil && len(host) > 3 && strings.Contains(got, host) {
		t.Errorf("the machine's name %q is in it", host)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != got {
		t.Errorf("the file differs from what was printed (%v)", err)
	}
	if t.Failed() {
		t.Logf("\n%s\n%s", got, stderr.String())
	}
}

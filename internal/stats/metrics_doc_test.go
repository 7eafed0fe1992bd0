package stats_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
)

var update = flag.Bool("update", false, "write the tables of statistics into docs/METRICS.md")

const (
	docPath  = "../../docs/METRICS.md"
	docBegin = "<!-- begin fields: written by `go test ./internal/stats -run Metrics -update` from the tables in internal/stats/field.go -->\n"
	docEnd   = "<!-- end fields -->\n"
)

// TestMetrics compares docs/METRICS.md with the tables that it is made of.
func TestMetrics(t *testing.T) {
	b, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), docBegin)
	if !ok {
		t.Fatalf("%s has no line %q", docPath, docBegin)
	}
	got, after, ok := strings.Cut(rest, docEnd)
	if !ok {
		t.Fatalf("%s has no line %q", docPath, docEnd)
	}
	want := reference()
	if *update {
		if err := os.WriteFile(docPath, []byte(before+docBegin+want+docEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Error("the tables are not what internal/stats/field.go makes; run: go test ./internal/stats -run Metrics -update")
	}
}

// reference writes the documentation of every statistic.
func reference() string {
	var b strings.Builder
	table := func(title, labels string, nutcrackers int, fields []stats.Field) {
		fmt.Fprintf(&b, "\n## %s\n\nLabels: %s.\n\n| name | in Prometheus | kind | nutcracker's | what it is |\n|---|---|---|---|---|\n", title, labels)
		for i, f := range fields {
			theirs := ""
			if i < nutcrackers {
				theirs = "yes"
			}
			kind := f.Kind.String()
			if u := f.Unit.String(); u != "" && f.Kind != stats.Timestamp {
				kind += ", " + u
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", f.Name, f.Prom, kind, theirs, f.Help)
		}
	}
	table("Of a pool", "`pool`", stats.NutcrackerPoolFields, stats.PoolFields[:])
	table("Of a pool, by reason", "`pool`, `reason`", 0, stats.PoolVectors[:])
	table("Of a server", "`pool`, `server`", stats.NutcrackerServerFields, stats.ServerFields[:])
	table("Of a server, by reason", "`pool`, `server`, `reason`", 0, stats.ServerVectors[:])
	table("Of an event loop", "`loop`", 0, stats.LoopFields[:])
	b.WriteString("\n## Reasons\n\nThe text is what clients read behind `-ERR` or `SERVER_ERROR` if a request failed for that reason; " +
		"others are only in the log.\n\n| reason | text |\n|---|---|\n")
	for r := range msg.Reason(msg.NumReasons) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Name(), r)
	}
	return b.String()
}

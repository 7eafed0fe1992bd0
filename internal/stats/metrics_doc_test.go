package stats_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/stats"
	"nuthatch/internal/testkit"
)

var update = flag.Bool("update", false, "write the tables of statistics into docs/METRICS.md")

// TestMetrics compares docs/METRICS.md with the tables that it is made of.
func TestMetrics(t *testing.T) {
	testkit.CheckPart(t, "../../docs/METRICS.md", "fields", reference(), *update)
}

// TestRenamed compares the table of old names in docs/METRICS.md with that in the code.
// A new name is a row's, and nobody's old name.
func TestRenamed(t *testing.T) {
	names := make(map[string]bool)
	for _, f := range slices.Concat(stats.PoolFields[:], stats.ServerFields[:], stats.LoopFields[:],
		stats.PoolVectors[:], stats.ServerVectors[:], []stats.Field{stats.ServerErrors}) {
		names[f.Prom] = true
	}
	var b strings.Builder
	b.WriteString("\n| old name | new name |\n|---|---|\n")
	seen := make(map[string]bool)
	for _, r := range stats.Renamed {
		if names[r.Old] || !names[r.New] || seen[r.Old] || seen[r.New] {
			t.Errorf("%s is now %s: want a name that is gone, and one of a statistic, each once", r.Old, r.New)
		}
		seen[r.Old], seen[r.New] = true, true
		fmt.Fprintf(&b, "| `%s` | `%s` |\n", r.Old, r.New)
	}
	b.WriteString("\n")
	testkit.CheckPart(t, "../../docs/METRICS.md", "renamed", b.String(), *update)
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
	table("Of a server, by error", "`pool`, `server`, `error`", 0, []stats.Field{stats.ServerErrors})
	fmt.Fprintf(&b, "\nAt most %d words are counted separately. Each has at most %d capital letters, digits and underscores. All others count as `%s`. "+
		"These words mean that a request was at fault, and not its server: `%s`.\n",
		stats.MaxErrorNames, stats.MaxErrorName, stats.OtherError, strings.Join(stats.RequestErrors, "`, `"))
	table("Of an event loop", "`loop`", 0, stats.LoopFields[:])
	b.WriteString("\n## Reasons\n\nIf a request fails, the client reads the text of the reason behind `-ERR` or `SERVER_ERROR`. The texts of other reasons are only in the log.\n\n| reason | text |\n|---|---|\n")
	for r := range msg.Reason(msg.NumReasons) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Name(), r)
	}
	return b.String()
}

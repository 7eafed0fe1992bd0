// Package soak holds nuthatch under fire: servers that are killed, stopped and
// restarted at random under clients that check every answer, floods of clients,
// clients that never read, requests that never end.
//
//	go test ./test/soak    every piece in its shortest form
//	make soak              all pieces, for about twelve minutes, and a table of what was seen
//	SOAK=2h make soak      the same for two hours
//
// Pieces judge what they can on any machine in any form. What depends on the
// machine's speed (how long an answer took) is judged in the long form alone, and
// against a control: the same measured at the same time without the proxy.
package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

const (
	// soakEnv is how long the long form takes, about; without it the form is short.
	soakEnv = "NUTHATCH_SOAK"
	// seedEnv repeats the events of an earlier run.
	seedEnv = "NUTHATCH_SEED"
)

func TestMain(m *testing.M) {
	code := testkit.Main(m)
	if length > 0 {
		fmt.Fprint(os.Stdout, table(rows))
	}
	os.Exit(code)
}

// length is how long the long form takes, about; 0 in the short one.
var length = soakLength()

func soakLength() time.Duration {
	text := os.Getenv(soakEnv)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		fmt.Fprintf(os.Stderr, "%s=%s is not a time such as 10m\n", soakEnv, text)
		os.Exit(2)
	}
	return d
}

// share is a piece's part of the long form, in percent, but at least floor; in the
// short form it is short.
func share(percent int, floor, short time.Duration) time.Duration {
	if length == 0 {
		return short
	}
	return max(floor, length*time.Duration(percent)/100)
}

// times is a number for the long form and one for the short form.
func times(long, short int) int {
	if length == 0 {
		return short
	}
	return long
}

// beside lets a piece run beside others, in the short form.
func beside(t *testing.T) {
	t.Helper()
	if length == 0 {
		t.Parallel()
	}
}

// seeded returns the run's seed, which is printed, and its random numbers.
func seeded(t *testing.T) (uint64, *rand.Rand) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedEnv); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
	}
	t.Logf("%s=%d repeats the order of events", seedEnv, seed)
	return seed, rand.New(rand.NewPCG(seed, 0))
}

// A row is what one piece has seen.
type row struct {
	piece, what string
	requests    int64
	errors      string
	// p50, p99 and longest are times of rounds, in milliseconds.
	p50, p99, longest float64
	// rss is the most resident memory, in bytes, and bound what it was to stay
	// below, 0 if that was nothing in particular.
	rss, bound int64
	// turn is the most processor time that a turn of an event loop has taken, in
	// milliseconds.
	turn    float64
	left    string
	notes   string
	verdict string
}

var (
	rows  []row
	rowMu sync.Mutex
)

// report adds a piece's row to the table when the test ends, so that the verdict
// is known.
func (s *stage) report(r *row) {
	s.t.Helper()
	s.t.Cleanup(func() {
		if !s.t.Failed() {
			r.turn = s.longestTurn()
		}
		r.keep(s.t)
	})
}

// keep adds the row to the table, with the test's verdict.
func (r *row) keep(t *testing.T) {
	r.verdict = "holds"
	if t.Failed() {
		r.verdict = "FAILS"
	}
	rowMu.Lock()
	defer rowMu.Unlock()
	rows = append(rows, *r)
}

// saw puts what a crowd has seen into the row.
func (r *row) saw(s testkit.Seen) {
	r.requests += s.Served + s.Failed
	r.errors = s.ErrorTexts()
	r.p50 = float64(s.Latency.ValueAtQuantile(50)) / 1000
	r.p99 = float64(s.Latency.ValueAtQuantile(99)) / 1000
	r.longest = float64(s.Longest.Microseconds()) / 1000
}

// table is the rows as Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("\n| piece | what | requests | errors | p50 / p99 / longest, ms | longest turn, CPU ms | RSS, most (bound), MB | left behind | figures | verdict |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range rows {
		r := &rows[i]
		memory := fmt.Sprint(r.rss >> 20)
		if r.bound > 0 {
			memory += fmt.Sprintf(" (%d)", r.bound>>20)
		}
		if r.rss == 0 {
			memory = ""
		}
		latency := ""
		if r.longest > 0 {
			latency = fmt.Sprintf("%.1f / %.1f / %.1f", r.p50, r.p99, r.longest)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %.1f | %s | %s | %s | %s |\n",
			r.piece, r.what, r.requests, r.errors, latency, r.turn, memory, r.left, r.notes, r.verdict)
	}
	return b.String()
}

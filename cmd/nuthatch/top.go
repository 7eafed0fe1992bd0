package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"nuthatch/internal/top"
)

// leastInterval is the shortest interval of nuthatch top: a proxy reads its
// counters at most ten times a second.
const leastInterval = 200 * time.Millisecond

// topFlags is the command line of "nuthatch top".
type topFlags struct {
	targetFlags
	help     bool
	interval time.Duration
}

func (f *topFlags) table() []option {
	return append([]option{
		{'h', "help", noArgument, "this help", set(&f.help)},
		{'i', "interval", text, "time between two samples, such as 500ms (default: 1s)", f.setInterval},
	}, f.targetFlags.table()...)
}

func (f *topFlags) setInterval(value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d < leastInterval {
		return fmt.Errorf("option --interval: %q is no duration of %v or more, such as 2s", value, leastInterval)
	}
	f.interval = d
	return nil
}

// runTop is "nuthatch top".
func runTop(args []string, stdout, stderr io.Writer) int {
	f := &topFlags{interval: time.Second}
	operands, err := getopt(f.table(), args)
	if err == nil && len(operands) > 0 {
		err = fmt.Errorf("unexpected argument %q", operands[0])
	}
	if err != nil {
		writeFault(stderr, "top", "[-a address] [-i interval]", err)
		return exitFailure
	}
	if f.help {
		fmt.Fprintf(stdout, "Usage: %s top [options]\n\n", nuthatch)
		writeText(stdout, "Shows a running proxy in the terminal, once a second: its pools, servers, failures, keys, slow log and clients, and what needs a look. ? lists the keys, q ends it. It changes nothing.")
		fmt.Fprintf(stdout, "\nExample:\n  %s top -a 10.0.0.1:22223 -i 2s\n\n", nuthatch)
		writeOptions(stdout, f.table())
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client, err := f.client("top", stderr)
	if err == nil {
		err = f.explain(top.Run(ctx, client, f.interval))
	}
	return report("top", err, stderr)
}

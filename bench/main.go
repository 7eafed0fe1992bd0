// Command bench measures proxies side by side: what a request costs each of
// them in CPU time, and how many they carry.
//
//	core B: load ──► core A: proxy ──► core B: redis-server, memcached
//
// Every proxy runs on one core of its own, in front of the same servers, which
// share the rest of the machine with the load. A piece of work (works.go) is
// done through each proxy in turn, and again in each round, so that the proxies
// compared have met the same machine: absolute values drift with whatever else
// it does, the ratios within a round do not.
//
// The load is a closed loop: a client sends its next request, or its next
// pipeline of requests, when it has the reply. A proxy that is faster than the
// load idles, and its CPU time per request says what the throughput cannot.
//
// Nothing here is part of nuthatch; nothing imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	rounds   int
	scale    float64 // of each measurement's length
	works    []work
	proxies  []proxyKind
	markdown bool
}

// length is about how long one measurement lasts.
func (o options) length() time.Duration { return time.Duration(float64(sampleTime) * o.scale) }

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run does everything between the command line and the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	opts, err := parseArgs(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = bench(ctx, opts, stdout, stderr)
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "bench: interrupted; all that it started has ended")
		return 1
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// parseArgs reads the command line; its complaints and the help go to stderr.
func parseArgs(args []string, stderr io.Writer) (options, error) {
	opts := options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&opts.rounds, "rounds", 3, "how often each piece of work is measured through each proxy")
	fs.Float64Var(&opts.scale, "n", 1, fmt.Sprintf("scale of the number of requests: 1 lasts about %v", sampleTime))
	fs.BoolVar(&opts.markdown, "markdown", false, "print the table as Markdown")
	workNames := fs.String("works", "", "pieces of work, comma separated (default: all): "+strings.Join(names(works()), ", "))
	proxyNames := fs.String("proxies", "", "proxies, comma separated (default: all): "+strings.Join(names(proxyKinds()), ", "))
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return opts, err
		}
		return opts, fmt.Errorf("command line: %w", err)
	}
	if fs.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if opts.rounds < 1 {
		return opts, fmt.Errorf("-rounds %d: there must be at least one", opts.rounds)
	}
	if opts.scale <= 0 {
		return opts, fmt.Errorf("-n %g: the scale must be above 0", opts.scale)
	}
	var err error
	if opts.works, err = choose("work", works(), *workNames); err != nil {
		return opts, err
	}
	opts.proxies, err = choose("proxy", proxyKinds(), *proxyNames)
	return opts, err
}

// named is a row of a table that the command line chooses from.
type named interface{ label() string }

// names lists the rows' names in the table's order.
func names[T named](table []T) []string {
	var list []string
	for _, row := range table {
		list = append(list, row.label())
	}
	return list
}

// choose returns the rows that a comma separated list names, in the table's
// order, and all of them for an empty list.
func choose[T named](what string, table []T, list string) ([]T, error) {
	if list == "" {
		return table, nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(list, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var chosen []T
	for _, row := range table {
		if wanted[row.label()] {
			chosen = append(chosen, row)
			delete(wanted, row.label())
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("no %s is called %q; there are %s", what, name, strings.Join(names(table), ", "))
	}
	return chosen, nil
}

// bench starts what the options name, measures, and prints the report. Whatever
// it started has ended when it returns.
func bench(ctx context.Context, opts options, stdout, stderr io.Writer) (err error) {
	cores, err := splitCores()
	if err != nil {
		return err
	}
	if err := pinSelf(cores.rest); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "nuthatch-bench")
	if err != nil {
		return fmt.Errorf("a folder for configurations and logs: %w", err)
	}
	defer func() {
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(stderr, "bench: configurations and logs are left in", dir)
			return
		}
		_ = os.RemoveAll(dir)
	}()

	rig, err := startRig(ctx, dir, cores, opts)
	defer func() { err = errors.Join(err, rig.stop()) }()
	if err != nil {
		return err
	}
	if err := rig.seed(); err != nil {
		return err
	}
	results, err := rig.measure(ctx, opts, stderr)
	if errors.Is(err, context.Canceled) {
		return err
	}
	printReport(stdout, describe(ctx, opts, rig, cores), results, opts.markdown)
	return err
}

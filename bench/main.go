// Command bench measures proxies side by side: what a request costs each of
// them in CPU time, how many they carry, how long replies take, and how much
// memory clients cost.
//
//	core B: load ──► core A: proxy ──► core B: redis-server, memcached
//
// Every proxy runs on one core of its own, in front of the same servers, which
// share the rest of the machine with the load. A piece of work (works.go) is done
// through each proxy in turn, and again in each round, so that all proxies have
// had the same conditions: absolute values drift with the machine's other load,
// the ratios within a round do not. One proxy is this program itself, in another
// role: the relay (relay.go), which shows the unavoidable cost.
//
// The load of a piece of work is a closed loop: a client sends its next request,
// or its next pipeline of requests, when it has the reply. A proxy that is faster
// than the load idles; then its CPU time per request matters, and not the
// throughput. How latency grows with the rate is measured with an open loop.
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
	"syscall"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run does everything between the command line and the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == relayName {
		return runRelay(args[1:], stdout, stderr)
	}
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

// bench starts what the options name, measures, and reports. Whatever it
// started has ended when it returns.
func bench(ctx context.Context, opts options, stdout, stderr io.Writer) (err error) {
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
	r, err := newRig(ctx, opts, dir, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := r.startServers(ctx); err != nil {
		return err
	}
	if opts.profile != "" {
		return r.profile(ctx, opts.works, opts.profile)
	}
	found, err := r.runAll(ctx, opts)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	report := found.report(r.describe(ctx))
	fmt.Fprint(stdout, report)
	if opts.output != "" && err == nil {
		if err := os.WriteFile(opts.output, []byte(report), 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return err
}

// newRig finds the proxies and divides the machine.
func newRig(ctx context.Context, opts options, dir string, progress io.Writer) (*rig, error) {
	descriptors, err := raiseDescriptors()
	if err != nil {
		return nil, err
	}
	cores, err := splitCores()
	if err != nil {
		return nil, err
	}
	programs, err := locate(ctx, opts.proxies, dir)
	if err != nil {
		return nil, err
	}
	if err := pinSelf(cores.rest); err != nil {
		return nil, err
	}
	r := &rig{
		dir: dir, cores: cores, length: opts.length(), rounds: opts.rounds, programs: programs,
		descriptors: descriptors, progress: progress, began: time.Now(),
	}
	r.countCalls, r.countedWith = newSyscallCounter(ctx, opts.strace)
	return r, nil
}

// raiseDescriptors lets this process, and what it starts, have as many
// descriptors as the hard limit allows.
func raiseDescriptors() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of descriptors: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of descriptors: %w", err)
	}
	return int(min(limit.Max, 1<<30)), nil
}

// findings are the results of all experiments that were made.
type findings struct {
	works   []result
	growth  bool // the tables of growth were asked for
	open    *openResult
	half    *halfResult
	memory  []memoryResult
	leftOut string // a sentence about numbers of clients that are not in memory
	lasting []lastingResult
	threads []threadsResult
	secured []securedResult
}

// runAll makes the experiments, one after the other. If one fails its part
// stays empty.
func (r *rig) runAll(ctx context.Context, opts options) (findings, error) {
	var f findings
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	var err error
	if len(opts.works) > 0 {
		f.growth = opts.growth
		f.works, err = r.measure(ctx, opts.works)
		note(err)
	}
	if opts.open && ctx.Err() == nil {
		f.open, err = r.measureOpen(ctx)
		note(err)
	}
	if len(opts.half) > 0 && ctx.Err() == nil {
		f.half, err = r.measureHalf(ctx, opts.half)
		note(err)
	}
	if opts.memory && ctx.Err() == nil {
		f.memory, f.leftOut, err = r.measureMemory(ctx)
		note(err)
	}
	if opts.lasting && ctx.Err() == nil {
		f.lasting, err = r.measureLasting(ctx)
		note(err)
	}
	if opts.threads && ctx.Err() == nil {
		f.threads, err = r.measureThreads(ctx)
		note(err)
	}
	if opts.tls && ctx.Err() == nil {
		f.secured, err = r.measureSecured(ctx)
		note(err)
	}
	return f, errors.Join(errs...)
}

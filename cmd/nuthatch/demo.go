package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"nuthatch/internal/demo"
)

// demoFlags is the command line of "nuthatch demo".
type demoFlags struct {
	demo.Options
	help bool
}

func (f *demoFlags) table() []option {
	return []option{
		{'h', "help", noArgument, "this help", set(&f.help)},
		{'m', "memcached", noArgument, "run memcached programs instead of in-memory Redis servers", set(&f.Memcached)},
		{'l', "listen", text, "address of the proxy, port 0 for any (default: " + demo.DefaultListen + ")", setText(&f.Listen)},
	}
}

// runDemo is "nuthatch demo": it serves until SIGINT or SIGTERM.
func runDemo(args []string, stdout, stderr io.Writer) int {
	f := &demoFlags{Options: demo.Options{Listen: demo.DefaultListen, Out: stdout}}
	table := f.table()
	operands, err := getopt(table, args)
	if err == nil && len(operands) > 0 {
		err = fmt.Errorf("unexpected argument %q", operands[0])
	}
	if err != nil {
		writeFault(stderr, "demo", "[-m] [-l address]", err)
		return exitFailure
	}
	if f.help {
		fmt.Fprintf(stdout, "Usage: %s demo [-m] [-l address]\n\n", nuthatch)
		writeText(stdout, "Runs a proxy over three servers of its own, to try it: the servers are part of the program, and keep what they are given in memory. It says where clients and a browser can connect. Ctrl-C ends all of it.")
		fmt.Fprintf(stdout, "\nExample:\n  %s demo, and in another terminal: redis-cli -p 22121 set a 1\n\n", nuthatch)
		writeOptions(stdout, table)
		return 0
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := demo.Run(ctx, f.Options); err != nil {
		fmt.Fprintf(stderr, "%s demo: %v\n", nuthatch, err)
		return exitFailure
	}
	return 0
}

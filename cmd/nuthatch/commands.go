package main

import (
	"fmt"
	"io"
)

// command is a subcommand of nuthatch. nutcracker has none.
type command struct {
	name     string
	synopsis string // its arguments
	help     string
	run      func(args []string, stdout, stderr io.Writer) int
	options  func() []option
}

// commands lists them in the order of the usage text.
func commands() []command {
	return []command{
		{"ctl", "COMMAND [ARGUMENT]...", "query and control a running proxy (nuthatch ctl help)", runCtl, (&ctlFlags{}).table},
		{"top", "[-a address] [-i interval]", "watch a running proxy in the terminal", runTop, (&topFlags{}).table},
		{"check", "--against-nutcracker address", "check that a running nutcracker places keys as the configuration file does", runCheck, (&checkFlags{}).table},
		{"schema", "", "write the JSON Schema of the configuration, for editors", runSchema, (&schemaFlags{}).table},
		{"demo", "[-m] [-l address]", "run a proxy over three servers of its own", runDemo, (&demoFlags{}).table},
	}
}

// runCommand runs the subcommand of that name.
func runCommand(name string, args []string, stdout, stderr io.Writer) int {
	for _, c := range commands() {
		if c.name == name {
			return c.run(args, stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "%s: unknown command %q\n", nuthatch, name)
	writeUsage(stderr, nuthatch)
	return exitFailure
}

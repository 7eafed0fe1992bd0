package main

import (
	"errors"
	"fmt"
	"io"

	"nuthatch/internal/config"
	"nuthatch/internal/ctl"
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
		{"check", "[-p pool] [--against-nutcracker address] [engine]", "check clusters and sentinels before use, that a running nutcracker places keys as the file does, or whether io_uring can be used", runCheck, (&checkFlags{}).table},
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
	switch name {
	case "help":
		writeUsage(stdout, nuthatch)
		return 0
	case "version":
		return showVersion(&flags{version: true}, nuthatch, stdout)
	}
	writeFault(stderr, "", "[-t] [-c FILE] [OPTION]... | COMMAND [ARGUMENT]...", unknownCommand(name))
	return exitFailure
}

// errUnknownCommand is wrapped with the command, and what may have been meant.
var errUnknownCommand = errors.New("unknown command")

// unknownCommand suggests a command of nuthatch, or of nuthatch ctl.
func unknownCommand(name string) error {
	var own, verbs []string
	for _, c := range commands() {
		own = append(own, c.name)
	}
	for _, c := range ctl.Commands() {
		verbs = append(verbs, c.Name)
	}
	if near := config.Suggest(name, own); near != "" {
		return fmt.Errorf("%w %q; did you mean '%s %s'?", errUnknownCommand, name, nuthatch, near)
	}
	if near := config.Suggest(name, verbs); near != "" {
		return fmt.Errorf("%w %q; did you mean '%s ctl %s'?", errUnknownCommand, name, nuthatch, near)
	}
	return fmt.Errorf("%w %q", errUnknownCommand, name)
}

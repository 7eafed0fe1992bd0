// Command nuthatch is a proxy that shards keys over Redis and Memcached servers.
//
// It takes nutcracker's flags and nutcracker's configuration file:
//
//	nuthatch -c conf/nutcracker.yml
//	nuthatch -t -c conf/nutcracker.yml
//	nuthatch demo
//
// Called nutcracker, through a link for example, it behaves like nutcracker: it
// uses that name, has no subcommands, and ignores operands.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"nuthatch/internal/config"
	"nuthatch/internal/daemon"
	"nuthatch/internal/stats"
	"nuthatch/internal/version"
)

// The names that the program can be called by.
const (
	nuthatch   = "nuthatch"
	nutcracker = "nutcracker"
)

// exitFailure is the status of every failure, as nutcracker's.
const exitFailure = 1

// exitWarned is the status of a reload that could not use certificates, and of a preview with
// warnings: both files are valid, and keys move without need.
const exitWarned = 2

func main() {
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// run is the whole program; args[0] is the name it was called by, and the
// result is its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	program := programName(args)
	args = args[min(1, len(args)):]

	if program == nuthatch && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return runCommand(args[0], args[1:], stdout, stderr)
	}

	f, err := parseFlags(program, args)
	switch {
	case err != nil && program == nuthatch:
		writeFault(stderr, "", "[-t] [-c FILE] [OPTION]... | COMMAND [ARGUMENT]...", err)
		return exitFailure
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		writeUsage(stderr, program)
		return exitFailure
	}
	if program == nuthatch && f.logLevel > maxLogLevel {
		fmt.Fprintf(stderr, "%s: option -v: levels are 0 to %d; %d means %d\n", program, maxLogLevel, f.logLevel, maxLogLevel)
	}
	switch {
	case f.help, f.version, f.describeStats:
		return showVersion(f, program, stderr)
	case f.testConf:
		return testConf(f, program, stdout, stderr)
	}
	return serve(f, program, stderr)
}

// programName returns nutcracker if the program was called so, else its own
// name.
func programName(args []string) string {
	if len(args) > 0 && filepath.Base(args[0]) == nutcracker {
		return nutcracker
	}
	return nuthatch
}

// showVersion writes what -V, -h and -D ask for. The first two lines have
// nutcracker's form. Called nutcracker, the first is nutcracker's own, of the
// release that is kept to, because tools compare it; the third says what runs. Under the
// own name the third names the commit, if the build knows it.
func showVersion(f *flags, program string, w io.Writer) int {
	if program == nutcracker {
		fmt.Fprintf(w, "This is %s-%s\n", nutcracker, version.Nutcracker)
	} else {
		fmt.Fprintf(w, "This is %s-%s\n", nuthatch, version.Version)
	}
	backend := "epoll" // nutcracker's line
	if program != nutcracker {
		backend = "epoll, io_uring"
	}
	fmt.Fprintln(w, "async event backend: "+backend)
	switch {
	case program == nutcracker:
		fmt.Fprintf(w, "served by %s-%s\n", nuthatch, version.Version)
	case version.Revision != "":
		fmt.Fprintf(w, "commit %s, built by %s for %s/%s\n", version.Revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	}
	fmt.Fprintln(w)
	if f.help {
		writeUsage(w, program)
	}
	if f.describeStats {
		stats.Describe(w)
	}
	return 0
}

// testConf writes every fault of the configuration file, whether a proxy could start
// with it, warnings and, if there is a file to compare with, what changes.
func testConf(f *flags, program string, stdout, stderr io.Writer) int {
	daemon.HideMemory()
	cfg, err := config.Load(f.confFile)
	if err != nil {
		writeUnusable(stderr, program, f.confFile, err, "syntax is invalid")
		return exitFailure
	}
	var warnings []error
	for _, w := range cfg.Warnings {
		warnings = append(warnings, w)
	}
	faulty, notNow := false, false
	for _, found := range daemon.Check(f.options(program, cfg), f.statsGiven) {
		if found.Doubt {
			warnings, notNow = append(warnings, found.Err), notNow || found.NotNow
			continue
		}
		faulty = true
		fmt.Fprintln(stderr, found.Err)
	}
	if faulty {
		fmt.Fprintf(stderr, "%s: configuration file '%s' is invalid: a proxy would not start with it\n", program, f.confFile)
	} else {
		fmt.Fprintf(stderr, "%s: configuration file '%s' syntax is ok\n", program, f.confFile)
	}
	for _, w := range warnings {
		fmt.Fprintf(stderr, "warning: %v\n", w)
	}
	switch {
	case len(warnings) == 0 || faulty:
	case notNow:
		fmt.Fprintf(stderr, "%s: the file is valid, but a proxy would not start with it as things are: see the warnings\n", program)
	default:
		fmt.Fprintf(stderr, "%s: warnings only: the file is valid, and is used as it stands\n", program)
	}
	switch {
	case faulty:
		return exitFailure
	case f.against == "":
		return 0
	}
	return showPreview(f, cfg, stdout, stderr)
}

// writeUnusable says what is wrong with the configuration file, and the verdict last. Of a file
// that cannot be read nutcracker says that it is invalid.
func writeUnusable(stderr io.Writer, program, path string, err error, verdict string) {
	_, faulty := errors.AsType[config.Errors](err)
	_, unread := errors.AsType[*fs.PathError](err)
	if unread && !faulty && program == nuthatch {
		verdict = "cannot be read; -c names another one"
	}
	fmt.Fprintf(stderr, "%v\n%s: configuration file '%s' %s\n", err, program, path, verdict)
}

// serve runs the proxy until a signal ends it. A requested end is a success
// here; nutcracker exits with 1 on SIGINT and dies of SIGTERM.
func serve(f *flags, program string, stderr io.Writer) int {
	daemon.HideMemory()
	cfg, err := config.Load(f.confFile)
	if err != nil {
		writeUnusable(stderr, program, f.confFile, err, "is invalid, not started")
		daemon.Fail(f.options(program, nil), err)
		return exitFailure
	}
	if err := daemon.Run(f.options(program, cfg)); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return exitFailure
	}
	return 0
}

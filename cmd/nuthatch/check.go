package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"nuthatch/internal/check"
	"nuthatch/internal/config"
)

// checkFlags is the command line of "nuthatch check".
type checkFlags struct {
	help, write, json     bool
	proxy, confFile, pool string
	keys                  int
}

func (f *checkFlags) table() []option {
	return []option{
		{'h', "help", noArgument, "this help", set(&f.help)},
		{0, "against-nutcracker", text, "where nutcracker's pool listens: host:port or a path", setText(&f.proxy)},
		{'c', "conf-file", fileName, "configuration file (default: " + defaultConfFile + ")", setText(&f.confFile)},
		{'p', "pool", text, "the pool (default: all that are a cluster or have sentinels; with --against-nutcracker the only one)", setText(&f.pool)},
		{'n', "keys", number, fmt.Sprintf("number of keys for each server (default: %d)", check.DefaultKeys), natural(&f.keys)},
		{0, "write", noArgument, "store scratch keys and look for them, where counters are not enough", set(&f.write)},
		{'j', "json", noArgument, "write the result as JSON", set(&f.json)},
	}
}

// checkSynopsis is what stands behind "nuthatch check".
const checkSynopsis = "[options] [" + checkedEngine + "]"

// runCheck is "nuthatch check".
func runCheck(args []string, stdout, stderr io.Writer) int {
	f := &checkFlags{confFile: defaultConfFile, keys: check.DefaultKeys}
	operands, err := getopt(f.table(), args)
	switch {
	case err != nil:
	case f.help:
		fmt.Fprintf(stdout, "Usage: %s check %s\n\n", nuthatch, checkSynopsis)
		fmt.Fprint(stdout, "Asks the clusters and the sentinels of the file whether they can be used as they are. With\n"+
			"--against-nutcracker: whether a running nutcracker places keys as the file does.\n"+
			"With engine: whether io_uring can be used here, and what the kernel has of it. No file is needed;\n"+
			"with -c it looks at as many event loops as that file has.\n\n")
		writeOptions(stdout, f.table())
		fmt.Fprintf(stdout, "\nExit status: 0 nothing is wrong (all keys are where the file has them), %d no result, %d something is.\n",
			exitFailure, exitWarned)
		return 0
	default:
		err = f.fault(operands)
	}
	if err != nil {
		writeFault(stderr, "check", checkSynopsis, err)
		return exitFailure
	}
	good := false
	switch {
	case len(operands) > 0:
		good, err = f.checkEngine(stdout)
	case f.proxy == "":
		good, err = f.examine(stdout)
	default:
		good, err = f.compare(stdout)
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "%s check: %v\n", nuthatch, err)
		return exitFailure
	case !good:
		return exitWarned
	}
	return 0
}

// fault is what is wrong with the command line.
func (f *checkFlags) fault(operands []string) error {
	engine := slices.Equal(operands, []string{checkedEngine})
	switch {
	case len(operands) > 0 && !engine:
		return fmt.Errorf("unexpected argument %q; the only one is %s", operands[0], checkedEngine)
	case engine && f.proxy != "":
		return errors.New("engine and --against-nutcracker ask for different things")
	case engine:
		return nil
	case f.keys < 1:
		return errors.New("needs one key or more")
	case f.proxy == "" && f.write:
		return errors.New("--write needs --against-nutcracker")
	}
	return nil
}

// compare is the check against nutcracker. It reports whether all keys are where the file
// has them.
func (f *checkFlags) compare(w io.Writer) (same bool, err error) {
	found, err := f.run()
	if err != nil {
		return false, err
	}
	return found.Same(), f.show(found, w)
}

// load reads the file, with its secrets.
func (f *checkFlags) load() (*config.Config, error) {
	conf, err := config.Load(f.confFile)
	if err != nil {
		return nil, err
	}
	return conf.WithSecrets()
}

func (f *checkFlags) run() (*check.Result, error) {
	conf, err := f.load()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(conf.Pools, func(p config.Pool) bool { return p.Name == f.pool || f.pool == "" && len(conf.Pools) == 1 })
	if i < 0 {
		return nil, f.noPool(conf)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return check.Run(ctx, check.Options{Pool: &conf.Pools[i], Proxy: f.proxy, Keys: f.keys, Write: f.write})
}

// noPool says which pools there are.
func (f *checkFlags) noPool(conf *config.Config) error {
	names := make([]string, len(conf.Pools))
	for i := range conf.Pools {
		names[i] = conf.Pools[i].Name
	}
	slices.Sort(names)
	has := strings.Join(names, ", ")
	if f.pool == "" {
		return fmt.Errorf("%s has several pools: say which with --pool (%s)", f.confFile, has)
	}
	return fmt.Errorf("%s has no pool %q: it has %s", f.confFile, f.pool, has)
}

func (f *checkFlags) show(r *check.Result, w io.Writer) error {
	if f.json {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SERVER\tADDRESS\tKEYS BY THE FILE\tFOUND THERE")
	for _, s := range r.Servers {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", s.Name, s.Address, s.Keys, s.Found)
	}
	for _, e := range r.Examples {
		at := e.Nutcracker
		if at == "" {
			at = "none of them"
		}
		fmt.Fprintf(t, "%s: by the file at %s, by nutcracker at %s\n", e.Key, e.Ring, at)
	}
	asked := 0
	for _, s := range r.Servers {
		asked += s.Keys
	}
	verdict := fmt.Sprintf("all %d keys are where the file has them", asked)
	if !r.Same() {
		verdict = "nutcracker looks for keys elsewhere: the file is not the one that it runs with"
	}
	fmt.Fprintf(t, "%s (asked with %s)\n", verdict, r.Command)
	fmt.Fprintf(t, "they cover %d of the ring's %d points", r.Covered, r.Points)
	if r.Same() {
		fmt.Fprintf(t, "; up to %.2g%% of all keys can still be elsewhere (95%% certain; a larger --keys lowers this)", 100*r.Missed)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	rounds  int
	scale   float64 // of each measurement's length
	proxies []proxyKind
	strace  bool
	output  string

	// The experiments.
	works  []work
	growth bool
	open   bool
	memory bool
	// half are the works that are measured at half of the load that nuthatch carries.
	half []work
	// lasting is the memory of clients that wait or listen.
	lasting bool
	// threads compares nuthatch's numbers of threads.
	threads bool
	// tls compares TLS with clients to HAProxy's.
	tls bool
	// profile is a file for a profile of nuthatch, which is then all that is made.
	profile string
}

// length is about how long one measurement lasts.
func (o options) length() time.Duration { return time.Duration(float64(sampleTime) * o.scale) }

// quickWorks are those of -quick, one of each sort.
const quickWorks = "get-p1,get-p16,get-p100,mget-100,get-10kb,mc-get,mc-get-100"

// parseArgs reads the command line; its complaints and the help go to stderr.
func parseArgs(args []string, stderr io.Writer) (options, error) {
	opts := options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintln(stderr, "Measures proxies side by side. Without -works, -growth, -open, -memory, -lasting, -threads, -tls or -quick: all of it.")
		fs.PrintDefaults()
	}
	fs.IntVar(&opts.rounds, "rounds", 3, "how often each thing is measured with each proxy")
	fs.Float64Var(&opts.scale, "n", 1, fmt.Sprintf("scale of the length of a measurement: 1 is %v", sampleTime))
	fs.StringVar(&opts.output, "o", "", "a file to write the report to as well, if nothing fails")
	fs.BoolVar(&opts.strace, "strace", false, "count system calls by name, with strace")
	fs.BoolVar(&opts.growth, "growth", false, "how cost grows with servers, pools, connections, keys, depth and size")
	fs.BoolVar(&opts.open, "open", false, "latency against offered load")
	fs.BoolVar(&opts.memory, "memory", false, "memory of idle clients")
	fs.BoolVar(&opts.lasting, "lasting", false, "memory of clients that wait or listen")
	fs.BoolVar(&opts.threads, "threads", false, "nuthatch with one and with two event loops")
	fs.BoolVar(&opts.tls, "tls", false, "TLS with clients, beside HAProxy that terminates it")
	fs.Func("half", "latency of these works at half of the load that nuthatch carries of the first one, such as get-s3,get-cluster", opts.chooseHalf)
	quick := fs.Bool("quick", false, "a few pieces of work, one short round")
	workNames := fs.String("works", "", "pieces of work, comma separated, or all: "+strings.Join(names(works()), ", "))
	proxyNames := fs.String("proxies", "", "proxies, comma separated (default: all that are installed): "+
		strings.Join(names(proxyKinds()), ", "))
	fs.StringVar(&opts.profile, "profile", "", "measure nothing, but write nuthatch's CPU profile, of -works or a choice of them, to a file")
	more := otherConfigurations(fs)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return opts, err
		}
		return opts, fmt.Errorf("command line: %w", err)
	}
	if fs.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *quick {
		opts.rounds, opts.scale, *workNames = 1, opts.scale/2, quickWorks
	}
	if opts.rounds < 1 {
		return opts, fmt.Errorf("-rounds %d: there must be at least one", opts.rounds)
	}
	if opts.scale <= 0 {
		return opts, fmt.Errorf("-n %g: the scale must be above 0", opts.scale)
	}
	if opts.profile != "" {
		*proxyNames = ours
		if *workNames == "" {
			*workNames = profileWorks
		}
	}
	if *workNames == "" && len(opts.half) == 0 && !opts.growth && !opts.open && !opts.memory && !opts.lasting && !opts.threads && !opts.tls {
		*workNames, opts.growth, opts.open, opts.memory, opts.lasting, opts.threads, opts.tls = "all", true, true, true, true, true, true
	}
	var err error
	if opts.works, err = chooseWorks(*workNames, opts.growth); err != nil {
		return opts, err
	}
	opts.proxies, err = choose("proxy", proxyKinds(), *proxyNames)
	opts.proxies = append(opts.proxies, *more...)
	return opts, err
}

// otherConfigurations adds the options for more forms of nuthatch, to be measured beside the usual
// one. The list is complete when the command line has been read.
func otherConfigurations(fs *flag.FlagSet) *[]proxyKind {
	more := new([]proxyKind)
	option := func(name, usage string, kinds func() []proxyKind) {
		fs.BoolFunc(name, usage, func(value string) error {
			on, err := strconv.ParseBool(value)
			if on {
				*more = append(*more, kinds()...)
			}
			return err
		})
	}
	option("observed", "measure nuthatch also without latencies, slow log, hot keys and history, and with traces", observedKinds)
	option(withUsers, "measure nuthatch also with users, whose rules look at each command and key", usersKinds)
	option("engines", "measure nuthatch also on epoll and on io_uring", engineKinds)
	fs.Func("with", "another build of nuthatch, to be measured beside this one", func(path string) error {
		*more = append(*more, otherBuild(path))
		return nil
	})
	return more
}

// chooseHalf reads the value of -half.
func (o *options) chooseHalf(list string) (err error) {
	o.half, err = choose("work", works(), list)
	return err
}

// chooseWorks returns the works that a list names, and those that the tables of
// growth need.
func chooseWorks(list string, growth bool) ([]work, error) {
	wanted := map[string]bool{}
	if growth {
		for _, axis := range axes {
			for _, p := range axis.points {
				wanted[p.work] = true
			}
		}
	}
	if list != "" && list != "all" {
		named, err := choose("work", works(), list)
		if err != nil {
			return nil, err
		}
		for _, w := range named {
			wanted[w.name] = true
		}
	}
	var chosen []work
	for _, w := range works() {
		if wanted[w.name] || list == "all" && !w.growth {
			chosen = append(chosen, w)
		}
	}
	return chosen, nil
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

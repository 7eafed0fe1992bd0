package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"nuthatch/internal/config"
	"nuthatch/internal/ctl"
)

// exitNoAnswer is the status of a command that found no running proxy.
const exitNoAnswer = 3

// The environment variables with the address and the token of the admin
// listener. A token is no argument, since every user can see arguments.
const (
	adminVariable = "NUTHATCH_ADMIN"
	tokenVariable = "NUTHATCH_ADMIN_TOKEN"
)

// targetFlags are the options that choose the running proxy.
type targetFlags struct {
	address, confFile, tokenFile string
	// caCert, cert and key are files for an admin listener with TLS.
	caCert, cert, key string
	// faults are those of the configuration file.
	faults config.Errors
}

func (f *targetFlags) table() []option {
	return []option{
		{'a', "address", text, "admin listener: host:port, path or URL (default: $" + adminVariable + ", or from -c, or " +
			ctl.DefaultAddress + ")", setText(&f.address)},
		{'c', "conf-file", fileName, "configuration file of the proxy: has its address and token; no other proxy is talked to then", setText(&f.confFile)},
		{'T', "token-file", fileName, "file that holds the token (default: $" + tokenVariable + ", or from -c)", setText(&f.tokenFile)},
		{0, "cacert", fileName, "certificates that sign the admin listener's, which is connected to with TLS (default: from -c, or the system's)", setText(&f.caCert)},
		{0, "cert", fileName, "own certificate, for an admin listener that asks for one", setText(&f.cert)},
		{0, "key", fileName, "key of --cert", setText(&f.key)},
	}
}

// ctlFlags is the command line of "nuthatch ctl".
type ctlFlags struct {
	ctl.Options
	targetFlags
	help bool
	// given are the options of single commands that the command line has.
	given []option
}

// ctlSynopsis is what stands behind "nuthatch ctl".
const ctlSynopsis = "[OPTION]... COMMAND [ARGUMENT]..."

func (f *ctlFlags) table() []option {
	table := []option{{'h', "help", noArgument, "this help", set(&f.help)}}
	table = append(table, f.targetFlags.table()...)
	table = append(table, option{'j', "json", noArgument, "write the answer as JSON", set(&f.JSON)})
	for _, o := range f.commandTable() {
		setter := o.set
		o.set = func(value string) error {
			f.given = append(f.given, o)
			return setter(value)
		}
		table = append(table, o)
	}
	return table
}

// commandTable has the options that only some of the commands have (ctl.Command.Guide).
func (f *ctlFlags) commandTable() []option {
	return []option{
		{'p', "pool", text, "only this pool", setText(&f.Pool)},
		{'n', "limit", number, "how many rows to show (default, and with 0: the command's own number)", natural(&f.Limit)},
		{'w', "window", text, "status, stats, servers: rates and times of the last '10s' (default), '1m' or '10m'", setText(&f.Window)},
		{0, "since", text, "events: those after the event with this id", setText(&f.Since)},
		{0, "for", text, "pause: how long at the most, such as 10s (default: 30s)", f.setFor},
		{0, "wait", noArgument, "drain: return when the proxy has ended", set(&f.Wait)},
		{0, "keys", text, "disable: 'move' its keys to the other servers, or let requests for them 'fail' (default: as with a failing server)", setText(&f.Keys)},
	}
}

// checkGiven finds fault with options that the command does not have.
func (f *ctlFlags) checkGiven(c *ctl.Command) error {
	_, _, has := c.Guide()
	for _, o := range f.given {
		if slices.Contains(has, o.long) {
			continue
		}
		var others []string
		for _, other := range ctl.Commands() {
			if _, _, options := other.Guide(); slices.Contains(options, o.long) {
				others = append(others, other.Name)
			}
		}
		return fmt.Errorf("%w; commands that have it: %s", invalidOption(o.name()), strings.Join(others, ", "))
	}
	return nil
}

func (f *ctlFlags) setFor(value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return fmt.Errorf("option --for: %q is no duration, such as 10s", value)
	}
	f.For = d
	return nil
}

// runCtl is "nuthatch ctl".
func runCtl(args []string, stdout, stderr io.Writer) int {
	f := &ctlFlags{}
	operands, err := getopt(f.table(), args)
	if err != nil {
		writeFault(stderr, "ctl", ctlSynopsis, err)
		return exitFailure
	}
	help := f.help
	if len(operands) > 0 && operands[0] == "help" {
		help, operands = true, operands[1:]
	}
	if help && len(operands) > 0 {
		return f.helpOf(operands[0], stdout, stderr)
	}
	if help {
		fmt.Fprintf(stdout, "Usage: %s ctl [options] COMMAND [ARGUMENT]...\n\nCommands:\n", nuthatch)
		ctl.WriteCommands(stdout)
		fmt.Fprintln(stdout)
		writeOptions(stdout, f.table())
		fmt.Fprintf(stdout, "\nExit status: 0 done, %d refused or not understood, or status finds that requests fail, %d preview or reload warns, %d no answer.\n",
			exitFailure, exitWarned, exitNoAnswer)
		return 0
	}
	if len(operands) == 0 {
		writeFault(stderr, "ctl", ctlSynopsis, ctl.ErrNoCommand)
		return exitFailure
	}
	if c, err := ctl.CommandNamed(operands[0]); err == nil {
		if err := f.checkGiven(c); err != nil {
			writeFault(stderr, "ctl "+c.Name, c.Synopsis, err)
			return exitFailure
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return report("ctl", f.run(ctx, operands, stdout, stderr), stderr)
}

// helpOf writes the help of one of ctl's commands.
func (f *ctlFlags) helpOf(name string, stdout, stderr io.Writer) int {
	c, err := ctl.CommandNamed(name)
	if err != nil {
		fmt.Fprintf(stderr, "%s ctl: %v\n", nuthatch, err)
		return exitFailure
	}
	about, example, options := c.Guide()
	fmt.Fprintf(stdout, "Usage: %s\n\n", strings.TrimRight(fmt.Sprintf("%s ctl [options] %s %s", nuthatch, c.Name, c.Synopsis), " "))
	writeText(stdout, about)
	fmt.Fprintf(stdout, "\nExample:\n  %s\n", example)
	var own []option
	for _, o := range f.table() {
		if slices.Contains(append(options, "help", "json"), o.long) {
			// Of options of several commands the help names the commands.
			if _, rest, ok := strings.Cut(o.help, ": "); ok && o.long != "help" {
				o.help = rest
			}
			own = append(own, o)
		}
	}
	fmt.Fprintln(stdout)
	writeOptions(stdout, own)
	fmt.Fprintf(stdout, "\nWhich proxy is asked say -a, -c and -T: see '%s ctl --help'.\n", nuthatch)
	return 0
}

func (f *ctlFlags) run(ctx context.Context, operands []string, stdout, stderr io.Writer) error {
	client, err := f.client("ctl", stderr)
	if err != nil {
		return err
	}
	return f.explain(ctl.Run(ctx, client, f.Options, operands, stdout))
}

// client is the client of the chosen proxy. If the configuration file has faults, standard error
// says so: the proxy still runs with what was in the file before.
func (f *targetFlags) client(command string, stderr io.Writer) (*ctl.Client, error) {
	t, err := f.target()
	if len(f.faults) > 0 {
		more := ""
		if n := len(f.faults) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		fmt.Fprintf(stderr, "%s %s: the file has a fault, the proxy is asked all the same: %v%s\n", nuthatch, command, f.faults[0], more)
	}
	if err != nil {
		return nil, f.explain(err)
	}
	return ctl.NewClient(t)
}

// explain adds to an error that the proxy may be elsewhere than a faulty file says.
func (f *targetFlags) explain(err error) error {
	if len(f.faults) == 0 || !errors.Is(err, ctl.ErrNoAnswer) && !errors.Is(err, ctl.ErrOther) {
		return err
	}
	return fmt.Errorf("%w; the proxy may still run, with what the file said before: use -a", err)
}

// target is the chosen proxy: by options, else by the environment, else by the
// configuration file.
func (f *targetFlags) target() (ctl.Target, error) {
	t := ctl.Target{Address: ctl.DefaultAddress}
	if f.confFile != "" {
		var err error
		if t, err = f.described(); err != nil {
			return t, err
		}
	}
	t.Address = orElse(f.address, orElse(os.Getenv(adminVariable), t.Address))
	t.Token = orElse(os.Getenv(tokenVariable), t.Token)
	t.Security.CA, t.Security.Cert, t.Security.Key = f.caCert, f.cert, f.key
	if (f.cert == "") != (f.key == "") {
		return t, errors.New("--cert and --key need each other")
	}
	if f.tokenFile == "" {
		return t, nil
	}
	var err error
	if t.Token, err = ctl.ReadToken(f.tokenFile); err != nil {
		err = fmt.Errorf("the file with the token (-T): %w", err)
	}
	return t, err
}

// described is the proxy that runs with the configuration file. If that has faults, it is what
// can be read of it.
func (f *targetFlags) described() (ctl.Target, error) {
	var t ctl.Target
	conf, err := config.Load(f.confFile)
	if faults, ok := errors.AsType[config.Errors](err); ok {
		f.faults = faults
		if t, err = ctl.OfFaulty(f.confFile); err != nil {
			err = fmt.Errorf("%w: %w", ctl.ErrNoAnswer, err)
		}
	} else if err == nil {
		t, err = ctl.Of(conf, f.confFile)
	} else {
		err = fmt.Errorf("the configuration file (-c): %w", err)
	}
	if err == nil || f.address == "" {
		return t, err
	}
	absolute, err := filepath.Abs(f.confFile)
	return ctl.Target{ConfigFile: absolute}, err
}

// report writes why the command of that name failed, and returns the exit status
// that says so.
func report(name string, err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ctl.ErrWarned):
		return exitWarned
	case errors.Is(err, ctl.ErrFails):
		return exitFailure
	}
	fmt.Fprintf(stderr, "%s %s: %v\n", nuthatch, name, err)
	if errors.Is(err, ctl.ErrNoAnswer) {
		return exitNoAnswer
	}
	return exitFailure
}

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
}

func (f *ctlFlags) table() []option {
	table := []option{{'h', "help", noArgument, "this help", set(&f.help)}}
	table = append(table, f.targetFlags.table()...)
	return append(table,
		option{'j', "json", noArgument, "write the answer as JSON", set(&f.JSON)},
		option{'p', "pool", text, "only this pool", setText(&f.Pool)},
		option{'n', "limit", number, "how many rows to show", natural(&f.Limit)},
		option{'w', "window", text, "status, stats, servers: rates and times of the last '10s' (default), '1m' or '10m'", setText(&f.Window)},
		option{0, "since", text, "events: those after the event with this id", setText(&f.Since)},
		option{0, "for", text, "pause: how long at the most, such as 10s (default: 30s)", f.setFor},
		option{0, "wait", noArgument, "drain: return when the proxy has ended", set(&f.Wait)},
		option{0, "keys", text, "disable: 'move' its keys to the other servers, or let requests for them 'fail' (default: as with a failing server)", setText(&f.Keys)},
	)
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
		writeFault(stderr, "ctl", "[OPTION]... COMMAND [ARGUMENT]...", err)
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
	t.Token, err = ctl.ReadToken(f.tokenFile)
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

package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"nuthatch/internal/config"
)

// Options is what the command line says besides the command.
type Options struct {
	// Pool limits what is shown to one pool.
	Pool string
	// Limit is how many rows to ask for; 0 is the proxy's default.
	Limit int
	// For is how long a pause lasts at the most; 0 is the proxy's default.
	For time.Duration
	// Keys is what happens to a disabled server's keys: "move", "fail" or, for the
	// pool's default, "".
	Keys string
	// Since is the ID after which events are listed; empty for the latest.
	Since string
	// Window is what rates and times are of: "10s", "1m", "10m" or, for the proxy's
	// default, "".
	Window string
	// Wait has drain return when the proxy has ended.
	Wait bool
	// JSON writes answers as they come.
	JSON bool
}

// ErrUsage means that the command line is at fault.
var ErrUsage = errors.New("see 'nuthatch ctl help'")

// ErrNoCommand means that the command line names no command.
var ErrNoCommand = errors.New("a command is missing")

// A usageError is ErrUsage of a command, by its name.
type usageError string

func (e usageError) Error() string { return "see 'nuthatch ctl " + string(e) + " --help'" }

func (usageError) Unwrap() error { return ErrUsage }

// ErrWarned means that the answer was written, and has warnings.
var ErrWarned = errors.New("there are warnings")

// ErrFails means that the answer was written, and that requests fail.
var ErrFails = errors.New("requests fail")

// A session is one command.
type session struct {
	Options
	ctx    context.Context //nolint:containedctx // a session is one command, which ctx is for
	client *Client
	out    io.Writer
}

// A Command is one of ctl's.
type Command struct {
	Name, Synopsis, Help string
	// least and most are the numbers of arguments; most is -1 for any.
	least, most int
	run         func(s *session, args []string) error
}

// Commands lists them, questions first.
func Commands() []Command {
	return []Command{
		{"status", "[POOL]", "what needs a look, and the last events (--window, --limit); exit status 1 if requests fail", 0, 1, (*session).status},
		{"info", "", "the program, its process and its event loops", 0, 0, (*session).info},
		{"stats", "[POOL]", "each pool in a line (--window)", 0, 1, (*session).stats},
		{"servers", "[POOL]", "each server in a line: state, share of the keys, queues (--window)", 0, 1, (*session).servers},
		{"cluster", "[POOL]", "the Redis Clusters, sentinels and replicas behind pools, and what pools look like", 0, 1, (*session).cluster},
		{"clients", "[POOL]", "the newest clients (--limit)", 0, 1, (*session).clients},
		{"latency", "[POOL]", "how long requests took, by command, since the start", 0, 1, (*session).latency},
		{"slowlog", "[POOL]", "the latest slow requests, and where their time went (--limit)", 0, 1, (*session).slowlog},
		{"hotkeys", "[POOL]", "the keys that are asked for most, and the largest (--limit)", 0, 1, (*session).hotkeys},
		{"denials", "[POOL]", "what clients were refused: by users' rules, lists of addresses, limits, logins", 0, 1, (*session).denials},
		{"events", "[POOL]", "what has happened, the latest last (--limit, --since)", 0, 1, (*session).events},
		{"where", "KEY...", "which server owns a key, and why (--pool)", 1, -1, (*session).where},
		{"config", "", "the configuration in force", 0, 0, (*session).config},
		{"ready", "", "whether clients should be sent here", 0, 0, (*session).ready},
		{"preview", "[FILE]", "what would change with FILE, or with the proxy's own file as it is now", 0, 1, (*session).preview},
		{"reload", "", "read the configuration again", 0, 0, (*session).reload},
		{"drain", "", "accept no more clients, answer the requests that have come, and end (--wait)", 0, 0, (*session).drain},
		{"upgrade", "", "start the program again and hand over to it", 0, 0, order("/api/v1/upgrade")},
		{"pause", "POOL", "make the pool's requests wait (--for)", 1, 1, (*session).pause},
		{"resume", "POOL", "let them go on", 1, 1, poolOrder("resume")},
		{"disable", "POOL SERVER", "take a server out of service (--keys move|fail)", 2, 2, (*session).disable},
		{"enable", "POOL SERVER", "put it back", 2, 2, poolOrder("enable")},
		{"reconnect", "POOL [SERVER]", "replace the connections to the servers", 1, 2, poolOrder("reconnect")},
		{"kill", "CLIENT...", "close clients, by id", 1, -1, (*session).kill},
	}
}

// Run runs a command: its name and its arguments.
func Run(ctx context.Context, c *Client, o Options, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w; %w", ErrNoCommand, ErrUsage)
	}
	cmd, err := CommandNamed(args[0])
	if err != nil {
		return err
	}
	args = args[1:]
	if len(args) < cmd.least || cmd.most >= 0 && len(args) > cmd.most {
		return fmt.Errorf("usage: nuthatch ctl %s; %w", strings.TrimSpace(cmd.Name+" "+cmd.Synopsis), usageError(cmd.Name))
	}
	return cmd.run(&session{Options: o, ctx: ctx, client: c, out: out}, args)
}

// CommandNamed is the command of that name. The error suggests another one.
func CommandNamed(name string) (*Command, error) {
	commands := Commands()
	names := make([]string, len(commands))
	for i := range commands {
		if commands[i].Name == name {
			return &commands[i], nil
		}
		names[i] = commands[i].Name
	}
	if near := config.Suggest(name, names); near != "" {
		return nil, fmt.Errorf("no command %q; did you mean %q? %w", name, near, ErrUsage)
	}
	return nil, fmt.Errorf("no command %q; %w", name, ErrUsage)
}

// WriteCommands writes the commands, one a line.
func WriteCommands(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range Commands() {
		fmt.Fprintf(t, "  %s %s\t%s\n", c.Name, c.Synopsis, c.Help)
	}
	// If writing fails there is nobody to tell.
	_ = t.Flush()
}

// ask requests a path. With JSON it writes the answer; otherwise it reads it
// into body.
func (s *session) ask(path string, query map[string][]string, body any) (written bool, err error) {
	text, err := s.client.Get(s.ctx, path, query)
	return s.take(text, err, body)
}

// take handles an answer. A refusal is JSON too.
func (s *session) take(text []byte, err error, body any) (written bool, _ error) {
	if err == nil {
		if err := s.client.Read(s.ctx, text, body); err != nil {
			return false, err
		}
	}
	if s.JSON && text != nil {
		if _, failed := s.out.Write(text); failed != nil {
			return true, failed
		}
		return true, err
	}
	return false, err
}

// table writes an aligned table: a head, what rows adds, and lines that stand below.
func (s *session) table(head string, rows func(add func(cells ...any)), below ...string) error {
	t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if head != "" {
		fmt.Fprintln(t, head)
	}
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, Plain(fmt.Sprint(c)))
		}
		fmt.Fprintln(t)
	})
	err := t.Flush()
	for _, line := range below {
		if line != "" && err == nil {
			_, err = fmt.Fprintln(s.out, line)
		}
	}
	return err
}

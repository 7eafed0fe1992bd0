package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"nuthatch/internal/ctl"
	"nuthatch/internal/testkit"
)

const (
	manualsPath    = "../../packaging/man/"
	manualsCommand = "go test ./cmd/nuthatch -update"
)

var update = flag.Bool("update", false, "rewrite the manual pages and completions in packaging")

// TestManuals compares nuthatch(1) and nuthatch-ctl(1) with the tables of options and
// commands.
func TestManuals(t *testing.T) {
	testkit.CheckFile(t, manualsPath+"nuthatch.1", manualsCommand, manual(), *update)
	testkit.CheckFile(t, manualsPath+"nuthatch-ctl.1", manualsCommand, ctlManual(), *update)
}

// TestManualsAreRoff: the manual pages are what a formatter takes without a warning.
func TestManualsAreRoff(t *testing.T) {
	for _, name := range []string{"nuthatch.1", "nuthatch-ctl.1", "nuthatch.yml.5"} {
		cmd := exec.Command(testkit.Program(t, "groff"), "-man", "-Tutf8", "-ww", "-z", manualsPath+name)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func manualOptions(m *testkit.ManPage, table []option) {
	for _, o := range table {
		var names []string
		for _, name := range o.names() {
			switch {
			case o.argument == noArgument:
				names = append(names, "`"+name+"`")
			case strings.HasPrefix(name, "--"):
				names = append(names, "`"+name+"=`"+argumentName(&o))
			default:
				names = append(names, "`"+name+"` "+argumentName(&o))
			}
		}
		m.Item(strings.Join(names, ", "), sentence(o.help))
	}
}

func argumentName(o *option) string {
	switch o.argument {
	case number:
		return "N"
	case fileName:
		return "FILE"
	case noArgument, text:
	}
	return strings.ToUpper(o.long)
}

// sentence is a line of the usage text with a capital and a full stop.
func sentence(help string) string { return strings.ToUpper(help[:1]) + help[1:] + "." }

func manual() string {
	m := testkit.NewManPage(nuthatch, 1, "proxy for Redis and Memcached", manualsCommand)
	m.Section("Synopsis")
	m.Paragraph("**nuthatch** [OPTION]...")
	for _, c := range commands() {
		m.Paragraph("**nuthatch " + c.name + "** " + c.synopsis)
	}
	m.Section("Description")
	m.Paragraph("**nuthatch** spreads the keys of a pool over several Redis or Memcached servers. An application connects to it " +
		"as it would connect to a server. It takes the configuration file and the options of nutcracker (twemproxy), and puts " +
		"every key where nutcracker put it. Without a command it serves. **nuthatch.yml**(5) describes the file.")
	m.Paragraph("Called **nutcracker**, through a link, it has that program's usage text and no commands.")
	m.Section("Options")
	manualOptions(m, mainOptions())
	m.Section("Commands")
	for _, c := range commands() {
		m.Item("**"+c.name+"** "+c.synopsis, sentence(c.help))
	}
	for _, c := range commands() {
		if c.name == "ctl" {
			continue // it has a page of its own
		}
		m.Section("Options of nuthatch " + c.name)
		manualOptions(m, c.options())
	}
	m.Section("Signals")
	for _, s := range [][2]string{
		{"SIGTERM", "Drains: accepts no more clients, answers the requests that have come, and ends. A second one ends at once."},
		{"SIGINT", "Ends at once."},
		{"SIGUSR1", "Reads the configuration again. `nuthatch ctl reload` also says what came of it."},
		{"SIGUSR2", "Starts the program that is now in its place, and hands over to it."},
		{"SIGHUP", "Opens the log file again."},
		{"SIGTTIN, SIGTTOU", "Raises, lowers the log level by one."},
	} {
		m.Item("**"+s[0]+"**", s[1])
	}
	m.Section("Exit status")
	m.Item("0", "After SIGINT or SIGTERM; of `-t`, if the file has no fault.")
	m.Item("1", "After a failure; of `-t`, if the file has faults.")
	m.Item("2", "Of `-t --against`, if keys move without need.")
	m.Section("Files")
	m.Item("`"+defaultConfFile+"`", "The configuration file, if `-c` names no other. The packaged service has `/etc/nuthatch/nuthatch.yml`.")
	m.Section("See also")
	m.Paragraph("**nuthatch-ctl**(1), **nuthatch.yml**(5)")
	return m.String()
}

func ctlManual() string {
	m := testkit.NewManPage("nuthatch-ctl", 1, "queries and controls a running nuthatch", manualsCommand)
	m.Section("Synopsis")
	m.Paragraph("**nuthatch ctl** [OPTION]... COMMAND [ARGUMENT]...")
	m.Section("Description")
	m.Paragraph("**nuthatch ctl** asks the admin listener of a running **nuthatch**(1), or its unix socket for actions, and writes " +
		"the answer for people or, with `--json`, for programs. Every user of the host can read from the default address. " +
		"Actions need a token, or the socket, which is the proxy's user's and root's.")
	m.Section("Commands")
	for _, c := range ctl.Commands() {
		about, example, options := c.Guide()
		if len(options) > 0 {
			about += " Options: `--" + strings.Join(options, "`, `--") + "`."
		}
		m.Item(strings.TrimSpace("**"+c.Name+"** "+c.Synopsis), about+" Example: `"+example+"`.")
	}
	m.Section("Options")
	manualOptions(m, (&ctlFlags{}).table())
	m.Section("Environment")
	m.Item("`"+adminVariable+"`", "The address of the admin listener, if `--address` is not given.")
	m.Item("`"+tokenVariable+"`", "The token, if `--token-file` is not given.")
	m.Section("Exit status")
	for _, s := range []struct {
		status int
		text   string
	}{
		{0, "Done."},
		{exitFailure, "Refused or not understood; of `status`, requests fail."},
		{exitWarned, "Of `preview`, keys would move without need; of `reload`, it is done, and certificates cannot be used."},
		{exitNoAnswer, "No proxy answers."},
	} {
		m.Item(fmt.Sprint(s.status), s.text)
	}
	m.Section("See also")
	m.Paragraph("**nuthatch**(1), **nuthatch.yml**(5)")
	return m.String()
}

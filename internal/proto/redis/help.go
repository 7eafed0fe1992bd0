package redis

import "strings"

// HELP: what subcommands a container has.

// answerHelpOf lists a container's subcommands. Those that are not supported, or that need
// a right which the client lacks, are left out. emulates: the pool looks like a cluster.
func answerHelpOf(help *command, administers, emulates bool, w writer) {
	name, _, _ := strings.Cut(help.name, "|")
	subs := lookup([]byte(name)).subcommands()
	lines := []string{strings.ToUpper(name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for i := range subs {
		if sub := &subs[i]; (sub.reason == "" || sub.emulated && emulates) && (administers || !sub.admin) {
			lines = append(lines, strings.ToUpper(sub.sub), "    "+sub.summary+".")
		}
	}
	w.array(len(lines))
	for _, line := range lines {
		w.status(line)
	}
}

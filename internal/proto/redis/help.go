package redis

import (
	"strings"

	"nuthatch/internal/msg"
)

// What the proxy says of itself: HELP, ROLE.

// answerReport answers INFO, CONFIG GET and LOLWUT when nothing is known more
// than the pool's loops.
func (r *reporter) answerReport(req *msg.Request, cmd *command, w writer) {
	r.report(cmd, r.reportWords(req), r.learned.load().survey, nil, w)
}

// answerHelpOf lists a container's subcommands. Those that are not supported are
// left out.
func answerHelpOf(help *command, w writer) {
	name, _, _ := strings.Cut(help.name, "|")
	subs := lookup([]byte(name)).subcommands()
	lines := []string{strings.ToUpper(name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	for i := range subs {
		if sub := &subs[i]; sub.reason == "" {
			lines = append(lines, strings.ToUpper(sub.sub), "    "+sub.summary+".")
		}
	}
	w.array(len(lines))
	for _, line := range lines {
		w.status(line)
	}
}

// roleMaster answers ROLE: a master without replicas, like INFO says.
const roleMaster = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"

// noCluster answers READONLY, READWRITE and ASKING, as Redis does that is not in
// a cluster.
const noCluster = "-ERR This instance has cluster support disabled\r\n"

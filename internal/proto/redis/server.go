package redis

import (
	"path"
	"strconv"
	"strings"

	"nuthatch/internal/msg"
)

// What the proxy says of itself: HELP, ROLE, CONFIG GET.

// answerInfo answers with the few lines that clients look for, when there is
// nobody who knows more.
func (p *Protocol) answerInfo(req *msg.Request, w writer) {
	var words []string
	for i := 1; i < len(req.Args); i++ {
		words = append(words, strings.ToLower(plain(p.word(req, i), maxShown)))
	}
	w.verbatim(p.info(words, nil))
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

// configs are what CONFIG GET knows: what benchmarks and clients ask for, and
// what is true of any pool.
var configs = []struct{ name, value string }{
	{"appendonly", "no"},
	{"databases", ""},
	{"maxmemory", "0"},
	{"maxmemory-policy", "noeviction"},
	{"notify-keyspace-events", ""},
	{"proto-max-bulk-len", "536870912"},
	{"replica-read-only", "yes"},
	{"save", ""},
	{"slave-read-only", "yes"},
	{"timeout", "0"},
}

func (p *Protocol) answerConfig(req *msg.Request, w writer) {
	var found []string
	for _, c := range configs {
		if p.matches(req, c.name) {
			value := c.value
			if c.name == "databases" {
				value = strconv.Itoa(max(p.dbs, 1))
			}
			found = append(found, c.name, value)
		}
	}
	w.mapping(len(found) / 2)
	for _, s := range found {
		w.bulkString(s)
	}
}

// matches tells whether a CONFIG GET asks for a name: its words are patterns.
func (p *Protocol) matches(req *msg.Request, name string) bool {
	for i := 2; i < len(req.Args); i++ {
		pattern := strings.ToLower(string(p.word(req, i)))
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

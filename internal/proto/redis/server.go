package redis

import (
	"path"
	"strings"

	"nuthatch/internal/msg"
)

// What the proxy says of itself: INFO, COMMAND, CONFIG GET.

// answerInfo answers with the few lines that clients look for.
func (p *Protocol) answerInfo(req *msg.Request, w writer) {
	sections := []struct{ name, text string }{
		{"server", "# Server\r\nredis_version:" + serverVersion + "\r\nredis_mode:standalone\r\nnuthatch_version:" + p.version + "\r\n"},
		{"replication", "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"},
		{"cluster", "# Cluster\r\ncluster_enabled:0\r\n"},
	}
	text := ""
	for _, s := range sections {
		if !p.wants(req, s.name) {
			continue
		}
		if text != "" {
			text += "\r\n"
		}
		text += s.text
	}
	w.verbatim(text)
}

// wants tells whether an INFO asks for a section.
func (p *Protocol) wants(req *msg.Request, section string) bool {
	for i := 1; i < len(req.Args); i++ {
		for _, word := range []string{section, "default", "all", "everything"} {
			if p.is(req, i, word) {
				return true
			}
		}
	}
	return len(req.Args) == 1
}

// answerCommand describes the commands that are served.
func (p *Protocol) answerCommand(req *msg.Request, w writer) {
	switch {
	case len(req.Args) == 1, p.is(req, 1, "info") && len(req.Args) == 2:
		w.array(served())
		eachServed(func(c *command) { describe(c, w) })
	case p.is(req, 1, "count"):
		w.integer(int64(served()))
	case p.is(req, 1, "list") && len(req.Args) == 2:
		w.array(served())
		eachServed(func(c *command) { w.bulkString(c.name) })
	case p.is(req, 1, "info"):
		w.array(len(req.Args) - 2)
		for i := 2; i < len(req.Args); i++ {
			p.describeNamed(p.word(req, i), w)
		}
	default:
		// redis-cli then asks for COMMAND, as it does with old servers.
		p.unknownSubcommand(req, w)
	}
}

func (p *Protocol) unknownSubcommand(req *msg.Request, w writer) {
	sub := plain(p.word(req, 1), maxShown)
	w.fail("ERR unknown subcommand '", sub, "' of '", commands[req.Type].name, "' in nuthatch")
}

func isServed(c *command) bool { return c.reason == "" && c.answer != answerHTTP }

func served() int {
	n := 0
	eachServed(func(*command) { n++ })
	return n
}

func eachServed(visit func(*command)) {
	for i := range commands {
		if c := &commands[i]; isServed(c) {
			visit(c)
		}
	}
}

func (p *Protocol) describeNamed(name []byte, w writer) {
	if c := lookup(name); isServed(c) {
		describe(c, w)
		return
	}
	w.null()
}

// describe appends what COMMAND says of a command, in the form that it had before
// Redis 6.
func describe(c *command, w writer) {
	first, last, step := c.keys.positions()
	w.array(6)
	w.bulkString(c.name)
	w.integer(int64(c.arity))
	var flags []string
	switch {
	case c.writes:
		flags = append(flags, "write")
	case c.treatment != msg.Local && c.treatment != msg.Quit:
		flags = append(flags, "readonly")
	}
	if c.keys.isMovable() {
		flags = append(flags, "movablekeys")
	}
	w.array(len(flags))
	for _, f := range flags {
		w.status(f)
	}
	w.integer(int64(first))
	w.integer(int64(last))
	w.integer(int64(step))
}

// configs are what CONFIG GET knows: what benchmarks and clients ask for, and
// what is true of any pool.
var configs = []struct{ name, value string }{
	{"appendonly", "no"},
	{"databases", "1"},
	{"maxmemory", "0"},
	{"maxmemory-policy", "noeviction"},
	{"save", ""},
	{"timeout", "0"},
}

func (p *Protocol) answerConfig(req *msg.Request, w writer) {
	if !p.is(req, 1, "get") {
		w.fail("ERR '", commands[req.Type].name, "' is supported with GET only: ", oneServer)
		return
	}
	if len(req.Args) < 3 {
		w.fail("ERR wrong number of arguments for 'config|get' command")
		return
	}
	var found []string
	for _, c := range configs {
		if p.matches(req, c.name) {
			found = append(found, c.name, c.value)
		}
	}
	w.array(len(found))
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

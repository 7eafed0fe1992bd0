package redis

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/msg"
)

// COMMAND: what the table says, in Redis's form.

// A describer writes in the client's version of the protocol what RESP2 has no
// words for.
type describer struct {
	writer
	resp3 bool
}

func (d describer) set(n int) {
	if d.resp3 {
		d.number("~", int64(n))
		return
	}
	d.array(n)
}

// mapping begins a map of n pairs.
func (d describer) mapping(n int) {
	if d.resp3 {
		d.number("%", int64(n))
		return
	}
	d.array(2 * n)
}

func (d describer) nothing() {
	if d.resp3 {
		d.raw("_\r\n")
		return
	}
	d.null()
}

// statuses is a set of simple strings.
func (d describer) statuses(words []string) {
	d.set(len(words))
	for _, s := range words {
		d.status(s)
	}
}

// pair is a word and a string, or the beginning of a pair.
func (d describer) pair(name, value string) {
	d.bulkString(name)
	d.bulkString(value)
}

func (d describer) count(name string, n int) {
	d.bulkString(name)
	d.integer(int64(n))
}

// maxNames bounds how many commands one request may ask about: what is said of
// one is a hundred times as long as its name.
const maxNames = 1 << 10

// answerCommand describes the commands that are served.
func (p *Protocol) answerCommand(req *msg.Request, w writer, resp3 bool) {
	d := describer{writer: w, resp3: resp3}
	switch commands[req.Type].sub {
	case "count":
		d.integer(int64(len(p.served(commands))))
	case "docs":
		p.documentCommands(req, d)
	case "getkeys":
		p.listKeys(req, d, false)
	case "getkeysandflags":
		p.listKeys(req, d, true)
	case "info":
		p.describeCommands(req, d)
	case "list":
		p.listCommands(req, d)
	default:
		p.describeAll(d)
	}
}

// served are those of rows that clients may use, without subcommands.
func (p *Protocol) served(rows []command) []*command {
	var served []*command
	for i := 0; i < len(rows); i += 1 + int(rows[i].subs) {
		if c := &rows[i]; p.isServed(c) {
			served = append(served, c)
		}
	}
	return served
}

// isServed tells whether clients may use a command, or something of a container.
func (p *Protocol) isServed(c *command) bool {
	switch {
	case c.reason != "", c.answer == answerHTTP, c.flushes && !p.allowFlush:
		return false
	case !c.isContainer():
		return true
	}
	for _, sub := range p.served(c.subcommands()) {
		if sub.answer != answerHelp {
			return true
		}
	}
	return false
}

// isContainer tells whether a command is nothing without a subcommand.
func (c *command) isContainer() bool { return c.subs > 0 && c.answer == answerNone }

// named finds the served command of that name, which may be a subcommand's, with
// a bar. It returns nil if there is none.
func (p *Protocol) named(name []byte) *command {
	name, sub, isSub := bytes.Cut(name, []byte("|"))
	c := lookup(name)
	if isSub {
		c = c.lookupSub(sub)
	}
	if c == nil || !p.isServed(c) {
		return nil
	}
	return c
}

func (p *Protocol) describeAll(d describer) {
	served := p.served(commands)
	d.array(len(served))
	for _, c := range served {
		p.describe(c, d)
	}
}

func (p *Protocol) describeCommands(req *msg.Request, d describer) {
	if len(req.Args) == 2 {
		p.describeAll(d)
		return
	}
	if !withinNames(req, d) {
		return
	}
	d.array(len(req.Args) - 2)
	for i := 2; i < len(req.Args); i++ {
		if c := p.named(p.word(req, i)); c != nil {
			p.describe(c, d)
			continue
		}
		d.nothing()
	}
}

// withinNames refuses a request that asks about too many commands.
func withinNames(req *msg.Request, d describer) bool {
	if len(req.Args)-2 > maxNames {
		d.fail("ERR too many commands are asked about: at most ", strconv.Itoa(maxNames), " at a time")
		return false
	}
	return true
}

// describe appends what COMMAND says of a command, in the form of Redis 7: name,
// arity, flags, first key, last key, step, categories, tips, key
// specifications, subcommands. Tips are for clients of a cluster: there are
// none.
func (p *Protocol) describe(c *command, d describer) {
	first, last, step := c.keys.positions()
	d.array(10)
	d.bulkString(c.name)
	d.integer(int64(c.arity))
	d.statuses(c.flags())
	d.integer(int64(first))
	d.integer(int64(last))
	d.integer(int64(step))
	d.statuses(c.categories())
	d.set(0)
	specs := c.keySpecs()
	d.set(len(specs))
	for i := range specs {
		specs[i].describe(d)
	}
	subs := p.served(c.subcommands())
	if len(subs) == 0 {
		d.set(0)
		return
	}
	d.array(len(subs))
	for _, sub := range subs {
		p.describe(sub, d)
	}
}

func (c *command) flags() []string {
	var flags []string
	switch c.access {
	case read:
		flags = append(flags, "readonly")
	case write:
		flags = append(flags, "write")
	case neither:
	}
	if c.keys.isMovable() {
		flags = append(flags, "movablekeys")
	}
	return flags
}

// groupCategories are the categories of access control lists that are named
// after groups, where the names differ.
var groupCategories = map[string]string{
	"generic": "keyspace", "sorted_set": "sortedset", "transactions": "transaction", "server": "", "cluster": "",
}

func (c *command) categories() []string {
	var categories []string
	if c.access != neither {
		categories = append(categories, "@"+c.access.String())
	}
	of, differs := groupCategories[c.group]
	if !differs {
		of = c.group
	}
	if of != "" {
		categories = append(categories, "@"+of)
	}
	return categories
}

// documentCommands answers COMMAND DOCS.
func (p *Protocol) documentCommands(req *msg.Request, d describer) {
	found := p.served(commands)
	if !withinNames(req, d) {
		return
	}
	if len(req.Args) > 2 {
		found = found[:0]
		for i := 2; i < len(req.Args); i++ {
			if c := p.named(p.word(req, i)); c != nil && !slices.Contains(found, c) {
				found = append(found, c)
			}
		}
	}
	p.document(found, d)
}

func (p *Protocol) document(found []*command, d describer) {
	d.mapping(len(found))
	for _, c := range found {
		d.bulkString(c.name)
		subs := p.served(c.subcommands())
		d.mapping(3 + min(len(subs), 1))
		d.pair("summary", c.summary)
		d.pair("since", c.since)
		d.pair("group", c.group)
		if len(subs) > 0 {
			d.bulkString("subcommands")
			p.document(subs, d)
		}
	}
}

// listCommands answers COMMAND LIST, with its filters: names by pattern, and
// those of a category. No command is of a module.
func (p *Protocol) listCommands(req *msg.Request, d describer) {
	keep := func(*command) bool { return true }
	if len(req.Args) > 2 {
		if len(req.Args) != 5 || !p.is(req, 2, "filterby") {
			d.fail("ERR ", syntaxError)
			return
		}
		by := strings.ToLower(string(p.word(req, 4)))
		switch {
		case p.is(req, 3, "module"):
			keep = func(*command) bool { return false }
		case p.is(req, 3, "aclcat"):
			keep = func(c *command) bool { return slices.Contains(c.categories(), "@"+by) }
		case p.is(req, 3, "pattern"):
			keep = func(c *command) bool {
				ok, err := path.Match(by, c.name)
				return ok && err == nil
			}
		default:
			d.fail("ERR ", syntaxError)
			return
		}
	}
	var names []string
	for _, c := range p.served(commands) {
		for _, each := range append([]*command{c}, p.served(c.subcommands())...) {
			if keep(each) {
				names = append(names, each.name)
			}
		}
	}
	d.array(len(names))
	for _, name := range names {
		d.bulkString(name)
	}
}

// A foundKey is one of the keys of a request, and what is done with it.
type foundKey struct {
	msg.Span
	use []string
}

// listKeys answers COMMAND GETKEYS and COMMAND GETKEYSANDFLAGS, for commands that
// are not served, too.
func (p *Protocol) listKeys(req *msg.Request, d describer, flags bool) {
	c := lookup(p.word(req, 2))
	if c.subs > 0 && len(req.Args) > 3 {
		c = c.lookupSub(p.word(req, 3))
	}
	n := len(req.Args) - 2
	switch {
	case c == nil, c.id == unknown:
		d.fail("ERR Invalid command specified")
		return
	case c.keys.rule == noKey:
		d.fail("ERR The command has no key arguments")
		return
	case c.arity > 0 && n != c.arity, n < -c.arity:
		d.fail("ERR Invalid number of arguments specified for command")
		return
	}
	found, ok := c.findKeys(req)
	if !ok {
		d.fail("ERR Invalid arguments specified for command")
		return
	}
	d.array(len(found))
	for _, k := range found {
		if flags {
			d.array(2)
		}
		d.number("$", int64(k.Len))
		req.View.AppendTo(d.pool, d.out, int(k.Off), int(k.Len))
		d.raw("\r\n")
		if flags {
			d.statuses(k.use)
		}
	}
}

// findKeys returns the keys of the request for c that begins at the third word of
// req, in their order there.
func (c *command) findKeys(req *msg.Request) (found []foundKey, ok bool) {
	r := msg.Request{View: req.View, Args: slices.Clip(req.Args[2:])}
	if c.keys.find(&r) == misplaced {
		return nil, false
	}
	others := c.use()
	for i := range r.Nkeys {
		k := foundKey{r.Key(i), others}
		if i == 0 && c.keys.dest && (c.keys.rule != storeKey || r.Nkeys > 1) {
			k.use = stored
		}
		found = append(found, k)
	}
	slices.SortFunc(found, func(a, b foundKey) int { return cmp.Compare(a.Off, b.Off) })
	return found, true
}

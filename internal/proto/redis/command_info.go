package redis

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"nuthatch/internal/config"
	"nuthatch/internal/glob"
	"nuthatch/internal/msg"
)

// COMMAND: what the table says, in Redis's form.

// statuses is a set of simple strings.
func (w writer) statuses(words []string) {
	w.set(len(words))
	for _, s := range words {
		w.status(s)
	}
}

// pair is two strings.
func (w writer) pair(name, value string) {
	w.bulkString(name)
	w.bulkString(value)
}

// nameAndNumber is a string and a number.
func (w writer) nameAndNumber(name string, n int) {
	w.bulkString(name)
	w.integer(int64(n))
}

// maxNames bounds how many commands one request may ask about: the answer about one is
// a hundred times as long as its name.
const maxNames = 1 << 10

// maxKeyWords bounds the words of a command whose keys a request asks for: they are
// found in one turn of the loop, in less than 5 ms.
const maxKeyWords = 1 << 14

// A catalog is the commands that a pool's clients may use, for one request about them.
type catalog struct {
	words *wordReader
	// servers is how many the pool has.
	servers    int
	allowFlush bool
	// administers: the client may use commands of administration.
	administers bool
	// emulates: the pool looks like a cluster.
	emulates     bool
	transactions config.Transactions
}

func (p *Protocol) catalog() *catalog {
	return &catalog{words: &p.wordReader, servers: p.servers, allowFlush: p.allowFlush, transactions: p.transactions, emulates: p.emulate != nil}
}

// answerCommand answers COMMAND and its subcommands.
func (p *Protocol) answerCommand(req *msg.Request, s *msg.Session, w writer) {
	k := p.catalog()
	k.administers = p.mayAdminister(s)
	k.answer(req, w)
}

// answer describes the commands that are served.
func (k *catalog) answer(req *msg.Request, w writer) {
	switch commands[req.Type].sub {
	case "count":
		w.integer(int64(len(k.served(commands))))
	case "docs":
		k.documentCommands(req, w)
	case "getkeys":
		k.listKeys(req, w, false)
	case "getkeysandflags":
		k.listKeys(req, w, true)
	case "info":
		k.describeCommands(req, w)
	case "list":
		k.listCommands(req, w)
	default:
		k.describeAll(w)
	}
}

// served are those of rows that clients may use, without subcommands.
func (k *catalog) served(rows []command) []*command {
	var served []*command
	for i := 0; i < len(rows); i += 1 + int(rows[i].subs) {
		if c := &rows[i]; k.isServed(c) {
			served = append(served, c)
		}
	}
	return served
}

// isServed tells whether clients may use a command or, for a container, one of its
// subcommands.
func (k *catalog) isServed(c *command) bool {
	switch {
	case c.reason != "" && (!c.ofOne || k.servers != 1) && (!c.emulated || !k.emulates), c.answer == answerHTTP, c.flushes && !k.allowFlush,
		c.admin && !k.administers,
		(c.isTransaction() || c.answer == answerWatch) && k.transactions == config.TransactionsRefuse:
		return false
	case !c.isContainer():
		return true
	}
	for _, sub := range k.served(c.subcommands()) {
		if sub.answer != answerHelp {
			return true
		}
	}
	return false
}

// isContainer tells whether a command needs a subcommand.
func (c *command) isContainer() bool { return c.subs > 0 && c.answer == answerNone && c.reason == "" }

// commandNamed finds the served command of that name, which may be a subcommand's, with
// a bar. It returns nil if there is none.
func (k *catalog) commandNamed(name []byte) *command {
	name, sub, isSub := bytes.Cut(name, []byte("|"))
	c := lookup(name)
	if isSub {
		c = c.lookupSub(sub)
	}
	if c == nil || !k.isServed(c) {
		return nil
	}
	return c
}

func (k *catalog) describeAll(w writer) {
	served := k.served(commands)
	w.array(len(served))
	for _, c := range served {
		k.describe(c, w)
	}
}

func (k *catalog) describeCommands(req *msg.Request, w writer) {
	if len(req.Args) == 2 {
		k.describeAll(w)
		return
	}
	if !withinNames(req, w) {
		return
	}
	w.array(len(req.Args) - 2)
	for i := 2; i < len(req.Args); i++ {
		if c := k.commandNamed(k.words.word(req, i)); c != nil {
			k.describe(c, w)
			continue
		}
		w.null()
	}
}

// withinNames refuses a request that asks about too many commands.
func withinNames(req *msg.Request, w writer) bool {
	if len(req.Args)-2 > maxNames {
		w.fail("ERR too many commands are asked about: at most ", strconv.Itoa(maxNames), " at a time")
		return false
	}
	return true
}

// describe appends what COMMAND says of a command, in the form of Redis 7: name,
// arity, flags, first key, last key, step, categories, tips, key
// specifications, subcommands.
func (k *catalog) describe(c *command, w writer) {
	first, last, step := c.keys.positions()
	w.array(10)
	w.bulkString(c.name)
	w.integer(int64(c.arity))
	w.statuses(strings.Fields(c.facts.flags))
	w.integer(int64(first))
	w.integer(int64(last))
	w.integer(int64(step))
	w.statuses(c.facts.allCategories())
	tips := strings.Fields(c.facts.tips)
	w.set(len(tips))
	for _, tip := range tips {
		w.bulkString(tip)
	}
	specs := c.keySpecs()
	for i, note := range notes[c.name] {
		specs[i].note = note
	}
	w.set(len(specs))
	for i := range specs {
		specs[i].describe(w)
	}
	subs := k.served(c.subcommands())
	if len(subs) == 0 {
		w.set(0)
		return
	}
	w.array(len(subs))
	for _, sub := range subs {
		k.describe(sub, w)
	}
}

// documentCommands answers COMMAND DOCS.
func (k *catalog) documentCommands(req *msg.Request, w writer) {
	found := k.served(commands)
	if !withinNames(req, w) {
		return
	}
	if len(req.Args) > 2 {
		found = found[:0]
		for i := 2; i < len(req.Args); i++ {
			if c := k.commandNamed(k.words.word(req, i)); c != nil && !slices.Contains(found, c) {
				found = append(found, c)
			}
		}
	}
	k.document(found, w)
}

func (k *catalog) document(found []*command, w writer) {
	w.mapping(len(found))
	for _, c := range found {
		w.bulkString(c.name)
		subs := k.served(c.subcommands())
		w.mapping(3 + min(len(subs), 1))
		w.pair("summary", c.summary)
		w.pair("since", c.since)
		w.pair("group", strings.ReplaceAll(c.group, "_", "-"))
		if len(subs) > 0 {
			w.bulkString("subcommands")
			k.document(subs, w)
		}
	}
}

// listCommands answers COMMAND LIST, with its filters: names by pattern, and
// those of a category. No command is of a module.
func (k *catalog) listCommands(req *msg.Request, w writer) {
	keep := func(*command) bool { return true }
	if len(req.Args) > 2 {
		if len(req.Args) != 5 || !k.words.is(req, 2, "filterby") {
			w.fail("ERR ", syntaxError)
			return
		}
		by := strings.ToLower(string(k.words.word(req, 4)))
		switch {
		case k.words.is(req, 3, "module"):
			keep = func(*command) bool { return false }
		case k.words.is(req, 3, "aclcat"):
			keep = func(c *command) bool { return slices.Contains(c.facts.allCategories(), "@"+by) }
		case k.words.is(req, 3, "pattern"):
			keep = func(c *command) bool { return glob.Match(by, c.name) }
		default:
			w.fail("ERR ", syntaxError)
			return
		}
	}
	var names []string
	for _, c := range k.served(commands) {
		for _, each := range append([]*command{c}, k.served(c.subcommands())...) {
			if keep(each) {
				names = append(names, each.name)
			}
		}
	}
	w.array(len(names))
	for _, name := range names {
		w.bulkString(name)
	}
}

// A foundKey is one of the keys of a request, and what is done with it.
type foundKey struct {
	msg.Span
	use []string
}

// listKeys answers COMMAND GETKEYS and COMMAND GETKEYSANDFLAGS, for commands that
// are not served, too.
func (k *catalog) listKeys(req *msg.Request, w writer, flags bool) {
	c := lookup(k.words.word(req, 2))
	if c.subs > 0 && len(req.Args) > 3 {
		c = c.lookupSub(k.words.word(req, 3))
	}
	n := len(req.Args) - 2
	switch {
	case n > maxKeyWords:
		w.fail("ERR the command has too many words: at most ", strconv.Itoa(maxKeyWords), " when its keys are asked for")
		return
	case c == nil, c.id == unknown:
		w.fail("ERR Invalid command specified")
		return
	case c.keys.rule == noKey, c.facts.use == "not_key":
		w.fail("ERR The command has no key arguments")
		return
	case c.arity > 0 && n != c.arity, n < -c.arity:
		w.fail("ERR Invalid number of arguments specified for command")
		return
	}
	found, ok := c.findKeys(req)
	if !ok && !strings.Contains(c.facts.flags, "no_mandatory_keys") {
		w.fail("ERR Invalid arguments specified for command")
		return
	}
	w.array(len(found))
	if first, _ := req.View.Near(0); !flags && first[0] == '*' {
		echoKeys(req, found, w)
		return
	}
	for _, key := range found {
		if flags {
			w.array(2)
		}
		w.number("$", int64(key.Len))
		req.View.AppendTo(w.pool, w.out, int(key.Off), int(key.Len))
		w.raw("\r\n")
		if flags {
			w.statuses(key.use)
		}
	}
}

// echoKeys appends the keys of a request in RESP as they came, lengths and line ends
// included. Adjacent keys are appended in one piece: there may be very many.
func echoKeys(req *msg.Request, found []foundKey, w writer) {
	for i := 0; i < len(found); {
		from := bulkBefore(found[i].Span)
		end := found[i].End() + 2
		for i++; i < len(found) && bulkBefore(found[i].Span) == end; i++ {
			end = found[i].End() + 2
		}
		req.View.AppendTo(w.pool, w.out, from, end-from)
	}
}

// bulkBefore is the offset of the bulk whose bytes the span is.
func bulkBefore(s msg.Span) int {
	digits := 1
	for n := s.Len; n > 9; n /= 10 {
		digits++
	}
	return int(s.Off) - digits - len("$\r\n")
}

// findKeys returns the keys of the request for c that begins at the third word of
// req, in their order there.
func (c *command) findKeys(req *msg.Request) (found []foundKey, ok bool) {
	r := msg.Request{View: req.View, Args: slices.Clip(req.Args[2:])}
	if c.keys.find(&r) == misplaced && c.keys.rule != rangeOfKeys || r.Nkeys == 0 && c.keys.rule == rangeOfKeys {
		return nil, false
	}
	if c.keys.rule == rangeOfKeys && c.keys.dest && r.Nkeys == 1 {
		return nil, false // Redis wants a word at each of its specifications
	}
	uses := c.usesOf(&r)
	found = make([]foundKey, 0, r.Nkeys)
	for i := range r.Nkeys {
		k := foundKey{r.Key(i), uses[0]}
		if i > 0 {
			k.use = uses[len(uses)-1]
		}
		found = append(found, k)
	}
	inOrder := func(a, b foundKey) int { return cmp.Compare(a.Off, b.Off) }
	if !slices.IsSortedFunc(found, inOrder) {
		slices.SortFunc(found, inOrder)
	}
	return found, true
}

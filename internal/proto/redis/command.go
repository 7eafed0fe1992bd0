package redis

import (
	"slices"
	"strings"

	"nuthatch/internal/acl"
	"nuthatch/internal/invariant"
	"nuthatch/internal/msg"
)

// A command is a row of the table: all that is known of a command of Redis, or of a
// subcommand.
type command struct {
	// name is the command's name in lower case. A subcommand's name follows that of its
	// container and a bar: "object|encoding".
	name string
	keys keys
	// treatment is what becomes of the request. answer, for Local and Quit, says who
	// answers it. merge, for Fragment and Broadcast, says how the replies are merged.
	treatment msg.Treatment
	answer    answer
	merge     mergeKind
	// flushes: the command empties servers, and is refused unless the pool's
	// allow_flush is on.
	flushes bool
	// timeout is the place of the word that says how long a command waits: see timeoutOf.
	timeout int
	// ofOne: the command is about one server. A pool of one passes it on, others refuse it.
	ofOne bool
	// emulated: the command is about a cluster. A pool that looks like one answers it.
	emulated bool
	// admin: the command administers servers, or stops them for other clients. A client needs
	// the right to do so: see rules.mayAdminister.
	admin  bool
	access access
	// subscription is what the command has its client listen to, for Subscribe.
	subscription msg.Subscription
	// publishes: the command is PUBLISH.
	publishes bool
	// database says which words name a database.
	database databaseRule

	// Derived from the row when the table is built. Fields that every request needs
	// stand together.

	// subs is the number of subcommands. Their rows are the next ones.
	subs uint8
	// runsText: its first word is a script, and not the name of one.
	runsText bool
	// mayWrite: a pool that is for reading alone refuses it.
	mayWrite bool
	id       msg.Type
	// first is what the command does with its first key, others with all other keys.
	// varies: it depends on the words.
	first, others acl.Access
	varies        bool
	// minArgs and maxArgs bound the number of words. If a server answers the command,
	// there is no upper bound: it refuses a word too many in Redis's words, and a newer
	// server may accept it.
	// In a transaction a word too many must be found before the others are carried out, so that
	// mostQueued is exact.
	minArgs, maxArgs, mostQueued int
	// sub is the last part of a subcommand's name.
	sub string
	// head is the beginning of a fragment's request, after its count.
	head string
	// group is the chapter of Redis's manual that the command is in.
	group string

	// The rest of the row.

	// facts are other things that COMMAND tells.
	facts facts
	// arity is the number of words, the name included: exactly, or at least, if
	// negative.
	arity int
	// reason is why the command is not supported, or empty if it is.
	reason string
	// since is the release that brought the command, summary what it does.
	since, summary string
	// example is the words of a correct call, after the name, over the keys that the
	// differential test makes. Every command that a server answers for its keys has
	// one.
	example string
}

// unknown is the row of commands that have no row.
const unknown msg.Type = 0

// maxName is the length of the table's longest name that a client sends as one word.
const maxName = len("count-failure-reports")

// access says what a command does with keys.
type access uint8

const (
	neither access = iota // no key is touched, or nobody can tell: scripts
	read
	write
)

func (a access) String() string { return [...]string{"", "read", "write"}[a] }

// mergeKind says how one reply is made from those of several servers.
type mergeKind uint8

const (
	mergeNone     mergeKind = iota
	mergeElements           // arrays with an element for each key, in the order of the keys
	mergeStatus             // the first one's status, if all have one
	mergeSum                // the sum of integers
	mergeMin                // the least of integers
	mergeMax                // the greatest of integers
	mergeConcat             // arrays or sets, joined
	mergeUnion              // arrays of names, joined, each once
	mergeAny                // one that is not null, if there is one
	mergeSame               // one of replies that are all equal
	mergeAllOf              // arrays of 0 and 1: 1 where all have 1
	mergePairSums           // arrays of names and numbers: the numbers of equal names added
	mergeOneOK              // OK if one server says so, else the first one's error
	mergeScan               // one server's cursor and keys: the cursor for the next call, and the keys
	mergeBusy               // the first one of a server that runs something, else the first
	mergeLoad               // as mergeSame, of a script, which the pool remembers
	mergeEvery              // one of the statuses, or else an error that says which servers have done it
	mergeBlocks             // arrays with an element for each command of a transaction, in their order
)

// A row's parts, in the order of the constructors' parameters: the name, the
// arity, what it does with keys, where they are, how replies are merged, since
// when there is the command, what it does, and an example.

// forward is the row of a command that goes to the one server that owns its
// keys.
func forward(name string, arity int, a access, k keys, since, summary, example string) command {
	return command{
		name: name, arity: arity, access: a, keys: k, treatment: msg.Forward,
		since: since, summary: summary, example: example,
	}
}

// fragment is the row of a command that is split by server.
func fragment(name string, arity int, a access, k keys, m mergeKind, since, summary, example string) command {
	return command{
		name: name, arity: arity, access: a, keys: k, treatment: msg.Fragment, merge: m,
		since: since, summary: summary, example: example,
	}
}

// broadcast is the row of a command that goes to all servers.
func broadcast(name string, arity int, a access, m mergeKind, since, summary string) command {
	return command{name: name, arity: arity, access: a, treatment: msg.Broadcast, merge: m, since: since, summary: summary}
}

// flush is the row of a command that empties all servers.
func flush(name string, arity int, since, summary string) command {
	c := broadcast(name, arity, write, mergeStatus, since, summary)
	c.flushes = true
	return c
}

// administer is the row of a command of administration that goes to all servers.
func administer(name string, arity int, since, summary string) command {
	c := broadcast(name, arity, neither, mergeEvery, since, summary)
	c.admin = true
	return c
}

// administerOne is the row of a command that administers one server. A pool of several does
// not support it, for that reason.
func administerOne(name string, arity int, reason, since, summary string) command {
	c := refuse(name, arity, reason, since, summary)
	c.ofOne, c.admin = true, true
	return c
}

// inspect is the row of a subcommand that looks into a server at its keys. A pool of one server
// passes it on to those who may administer, and others refuse it.
func inspect(c command) command {
	c.admin = true
	return c
}

// pause is the row of a command that pauses the pool for all of its clients, or ends that.
func pause(name string, arity int, since, summary string) command {
	c := report(name, arity, answerPause, since, summary)
	c.admin = true
	return c
}

// one is the row of a command that goes to one server at a time.
func one(name string, arity int, a access, since, summary string) command {
	return command{name: name, arity: arity, access: a, treatment: msg.One, merge: mergeScan, since: since, summary: summary}
}

// gather is the row of a command that all event loops answer together.
func gather(name string, arity int, since, summary string) command {
	return command{name: name, arity: arity, treatment: msg.Gather, since: since, summary: summary}
}

// report is the row of a command that the proxy answers with what all event loops
// know.
func report(name string, arity int, by answer, since, summary string) command {
	c := local(name, arity, by, since, summary)
	c.treatment = msg.Report
	return c
}

// local is the row of a command that the proxy answers.
func local(name string, arity int, by answer, since, summary string) command {
	return command{name: name, arity: arity, treatment: msg.Local, answer: by, since: since, summary: summary}
}

// quit is the row of a command that ends the connection.
func quit(name string, arity int, by answer, since, summary string) command {
	return command{name: name, arity: arity, treatment: msg.Quit, answer: by, since: since, summary: summary}
}

// container is the row of a command that needs a subcommand.
func container(name, since, summary string) command {
	return local(name, -2, answerNone, since, summary)
}

// help is the row of the subcommand that lists its siblings.
func help(name, since string) command {
	return local(name, 2, answerHelp, since, "The subcommands")
}

// session is the row of a command that changes its connection, or holds it up, so that
// no other client could use it.
func session(name string, arity int, a access, k keys, since, summary string) command {
	return refuseKeyed(name, arity, ownConnection, a, k, since, summary)
}

// blocking is the row of a command that waits for an element, for as long as the word at
// timeout says. In a transaction it does not wait.
func blocking(name string, arity int, k keys, timeout int, since, summary, example string) command {
	c := forward(name, arity, write, k, since, summary, example)
	c.treatment, c.timeout = msg.Block, timeout
	return c
}

// confirm is the row of a command that waits until what the client wrote is kept elsewhere.
func confirm(name string, arity int, since, summary string) command {
	c := broadcast(name, arity, neither, mergeMin, since, summary)
	c.treatment = msg.Confirm
	return c
}

// watch is the row of WATCH.
func watch(name string, arity int, k keys, since, summary string) command {
	c := forward(name, arity, neither, k, since, summary, "string new")
	c.treatment, c.answer = msg.Watch, answerWatch
	return c
}

// transaction is the row of a command that begins or ends a transaction.
func transaction(name string, by answer, since, summary string) command {
	c := local(name, 1, by, since, summary)
	if by == answerExec {
		c.merge = mergeBlocks
	}
	return c
}

// isTransaction tells whether the row is one of those.
func (c *command) isTransaction() bool {
	return c.answer == answerMulti || c.answer == answerExec || c.answer == answerDiscard
}

// inDatabases is the row of a command that names databases.
func inDatabases(rule databaseRule, c command) command {
	c.database = rule
	return c
}

// refuse is the row of a command that is not supported.
func refuse(name string, arity int, reason, since, summary string) command {
	return refuseKeyed(name, arity, reason, neither, noKeys, since, summary)
}

// ofOne is the row of a command about one server, which a pool of several does not
// support. All of them came with Redis 4.
func ofOne(name, summary string) command {
	c := refuse(name, 2, oneServer, "4.0.0", summary)
	c.ofOne = true
	return c
}

// alone is what becomes of the command in a pool of one server, if it is about one. Commands
// of administration are broadcast to that one, so that they are looked at first.
func (c *command) alone() msg.Treatment {
	if c.admin {
		return msg.Broadcast
	}
	return msg.Forward
}

// ofCluster is the row of a command about a cluster. A pool that looks like one answers it, and
// others do not support it.
func ofCluster(name string, arity int, by answer, since, summary string) command {
	c := refuse(name, arity, notEmulated, since, summary)
	c.answer, c.emulated = by, true
	return c
}

// refuseKeyed is the row of a command with keys that is not supported.
func refuseKeyed(name string, arity int, reason string, a access, k keys, since, summary string) command {
	return command{
		name: name, arity: arity, treatment: msg.Local, reason: reason, access: a, keys: k, since: since, summary: summary,
	}
}

// group are the rows of one chapter of Redis's manual.
func group(name string, rows []command) []command {
	for i := range rows {
		rows[i].group = name
	}
	return rows
}

// commands is the table; a command's Type is its index.
var commands = buildCommands()

func buildCommands() []command {
	rows := slices.Concat(
		[]command{{treatment: msg.Local, reason: unknownCommand}},
		stringCommands, keyCommands, bitCommands, hashCommands, listCommands, setCommands,
		sortedSetCommands, arrayCommands, vectorSetCommands, geoCommands, hyperLogLogCommands, streamCommands, pubsubCommands,
		scriptCommands, transactionCommands, connectionCommands, serverCommands, clusterCommands, strayCommands,
	)
	last := 0 // the last row that is not a subcommand's
	for i := range rows {
		c := &rows[i]
		c.id = msg.Type(i)
		if of, sub, ok := strings.Cut(c.name, "|"); ok {
			invariant.Check(of == rows[last].name, "redis: a subcommand's row away from its container's")
			c.sub = sub
			rows[last].subs++
		} else {
			last = i
		}
		c.bound()
		c.facts = factsOf(c.name)
		c.deriveAccess()
		c.publishes = c.name == "publish"
		c.runsText = c.name == "eval" || c.name == "eval_ro"
		c.mayWrite = slices.Contains(strings.Fields(c.facts.flags), "write") || c.keys.rule == scriptKeys && c.access != read
		if c.treatment == msg.Fragment {
			c.head = "\r\n$" + string(rune('0'+len(c.name))) + "\r\n" + c.name + "\r\n"
		}
		invariant.Check(len(c.name) <= maxName || c.sub != "", "redis: a name longer than maxName")
		invariant.Check(len(c.sub) <= maxName, "redis: a subcommand longer than maxName")
	}
	return rows
}

// staysAtPrimary are commands that read, and that no replica is to carry out: scripts that a
// server was given are not replicated, a cursor is good only at the server that gave it, and
// what is used last is for the primary to know, which evicts.
var staysAtPrimary = map[string]bool{
	"evalsha_ro": true, "hscan": true, "sscan": true, "zscan": true, "touch": true, "object|freq": true, "object|idletime": true,
}

// commandFacts is the table as the measurements see it.
var commandFacts = func() []msg.Command {
	facts := make([]msg.Command, len(commands))
	for i := range commands {
		c := &commands[i]
		facts[i] = msg.Command{
			Name: c.name, Family: c.family(), Pure: c.access == read || c.isWhole(), Whole: c.isWhole(), MostQueued: c.mostQueued,
			Replicas:  c.access == read && c.treatment != msg.Watch && !staysAtPrimary[c.name],
			Publishes: c.publishes || c.treatment == msg.Publish,
		}
	}
	facts[unknown].Name = "unknown"
	return facts
}()

// isWhole reports whether the command reads something of all servers, and has no reply without one
// of them.
func (c *command) isWhole() bool {
	if c.treatment != msg.Broadcast || c.access == write || c.publishes {
		return false
	}
	switch c.merge {
	case mergeSum, mergeMax, mergeConcat, mergeUnion, mergePairSums, mergeSame, mergeAllOf, mergeBusy:
		return true
	case mergeNone, mergeStatus, mergeElements, mergeMin, mergeScan, mergeAny, mergeOneOK, mergeLoad, mergeBlocks, mergeEvery:
	}
	return false
}

// Commands are the table's commands, by msg.Type.
func Commands() []msg.Command { return commandFacts }

// Commands are the table's commands, by msg.Type.
func (p *Protocol) Commands() []msg.Command { return commandFacts }

// family is the command's in the statistics.
func (c *command) family() msg.Family {
	switch {
	case c.group == "scripting":
		return msg.Scripts
	case c.treatment == msg.Fragment:
		return msg.Multis
	case c.access == read:
		return msg.Reads
	case c.access == write:
		return msg.Writes
	}
	return msg.OtherCommands
}

// bound sets the bounds of the number of words. A command that is not supported is
// refused for that reason, whatever its words.
func (c *command) bound() {
	c.minArgs, c.maxArgs, c.mostQueued = max(c.arity, -c.arity), maxArgs, maxArgs
	if c.arity > 0 {
		c.mostQueued = c.arity
	}
	switch {
	case c.reason != "":
		c.minArgs = 1
	case (c.treatment == msg.Local || c.treatment == msg.Quit || c.treatment == msg.Report) && c.arity > 0:
		c.maxArgs = c.arity
	}
}

// subcommands are the rows of c's subcommands.
func (c *command) subcommands() []command {
	return commands[int(c.id)+1 : int(c.id)+1+int(c.subs)]
}

// lookupSub finds the row of a subcommand by its name, in any case. It returns
// nil if there is none.
func (c *command) lookupSub(name []byte) *command {
	subs := c.subcommands()
	for i := range subs {
		if isNamed(subs[i].sub, name) {
			return &subs[i]
		}
	}
	return nil
}

// isNamed tells whether b is the lower-case name in any case.
func isNamed(name string, b []byte) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

package memcache

import "nuthatch/internal/msg"

// merging is how the replies of several servers become one.
type merging uint8

const (
	// mergeValues: the values of all, and one END.
	mergeValues merging = iota
	// mergeSame: all say the same; an error of one is the error of all.
	mergeSame
	// mergeStats: the lines of all, the server's name in each.
	mergeStats
)

// A command is one row of the table of what is known of a command: how many
// words its line has, which of them are keys, whether a body follows, and what
// becomes of it. Words are counted with the command's name, which is word 0.
type command struct {
	name string
	// min and max bound the number of words. A max of 0: no bound.
	min, max int
	// tooFew and tooMany are memcached's words for a line outside of those
	// bounds; empty: ERROR.
	tooFew, tooMany string
	treatment       msg.Treatment
	// key is the first word that is a key, 0: the command's name stands in for
	// one. With many, so are all behind it.
	key  int
	many bool
	// storage: the words behind the key are flags, exptime and the body's length,
	// and for cas its unique.
	storage bool
	// body is the word that holds the length of the body, or 0: no body.
	body int
	// noreply is the first word that "noreply" can be, if it is the last of its
	// line. 0: never.
	noreply int
	// flags is the first word that is a meta flag, or 0: none is.
	flags int
	// base64 is the word that, if it is "b" and nothing else, says that the key
	// is base64. 0: none; with flags, any of those.
	base64 int
	// twice is memcached's words for a flag that is given twice.
	twice string
	// replies are the codes (see codeOf) of the replies that answer the command,
	// errors apart. Empty: any.
	replies []string
	// silent are the codes of the replies that a quiet request hides.
	silent []string
	// answer is what the proxy itself says, for a Local command.
	answer string
	// merge is how replies to a split, or to a broadcast, become one.
	merge merging
	// flush: only where the pool allows flush_all.
	flush bool
	// long: the line is bounded by the size of requests alone.
	long bool
	// refusal is the error for a command that is known and not supported.
	refusal string
	// reads: a pool that is for reading alone allows it. A flag in changing is not allowed.
	reads    bool
	changing string
	// form and note are the documentation's.
	form, note string
}

// What the servers' replies begin with, for several commands each.
var (
	valueReplies   = []string{"VALUE", "END"}
	storageReplies = []string{"STORED", "NOT_STORED", "EXISTS", "NOT_FOUND"}
	countReplies   = []string{"", "NOT_FOUND"}
	metaReplies    = []string{"HD", "VA", "EN", "NS", "EX", "NF", "OK"}
	debugReplies   = []string{"ME", "EN"}
	okReplies      = []string{"OK"}
)

// maxMetaWords is the number of words that every memcached takes on the line of
// a meta command with flags. Of more, some do not read the value behind the line.
const maxMetaWords = 19

// memcached's words for too many of them; mg's have one more.
const (
	errManyFlags    = "CLIENT_ERROR options flags too long"
	errManyGetFlags = "CLIENT_ERROR options flags are too long"
	errTwice        = "CLIENT_ERROR duplicate flag"
	errInvalidTwice = "CLIENT_ERROR invalid or duplicate flag"
	errReadOnly     = "CLIENT_ERROR the pool is for reading alone (read_only)"
	errNoFlush      = "CLIENT_ERROR flush_all not allowed: the pool's allow_flush is off"
)

const (
	storageForm = " <key> <flags> <exptime> <bytes> [noreply]"
	administers = "It administers one server: send it there."
)

// commands is the table. A msg.Type is an index into it; 0 is an unknown
// command.
//
// The words allowed are memcached's own: what it ignores, such as a word behind
// a storage command's last, is ignored here. "version" has no key: its name
// stands in for one, so that some server answers.
var commands = [...]command{
	{},
	{
		name: "get", reads: true, replies: valueReplies, min: 2, treatment: msg.Fragment, key: 1, many: true, long: true, form: "get <key>*",
		note: "Values come in the order of the keys. If a server does not have a key, later values of that server come earlier.",
	},
	{name: "set", replies: storageReplies, min: 5, max: 6, key: 1, storage: true, body: 4, noreply: 2, form: "set" + storageForm},
	{
		name: "gets", reads: true, replies: valueReplies, min: 2, treatment: msg.Fragment, key: 1, many: true, long: true, form: "gets <key>*",
		note: "As get. Each server gives its own uniques, so uniques of two keys cannot be compared.",
	},
	{
		name: "delete", replies: []string{"DELETED", "NOT_FOUND"}, min: 2, max: 4, key: 1, noreply: 2, form: "delete <key> [0] [noreply]",
		note: "The old time argument may be 0; memcached itself refuses others.",
	},
	{name: "incr", replies: countReplies, min: 3, max: 4, key: 1, noreply: 2, form: "incr <key> <value> [noreply]"},
	{name: "decr", replies: countReplies, min: 3, max: 4, key: 1, noreply: 2, form: "decr <key> <value> [noreply]"},
	{name: "add", replies: storageReplies, min: 5, max: 6, key: 1, storage: true, body: 4, noreply: 2, form: "add" + storageForm},
	{
		name: "cas", replies: storageReplies, min: 6, max: 7, key: 1, storage: true, body: 4, noreply: 2,
		form: "cas <key> <flags> <exptime> <bytes> <unique> [noreply]",
	},
	{name: "touch", replies: []string{"TOUCHED", "NOT_FOUND"}, min: 3, max: 4, key: 1, noreply: 2, form: "touch <key> <exptime> [noreply]"},
	{name: "append", replies: storageReplies, min: 5, max: 6, key: 1, storage: true, body: 4, noreply: 2, form: "append" + storageForm},
	{name: "prepend", replies: storageReplies, min: 5, max: 6, key: 1, storage: true, body: 4, noreply: 2, form: "prepend" + storageForm},
	{name: "replace", replies: storageReplies, min: 5, max: 6, key: 1, storage: true, body: 4, noreply: 2, form: "replace" + storageForm},
	{name: "gat", replies: valueReplies, min: 3, treatment: msg.Fragment, key: 2, many: true, form: "gat <exptime> <key>*"},
	{name: "gats", replies: valueReplies, min: 3, treatment: msg.Fragment, key: 2, many: true, form: "gats <exptime> <key>*"},
	{
		name: "bget", reads: true, replies: valueReplies, min: 2, treatment: msg.Fragment, key: 1, many: true, form: "bget <key>*",
		note: "An old name of get, which later memcacheds do not know.",
	},
	{name: "version", reads: true, replies: []string{"VERSION"}, min: 1, form: "version", note: "One server of the pool answers: its version, not the proxy's."},
	{name: "quit", reads: true, min: 1, treatment: msg.Quit, form: "quit"},

	{
		name: "mg", reads: true, changing: "NRT", replies: metaReplies, min: 2, max: maxMetaWords, tooMany: errManyGetFlags, key: 1, flags: 2, twice: errTwice,
		silent: []string{"EN"}, form: "mg <key> <flag>*",
	},
	{
		name: "ms", replies: metaReplies, min: 2, max: maxMetaWords, tooMany: errManyFlags, key: 1, body: 2, flags: 3, twice: errTwice,
		silent: []string{"HD"}, form: "ms <key> <bytes> <flag>*",
	},
	{
		name: "md", replies: metaReplies, min: 2, max: maxMetaWords, tooMany: errManyFlags, key: 1, flags: 2, twice: errInvalidTwice,
		silent: []string{"HD"}, form: "md <key> <flag>*",
	},
	{
		name: "ma", replies: metaReplies, min: 2, max: maxMetaWords, tooMany: errManyFlags, key: 1, flags: 2, twice: errInvalidTwice,
		silent: []string{"HD", "VA"}, form: "ma <key> <flag>*",
		note: "A quiet one that creates its item (flag N) is silent, as with later memcacheds; 1.6.18 answers it.",
	},
	{name: "me", reads: true, replies: debugReplies, min: 2, tooFew: errFormat, key: 1, base64: 2, form: "me <key> [b]"},
	{
		name: "mn", reads: true, min: 1, treatment: msg.Local, answer: "MN", form: "mn",
		note: "The proxy answers, when all that the client sent before has been done.",
	},

	{
		name: "flush_all", replies: okReplies, min: 1, max: 3, treatment: msg.Broadcast, noreply: 1, merge: mergeSame, flush: true,
		form: "flush_all [<delay>] [noreply]",
		note: "Only with `allow_flush: true` in the pool. All servers get the same delay.",
	},
	{
		name: "verbosity", replies: okReplies, min: 2, max: 3, treatment: msg.Broadcast, noreply: 1, merge: mergeSame,
		form: "verbosity <level> [noreply]",
	},
	{
		name: "stats", reads: true, min: 1, treatment: msg.Broadcast, merge: mergeStats, form: "stats [<argument>*]",
		note: "Without an argument, or with `servers` as the first one: see [Statistics](#statistics). `reset`, `detail on` and `off`, `sizes_enable` " +
			"and `sizes_disable` are refused.",
	},

	{name: "cache_memlimit", noreply: 1, refusal: refusal("cache_memlimit", administers), form: "cache_memlimit <megabytes> [noreply]"},
	{name: "slabs", noreply: 1, refusal: refusal("slabs", administers), form: "slabs reassign, slabs automove"},
	{name: "lru", noreply: 1, refusal: refusal("lru", administers), form: "lru mode, lru tune, lru temp_ttl"},
	{name: "lru_crawler", noreply: 1, refusal: refusal("lru_crawler", administers), form: "lru_crawler ..."},
	{name: "extstore", noreply: 1, refusal: refusal("extstore", administers), form: "extstore ..."},
	{name: "refresh_certs", noreply: 1, refusal: refusal("refresh_certs", administers), form: "refresh_certs"},
	{name: "debugtime", refusal: refusal("debugtime", administers), form: "debugtime ..."},
	{name: "misbehave", refusal: refusal("misbehave", administers), form: "misbehave"},
	{name: "shutdown", refusal: refusal("shutdown", "It would end a server."), form: "shutdown [graceful]"},
	{
		name: "watch", refusal: refusal("watch", "It would take a connection that all clients share."),
		form: "watch ...",
	},
}

// commandFacts is the table as the measurements see it.
var commandFacts = func() []msg.Command {
	facts := make([]msg.Command, len(commands))
	for i := range commands {
		facts[i] = msg.Command{Name: commands[i].name, Family: commands[i].family(), Pure: commands[i].pure()}
	}
	facts[0].Name = "unknown"
	return facts
}()

// Commands are the table's commands, by msg.Type.
func Commands() []msg.Command { return commandFacts }

// Commands are the table's commands, by msg.Type.
func (p *Protocol) Commands() []msg.Command { return commandFacts }

// family is the command's in the statistics. A get is a read however many keys
// it has; gat, which also touches, is one too.
func (c *command) family() msg.Family {
	switch {
	case c.treatment == msg.Fragment, c.name == "mg", c.name == "me":
		return msg.Reads
	case c.key != 0:
		return msg.Writes
	}
	return msg.OtherCommands
}

// pure reports whether the command changes nothing. A meta get may, by its flags.
func (c *command) pure() bool { return c.name == "get" || c.name == "gets" }

// errStats refuses a stats that changes what the servers do.
var errStats = refusal("stats", "It changes servers that other clients share: send it there.")

func refusal(name, why string) string {
	return "SERVER_ERROR '" + name + "' is not supported by nuthatch. " + why
}

// maxName is the length, in bytes, of the longest command.
const maxName = 14

// byLength holds the rows of the commands of each length, in the table's order.
var byLength = func() (rows [maxName + 1][]msg.Type) {
	for t := 1; t < len(commands); t++ {
		n := len(commands[t].name)
		rows[n] = append(rows[n], msg.Type(t))
	}
	return rows
}()

// lookup returns the command called name, or 0.
func lookup(name []byte) msg.Type {
	if len(name) > maxName {
		return 0
	}
	for _, t := range byLength[len(name)] {
		if commands[t].name == string(name) {
			return t
		}
	}
	return 0
}

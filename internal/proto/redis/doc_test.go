package redis

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

var update = flag.Bool("update", false, "write the table of commands into docs/COMMANDS.md")

// TestReference compares the list of commands in docs/COMMANDS.md with the table
// that it is made of.
func TestReference(t *testing.T) {
	testkit.CheckPart(t, "../../../docs/COMMANDS.md", "commands", reference(), *update)
}

// groupTitles are the chapters, in the order of the table.
var groupTitles = map[string]string{
	"string": "Strings", "generic": "Keys", "bitmap": "Bits", "hash": "Hashes", "list": "Lists", "set": "Sets",
	"sorted_set": "Sorted sets", "array": "Arrays", "vector_set": "Vector sets", "geo": "Places", "hyperloglog": "HyperLogLogs", "stream": "Streams",
	"pubsub": "Channels", "scripting": "Scripts and functions", "transactions": "Transactions",
	"connection": "Connection", "server": "Server", "cluster": "Cluster",
}

// reference writes the documentation of every command.
func reference() string {
	var b strings.Builder
	group := ""
	for i := range commands[1:] {
		c := &commands[i+1]
		if c.answer == answerHTTP || c.isContainer() {
			continue
		}
		if c.group != group {
			group = c.group
			fmt.Fprintf(&b, "\n## %s\n\n| command | does | what becomes of it | keys |\n|---|---|---|---|\n", groupTitles[group])
		}
		name := strings.ReplaceAll(strings.ToUpper(c.name), "|", " ")
		keys := ""
		if c.reason == "" {
			keys = c.keys.text()
		}
		mark := ""
		if isUntried(c) {
			mark = " †"
		}
		fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s |\n", name, mark, c.summary, fate(c), keys)
	}
	b.WriteString("\n")
	return b.String()
}

// isUntried tells whether servers get the command, and the redis-server of the tests
// does not know it.
func isUntried(c *command) bool {
	major, rest, _ := strings.Cut(c.since, ".")
	return c.reason == "" && c.treatment.ToServers() && (major > "7" || major == "7" && rest > "0.15")
}

// mergeTexts say what becomes of the replies of several servers.
var mergeTexts = map[mergeKind]string{
	mergeElements: "the elements in the order of the keys",
	mergeStatus:   "OK if all say so",
	mergeSum:      "the sum",
	mergeMin:      "the least",
	mergeMax:      "the greatest",
	mergeConcat:   "joined",
	mergeUnion:    "joined, each once",
	mergeAny:      "one of them",
	mergeSame:     "the one reply that all gave",
	mergeLoad:     "the one reply that all gave, of those that can be reached",
	mergeAllOf:    "1 where all say so",
	mergePairSums: "the numbers added by name",
	mergeOneOK:    "OK if one says so",
	mergeEvery:    "their status, or which servers have done it",
	mergeBusy:     "the reply of a server that runs something, or else of the first server",
}

// refusal says which pools refuse a command, and why.
func refusal(c *command) string {
	switch {
	case c.emulated && (c.sub == "countkeysinslot" || c.sub == "getkeysinslot"):
		return "with `emulate: cluster: true` by slot, if the servers are a cluster; otherwise refused: " + c.reason
	case c.emulated:
		return "with `emulate: cluster: true` proxy; otherwise refused: " + c.reason
	case c.ofOne && c.admin:
		return "by a pool of one server with `allow_admin: true`; others refuse it: " + c.reason
	case c.ofOne:
		return "by a pool of one server; others refuse it: " + c.reason
	}
	return "refused: " + c.reason
}

// fate says what becomes of a command.
func fate(c *command) string {
	if c.reason != "" {
		return refusal(c)
	}
	switch c.treatment {
	case msg.Forward:
		if c.admin {
			return "by a pool of one server with `allow_admin: true`, or to users whose rules allow it; others refuse it: " + oneServer
		}
		if c.keys.rule == streamKeys {
			return "by key; with `BLOCK` on a connection of the client's own"
		}
		if c.keys.rule == scriptKeys {
			return "by key; without one by its name, if the pool lets it"
		}
		if c.keys.rule == sortKeys {
			return "by key; over several servers, patterns that lead elsewhere are refused"
		}
		return "by key"
	case msg.Subscribe:
		return subscriptionText(c)
	case msg.Publish:
		return "by key"
	case msg.Watch, msg.Block:
		return "by key, on a connection of the client's own"
	case msg.Fragment:
		if c.keys.rule == pairedKeys {
			return "split: " + mergeTexts[c.merge] + "; by key with `NX` or `XX`"
		}
		return "split: " + mergeTexts[c.merge]
	case msg.Broadcast:
		if c.flushes {
			return "all servers: " + mergeTexts[c.merge] + "; refused without `allow_flush: true`"
		}
		if c.admin {
			return "all servers: " + mergeTexts[c.merge] + "; refused without `allow_admin: true`"
		}
		return "all servers: " + mergeTexts[c.merge]
	case msg.Confirm:
		return "each server that the client wrote to, on a connection of the client's own: " + mergeTexts[c.merge]
	case msg.One:
		return "one server"
	case msg.Track:
		return "proxy, and servers on connections of the client's own; refused without RESP3, with `REDIRECT`, or with `tracking: off`"
	case msg.Monitor:
		return "all servers, on connections of the client's own; refused without `allow_monitor: true`"
	case msg.Local, msg.Quit, msg.Report:
		if c.admin {
			return "proxy; refused without `allow_admin: true`"
		}
		return "proxy"
	case msg.Gather:
		return "all clients"
	case msg.Learn, msg.Ignore:
	}
	return ""
}

// subscriptionText says where a client listens.
func subscriptionText(c *command) string {
	if c.subscription.Channels == msg.Patterns {
		return "one server or all, on a connection of the client's own"
	}
	return "by channel, on connections of the client's own"
}

// text says which words are keys.
func (k *keys) text() string {
	switch k.rule {
	case oneKey:
		return fmt.Sprint(k.first)
	case rangeOfKeys:
		switch {
		case k.last > 0:
			return fmt.Sprintf("%d and %d", k.first, k.last)
		case k.step > 1:
			return fmt.Sprintf("%d and every second word behind it", k.first)
		default:
			return fmt.Sprintf("%d to the last", k.first)
		}
	case pairedKeys:
		return "2 and every second word behind it, as many as word 1 says"
	case countedKeys, scriptKeys:
		text := fmt.Sprintf("from %d on, as many as word %d says", k.first, k.first-1)
		if k.dest {
			return fmt.Sprintf("%d, and %s", k.last, text)
		}
		return text
	case sortKeys:
		if !k.dest {
			return fmt.Sprint(k.first)
		}
		return fmt.Sprintf("%d, and the word behind `STORE`", k.first)
	case storeKey:
		return fmt.Sprintf("%d, and the word behind `STORE`", k.first)
	case streamKeys:
		return "the first half of the words behind `STREAMS`"
	case migrateKeys: // it is refused
	case noKey:
	}
	return ""
}

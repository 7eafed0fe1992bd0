package redis

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// A listed is what COMMAND says of a command: what the table must agree with.
type listed struct {
	name              string
	arity             int
	first, last, step int
	access            string // "read", "write" or "-"
}

// exceptions are the disagreements that are meant.
var exceptions = map[string]string{
	"zrank 3":                    "WITHSCORE came with Redis 7.2",
	"zrevrank 3":                 "WITHSCORE came with Redis 7.2",
	"command|getkeys -4":         "Redis 7.2 counts anew",
	"command|getkeysandflags -4": "Redis 7.2 counts anew",
}

// TestTableAgainstRedis: every command and subcommand of redis-server has a row
// that agrees with COMMAND.
func TestTableAgainstRedis(t *testing.T) {
	entries, _ := decode(t, testkit.StartRedis(t).Dial().Do("COMMAND"))
	compareTable(t, flatten(entries.([]any)))
}

// TestTableAgainstReleases does the same with releases that are not at hand, by
// what their COMMAND says.
func TestTableAgainstReleases(t *testing.T) {
	known := map[string]bool{"post": true, "host:": true}
	for _, sub := range commands[lookup([]byte("debug")).id].subcommands() {
		known[sub.name] = true // COMMAND says nothing of them
	}
	for release, least := range map[string]int{"redis-8.txt": 300, "valkey-8.txt": 300, "redis-8.10.txt": 50, "valkey-9.txt": 7} {
		t.Run(release, func(t *testing.T) {
			list := readList(t, "testdata/commands/"+release, least)
			compareTable(t, list)
			for _, l := range list {
				known[l.name] = true
			}
		})
	}
	for i := range commands[1:] {
		if name := commands[i+1].name; !known[name] {
			t.Errorf("%s is a command of no release", name)
		}
	}
}

// compareTable compares the table with a release's list.
func compareTable(t *testing.T, list []listed) {
	t.Helper()
	for _, l := range list {
		name, sub, isSub := strings.Cut(l.name, "|")
		c := lookup([]byte(strings.ToUpper(name)))
		if c.id != unknown && isSub {
			c = c.lookupSub([]byte(strings.ToUpper(sub)))
		}
		if c == nil || c.name != l.name {
			t.Errorf("%s has no row", l.name)
			continue
		}
		if c.arity != l.arity && exceptions[fmt.Sprintf("%s %d", l.name, l.arity)] == "" {
			t.Errorf("%s: arity %d, want %d", l.name, c.arity, l.arity)
		}
		if !reachesServers(c) {
			continue
		}
		if got := [3]int{l.first, l.last, l.step}; got != positionsOf(c) {
			t.Errorf("%s: keys %v, want %v", l.name, positionsOf(c), got)
		}
		if got := c.access.String(); got != strings.TrimPrefix(l.access, "-") {
			t.Errorf("%s: access %q, want %q", l.name, got, l.access)
		}
	}
}

// reachesServers: nothing of a command that is refused, or that the proxy itself
// answers, comes to a server, so that its keys do not matter. Those that need a
// connection of their own have keys.
func reachesServers(c *command) bool {
	return c.treatment.ToServers() || c.reason == ownConnection
}

func positionsOf(c *command) [3]int {
	first, last, step := c.keys.positions()
	return [3]int{first, last, step}
}

// flatten turns the reply to COMMAND into a list, subcommands included.
func flatten(entries []any) []listed {
	var list []listed
	for _, e := range entries {
		entry := e.([]any)
		flags := entry[2].([]any)
		l := listed{entry[0].(string), entry[1].(int), entry[3].(int), entry[4].(int), entry[5].(int), "-"}
		switch {
		case slices.Contains(flags, any("write")):
			l.access = "write"
		case slices.Contains(flags, any("readonly")):
			l.access = "read"
		}
		list = append(list, l)
		list = append(list, flatten(entry[9].([]any))...)
	}
	return list
}

// readList reads the list of a release that was written down, of at least so many
// commands.
func readList(t *testing.T, path string, least int) []listed {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var list []listed
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		var l listed
		if _, err := fmt.Sscan(s.Text(), &l.name, &l.arity, &l.first, &l.last, &l.step, &l.access); err != nil {
			t.Fatalf("%s: %q: %v", path, s.Text(), err)
		}
		list = append(list, l)
	}
	if len(list) < least {
		t.Fatalf("%s: only %d commands", path, len(list))
	}
	return list
}

// TestRows: each row has what its kind of command needs.
func TestRows(t *testing.T) {
	for i := range commands[1:] {
		c := &commands[i+1]
		if c.answer == answerHTTP {
			continue
		}
		if c.group == "" || c.since == "" || c.summary == "" {
			t.Errorf("%s: group %q, since %q, summary %q: one is missing", c.name, c.group, c.since, c.summary)
		}
		if keyed := c.treatment.ByKeys(); c.treatment != msg.Subscribe && c.treatment != msg.Publish && keyed != (c.keys.rule != noKey && c.reason == "") {
			t.Errorf("%s is placed by its keys, %t, and has the key rule %d", c.name, keyed, c.keys.rule)
		}
		several := c.treatment == msg.Fragment || c.treatment == msg.Confirm || c.treatment == msg.Broadcast || c.treatment == msg.One ||
			c.treatment == msg.Track || c.treatment == msg.Monitor
		if merged := several || c.answer == answerExec; merged != (c.merge != mergeNone) {
			t.Errorf("%s goes to several servers, %t, and is merged by kind %d", c.name, merged, c.merge)
		}
		if c.treatment.ByKeys() && c.example == "" {
			t.Errorf("%s has no example", c.name)
		}
	}
}

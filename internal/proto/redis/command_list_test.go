package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// serverNames are the commands of redis-server, with their subcommands.
func serverNames(t *testing.T, server *testkit.Client) []string {
	t.Helper()
	v, _ := decode(t, server.Do("COMMAND", "LIST"))
	var names []string
	for _, name := range v.([]any) {
		names = append(names, name.(string))
	}
	return names
}

// listed by a request of COMMAND LIST, in their order.
func sortedNames(t *testing.T, answer string) []string {
	t.Helper()
	v, _ := decode(t, answer)
	list, isList := v.([]any)
	if !isList {
		t.Fatalf("no list: %.200q", answer)
	}
	var names []string
	for _, name := range list {
		names = append(names, name.(string))
	}
	slices.Sort(names)
	return names
}

// TestCommandFilters: of the commands that both know and nuthatch serves, COMMAND LIST
// with a filter lists those that redis-server lists.
func TestCommandFilters(t *testing.T) {
	server := testkit.StartRedis(t).Dial()
	c := converse(t, Options{AllowFlush: true})
	served := map[string]bool{}
	for _, name := range sortedNames(t, string(answerTo(c, "COMMAND", "LIST"))) {
		served[name] = true
	}
	known := map[string]bool{}
	for _, name := range serverNames(t, server) {
		known[name] = true
	}
	for _, filter := range [][]string{
		{"MODULE", "nosuch"},
		{"aclcat", "nosuch"},
		{"ACLCAT", ""},
		{"ACLCAT", "@read"},
		{"ACLCAT", "READ"},
		{"PATTERN", ""},
		{"PATTERN", "*"},
		{"PATTERN", "Z*STORE"},
		{"PATTERN", "?get"},
		{"PATTERN", "[gh]et*"},
		{"PATTERN", "x*|[^a-s]*"},
		{"PATTERN", "[z-x]*"},
		{"PATTERN", "[ge"},
		{"PATTERN", `\get`},
		{"PATTERN", `get\`},
		{"PATTERN", "[]get"},
		{"PATTERN", `[\g]et`},
		{"PATTERN", "**t**"},
		{"PATTERN", "get?"},
		{"PATTERN", "*e*e*"},
		{"PATTERN", "[^g]et"},
		{"PATTERN", "[a-"},
		{"PATTERN", "[^"},
	} {
		var want []string
		for _, name := range sortedNames(t, server.Do(append([]string{"COMMAND", "LIST", "FILTERBY"}, filter...)...)) {
			if served[name] {
				want = append(want, name)
			}
		}
		got := slices.DeleteFunc(sortedNames(t, answerTo(c, append([]string{"COMMAND", "LIST", "FILTERBY"}, filter...)...)), func(name string) bool { return !known[name] })
		if !slices.Equal(got, want) {
			t.Errorf("by %q: %v, redis says %v", filter, got, want)
		}
	}
	for _, category := range aclCategories[:len(aclCategories)-1] { // arrays came later
		got := slices.DeleteFunc(sortedNames(t, answerTo(c, "COMMAND", "LIST", "FILTERBY", "ACLCAT", category)), func(name string) bool { return !known[name] })
		want := slices.DeleteFunc(sortedNames(t, server.Do("COMMAND", "LIST", "FILTERBY", "ACLCAT", category)), func(name string) bool { return !served[name] })
		if !slices.Equal(got, want) {
			t.Errorf("of @%s: %v, redis says %v", category, got, want)
		}
	}
}

// answerTo is the answer to a request.
func answerTo(c *conversation, words ...string) string {
	answer, _ := c.say(resp(words...))
	return answer
}

// TestCommandDocs: of the commands that both know, COMMAND DOCS has the release and the
// group that redis-server has.
func TestCommandDocs(t *testing.T) {
	server := testkit.StartRedis(t).Dial()
	compared := 0
	for i := range commands {
		row := &commands[i]
		v, _ := decode(t, server.Do("COMMAND", "DOCS", row.name))
		theirs := v.([]any)
		if len(theirs) == 0 {
			continue
		}
		want := map[string]any{}
		for fields := theirs[1].([]any); len(fields) > 1; fields = fields[2:] {
			want[fields[0].(string)] = fields[1]
		}
		c := converse(t, Options{AllowFlush: true})
		c.proto.catalog().document([]*command{row}, writer{pool: &c.pool, out: &c.out})
		ours, _ := decode(t, string(c.out.AppendTo(nil)))
		got := ours.([]any)[1].([]any)
		if row.name == "client|pause" {
			want["since"] = got[3] // 2.9.50 was never released
		}
		if got[3] != want["since"] || got[5] != want["group"] {
			t.Errorf("%s: since %v, group %v; redis says %v, %v", row.name, got[3], got[5], want["since"], want["group"])
		}
		compared++
	}
	if compared < 350 {
		t.Errorf("only %d commands were compared", compared)
	}
}

// keyCalls are calls of commands whose keys depend on the words, and of such as have
// no example.
var keyCalls = []string{
	"set a b", "set a b get", "set a b ex 5 nx", "set get get", "set a get", "bitfield a get u8 0", "bitfield a get u8 0 set u8 0 1", "bitfield a overflow sat incrby u8 0 1",
	"bitfield a", "bitfield_ro a get u8 0", "sort a", "sort a store b", "sort a by b* get c* store d", "sort a store", "sort a limit store b c", "sort_ro a by b*", "georadius a 1 2 3 m storedist b",
	"georadius a 1 2 3 m", "georadius a 1 2 3 m store", "georadiusbymember a m 3 m storedist c", "zunionstore d 2 a b", "zunionstore d 0", "zunionstore d x a", "zunionstore d 3 a b", "zunionstore d -1 a",
	"zunion 2 a b", "zunion 0 a", "zunion 3 a", "eval s 0", "eval s 2 a b c", "eval s -1 a", "eval s x a", "eval s 3 a", "fcall f 0 a", "fcall f 1 a", "fcall_ro f 9 a", "evalsha s 1 a", "eval_ro s 1 a",
	"xread streams a b 0 0", "xread count 1 block 5 streams a 0", "xread a b c", "xread count 5 streams a", "xreadgroup group g c streams a >", "xreadgroup group streams c count 1 streams a 0", "lmpop 2 a b left", "lmpop 0 a left",
	"blmpop 0 2 a b left", "blmpop 0 0 a left", "bzmpop 0 1 a min", "blpop a b 0", "blpop a 0", "blmove a b left right 0", "brpoplpush a b 0", "bzpopmax a b c 0", "watch a b", "ssubscribe a", "spublish a b",
	"migrate h 1 k 0 5", `migrate h 1 "" 0 5 keys a b`, `migrate h 1 "" 0 5 copy auth keys keys a`, `migrate h 1 "" 0 5 auth2 keys keys keys a b`, "migrate h 1 k 0 5 keys a", "restore-asking a 0 x", "pfdebug getreg a", "mset a b c d", "mset a b c", "msetnx a 1", "bitop and d a b", "bitop not d a", "rename a b", "renamenx a b", "copy a b", "smove a b c", "lmove a b left left", "object freq a", "object help", "object", "object nosuch a",
	"memory usage a", "memory usage a samples 5", "xgroup create a g 0", "xinfo stream a", "get", "get a b", "ping", "multi", "command getkeys get a", "subscribe a", "nosuch a", "client kill a", "sintercard 2 a b limit 1", "sunionstore d a b",
	"sinterstore d a", "pfmerge d", "pfmerge d a b", "pfcount a b", "geosearchstore d a fromlonlat 1 2 byradius 3 m asc", "zrangestore d a 0 1", "zdiffstore d 1 a", "del a b", "touch a", "lcs a b", "setrange a 1 b", "script load x", "function load x",
}

// TestCommandGetKeys: COMMAND GETKEYS and GETKEYSANDFLAGS say what redis-server says,
// of every example in the table, and of other calls.
func TestCommandGetKeys(t *testing.T) {
	server := testkit.StartRedis(t).Dial()
	known := map[string]bool{}
	for _, name := range serverNames(t, server) {
		known[name] = true
	}
	calls := slices.Clone(keyCalls)
	for i := range commands {
		if row := &commands[i]; row.example != "" && known[row.name] {
			calls = append(calls, strings.ReplaceAll(row.name, "|", " ")+" "+row.example)
		}
	}
	for _, call := range calls {
		if !strings.Contains(call, " ") {
			continue // Redis 7.2 counts the words anew
		}
		for _, sub := range []string{"GETKEYS", "GETKEYSANDFLAGS"} {
			words := append([]string{"COMMAND", sub}, testkit.Command(call)...)
			c := converse(t, Options{})
			if got, want := answerTo(c, words...), server.Do(words...); got != want {
				t.Errorf("%s %s:\n\tnuthatch %q\n\tredis    %q", sub, call, got, want)
			}
		}
	}
	if len(calls) < 250 {
		t.Errorf("only %d calls were compared", len(calls))
	}
}

// TestCommandCount: COMMAND COUNT counts what COMMAND lists, as in redis-server.
func TestCommandCount(t *testing.T) {
	server := testkit.StartRedis(t).Dial()
	c := converse(t, Options{})
	for name, answer := range map[string]func(...string) string{
		"nuthatch": func(words ...string) string { return answerTo(c, words...) },
		"redis":    server.Do,
	} {
		v, _ := decode(t, answer("COMMAND"))
		if got, want := answer("COMMAND", "COUNT"), fmt.Sprintf(":%d\r\n", len(v.([]any))); got != want {
			t.Errorf("%s counts %q, and lists %q", name, got, want)
		}
	}
}

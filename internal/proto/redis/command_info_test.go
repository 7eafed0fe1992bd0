package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/mbuf"
	"nuthatch/internal/msg"
	"nuthatch/internal/testkit"
)

// ask returns the decoded answer to a request in one line.
func ask(t *testing.T, c *conversation, text string) any {
	t.Helper()
	answer, _ := c.say([]byte(text + "\r\n"))
	v, rest := decode(t, answer)
	if rest != "" {
		t.Errorf("%s: %q is behind the answer", text, rest)
	}
	return v
}

// TestCommandList: COMMAND, COMMAND COUNT, COMMAND LIST and COMMAND DOCS agree,
// and list what is served.
func TestCommandList(t *testing.T) {
	for _, allowFlush := range []bool{false, true} {
		c := converse(t, Options{AllowFlush: allowFlush})
		all, count := ask(t, c, "COMMAND").([]any), ask(t, c, "COMMAND COUNT").(int)
		names, docs := ask(t, c, "COMMAND LIST").([]any), ask(t, c, "COMMAND DOCS").([]any)
		if len(all) != count || len(docs) != 2*count {
			t.Fatalf("%d commands, count %d, %d described", len(all), count, len(docs)/2)
		}
		var listed []any
		for i, entry := range all {
			entry := entry.([]any)
			if len(entry) != 10 || docs[2*i] != entry[0] {
				t.Errorf("entry %d has %d elements and is %v, described is %v", i, len(entry), entry[0], docs[2*i])
			}
			listed = append(listed, entry[0])
			for _, sub := range entry[9].([]any) {
				listed = append(listed, sub.([]any)[0])
			}
		}
		if !slices.Equal(names, listed) {
			t.Errorf("the names are %v, the commands %v", names, listed)
		}
		for name, want := range map[string]bool{
			"get": true, "object": true, "object|freq": true, "flushall": allowFlush, "multi": true, "watch": true, "acl": true, "acl|help": true, "acl|setuser": false, "config|set": false, "post": false,
		} {
			if got := slices.Contains(names, any(name)); got != want {
				t.Errorf("%s is listed: %t, want %t", name, got, want)
			}
		}
	}
}

// TestCommandAgainstRedis: of every command that redis-server knows, too, the table
// says what that says: name, arity, flags, keys, categories, tips and key
// specifications, with the sentences that some of the latter have.
func TestCommandAgainstRedis(t *testing.T) {
	server := testkit.StartRedis(t).Dial()
	c := converse(t, Options{AllowFlush: true})
	compared := 0
	for i := range commands {
		row := &commands[i]
		if got, _ := c.say(resp("COMMAND", "INFO", row.name)); i > 0 && !c.proto.catalog().isServed(row) && got != "*1\r\n$-1\r\n" {
			t.Errorf("%s is not served, and described: %.100q", row.name, got)
		}
		theirs, _ := decode(t, server.Do("COMMAND", "INFO", row.name))
		want, known := theirs.([]any)[0].([]any)
		if !known {
			continue
		}
		c.proto.catalog().describe(row, writer{pool: &c.pool, out: &c.out})
		ours, _ := decode(t, string(c.out.AppendTo(nil)))
		c.out.Release(&c.pool)
		got := ours.([]any)
		if exceptions[fmt.Sprintf("%s %d", row.name, want[1])] != "" {
			want[1] = got[1]
		}
		names := []string{"name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specifications"}
		for i, what := range names {
			if got, want := fmt.Sprint(got[i]), fmt.Sprint(want[i]); got != want {
				t.Errorf("%s: %s %s, redis says %s", row.name, what, got, want)
			}
		}
		compared++
	}
	if compared < 350 {
		t.Errorf("only %d commands were compared", compared)
	}
}

// TestCommandInRESP3: sets and maps are such.
func TestCommandInRESP3(t *testing.T) {
	for text, want := range map[string]string{
		"COMMAND INFO nosuch echo": "*2\r\n_\r\n*10\r\n$4\r\necho\r\n:2\r\n~3\r\n+loading\r\n+stale\r\n+fast\r\n:0\r\n:0\r\n:0\r\n~2\r\n+@fast\r\n+@connection\r\n~0\r\n~0\r\n~0\r\n",
		"COMMAND DOCS echo":        "%1\r\n$4\r\necho\r\n%3\r\n$7\r\nsummary\r\n$22\r\nThe word that was sent\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n",
		"COMMAND INFO get": "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~3\r\n+@read\r\n+@string\r\n+@fast\r\n~0\r\n" +
			"~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n+access\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\nindex\r\n:1\r\n" +
			"$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n",
		"COMMAND GETKEYSANDFLAGS SORT a STORE b": "*2\r\n*2\r\n$1\r\na\r\n~2\r\n+RO\r\n+access\r\n*2\r\n$1\r\nb\r\n~2\r\n+OW\r\n+update\r\n",
	} {
		var pool mbuf.Pool
		var out mbuf.Chain
		p := New(Options{})
		parser := p.NewRequestParser()
		data := resp(strings.Fields(text)...)
		if n, done, err := parser.Parse(data); n != len(data) || !done || err != nil {
			t.Fatal(n, done, err)
		}
		p.Local(parser.Finish(data), &msg.Session{Authenticated: true, Lane: msg.Lane{RESP: 3}}, &pool, &out)
		if got := string(out.AppendTo(nil)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		out.Release(&pool)
	}
}

// TestMisplacedKeys: a request that hides its keys goes to one server, which
// refuses it.
func TestMisplacedKeys(t *testing.T) {
	for _, text := range []string{
		"MSET a b c", "MSETNX a b c", "EVAL x a b", "EVAL x 2 a", "EVAL x -1 a", "EVAL x 99999999999999999999 a", "ZUNION 0 a", "ZUNION a a", "ZUNION -9223372036854775808 a",
		"ZINTERSTORE d 0 a", "ZDIFFSTORE d 9223372036854775807 a", "SINTERCARD 5 a", "LMPOP 0 a LEFT", "XREAD COUNT 1 STREAMS", "XREAD a b c d", "XREAD STREAMS a b 0",
	} {
		data := resp(strings.Fields(text)...)
		parser := New(Options{}).NewRequestParser()
		if _, _, err := parser.Parse(data); err != nil {
			t.Fatal(err)
		}
		r := parser.Finish(data)
		if r.Treatment != msg.Forward || r.Nkeys != 1 || r.FirstKey != 1 {
			t.Errorf("%s: treatment %d, %d keys from %d", text, r.Treatment, r.Nkeys, r.FirstKey)
		}
	}
}

// TestManyArguments: a request of a million words is understood, or refused, and
// what is said about it is not much longer than itself.
func TestManyArguments(t *testing.T) {
	const n = 1_000_000
	many := func(words ...string) []byte {
		b := fmt.Appendf(nil, "*%d\r\n", len(words)+n)
		for _, w := range words {
			b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
		}
		return append(b, strings.Repeat("$3\r\nget\r\n", n)...)
	}
	tooLong := "-ERR the command has too many words: at most 16384 when its keys are asked for\r\n"
	tooMany := "-ERR too many commands are asked about: at most 1024 at a time\r\n"
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{[]string{"MGET"}, "+fragmented\r\n"},
		{[]string{"EVAL", "s", fmt.Sprint(n)}, "+forwarded\r\n"},
		{[]string{"EVAL", "s", fmt.Sprint(n + 1)}, "+forwarded\r\n"},
		{[]string{"SORT", "a"}, "+forwarded\r\n"},
		{[]string{"XREAD"}, "+forwarded\r\n"},
		{[]string{"OBJECT", "nosuch"}, "-ERR unknown subcommand 'nosuch'. Try OBJECT HELP.\r\n"},
		{[]string{"COMMAND", "INFO"}, tooMany},
		{[]string{"COMMAND", "DOCS"}, tooMany},
		{[]string{"COMMAND", "LIST"}, "-ERR syntax error\r\n"},
		{[]string{"COMMAND", "GETKEYS", "MGET"}, tooLong},
		{[]string{"COMMAND", "GETKEYSANDFLAGS", "MGET"}, tooLong},
		{[]string{"COMMAND", "GETKEYS", "EVAL", "s", "-1"}, tooLong},
		{[]string{"COMMAND", "GETKEYS", "ZUNION", "-1"}, tooLong},
	} {
		if got, closed := converse(t, Options{}).say(many(tt.words...)); got != tt.want || closed {
			t.Errorf("%q and a million words: %.100q, closed %t, want %.100q", tt.words, got, closed, tt.want)
		}
	}
}

// TestKeysOfLongCommand: the keys of a command with as many words as may be asked about
// are told, all of them, and not those of one word more.
func TestKeysOfLongCommand(t *testing.T) {
	for _, words := range []int{maxKeyWords, maxKeyWords + 1} {
		keys := strings.Split("mget"+strings.Repeat(" k", words-1), " ")
		flat, _ := converse(t, Options{}).say(resp(append([]string{"COMMAND", "GETKEYS"}, keys...)...))
		flags, _ := converse(t, Options{}).say(resp(append([]string{"COMMAND", "GETKEYSANDFLAGS"}, keys...)...))
		wantFlat := fmt.Sprintf("*%d\r\n", words-1) + strings.Repeat("$1\r\nk\r\n", words-1)
		wantFlags := fmt.Sprintf("*%d\r\n", words-1) + strings.Repeat("*2\r\n$1\r\nk\r\n*2\r\n+RO\r\n+access\r\n", words-1)
		if words > maxKeyWords {
			wantFlat = "-ERR the command has too many words: at most 16384 when its keys are asked for\r\n"
			wantFlags = wantFlat
		}
		if flat != wantFlat || flags != wantFlags {
			t.Errorf("%d words: %.100q and %.100q, want %.100q and %.100q", words, flat, flags, wantFlat, wantFlags)
		}
	}
}

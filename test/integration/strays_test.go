package integration

import (
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/proto/redis"
	"nuthatch/internal/testkit"
)

// In a transaction, commands with words left out, wrong or too many bring the same reply from
// nuthatch in front of three servers as from one redis-server, as long as all keys have one tag:
// no other word counts as a key.
func TestStrayWordsInTransactions(t *testing.T) {
	t.Parallel()
	direct := testkit.StartRedis(t)
	behind := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t), testkit.StartRedis(t)}
	s := newStage(t, testkit.Redis, behind, []string{`hash_tag: "{}"`, "keyless_scripts: any"})
	want, got := direct.Dial(), s.proxy.Dial(testkit.Redis)
	tried := 0
	for _, row := range redis.Table() {
		words := slices.Concat(row.Name, testkit.Command(row.Example))
		keys := keysIn(want, words)[0]
		if !row.Treatment.ByKeys() || len(keys) == 0 || slices.Contains(ownWords, row.Name[0]) {
			continue // if there are no keys, that server may not know it
		}
		for i, w := range words {
			if i >= len(row.Name) && slices.Contains(keys, w) {
				words[i] = "{t}" + w
			}
		}
		calls := breakings(words, len(row.Name))
		found := keysIn(want, calls...)
		kept := calls[:0]
		for i, call := range calls {
			if !slices.ContainsFunc(found[i], func(key string) bool { return !strings.HasPrefix(key, "{t}") }) {
				kept = append(kept, call) // Redis takes no other word for a key
			}
		}
		expected, heard := inTransactions(want, kept), inTransactions(got, kept)
		for i, call := range kept {
			if heard[i] != expected[i] {
				t.Errorf("%q: %q, and Redis says %q", call, heard[i], expected[i])
			}
		}
		tried += len(kept)
	}
	t.Logf("%d calls", tried)
	if tried < 1000 {
		t.Errorf("%d calls were compared", tried)
	}
}

// keysIn are the keys of each call, as a server finds them; nil if it finds none.
func keysIn(c *testkit.Client, calls ...[]string) [][]string {
	var out []byte
	for _, words := range calls {
		out = append(out, testkit.RESP(slices.Concat([]string{"COMMAND", "GETKEYS"}, words)...)...)
	}
	c.Send(out)
	all := make([][]string, len(calls))
	for n := range all {
		lines := strings.Split(c.Reply(), "\r\n")
		for i := 2; i < len(lines) && lines[0][0] == '*'; i += 2 {
			all[n] = append(all[n], lines[i])
		}
	}
	return all
}

// strayWords stand in for a word of a call.
var strayWords = []string{"0", "3", "x", "STREAMS"}

// ownWords are commands some of whose words nuthatch judges itself: patterns, databases, and a
// word that later releases have.
var ownWords = []string{"sort", "sort_ro", "copy", "move", "zrank", "zrevrank"}

// breakings are the call with each word, behind the first n, left out, doubled, or replaced.
func breakings(words []string, n int) [][]string {
	var all [][]string
	for i := n; i < len(words); i++ {
		all = append(all, slices.Delete(slices.Clone(words), i, i+1), slices.Insert(slices.Clone(words), i, words[i]))
		for _, w := range strayWords {
			broken := slices.Clone(words)
			broken[i] = w
			all = append(all, broken)
		}
	}
	return all
}

// inTransactions are what a transaction gets that has a SET, the command, and a GET, for each
// command. If it has no error, values do not matter: some are random.
func inTransactions(c *testkit.Client, calls [][]string) []string {
	var out []byte
	for _, words := range calls {
		for _, w := range [][]string{{"MULTI"}, {"SET", "{t}0", "1"}, words, {"GET", "{t}0"}, {"EXEC"}} {
			out = append(out, testkit.RESP(w...)...)
		}
	}
	c.Send(out)
	all := make([]string, len(calls))
	for i := range all {
		for range 4 {
			all[i] += c.Reply()
		}
		exec := c.Reply()
		if head, values, _ := strings.Cut(exec, "\r\n"); !strings.Contains(values, "\r\n-") {
			exec = head
		}
		all[i] += exec
	}
	return all
}

package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/slowlog"
)

// TestShownKeys: the keys of a request are given on as they came, one by one or many
// together, in RESP and inline.
func TestShownKeys(t *testing.T) {
	c := converse(t, Options{})
	long := strings.Repeat("k", 12345)
	for _, words := range [][]string{
		{"MGET", "a", "bb", long, "", "ccc"},
		{"MSET", "a", "1", long, "2", "bb", "3"},
		{"ZUNIONSTORE", "d", "2", "a", "bb"},
		{"GET", long},
	} {
		flat, _ := c.say(resp(append([]string{"COMMAND", "GETKEYS"}, words...)...))
		withFlags, _ := c.say(resp(append([]string{"COMMAND", "GETKEYSANDFLAGS"}, words...)...))
		for _, key := range words[1:] {
			if bulk := fmt.Sprintf("$%d\r\n%s\r\n", len(key), key); strings.Contains(withFlags, "*2\r\n"+bulk) != strings.Contains(flat, bulk) {
				t.Errorf("%.40q: %.120q and %.120q", words, flat, withFlags)
			}
		}
		if words[2%len(words)] != "" && !strings.Contains(strings.Join(words, ""), long) {
			inline, _ := c.say([]byte("COMMAND GETKEYS " + strings.Join(words, " ") + "\r\n"))
			if inline != flat {
				t.Errorf("inline %.120q, in RESP %.120q", inline, flat)
			}
		}
	}
}

// TestManySlowRequests: however many entries are asked for, they are written outside
// the loops, and are those that the loop would have written.
func TestManySlowRequests(t *testing.T) {
	log := slowlog.New(5000)
	for i := range 5000 {
		log.Add(&slowlog.Entry{Time: time.Unix(int64(i), 0), Duration: time.Second, Command: "get", Pool: "p"})
	}
	facts := func(bool, func(*Facts)) {}
	c := converse(t, Options{SlowLog: log, Facts: facts})
	for _, count := range []string{"-1", "3", "100000"} {
		words := resp("SLOWLOG", "GET", count)
		want, _ := c.say(words)
		if n, _, err := c.parser.Parse(words); err != nil || n != len(words) {
			t.Fatal(n, err)
		}
		find, ok := c.proto.Report(c.parser.Finish(words), &c.session)
		if !ok {
			t.Fatalf("%s: there is no report", count)
		}
		find(func(got []byte) {
			if string(got) != want {
				t.Errorf("%s: %d bytes, want %d", count, len(got), len(want))
			}
		})
	}
	words := resp("SLOWLOG", "GET", "x")
	if n, _, err := c.parser.Parse(words); err != nil || n != len(words) {
		t.Fatal(n, err)
	}
	if _, ok := c.proto.Report(c.parser.Finish(words), &c.session); ok {
		t.Error("a count that is none is reported about")
	}
}

package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// manyWords are the last n words of a request, at most a million.
func manyWords(n int) []byte {
	b := make([]byte, 0, 13*n)
	for i := range n {
		b = append(b, "$7\r\nk"...)
		b = append(b, strconv.Itoa(1_000_000 + i)[1:]...)
		b = append(b, "\r\n"...)
	}
	return b
}

// TestMillionArguments: a request of a million words is answered like any other
// or refused in words, whatever becomes of its command; it costs memory for what
// it is and no more, and the client and all others go on.
func TestMillionArguments(t *testing.T) {
	t.Parallel()
	s := redisStage(t)
	calm := s.proxy.Dial(testkit.Redis)
	calm.Send(testkit.RESP("SET", "calm", "x"))
	calm.Expect("+OK\r\n")
	c := s.proxy.Dial(testkit.Redis)
	n := 1_000_000
	if testing.Short() {
		n /= 10
	}
	words := manyWords(n)
	nulls := fmt.Sprintf("*%d\r\n", n) + strings.Repeat("$-1\r\n", n)
	var most int64
	for _, x := range []struct {
		words []string
		want  string // the reply, or how it begins if it is an error
	}{
		{[]string{"MGET"}, nulls},
		{[]string{"DEL"}, ":0\r\n"},
		{[]string{"MSET"}, "+OK\r\n"},
		{[]string{"EXISTS"}, fmt.Sprintf(":%d\r\n", n/2)},
		{[]string{"UNLINK"}, fmt.Sprintf(":%d\r\n", n/2)},
		{[]string{"SCRIPT", "EXISTS"}, fmt.Sprintf("*%d\r\n", n) + strings.Repeat(":0\r\n", n)},
		{[]string{"MSET", "odd"}, "-ERR wrong number of arguments for 'mset' command"},
		{[]string{"MSETNX"}, "-CROSSSLOT "},
		{[]string{"SINTER"}, "-CROSSSLOT "},
		{[]string{"EVAL", "return 1", strconv.Itoa(n)}, "-CROSSSLOT "},
		{[]string{"EVAL", "return 1", strconv.Itoa(n + 1)}, "-ERR Number of keys can't be greater than number of args"},
		{[]string{"XREAD", "STREAMS"}, "-CROSSSLOT "},
		{[]string{"SET", "k"}, "-ERR syntax error"},
		{[]string{"SORT", "k"}, "-ERR syntax error"},
		{[]string{"GET"}, "-ERR wrong number of arguments for 'get' command"},
		{[]string{"PING"}, "-ERR wrong number of arguments for 'ping' command"},
		{[]string{"HELLO", "2"}, "-ERR Syntax error in HELLO option 'k000000'"},
		{[]string{"COMMAND", "INFO"}, "-ERR too many commands are asked about"},
		{[]string{"COMMAND", "GETKEYS", "GET", "a"}, "-ERR the command has too many words"},
		{[]string{"CLIENT", "KILL"}, "-ERR syntax error"},
		{[]string{"CLIENT", "LIST", "ID"}, "-ERR Invalid client ID"},
		{[]string{"CONFIG", "GET"}, "*0\r\n"},
		{[]string{"INFO"}, "$0\r\n\r\n"},
		{[]string{"SUBSCRIBE"}, "-ERR the client would listen to more channels and patterns than max_subscriptions allows"},
		{[]string{"NOSUCH"}, "-ERR unknown command 'NOSUCH', with args beginning with: 'k000000' "},
		{[]string{"NOSUCH", "SUB"}, "-ERR unknown command 'NOSUCH', with args beginning with: 'SUB' "},
		{[]string{"DBSIZE"}, "-ERR wrong number of arguments for 'dbsize' command"},
		{[]string{"SCAN", "0"}, "-ERR syntax error"},
	} {
		head := fmt.Appendf(nil, "*%d\r\n", len(x.words)+n)
		for _, w := range x.words {
			head = append(head, testkit.Bulk(w)...)
		}
		c.Send(head)
		sent := make(chan error, 1)
		go func() { sent <- c.TrySend(words) }()
		got := c.Reply()
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got, x.want) || got[0] != '-' && got != x.want {
			t.Errorf("%q: %.200q, want %.80q", x.words, got, x.want)
		}
		most = max(most, s.proxy.RSS())
		calm.Send(gets("calm"))
		calm.Expect(testkit.Bulk("x"))
	}
	c.Send(gets("calm"))
	c.Expect(testkit.Bulk("x"))
	// A request is 13 MB, MGET's reply 5.
	t.Logf("at the most it has used %d MB", most>>20)
	if most > 400<<20 {
		t.Errorf("its memory has grown to %d MB", most>>20)
	}
}

// oddCounts are requests that are the protocol, and whose numbers are none.
var oddCounts = []string{
	"EVAL s -1 a", "EVAL s 2 a", "EVAL s 99999999999999999999 a", "EVAL s 2147483648 a", "EVAL s 4294967297 a", "EVAL s x a", "EVAL s 1.0 a", `EVAL s "" a`,
	"EVALSHA x 9223372036854775807 a", "FCALL f -9223372036854775808 a",
	"LMPOP 0 a LEFT", "LMPOP -1 a LEFT", "LMPOP 4294967297 a LEFT", "LMPOP 18446744073709551617 a LEFT",
	"ZUNIONSTORE d 0 a", "ZUNIONSTORE d -1 a", "ZUNIONSTORE d 9223372036854775807 a", "ZUNIONSTORE d 4294967297 a b", "ZUNION 2 a", "ZINTERCARD x a", "SINTERCARD 0 a",
	"SINTERCARD 5 a b", "ZMPOP 2147483647 a MIN", "ZDIFF 18446744073709551615 a",
	"XREAD STREAMS a", "XREAD STREAMS a b 0", "XREAD COUNT x STREAMS a 0", "XREAD COUNT", "XREAD STREAMS", "XREADGROUP GROUP g c STREAMS a b >", "XREADGROUP GROUP g",
	"SORT a STORE", "SORT a LIMIT 0 STORE b", "GEORADIUS a 1 2 3 m STORE", "MSET a", "MSET a 1 b", "BITOP NOT", "BITOP AND d",
	"GETRANGE a -9223372036854775808 9223372036854775807", "SETRANGE a -1 x", "SETRANGE a 9223372036854775807 x", "SETBIT a 4294967296 1", "SETEX a 9223372036854775807 x",
	"LRANGE a -9223372036854775809 1", "SPOP a -1", "LPOP a -1", "SRANDMEMBER a -9223372036854775808", "HRANDFIELD a 9223372036854775807", "EXPIRE a 9223372036854775807",
	"OBJECT ENCODING", "XGROUP CREATE", "MEMORY USAGE", "MEMORY USAGE a SAMPLES -1",
}

// TestOddCounts: numbers that are negative, huge or no numbers get redis-server's
// own error, or at the least one of that kind, and nobody is harmed.
func TestOddCounts(t *testing.T) {
	t.Parallel()
	s, alone := redisStage(t), testkit.StartRedis(t)
	c, server := s.proxy.Dial(testkit.Redis), alone.Dial()
	for _, line := range oddCounts {
		call := testkit.Command(line)
		want, got := server.Do(call...), c.Do(call...)
		if got != want {
			t.Errorf("%s:\n\tnuthatch %q\n\tredis    %q", line, got, want)
		}
	}
	for _, line := range []string{"CLIENT KILL ID 99999999999999999999", "CLIENT LIST ID -1", "SELECT 99999999999999999999", "SELECT -1", "HELLO 99999999999999999999", "SCAN -1", "SCAN 99999999999999999999", "WAIT 1 99999999999999999999"} {
		if got := c.Do(testkit.Command(line)...); !strings.HasPrefix(got, "-") || strings.Count(got, "\r\n") != 1 {
			t.Errorf("%s: %q", line, got)
		}
	}
	c.Send(testkit.RESP("PING"))
	c.Expect("+PONG\r\n")
}

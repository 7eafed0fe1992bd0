package proxy_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"nuthatch/internal/msg"
	"nuthatch/internal/proto/memcache"
	"nuthatch/internal/proto/redis"
)

// allOfResp and allOfText are the dialects with what servers may say and the stubs do
// not.
type (
	allOfResp struct{ resp }
	allOfText struct{ text }
)

// frame implements dialect.
func (allOfResp) frame(b []byte) (int, error) {
	return frameBy(redis.New(redis.Options{}).NewReplyParser(), b)
}

// frame implements dialect.
func (allOfText) frame(b []byte) (int, error) {
	return frameBy(memcache.New(memcache.Options{}).NewReplyParser(), b)
}

func frameBy(p msg.ReplyParser, b []byte) (int, error) {
	n, done, err := p.Parse(b)
	if err != nil {
		return 0, err
	}
	if !done {
		return 0, nil
	}
	return n, nil
}

// oddPools are pools whose servers say anything, and what their clients ask for.
var oddPools = []struct {
	lines string
	lang  dialect
	// clients are each one's requests.
	clients [][]string
}{
	{
		"  redis: true\n  redis_auth: secret\n  redis_db: 2\n  databases: 8\n  timeout: 400\n",
		allOfResp{resp{password: "secret"}},
		[][]string{
			{"AUTH secret", "MGET a b c d e f", "GET a", "FOO.BAR a keys 2 b c", "FOO.BAR a", "MSET a 1 b 2 c 3 d 4", "DEL a b c d e f"},
			{"HELLO 3 AUTH default secret", "FOO.BAR b 1 a", "RANDOMKEY", "SCRIPT LOAD x", "SCRIPT EXISTS x", "FUNCTION STATS", "FUNCTION LIST"},
			{"AUTH secret", "SELECT 3", "SCAN 0", "SCAN 7", "DBSIZE", "WAIT 1 1", "PUBSUB NUMSUB a", "PUBSUB CHANNELS", "SCRIPT KILL", "WAITAOF 1 1 1"},
		},
	},
	{
		"  redis: true\n  timeout: 400\n  retry: idempotent\n  partial_results: nulls\n",
		allOfResp{},
		[][]string{
			{"MGET a b c d e f", "EXISTS a b c d e f", "DBSIZE", "PUBSUB NUMSUB a", "FOO.BAR a"},
			{"HELLO 3", "MGET a b c d e f", "SCAN 1", "SCRIPT LOAD y", "FOO.BAR x keys 1 2 3"},
		},
	},
	{
		"  timeout: 400\n  allow_flush: true\n",
		allOfText{},
		[][]string{
			{"get a b c d e f", "gets a b c d e f", "gat 0 a b c d", "get a", "incr a 1", "version", "mg a v", "me a"},
			{"stats", "stats items", "verbosity 1", "flush_all", "delete a", "touch a 0", "ma a v", "md a q", "mn"},
		},
	},
}

// oddReplies are what servers say: sound replies, and others.
var oddReplies = []string{
	"+OK\r\n\x00*1\r\n$1\r\nx\r\n\x00:1\r\n\x00$-1\r\n",
	"+OK\r\n\x00*2\r\n$1\r\n7\r\n*0\r\n\x00*1\r\n*6\r\n$7\r\nfoo.bar\r\n:-2\r\n*0\r\n:1\r\n:1\r\n:1\r\n",
	"%1\r\n+proto\r\n:3\r\n\x00+OK\r\n\x00" + lessonOf(-5, 1) + "\x00" + lessonOf(0, 1) + "\x00-ERR x\r\n",
	"$40\r\n" + strings.Repeat("\n", 40) + "\r\n\x00|1\r\n+a\r\n+b\r\n*0\r\n\x00>1\r\n+x\r\n\x00!3\r\nERR\r\n",
	"-ERR unknown command\r\n\x00-NOAUTH x\r\n\x00-LOADING x\r\n\x00_\r\n\x00~0\r\n\x00#t\r\n\x00,1.5\r\n",
	"VALUE a 0 1\r\nx\r\nEND\r\n\x00STORED\r\n\x00STAT a 1\r\nEND\r\n\x00HD\r\n\x00VA 1 f0\r\nx\r\n\x00OK\r\n",
	"END\r\n\x001\r\n\x00VERSION 1\r\n\x00SERVER_ERROR x\r\n\x00VALUE a 0 5\r\n\r\nEND\r\nEND\r\n\x00ITEM a [1 b; 0 s]\r\nEND\r\n",
}

// lessonOf is a reply to COMMAND INFO by which the number of keys, and the first,
// are so far behind the command's first word.
func lessonOf(number, first int) string {
	field := func(name, value string) string { return bulk(name) + value }
	count := func(n int) string { return fmt.Sprintf(":%d\r\n", n) }
	begin := "*4\r\n" + field("type", bulk("index")) + field("spec", "*2\r\n"+field("index", count(1)))
	find := "*4\r\n" + field("type", bulk("keynum")) +
		field("spec", "*6\r\n"+field("keynumidx", count(number))+field("firstkey", count(first))+field("keystep", count(1)))
	return "*1\r\n*10\r\n" + bulk("foo.bar") + ":-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*1\r\n*4\r\n" +
		field("begin_search", begin) + field("find_keys", find) + "*0\r\n"
}

// anything is right of what an odd server says.
func anything(string) bool { return true }

// FuzzServers: whatever servers say to whatever they are asked, every client gets
// a reply, or an error, to each of its requests, and no other bytes; and when the
// servers are sound again clients are served. What they say stands between NULs, a
// reply to each request in turn.
func FuzzServers(f *testing.F) {
	for pool := range oddPools {
		for _, said := range oddReplies {
			f.Add([]byte(said), uint8(pool))
		}
	}
	f.Fuzz(func(t *testing.T, said []byte, pool uint8) {
		o := oddPools[int(pool)%len(oddPools)]
		c := converse(t, o.lines, o.lang, 1)
		c.upset = true
		for _, requests := range o.clients {
			p := c.join()
			for _, r := range requests {
				if o.lang == (allOfText{}) {
					p.request(r+"\r\n", anything)
				} else {
					p.request(command(strings.Fields(r)...), anything)
				}
			}
			p.say(len(p.out))
		}
		c.speakOddly(bytes.Split(said, []byte{0}))
		c.end(true)
	})
}

// speakOddly has all servers say that, a piece to each request, for as long as they
// are asked anything.
func (c *conversation) speakOddly(pieces [][]byte) {
	const rounds = 100
	said := 0
	for range rounds {
		c.calm()
		before := said
		for _, s := range c.stubs {
			s.read()
			for _, conn := range s.conns {
				for ; len(conn.todo) > 0 && !conn.closed; conn.todo = conn.todo[1:] {
					conn.raw, conn.spoilt = true, true
					conn.out = append(conn.out, pieces[said%len(pieces)]...)
					said++
				}
				conn.say(len(conn.out))
			}
		}
		if said == before {
			break
		}
	}
	for _, p := range c.parties {
		p.hear(1 << 20)
	}
}

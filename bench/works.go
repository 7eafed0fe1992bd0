package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	// clients is the number of connections that a piece of work uses.
	clients = 50
	// keyspace is the number of keys of each kind that the servers hold.
	keyspace = 10_000
	// bigKeyspace is the number of keys with large values.
	bigKeyspace = 1_000

	smallValue = "xxx"
	bigLength  = 10 * 1024
)

// work is a row of the table of works: something that every proxy is asked to
// do, and measured at.
type work struct {
	name  string // for -works
	title string // for the report
	pool  int    // index into pools
	load  load
	// warm is the number of requests that come first and are not measured; how
	// fast they went decides how many are. About half a second's worth.
	warm int
}

func (w work) label() string { return w.name }

// works lists the pieces of work in the order in which they are done and shown.
func works() []work {
	get := redisCommand{args: []string{"GET", "key:" + randomInt}, reply: bulk(smallValue), keys: keyspace}
	set := redisCommand{args: []string{"SET", "key:" + randomInt, smallValue}, reply: "+OK\r\n", keys: keyspace}
	getBig := redisCommand{args: []string{"GET", "big:" + randomInt}, reply: bulk(bigValue()), keys: bigKeyspace}
	return []work{
		{"get-p1", "GET", redisOne, get.pipelined(1), 20_000},
		{"get-p16", "GET, pipeline 16", redisOne, get.pipelined(16), 100_000},
		{"get-p100", "GET, pipeline 100", redisOne, get.pipelined(100), 150_000},
		{"set-p1", "SET", redisOne, set.pipelined(1), 20_000},
		{"set-p16", "SET, pipeline 16", redisOne, set.pipelined(16), 100_000},
		{"set-p100", "SET, pipeline 100", redisOne, set.pipelined(100), 150_000},
		{"mget-100", "MGET of 100 keys, 3 servers", redisThree, mget(100).pipelined(1), 5_000},
		{"get-10k", "GET of 10 KB", redisOne, getBig.pipelined(1), 10_000},
		{"mc-get", "memcached get", memcachedOne, memcachedGets(1), 20_000},
		{"mc-set", "memcached set", memcachedOne, memcachedSets(), 20_000},
		{"mc-get-100", "memcached get of 100 keys, 3 servers", memcachedThree, memcachedGets(100), 5_000},
	}
}

// key is the i-th key of a kind, as redis-benchmark writes it.
func key(kind string, i int) string { return fmt.Sprintf("%s:%012d", kind, i) }

// bigValue is the value of every key of kind "big".
func bigValue() string { return strings.Repeat("x", bigLength) }

// bulk is a Redis bulk string.
func bulk(value string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value) }

// mget asks for the first n keys.
func mget(n int) redisCommand {
	args := []string{"MGET"}
	for i := range n {
		args = append(args, key("key", i))
	}
	return redisCommand{args: args, reply: fmt.Sprintf("*%d\r\n", n) + strings.Repeat(bulk(smallValue), n), keys: keyspace}
}

// variants is how many different requests the memcached works use in turn.
const variants = 1000

// memcachedGets asks for n different keys per request.
func memcachedGets(n int) closedLoop {
	l := closedLoop{reply: memcachedReply(n)}
	for range variants {
		var b strings.Builder
		b.WriteString("get")
		for _, i := range distinct(n) {
			b.WriteString(" " + key("key", i))
		}
		b.WriteString("\r\n")
		l.requests = append(l.requests, []byte(b.String()))
	}
	return l
}

// memcachedReply has the length and the ends of the reply to a get of n keys,
// which may come in any order.
func memcachedReply(n int) []byte {
	value := fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", key("key", 0), len(smallValue), smallValue)
	return []byte(strings.Repeat(value, n) + "END\r\n")
}

// memcachedSets writes one key per request.
func memcachedSets() closedLoop {
	l := closedLoop{reply: []byte("STORED\r\n")}
	for range variants {
		l.requests = append(l.requests, memcachedSet(key("key", rand.IntN(keyspace)), smallValue))
	}
	return l
}

func memcachedSet(key, value string) []byte {
	return fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
}

// distinct returns n different numbers below keyspace. There need to be far
// fewer than that.
func distinct(n int) []int {
	seen := map[int]bool{}
	var list []int
	for len(list) < n {
		if i := rand.IntN(keyspace); !seen[i] {
			seen[i] = true
			list = append(list, i)
		}
	}
	return list
}

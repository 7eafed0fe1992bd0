package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// exchange is what a client writes at once, and the reply.
type exchange struct {
	request []byte
	// The length and the ends of a reply are checked. What is between may differ,
	// as the proxy chooses the order of several servers' parts.
	reply    []byte
	requests int // that the request consists of: more than one in a pipeline
	// then is what the same client writes when it has the reply; nil: whatever comes.
	then *exchange
}

// How many different exchanges a piece of work uses in turn: as many as there
// are keys to choose from, within bounds.
const (
	maxVariants     = 1000
	maxVariantBytes = 16 << 20 // of all requests together
)

// variants makes exchanges that differ in their keys.
func variants(one func() exchange) []exchange {
	list := []exchange{one()}
	size := len(list[0].request)
	for len(list) < maxVariants && size < maxVariantBytes {
		e := one()
		e.reply = shared(e.reply, list[0].reply)
		size += len(e.request)
		list = append(list, e)
	}
	return list
}

// shared returns other if it is the same, so that equal replies are held once.
func shared(reply, other []byte) []byte {
	if bytes.Equal(reply, other) {
		return other
	}
	return reply
}

// pipelined makes exchanges of depth requests each.
func pipelined(depth int, one func() exchange) func() exchange {
	return func() exchange {
		var all exchange
		for range depth {
			e := one()
			all.request = append(all.request, e.request...)
			all.reply = append(all.reply, e.reply...)
			all.requests += e.requests
		}
		return all
	}
}

// mixed makes exchanges of one kind, and each n-th time of another.
func mixed(usual, rare func() exchange, n int) func() exchange {
	made := 0
	return func() exchange {
		if made++; made%n == 0 {
			return rare()
		}
		return usual()
	}
}

// dataset is a kind of key that the servers hold, all with values of one size.
type dataset struct {
	kind string
	keys int
	size int // of the values
}

// The keys of the works. There are fewer of those with large values, so that
// what the servers hold fits into memory anywhere.
var (
	small     = dataset{"key", 10_000, 3}
	oneKB     = dataset{"1kb", 1_000, 1 << 10}
	tenKB     = dataset{"10kb", 1_000, 10 << 10}
	hundredKB = dataset{"100kb", 100, 100 << 10}
	oneMB     = dataset{"1mb", 8, 1 << 20}
)

// key is the i-th key of a kind, as redis-benchmark writes it.
func (d dataset) key(i int) string { return fmt.Sprintf("%s:%012d", d.kind, i) }

func (d dataset) value() string { return strings.Repeat("x", d.size) }

// any is one of the keys.
func (d dataset) any() string { return d.key(rand.IntN(d.keys)) }

// distinct returns n different keys.
func (d dataset) distinct(n int) []string {
	list := make([]string, n)
	for i, k := range rand.Perm(d.keys)[:n] {
		list[i] = d.key(k)
	}
	return list
}

// bulk is a Redis bulk string.
func bulk(value string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value) }

// respRequest is a Redis request in RESP.
func respRequest(words ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		b = append(b, bulk(word)...)
	}
	return b
}

func redisGet(d dataset) func() exchange {
	reply := []byte(bulk(d.value()))
	return func() exchange { return exchange{respRequest("GET", d.any()), reply, 1, nil} }
}

func redisSet(d dataset) func() exchange {
	value := d.value()
	return func() exchange { return exchange{respRequest("SET", d.any(), value), []byte("+OK\r\n"), 1, nil} }
}

func mget(n int) func() exchange {
	reply := []byte(fmt.Sprintf("*%d\r\n", n) + strings.Repeat(bulk(small.value()), n))
	return func() exchange {
		return exchange{respRequest(append([]string{"MGET"}, small.distinct(n)...)...), reply, 1, nil}
	}
}

func mset(n int) func() exchange {
	return func() exchange {
		words := []string{"MSET"}
		for _, key := range small.distinct(n) {
			words = append(words, key, small.value())
		}
		return exchange{respRequest(words...), []byte("+OK\r\n"), 1, nil}
	}
}

// del deletes keys that do not exist, so that every reply is the same; the
// proxy's work is.
func del(n int) func() exchange {
	none := dataset{kind: "none", keys: small.keys}
	return func() exchange {
		return exchange{respRequest(append([]string{"DEL"}, none.distinct(n)...)...), []byte(":0\r\n"), 1, nil}
	}
}

// memcachedGet asks for n different keys.
func memcachedGet(n int) func() exchange {
	value := fmt.Sprintf("VALUE %s 0 %d\r\n%s\r\n", small.key(0), small.size, small.value())
	reply := []byte(strings.Repeat(value, n) + "END\r\n")
	return func() exchange {
		return exchange{[]byte("get " + strings.Join(small.distinct(n), " ") + "\r\n"), reply, 1, nil}
	}
}

func memcachedSet() exchange {
	return exchange{memcachedWrite(small.any(), small.value()), []byte("STORED\r\n"), 1, nil}
}

func memcachedWrite(key, value string) []byte {
	return fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
}

package integration

import (
	"fmt"
	"slices"
	"strconv"

	"nuthatch/internal/testkit"
)

// deeds are the requests that TestMixedCommands makes: each adds one to its
// client's book, and the reply that must come.
var deeds = []func(*book){
	// Texts.
	func(b *book) {
		key, i := b.pick("text")
		b.say("GET", key)
		b.expectText(b.texts[i])
	},
	func(b *book) {
		key, i := b.pick("text")
		b.texts[i] = b.value()
		b.say("SET", key, b.texts[i])
		b.expect("+OK\r\n")
	},
	func(b *book) {
		key, i := b.pick("text")
		b.say("GETSET", key, "x"+b.prefix)
		b.expectText(b.texts[i])
		b.texts[i] = "x" + b.prefix
	},
	func(b *book) {
		key, i := b.pick("text")
		b.say("SETNX", key, "y"+b.prefix)
		if b.texts[i] != "" {
			b.expectInt(0)
			return
		}
		b.texts[i] = "y" + b.prefix
		b.expectInt(1)
	},
	func(b *book) {
		key, i := b.pick("text")
		b.say("STRLEN", key)
		b.expectInt(len(b.texts[i]))
	},
	func(b *book) {
		key, i := b.pick("text")
		b.say("GETDEL", key)
		b.expectText(b.texts[i])
		b.texts[i] = ""
	},
	func(b *book) {
		key, i := b.pick("text")
		b.say("TYPE", key)
		if b.texts[i] == "" {
			b.expect("+none\r\n")
			return
		}
		b.expect("+string\r\n")
	},
	// Texts of several servers.
	mgetDeed, mgetDeed,
	func(b *book) {
		_, at := b.someTexts()
		words := []string{"MSET"}
		for _, i := range at {
			b.texts[i] = b.value()
			words = append(words, b.name("text", i), b.texts[i])
		}
		b.say(words...)
		b.expect("+OK\r\n")
	},
	func(b *book) { b.deleteDeed("DEL") },
	func(b *book) { b.deleteDeed("UNLINK") },
	func(b *book) { b.countDeed("EXISTS") },
	func(b *book) { b.countDeed("TOUCH") },
	// Numbers.
	func(b *book) { b.addDeed("INCR", 1) },
	func(b *book) { b.addDeed("DECR", -1) },
	func(b *book) { b.addDeed("INCRBY", b.rng.Int64N(1000)+1) },
	// Lists.
	func(b *book) { b.pushDeed("LPUSH") },
	func(b *book) { b.pushDeed("RPUSH") },
	func(b *book) { b.popDeed("LPOP") },
	func(b *book) { b.popDeed("RPOP") },
	func(b *book) {
		key, i := b.pick("list")
		b.say("LRANGE", key, "0", "-1")
		b.expect(fmt.Sprintf("*%d\r\n", len(b.lists[i])))
		for _, s := range b.lists[i] {
			b.expectText(s)
		}
	},
	func(b *book) {
		key, i := b.pick("list")
		b.say("LLEN", key)
		b.expectInt(len(b.lists[i]))
	},
	// Hashes.
	hsetDeed, hsetDeed,
	func(b *book) {
		key, i := b.pick("hash")
		field := b.field()
		b.say("HGET", key, field)
		b.expectText(b.hashes[i][field])
	},
	func(b *book) {
		key, i := b.pick("hash")
		words := []string{"HMGET", key}
		for range 3 {
			words = append(words, b.field())
		}
		b.say(words...)
		b.expect("*3\r\n")
		for _, field := range words[2:] {
			b.expectText(b.hashes[i][field])
		}
	},
	func(b *book) {
		key, i := b.pick("hash")
		field := b.field()
		b.say("HDEL", key, field)
		b.expectInt(boolInt(b.hashes[i][field] != ""))
		delete(b.hashes[i], field)
	},
	func(b *book) {
		key, i := b.pick("hash")
		b.say("HLEN", key)
		b.expectInt(len(b.hashes[i]))
	},
	// Sorted sets.
	func(b *book) {
		key, i := b.pick("zset")
		member, score := b.field(), 1+b.rng.IntN(1000)
		b.say("ZADD", key, strconv.Itoa(score), member)
		b.expectInt(boolInt(b.zsets[i][member] == 0))
		b.zsets[i][member] = score
	},
	func(b *book) {
		key, i := b.pick("zset")
		member := b.field()
		b.say("ZSCORE", key, member)
		switch score := b.zsets[i][member]; {
		case score == 0:
			b.expect(b.null)
		case b.resp3:
			b.expect(fmt.Sprintf(",%d\r\n", score))
		default:
			b.expectText(strconv.Itoa(score))
		}
	},
	func(b *book) {
		key, i := b.pick("zset")
		member := b.field()
		b.say("ZREM", key, member)
		b.expectInt(boolInt(b.zsets[i][member] != 0))
		delete(b.zsets[i], member)
	},
	func(b *book) {
		key, i := b.pick("zset")
		b.say("ZCARD", key)
		b.expectInt(len(b.zsets[i]))
	},
	// Scripts, and what the proxy answers.
	func(b *book) {
		key, i := b.pick("text")
		b.say("EVAL", "return {redis.call('STRLEN', KEYS[1]), ARGV[1]}", "1", key, b.prefix)
		b.expect("*2\r\n")
		b.expectInt(len(b.texts[i]))
		b.expectText(b.prefix)
	},
	func(b *book) {
		s := b.value()
		b.say("ECHO", s)
		b.expectText(s)
	},
	func(b *book) {
		b.say("PING")
		b.expect("+PONG\r\n")
	},
	// What is wrong.
	func(b *book) {
		key, i := b.pick("list")
		if len(b.lists[i]) == 0 {
			key = b.name("list", i)
			b.say("LLEN", key)
			b.expectInt(0)
			return
		}
		b.say("INCR", key)
		b.expect("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")
	},
	func(b *book) {
		b.say("GET")
		b.expect("-ERR wrong number of arguments for 'get' command\r\n")
	},
	func(b *book) {
		b.say("MULTI")
		b.expect("+OK\r\n")
		b.say("PING", "kept until EXEC")
		b.expect("+QUEUED\r\n")
		b.say("EXEC")
		b.expect("*1\r\n$15\r\nkept until EXEC\r\n")
	},
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func mgetDeed(b *book) {
	keys, at := b.someTexts()
	b.say(append([]string{"MGET"}, keys...)...)
	b.expect(fmt.Sprintf("*%d\r\n", len(keys)))
	for _, i := range at {
		b.expectText(b.texts[i])
	}
}

func (b *book) deleteDeed(command string) {
	keys, at := b.someTexts()
	b.say(append([]string{command}, keys...)...)
	n := 0
	for i := range once(at) {
		n += boolInt(b.texts[i] != "")
		b.texts[i] = ""
	}
	b.expectInt(n)
}

// countDeed counts keys, those that come again too.
func (b *book) countDeed(command string) {
	keys, at := b.someTexts()
	b.say(append([]string{command}, keys...)...)
	n := 0
	for _, i := range at {
		n += boolInt(b.texts[i] != "")
	}
	b.expectInt(n)
}

// addDeed adds to a number. One that becomes 0 is deleted, in one more request.
func (b *book) addDeed(command string, n int64) {
	key, i := b.pick("number")
	words := []string{command, key}
	if command == "INCRBY" {
		words = append(words, strconv.FormatInt(n, 10))
	}
	b.say(words...)
	b.numbers[i] += n
	b.expectInt(int(b.numbers[i]))
	if b.numbers[i] == 0 {
		b.say("DEL", key)
		b.expectInt(1)
		b.requests++
	}
}

// pushDeed adds to a list, or cuts it down if it is full.
func (b *book) pushDeed(command string) {
	key, i := b.pick("list")
	list := b.lists[i]
	if len(list) >= mixedFields {
		b.say("LTRIM", key, "0", "1")
		b.expect("+OK\r\n")
		b.lists[i] = list[:2]
		return
	}
	s := b.value()
	b.say(command, key, s)
	if command == "LPUSH" {
		b.lists[i] = append([]string{s}, list...)
	} else {
		b.lists[i] = append(slices.Clip(list), s)
	}
	b.expectInt(len(list) + 1)
}

func (b *book) popDeed(command string) {
	key, i := b.pick("list")
	b.say(command, key)
	list := b.lists[i]
	switch {
	case len(list) == 0:
		b.expect(b.null)
	case command == "LPOP":
		b.expect(testkit.Bulk(list[0]))
		b.lists[i] = list[1:]
	default:
		b.expect(testkit.Bulk(list[len(list)-1]))
		b.lists[i] = list[:len(list)-1]
	}
}

func hsetDeed(b *book) {
	key, i := b.pick("hash")
	field, s := b.field(), b.value()
	b.say("HSET", key, field, s)
	b.expectInt(boolInt(b.hashes[i][field] == ""))
	b.hashes[i][field] = s
}

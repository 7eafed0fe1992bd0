package compat

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// transactions are conversations with MULTI. A server by itself says what they are
// answered, byte for byte. Each ends outside a transaction.
var transactions = []group{
	{"plain", `
		MULTI
		SET a 1
		INCR a
		GET a
		EXEC
		GET a`},
	{"empty", `
		MULTI
		EXEC
		MULTI
		DISCARD`},
	{"discarded", `
		MULTI
		SET a 2
		DISCARD
		GET a
		EXEC
		DISCARD`},
	{"outside", `
		EXEC
		DISCARD
		EXEC x
		DISCARD x
		MULTI x
		EXEC
		UNWATCH
		UNWATCH x`},
	{"nested", `
		MULTI
		MULTI
		SET a 3
		MULTI
		EXEC
		EXEC
		GET a`},
	{"nested with words", `
		MULTI
		MULTI x
		SET a 4
		EXEC
		GET a`},
	{"words of EXEC and DISCARD", `
		MULTI
		SET a 5
		EXEC x
		GET a
		EXEC
		MULTI
		SET a 6
		DISCARD x
		EXEC
		GET a`},
	{"number of words", `
		MULTI
		SET a
		GET a
		EXEC
		EXEC
		GET a`},
	{"unknown", `
		MULTI
		FROBNICATE a b
		SET a 1
		EXEC
		GET a`},
	{"errors while it runs", `
		MULTI
		SET s x
		LPUSH s y
		INCR s
		GET s
		EXEC
		GET s
		DEL s`},
	{"many keys", `
		MULTI
		MSET a 1 b 2 c 3
		MGET a b c d
		EXISTS a b c d
		DEL a d
		UNLINK b c
		TOUCH a
		RENAME nosuch b
		EXEC`},
	{"kinds of replies", `
		MULTI
		HSET h f v
		HGETALL h
		SADD s a
		SMEMBERS s
		ZADD z 1.5 m
		ZSCORE z m
		ZRANGE z 0 -1 WITHSCORES
		GET nosuch
		LRANGE nosuch 0 -1
		HRANDFIELD nosuch
		INCRBYFLOAT f 1.5
		EXEC
		DEL h s z f`},
	{"words that come back", `
		MULTI
		PING
		PING hello
		PING a b
		ECHO hello
		UNWATCH
		SELECT 0
		PUBLISH news hello
		EXEC`},
	{"what blocks elsewhere", `
		MULTI
		BLPOP nosuch 1
		BRPOP nosuch nosuch2 0
		BLMOVE nosuch d LEFT RIGHT 0
		BRPOPLPUSH nosuch d 0
		BLMPOP 0 1 nosuch LEFT
		BZPOPMIN nosuch 0
		BZPOPMAX nosuch 0
		BZMPOP 0 1 nosuch MIN
		BLPOP nosuch x
		XREAD BLOCK 0 STREAMS nosuch 0
		XREADGROUP GROUP g c BLOCK 0 STREAMS nosuch >
		RPUSH q 1
		BLPOP q 0
		WAIT 0 0
		EXEC
		DEL q`},
	{"words of what blocks", `
		MULTI
		BLPOP nosuch
		EXEC
		MULTI
		BLMOVE a b LEFT
		EXEC`},
	{"scripts", `
		MULTI
		EVAL "return redis.call('INCR', KEYS[1])" 1 a
		EVAL "return 1" 0
		EVAL "return redis.error_reply('ERR no')" 0
		EVALSHA 0000000000000000000000000000000000000000 0
		SCRIPT EXISTS 0000000000000000000000000000000000000000
		EXEC`},
	{"all servers of one", `
		MULTI
		SET a 1
		DBSIZE
		KEYS *
		SCAN 0
		RANDOMKEY
		EXEC`},
	{"RESET", `
		MULTI
		SET a 7
		RESET
		EXEC
		GET a`},
	{"RESET with words", `
		MULTI
		RESET x
		EXEC`},
	{"one after the other", `
		MULTI
		INCR n
		EXEC
		INCR n
		MULTI
		INCR n
		INCR n
		EXEC
		MULTI
		GET n
		EXEC
		DEL n`},
	{"WATCH inside", `
		MULTI
		WATCH a
		WATCH
		EXEC`},
	{"WATCH inside goes on", `
		MULTI
		WATCH a
		SET a 8
		EXEC
		GET a`},
	{"WATCH", `
		WATCH a b
		GET a
		MULTI
		SET a 10
		EXEC
		GET a
		WATCH a
		SET a 11
		MULTI
		SET a 12
		GET a
		EXEC
		GET a
		MULTI
		SET a 13
		EXEC`},
	{"WATCH of nothing that changes", `
		WATCH a
		MULTI
		EXEC
		WATCH a
		SET a 14
		MULTI
		EXEC
		EXEC`},
	{"WATCH and what ends it", `
		WATCH a
		SET a 15
		UNWATCH
		MULTI
		SET a 16
		EXEC
		WATCH a
		SET a 17
		MULTI
		DISCARD
		MULTI
		GET a
		EXEC
		WATCH a
		SET a 18
		RESET
		MULTI
		GET a
		EXEC
		WATCH a
		SET a 19
		EXEC
		MULTI
		GET a
		EXEC`},
	{"WATCH and what is refused", `
		WATCH
		MULTI
		GET a
		EXEC
		WATCH a
		SET a 20
		MULTI
		FROBNICATE
		EXEC
		MULTI
		GET a
		EXEC
		WATCH a
		SET a 21
		MULTI
		GET a
		EXEC x
		MULTI
		GET a
		EXEC`},
	{"WATCH and a database", `
		WATCH a
		SELECT 1
		SELECT 0
		SET a 22
		SELECT 1
		MULTI
		SET a 23
		EXEC
		GET a
		SELECT 0
		GET a
		WATCH a
		SELECT 1
		MULTI
		SET a 24
		GET a
		EXEC
		SELECT 0
		GET a`},
	{"WATCH of many", `
		WATCH a
		WATCH b a c
		MSET x 1 y 2
		MGET a b x y
		SET b 1
		MULTI
		GET x
		EXEC
		DEL x y
		UNWATCH`},
	{"EXEC with a word ends WATCH", `
		WATCH a
		EXEC x
		SET a 26
		MULTI
		GET a
		EXEC
		WATCH a
		EXEC
		SET a 27
		MULTI
		GET a
		EXEC`},
	{"UNWATCH inside", `
		WATCH a
		SET a 25
		MULTI
		UNWATCH
		GET a
		EXEC`},
	{"replies switched off", `
		MULTI
		SET a 9
		GET a
		EXEC
		CLIENT REPLY ON`},
}

// transactionPieces are what generated conversations consist of.
var transactionPieces = strings.Fields(`MULTI MULTI MULTI EXEC EXEC EXEC DISCARD INCR_n INCR_n GET_n SET_n_x SET_n_1 LPUSH_n_a GET DEL_n_m MGET_n_m
	FROBNICATE PING RESET MULTI_x EXEC_x DISCARD_x UNWATCH WATCH_n WATCH_n WATCH_n_l UNWATCH RPUSH_l_a HSET_h_f_v HGETALL_h ZADD_z_1_m ZSCORE_z_m`)

// TestTransactionsLikeRedis: what a client hears of transactions is what it would hear of
// the server by itself, in either protocol, however its bytes are cut.
func TestTransactionsLikeRedis(t *testing.T) {
	t.Parallel()
	p := newDuo(t)
	for _, hello := range []string{"", "3"} {
		for _, g := range transactions {
			t.Run(g.name+" RESP"+hello, func(t *testing.T) { p.same(t, hello, g.commands()) })
		}
		rnd := rand.New(rand.NewPCG(17, 1))
		for range 60 {
			var lines []string
			for range 5 + rnd.IntN(25) {
				lines = append(lines, strings.ReplaceAll(transactionPieces[rnd.IntN(len(transactionPieces))], "_", " "))
			}
			p.same(t, hello, append(lines, "SELECT 0", "MULTI", "DISCARD", "DISCARD", "SELECT 0"))
		}
	}
}

// everyByte cuts n bytes at each.
func everyByte(n int) []int {
	at := make([]int, 0, n)
	for i := 1; i < n; i++ {
		at = append(at, i)
	}
	return at
}

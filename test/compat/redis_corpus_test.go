package compat

import "strings"

// A group is a conversation in Redis commands, one per line, that starts on
// empty servers. Its replies are the same on every server: it uses no random
// choice among several, no order that depends on a server's hash seed, and no
// time that passes.
type group struct {
	name  string
	lines string
}

func (g group) commands() []string {
	var lines []string
	for line := range strings.Lines(g.lines) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// supported are the commands that nutcracker 0.5.0 forwards. AUTH, PING, QUIT,
// COMMAND and LOLWUT, which need a test of their own, are not among them.
const supported = `
	DEL DUMP EXISTS EXPIRE EXPIREAT PERSIST PEXPIRE PEXPIREAT PTTL RESTORE SORT TTL TYPE COPY TOUCH UNLINK
	APPEND BITCOUNT BITFIELD BITPOS DECR DECRBY GET GETBIT GETDEL GETEX GETRANGE GETSET INCR INCRBY INCRBYFLOAT
	MGET MSET PSETEX SET SETBIT SETEX SETNX SETRANGE STRLEN
	HDEL HEXISTS HGET HGETALL HINCRBY HINCRBYFLOAT HKEYS HLEN HMGET HMSET HRANDFIELD HSET HSETNX HSTRLEN HVALS HSCAN
	LINDEX LINSERT LLEN LMOVE LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM RPOP RPOPLPUSH RPUSH RPUSHX
	SADD SCARD SDIFF SDIFFSTORE SINTER SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SPOP SRANDMEMBER SREM SSCAN
	SUNION SUNIONSTORE
	ZADD ZCARD ZCOUNT ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERSTORE ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE
	ZRANGEBYLEX ZRANGEBYSCORE ZRANGESTORE ZRANK ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE
	ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION ZUNIONSTORE
	PFADD PFCOUNT PFMERGE
	GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER GEOSEARCH GEOSEARCHSTORE
	EVAL EVALSHA`

var corpus = []group{
	{"keys", `
		SET k hello
		TYPE k
		TYPE missing
		EXISTS k
		EXISTS missing
		DUMP k
		DUMP missing
		RESTORE copy 0 "\x00\x05hello\n\x00cr\xdfve4 \n"
		GET copy
		RESTORE copy 0 garbage
		RESTORE copy 0 garbage REPLACE
		TTL k
		TTL missing
		PTTL k
		PTTL missing
		EXPIRE k 100
		TTL k
		EXPIRE missing 100
		EXPIRE k soon
		PERSIST k
		PERSIST k
		PEXPIRE k 100000
		PEXPIREAT k 99999999999999
		EXPIREAT k 99999999999
		PERSIST k
		EXPIREAT k 1
		GET k
		SET {t}1 v
		COPY {t}1 {t}2
		COPY {t}1 {t}2
		COPY {t}1 {t}2 REPLACE
		GET {t}2
		TOUCH {t}1
		TOUCH missing
		UNLINK {t}1
		UNLINK {t}1
		DEL {t}2
		DEL {t}2`},
	{"sort", `
		RPUSH l 3 1 2
		SORT l
		SORT l DESC
		SORT l LIMIT 0 2
		SORT l ALPHA
		SORT l BY nosort GET #
		SORT {l}x STORE {l}y
		SORT l NONSENSE
		RPUSH w b a
		SORT w
		SORT missing`},
	{"strings", `
		SET s hello
		GET s
		GET missing
		SET s other NX
		SET s other XX
		SET s third GET
		SET s v EX 100
		SET s v PX notanumber
		SET s v KEEPTTL
		SET s
		SET s v NONSENSE
		TTL s
		SET "" empty-key
		GET ""
		SET empty ""
		GET empty
		STRLEN empty
		STRLEN s
		SET bin "\r\n$3\r\nfoo\x00\xff"
		GET bin
		SET "key with spaces\r\n" v
		GET "key with spaces\r\n"
		APPEND a one
		APPEND a two
		GET a
		GETRANGE a 1 3
		GETRANGE a -3 -1
		GETRANGE a x y
		SETRANGE a 6 "!"
		SETRANGE a -1 x
		GETSET a new
		GETSET missing2 new
		GETDEL a
		GETDEL a
		GETEX s PERSIST
		GETEX s EX 100
		GETEX s EX
		GETEX s
		SETNX n 1
		SETNX n 2
		SETEX e 100 v
		SETEX e 0 v
		SETEX e x v
		PSETEX e 100000 v
		PSETEX e -1 v
		get s
		GeT s`},
	{"numbers", `
		INCR i
		INCR i
		DECR i
		INCRBY i 40
		DECRBY i 2
		INCRBY i x
		INCRBY i 9223372036854775807
		INCRBYFLOAT i 0.5
		INCRBYFLOAT i 1e400
		INCR i
		SET s hello
		INCR s
		DECRBY s 1
		INCRBYFLOAT s 1`},
	{"bits", `
		SETBIT b 7 1
		SETBIT b 7 0
		SETBIT b 7 1
		SETBIT b x 1
		SETBIT b 7 2
		GETBIT b 7
		GETBIT b 100
		BITCOUNT b
		BITCOUNT b 0 0
		BITCOUNT b 0
		BITCOUNT b 0 -1 BIT
		BITPOS b 1
		BITPOS b 0 0 -1
		BITPOS b 2
		BITFIELD b INCRBY i5 100 1 GET u4 0
		BITFIELD b SET u8 0 255 OVERFLOW SAT INCRBY u8 0 10
		BITFIELD b NONSENSE
		BITFIELD b`},
	{"hashes", `
		HSET h f1 v1
		HSET h f1 v2 f2 v2
		HSET h f1
		HMSET h f3 v3 f4 v4
		HMSET h f3
		HGET h f1
		HGET h missing
		HMGET h f1 missing f2
		HGETALL h
		HKEYS h
		HVALS h
		HLEN h
		HSTRLEN h f1
		HEXISTS h f1
		HEXISTS h missing
		HSETNX h f1 x
		HSETNX h f9 x
		HINCRBY h n 5
		HINCRBY h f1 5
		HINCRBYFLOAT h n 1.5
		HDEL h f1 f2 missing
		HSCAN h 0
		HSCAN h 0 MATCH f* COUNT 10
		HSCAN h notacursor
		HSET one f v
		HRANDFIELD one
		HRANDFIELD one 3
		HRANDFIELD one 1 WITHVALUES
		HRANDFIELD missing
		HRANDFIELD missing 2
		HGETALL missing
		SET s v
		HGET s f
		HGETALL s`},
	{"lists", `
		RPUSH l a b c
		LPUSH l z
		RPUSH l
		LPUSHX l y
		RPUSHX l d
		LPUSHX missing y
		RPUSHX missing y
		LRANGE l 0 -1
		LRANGE l 10 20
		LRANGE l x y
		LRANGE missing 0 -1
		LLEN l
		LINDEX l 0
		LINDEX l -1
		LINDEX l 100
		LINDEX l x
		LINSERT l BEFORE b bb
		LINSERT l AFTER nothere x
		LINSERT l SIDEWAYS b x
		LSET l 0 first
		LSET l 100 x
		LSET missing 0 x
		LPOS l b
		LPOS l nothere
		LPOS l b COUNT 0
		LPOS l b RANK 0
		LREM l 0 a
		LTRIM l 0 3
		LPOP l
		LPOP l 2
		LPOP missing
		LPOP missing 2
		RPOP l
		RPOP l 5
		RPOP l -1
		RPUSH {q}1 a b
		RPOPLPUSH {q}1 {q}2
		RPOPLPUSH {q}none {q}2
		LMOVE {q}1 {q}2 LEFT RIGHT
		LMOVE {q}none {q}2 LEFT RIGHT
		LMOVE {q}1 {q}2 UP DOWN
		LRANGE {q}2 0 -1
		SET s v
		LPUSH s x
		LRANGE s 0 -1`},
	{"sets", `
		SADD {s}1 1 2 3
		SADD {s}1 3
		SADD {s}2 2 3 4
		SCARD {s}1
		SISMEMBER {s}1 1
		SISMEMBER {s}1 9
		SMISMEMBER {s}1 1 9 2
		SMEMBERS {s}1
		SMEMBERS missing
		SDIFF {s}1 {s}2
		SINTER {s}1 {s}2
		SUNION {s}1 {s}2
		SDIFFSTORE {s}3 {s}1 {s}2
		SINTERSTORE {s}4 {s}1 {s}2
		SUNIONSTORE {s}5 {s}1 {s}2
		SMEMBERS {s}5
		SMOVE {s}1 {s}2 1
		SMOVE {s}1 {s}2 1
		SREM {s}1 2 99
		SSCAN {s}5 0
		SSCAN {s}5 0 COUNT 100
		SSCAN {s}5 x
		SADD one 7
		SRANDMEMBER one
		SRANDMEMBER one 5
		SRANDMEMBER missing
		SRANDMEMBER missing 2
		SPOP one
		SPOP one
		SADD one 7
		SPOP one 3
		SPOP one 3
		SPOP one -1
		SET str v
		SADD str x
		SMEMBERS str
		SUNION {s}1 {s}`},
	{"sorted sets", `
		ZADD {z}1 1 a 2 b 3 c
		ZADD {z}1 NX 9 a
		ZADD {z}1 XX CH 5 a
		ZADD {z}1 INCR 1 a
		ZADD {z}1 notanumber a
		ZADD {z}1 1
		ZADD {z}1 GT LT 1 a
		ZCARD {z}1
		ZCOUNT {z}1 -inf +inf
		ZCOUNT {z}1 (2 5
		ZCOUNT {z}1 x y
		ZINCRBY {z}1 1.5 b
		ZSCORE {z}1 a
		ZSCORE {z}1 missing
		ZMSCORE {z}1 a missing b
		ZRANK {z}1 a
		ZRANK {z}1 missing
		ZREVRANK {z}1 a
		ZRANGE {z}1 0 -1
		ZRANGE {z}1 0 -1 WITHSCORES
		ZRANGE {z}1 -inf +inf BYSCORE LIMIT 1 1
		ZRANGE {z}1 0 -1 REV
		ZREVRANGE {z}1 0 -1 WITHSCORES
		ZRANGEBYSCORE {z}1 -inf +inf WITHSCORES LIMIT 0 2
		ZREVRANGEBYSCORE {z}1 +inf -inf
		ZADD {z}l 0 a 0 b 0 c
		ZRANGEBYLEX {z}l - +
		ZRANGEBYLEX {z}l [a (c
		ZREVRANGEBYLEX {z}l + - LIMIT 0 1
		ZLEXCOUNT {z}l - +
		ZLEXCOUNT {z}l a b
		ZADD {z}2 10 a 20 d
		ZDIFF 2 {z}1 {z}2
		ZDIFFSTORE {z}3 2 {z}1 {z}2
		ZINTER 2 {z}1 {z}2 WITHSCORES
		ZINTERSTORE {z}4 2 {z}1 {z}2 WEIGHTS 1 2 AGGREGATE MAX
		ZUNION 2 {z}1 {z}2
		ZUNIONSTORE {z}5 2 {z}1 {z}2
		ZUNIONSTORE {z}5 0 {z}1
		ZRANGESTORE {z}6 {z}1 0 1
		ZRANGE {z}6 0 -1
		ZPOPMIN {z}1
		ZPOPMAX {z}1 1
		ZPOPMIN missing
		ZSCAN {z}5 0
		ZSCAN {z}5 0 MATCH a
		ZADD one 1 m
		ZRANDMEMBER one
		ZRANDMEMBER one 2 WITHSCORES
		ZRANDMEMBER missing
		ZREM {z}5 a missing
		ZREMRANGEBYLEX {z}l [a [a
		ZREMRANGEBYRANK {z}5 0 0
		ZREMRANGEBYSCORE {z}5 0 3
		ZRANGE {z}5 0 -1
		SET s v
		ZADD s 1 a
		ZRANGE s 0 -1`},
	{"hyperloglogs", `
		PFADD {p}1 a b c
		PFADD {p}1 a
		PFCOUNT {p}1
		PFADD {p}2 c d
		PFCOUNT {p}1 {p}2
		PFMERGE {p}3 {p}1 {p}2
		PFCOUNT {p}3
		PFCOUNT missing
		SET s v
		PFADD s a
		PFCOUNT s`},
	{"geo", `
		GEOADD {g}1 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
		GEOADD {g}1 NX CH 13.361389 38.115556 Palermo
		GEOADD {g}1 200 100 Nowhere
		GEODIST {g}1 Palermo Catania
		GEODIST {g}1 Palermo Catania km
		GEODIST {g}1 Palermo Nowhere
		GEODIST {g}1 Palermo Catania parsec
		GEOHASH {g}1 Palermo Nowhere
		GEOPOS {g}1 Palermo Catania
		GEORADIUS {g}1 15 37 200 km ASC
		GEORADIUSBYMEMBER {g}1 Palermo 100 km
		GEOSEARCH {g}1 FROMLONLAT 15 37 BYRADIUS 200 km ASC
		GEOSEARCH {g}1 FROMMEMBER Palermo BYBOX 400 400 km ASC COUNT 1
		GEOSEARCHSTORE {g}2 {g}1 FROMLONLAT 15 37 BYRADIUS 200 km
		ZRANGE {g}2 0 -1`},
	{"scripts", `
		EVAL "return 42" 1 k
		EVAL "return KEYS[1]" 1 k
		EVAL "return ARGV" 1 k a b c
		EVAL "return redis.call('set', KEYS[1], ARGV[1])" 1 k v
		EVAL "return redis.call('get', KEYS[1])" 1 k
		EVAL "return redis.status_reply('FINE')" 1 k
		EVAL "return redis.error_reply('MINE own error')" 1 k
		EVAL "syntax error" 1 k
		EVAL "return 1" 5 k
		EVALSHA 0000000000000000000000000000000000000000 1 k
		EVAL "return 'x'" 1 k
		EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 k`},
	{"wrong types", `
		RPUSH l a
		GET l
		INCR l
		APPEND l x
		GETRANGE l 0 1
		STRLEN l
		SETBIT l 0 1
		HSET l f v
		SADD l m
		ZADD l 1 m
		PFADD l a
		GEOADD l 1 1 m
		SET s v
		LPUSH s x
		LLEN s
		HKEYS s
		SCARD s
		ZCARD s
		SORT s`},
	{"many keys", `
		MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8
		MGET a b c d e f g h
		MGET h a missing h h b
		MGET a
		MGET missing
		MSET a 1
		MSET a x a y
		GET a
		TOUCH a b c missing a
		TOUCH a
		DEL a b missing
		DEL c c c
		UNLINK d e d missing
		MGET a b c d e f g h
		RPUSH l 1
		MGET f l g
		DEL f l g h`},
	{"tags", `
		SET {user}:name n
		SET {user}:mail m
		MGET {user}:name {user}:mail
		SET {}empty 1
		GET {}empty
		SET {open 1
		GET {open
		SET close} 1
		SET }{ 1
		SET a{b}c{d}e 1
		SET {{x}} 1
		MGET {}empty {open close} }{ a{b}c{d}e {{x}}
		DEL {}empty {open close} }{ a{b}c{d}e {{x}}`},
}

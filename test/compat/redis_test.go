package compat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// The corpus has every command that nutcracker supports, and each gets a reply
// that is not an error at least once.
func TestCorpusIsComplete(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, g := range corpus {
		for _, line := range g.commands() {
			used[strings.ToUpper(testkit.Command(line)[0])] = true
		}
	}
	for name := range strings.FieldsSeq(supported) {
		if !used[name] {
			t.Errorf("no group uses %s", name)
		}
		delete(used, name)
	}
	for name := range used {
		t.Errorf("%s is used but not listed as supported", name)
	}
}

// Every group gets the same replies: command by command (each waits for the
// reply before), as one blob, and cut at random places.
func TestRedisCorpus(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	succeeded := map[string]bool{}
	for _, g := range corpus {
		t.Run(g.name, func(t *testing.T) {
			transcript := commands(g.commands()...)
			pair.empty(t)
			for _, request := range transcript {
				pair.diff(t, [][]byte{request}, nil)
			}
			pair.empty(t)
			replay := pair.diff(t, transcript, nil)
			if len(replay.Replies) != len(transcript)+1 {
				t.Fatalf("nutcracker gives %d replies to %d requests", len(replay.Replies)-1, len(transcript))
			}
			for i, line := range g.commands() {
				if replay.Replies[i][0] != '-' {
					succeeded[strings.ToUpper(testkit.Command(line)[0])] = true
				}
			}
			for seed := range uint64(2) {
				pair.empty(t)
				pair.diff(t, transcript, testkit.RandomSplit(seed, 40))
			}
		})
	}
	for name := range strings.FieldsSeq(supported) {
		if !succeeded[name] && name != "EVALSHA" { // its script lives on one server only
			t.Errorf("%s only ever gets errors", name)
		}
	}
}

// The whole corpus as one conversation, its groups and a few connections mixed.
func TestRedisCorpusShuffled(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var all [][]byte
		for _, i := range rng.Perm(len(corpus)) {
			all = append(all, commands(corpus[i].commands()...)...)
		}
		pair.empty(t)
		pair.diff(t, all, nil)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		pair.empty(t)
		pair.diff(t, all, testkit.RandomSplit(seed, 20))
	}
}

// A transcript with every shape of request and of reply, cut in two at each of
// its bytes.
func TestRedisEverySplit(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	setup := commands("RPUSH list a bb ccc", "SADD set 1 2 3", "MSET n 1 a 2", "HSET hash f1 v1 f2 v2", "GEOADD geo 1 1 m")
	for _, p := range pair.sides() {
		testkit.Play(t, testkit.Redis, p.Addr(), setup, nil)
	}
	transcript := commands(
		"SET s hello", "GET s", "get missing", `SET bin "\r\n$5\r\n"`, `SET empty ""`, `GET ""`, "GET bin", "PING",
		"MSET a 1 b 2 c 3 d 4", "MGET a b c d missing", "DEL nothing neither nor", "TOUCH a b c",
		"LRANGE list 0 -1", "INCR list", "INCRBY s x", "HSCAN hash 0", "GEOPOS geo m missing",
		"SMEMBERS set", `EVAL "return {1,{2,3}}" 1 k v`, "LLEN list",
	)
	want := pair.diff(t, transcript, nil)
	for _, p := range pair.sides() {
		testkit.EverySplit(t, testkit.Redis, p, transcript, want)
	}
}

// MGET, MSET, DEL, UNLINK and TOUCH over all servers with up to 1,000 keys,
// some missing and some named twice.
func TestRedisManyKeys(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	rng := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{2, 3, 10, 100, 1000} {
		mset, keys := []string{"MSET"}, []string{}
		for i := range n {
			key := fmt.Sprintf("many:%d:%d", n, i)
			mset = append(mset, key, strings.Repeat("v", i%50)+key)
			keys = append(keys, key)
		}
		twice := append(slices.Clone(keys), keys[0], keys[n/2], keys[n/2], "many:missing", keys[n-1])
		rng.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		transcript := [][]byte{
			testkit.RESP(mset...),
			testkit.RESP(append([]string{"MGET"}, keys...)...),
			testkit.RESP(append([]string{"MGET"}, twice...)...),
			testkit.RESP(append([]string{"TOUCH"}, twice...)...),
			testkit.RESP(append([]string{"DEL"}, twice[:len(twice)/2]...)...),
			testkit.RESP(append([]string{"MGET"}, keys...)...),
			testkit.RESP(append([]string{"UNLINK"}, twice...)...),
			testkit.RESP(append([]string{"MGET"}, keys...)...),
		}
		pair.diff(t, transcript, nil)
		pair.empty(t)
		pair.diff(t, transcript, testkit.RandomSplit(uint64(n), 30))
		pair.empty(t)
	}
}

// Values of 10 bytes to 1 MB, around the sizes of buffers, alone and several in
// one MGET.
func TestRedisBigValues(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	rng := rand.New(rand.NewPCG(3, 3))
	var transcript [][]byte
	mget, mset := []string{"MGET"}, []string{"MSET"}
	for _, size := range []int{10, 511, 512, 513, 4096, 16_335, 16_336, 16_384, 16_385, 32_768, 65_536, 100_000, 1 << 20} {
		value := randomBytes(rng, size)
		key := fmt.Sprintf("size:%d", size)
		transcript = append(transcript, testkit.RESP("SET", key, value), testkit.RESP("GET", key), testkit.RESP("STRLEN", key))
		mget, mset = append(mget, key), append(mset, "m"+key, value)
	}
	transcript = append(transcript, testkit.RESP(mset...), testkit.RESP(mget...),
		testkit.RESP("GETRANGE", "size:1048576", "1000", "200000"))
	pair.diff(t, transcript, nil)
	pair.diff(t, transcript, testkit.RandomSplit(5, 50))
}

// randomBytes is binary, with more line ends and markers in it than chance has.
func randomBytes(rng *rand.Rand, n int) string {
	const spice = "\r\n$*+-: \x00"
	b := make([]byte, n)
	for i := range b {
		if rng.IntN(4) == 0 {
			b[i] = spice[rng.IntN(len(spice))]
		} else {
			b[i] = byte(rng.IntN(256))
		}
	}
	return string(b)
}

// LOLWUT, the one command without a key that is forwarded, draws at random; its
// signature does not.
func TestRedisLolwut(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	for _, p := range pair.sides() {
		c := p.Dial(testkit.Redis)
		if got := c.Do("LOLWUT"); !strings.Contains(got, "Redis ver. ") {
			t.Errorf("LOLWUT gets %q", got)
		}
		if got := c.Do("LOLWUT", "VERSION", "5", "10", "5", "5"); !strings.Contains(got, "Redis ver. ") {
			t.Errorf("LOLWUT VERSION 5 gets %q", got)
		}
		if got := c.Do("PING"); got != "+PONG\r\n" {
			t.Errorf("then PING gets %q", got)
		}
	}
}

// A client that says that it sends no more still gets all its replies.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	transcript := slices.Concat(slices.Repeat(commands("SET a 1", "MGET a b c d e", "GET a"), 50)...)
	for _, p := range pair.sides() {
		c := p.Dial(testkit.Redis)
		c.Send(transcript)
		c.CloseWrite()
		got := c.ExpectEnd()
		want := strings.Repeat("+OK\r\n*5\r\n$1\r\n1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$1\r\n1\r\n", 50)
		if got != want {
			t.Errorf("got %d bytes, want %d", len(got), len(want))
		}
	}
}

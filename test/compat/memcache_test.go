package compat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// A store is a memcached storage command with its data block.
func store(line, data string) string { return line + "\r\n" + data + "\r\n" }

// memcacheCorpus is conversations with memcached, each starting on empty
// servers. CAS values are a server's own count of changes, so they agree as
// long as both sides' servers have seen the same.
var memcacheCorpus = []struct {
	name     string
	requests []string
}{
	{"get and set", []string{
		"get missing\r\n",
		store("set a 0 0 5", "hello"), "get a\r\n", "gets a\r\n",
		store("set a 42 0 1", "x"), "get a\r\n",
		store("set flags 4294967295 0 1", "x"), "get flags\r\n",
		store("set empty 0 0 0", ""), "get empty\r\n",
		store("set bin 0 0 12", "END\r\nVALUE x"), "get bin\r\n",
		store("set long 0 100 1", "x"), "get long\r\n",
		store("set past 0 100000000 1", "x"), "get past\r\n",
		"get a empty missing bin a\r\n", "gets a empty missing bin a\r\n",
		"get  a   empty \r\n",
		"get " + strings.Repeat("k", 250) + "\r\n",
		store("set "+strings.Repeat("k", 250)+" 0 0 1", "x"), "get " + strings.Repeat("k", 250) + " a\r\n",
	}},
	{"conditional stores", []string{
		store("add a 0 0 1", "1"), store("add a 0 0 1", "2"), "get a\r\n",
		store("replace a 0 0 1", "3"), store("replace b 0 0 1", "3"), "get a b\r\n",
		store("append a 0 0 3", "end"), store("prepend a 0 0 5", "start"), "get a\r\n",
		store("append b 0 0 3", "end"), store("prepend b 0 0 5", "start"), "get b\r\n",
		store("cas b 0 0 1 1", "x"), store("cas a 0 0 1 18446744073709551615", "x"),
		store("cas a 0 0 1 0", "x"), "gets a\r\n",
	}},
	{"numbers", []string{
		"incr n 1\r\n", "decr n 1\r\n", store("set n 0 0 2", "10"), "incr n 5\r\n", "decr n 3\r\n", "decr n 100\r\n",
		"get n\r\n", "incr n 18446744073709551615\r\n", "incr n 1\r\n", "get n\r\n",
		store("set t 0 0 4", "text"), "incr t 1\r\n", "decr t 1\r\n", "incr n 0\r\n",
	}},
	{"delete and touch", []string{
		store("set a 0 0 1", "x"), "touch a 100\r\n", "touch a 0\r\n", "touch b 100\r\n", "get a\r\n",
		"delete a\r\n", "delete a\r\n", "get a\r\n",
	}},
	{"noreply", []string{
		store("set a 0 0 1 noreply", "1"), "get a\r\n",
		store("add a 0 0 1 noreply", "2"), store("replace a 0 0 1 noreply", "3"), "get a\r\n",
		store("append a 0 0 1 noreply", "4"), store("prepend a 0 0 1 noreply", "5"), "get a\r\n",
		"incr a 1 noreply\r\n", "decr a 2 noreply\r\n", "get a\r\n",
		"touch a 100 noreply\r\n", "delete a noreply\r\n", "get a\r\n",
		store("cas a 0 0 1 1 noreply", "x"), "incr a 1 noreply\r\n", "get a\r\n",
		store("set a 0 0 1 noreply", "6"), store("set b 0 0 1 noreply", "7"), store("set c 0 0 1 noreply", "8"),
		"get a b c\r\n",
	}},
	{"errors of the server", []string{
		store("set big 0 0 1048577", strings.Repeat("x", 1048577)), "get big\r\n",
		store("set a 0 0 3", "abc"), "incr a 1\r\n", "get a\r\n",
	}},
}

func transcriptOf(requests []string) [][]byte {
	transcript := make([][]byte, len(requests))
	for i, r := range requests {
		transcript[i] = []byte(r)
	}
	return transcript
}

// Every conversation gets the same replies: request by request, as one blob,
// and cut at random places.
func TestMemcacheCorpus(t *testing.T) {
	t.Parallel()
	pair := newMemcachePair(t)
	for _, g := range memcacheCorpus {
		t.Run(g.name, func(t *testing.T) {
			transcript := transcriptOf(g.requests)
			pair.empty(t)
			for _, request := range transcript {
				pair.diff(t, [][]byte{request}, nil)
			}
			pair.empty(t)
			replay := pair.diff(t, transcript, nil)
			if replay.Closed || replay.Rest != "" || replay.Err != nil {
				t.Fatalf("nutcracker: %s", replay)
			}
			for seed := range uint64(2) {
				pair.empty(t)
				pair.diff(t, transcript, testkit.RandomSplit(seed, 40))
			}
		})
	}
}

// A transcript with every shape of request and of reply, cut in two at each of
// its bytes.
func TestMemcacheEverySplit(t *testing.T) {
	t.Parallel()
	pair := newMemcachePair(t)
	setup := transcriptOf([]string{store("set n 0 0 1", "7"), store("set a 5 0 11", "END\r\nVALUE "), store("set b 0 0 0", "")})
	for _, p := range pair.sides() {
		testkit.Play(t, testkit.Memcache, p.Addr(), setup, nil)
	}
	transcript := transcriptOf([]string{
		store("set s 0 0 5", "hello"), store("set s 0 0 5 noreply", "hello"), "get s\r\n", "get missing\r\n",
		"get a b missing n s a\r\n", "get a\r\n", "incr a 1\r\n", "incr nothing 1 noreply\r\n", "incr nothing 1\r\n",
		"touch n 0\r\n", "delete nothing\r\n", store("add n 0 0 1", "x"), store("cas nothing 0 0 1 12", "x"), "version\r\n",
	})
	want := pair.diff(t, transcript, nil)
	for _, p := range pair.sides() {
		testkit.EverySplit(t, testkit.Memcache, p, transcript, want)
	}
}

// CAS goes through with the value that gets told, once.
func TestMemcacheCAS(t *testing.T) {
	t.Parallel()
	pair := newMemcachePair(t)
	for _, p := range pair.sides() {
		c := p.Dial(testkit.Memcache)
		c.Send([]byte(store("set k 0 0 1", "1") + "gets k\r\n"))
		c.Expect("STORED\r\n")
		var unique uint64
		if _, err := fmt.Sscanf(c.Reply(), "VALUE k 0 1 %d\r\n", &unique); err != nil {
			t.Fatal(err)
		}
		cas := store(fmt.Sprintf("cas k 0 0 1 %d", unique), "2")
		c.Send([]byte(cas + cas + "get k\r\n"))
		c.Expect("STORED\r\n", "EXISTS\r\n", "VALUE k 0 1\r\n2\r\nEND\r\n")
	}
}

// get and gets over all servers with up to 1,000 keys, some missing and some
// named twice.
func TestMemcacheManyKeys(t *testing.T) {
	t.Parallel()
	pair := newMemcachePair(t)
	rng := rand.New(rand.NewPCG(9, 9))
	for _, n := range []int{2, 3, 10, 100, 1000} {
		var transcript [][]byte
		var keys []string
		for i := range n {
			key := fmt.Sprintf("many:%d:%d", n, i)
			data := strings.Repeat("v", i%50) + key
			transcript = append(transcript, []byte(store(fmt.Sprintf("set %s %d 0 %d", key, i, len(data)), data)))
			keys = append(keys, key)
		}
		twice := append(slices.Clone(keys), keys[0], keys[n/2], "many:missing", keys[n-1])
		rng.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		for _, command := range []string{"get ", "gets "} {
			transcript = append(transcript, []byte(command+strings.Join(keys, " ")+"\r\n"), []byte(command+strings.Join(twice, " ")+"\r\n"))
		}
		pair.diff(t, transcript, nil)
		pair.diff(t, transcript, testkit.RandomSplit(uint64(n), 30))
	}
}

// Values of 10 bytes to almost 1 MB, around the sizes of buffers, alone and
// several in one get.
func TestMemcacheBigValues(t *testing.T) {
	t.Parallel()
	pair := newMemcachePair(t)
	rng := rand.New(rand.NewPCG(4, 4))
	var transcript [][]byte
	get := "get"
	for _, size := range []int{10, 511, 512, 513, 4096, 16_335, 16_384, 16_385, 65_536, 100_000, 1_000_000} {
		key := fmt.Sprintf("size:%d", size)
		transcript = append(transcript,
			[]byte(store(fmt.Sprintf("set %s 0 0 %d", key, size), randomBytes(rng, size))), []byte("get "+key+"\r\n"))
		get += " " + key
	}
	transcript = append(transcript, []byte(get+"\r\n"))
	pair.diff(t, transcript, nil)
	pair.diff(t, transcript, testkit.RandomSplit(6, 50))
}

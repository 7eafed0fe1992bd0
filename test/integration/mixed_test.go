package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nuthatch/internal/testkit"
)

// mixedRequests is how many requests TestMixedCommands makes; the environment's
// NUTHATCH_MIXED_REQUESTS says another number.
const mixedRequests = 200_000

const (
	mixedClients = 100
	// mixedKeys is how many keys of a kind a client has, and mixedFields how many
	// fields, members or elements one of them has at the most.
	mixedKeys, mixedFields = 12, 8
	// mixedDepth is how many requests a client sends at the most before it looks
	// at the replies.
	mixedDepth = 120
)

// TestMixedCommands: a hundred clients pipeline commands of all kinds over keys
// of their own, half of the clients in RESP3, and each knows to the byte what it
// must be answered.
func TestMixedCommands(t *testing.T) {
	t.Parallel()
	total := mixedRequests
	if testing.Short() {
		total /= 5
	}
	if text := os.Getenv("NUTHATCH_MIXED_REQUESTS"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	s := redisStage(t, "server_connections: 2")
	began := time.Now()
	var running sync.WaitGroup
	books := make([]*book, mixedClients)
	for i := range books {
		b := newBook(i)
		books[i] = b
		c := s.proxy.Dial(testkit.Redis)
		if b.resp3 {
			if got := c.Do("HELLO", "3"); !strings.HasPrefix(got, "%7\r\n") {
				t.Fatalf("HELLO 3: %q", got)
			}
		}
		running.Go(func() {
			for b.requests < total/mixedClients && !t.Failed() {
				if err := b.round(c); err != nil {
					t.Errorf("client %d, after %d requests: %v", i, b.requests, err)
				}
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	requests, keys := 0, 0
	for _, b := range books {
		requests += b.requests
		keys += b.keys()
	}
	if got, want := s.proxy.Dial(testkit.Redis).Do("DBSIZE"), fmt.Sprintf(":%d\r\n", keys); got != want && !t.Failed() {
		t.Errorf("in the end there are %q keys, want %q", got, want)
	}
	t.Logf("%d requests in %v: %.0f/s", requests, took.Round(time.Millisecond), float64(requests)/took.Seconds())
}

// A book is what a client knows of its keys: what it has told the proxy to store.
type book struct {
	rng      *rand.Rand
	prefix   string
	resp3    bool
	null     string
	requests int
	// ask are the requests of a round, want the replies.
	ask, want []byte

	texts   [mixedKeys]string // "" is none
	numbers [mixedKeys]int64
	lists   [mixedKeys][]string
	hashes  [mixedKeys]map[string]string
	zsets   [mixedKeys]map[string]int
}

func newBook(i int) *book {
	b := &book{rng: rand.New(rand.NewPCG(uint64(i), 7)), prefix: fmt.Sprintf("%d:", i), resp3: i%2 == 1, null: "$-1\r\n"}
	if b.resp3 {
		b.null = "_\r\n"
	}
	for i := range mixedKeys {
		b.hashes[i], b.zsets[i] = map[string]string{}, map[string]int{}
	}
	return b
}

// round sends some requests and compares the replies.
func (b *book) round(c *testkit.Client) error {
	b.ask, b.want = b.ask[:0], b.want[:0]
	for range 1 + b.rng.IntN(mixedDepth) {
		deeds[b.rng.IntN(len(deeds))](b)
		b.requests++
	}
	sent := make(chan error, 1)
	go func() { sent <- c.TrySend(b.ask) }()
	err := c.TryExpect(b.want)
	if err != nil {
		c.Close()
	}
	if failed := <-sent; err == nil {
		err = failed
	}
	return err
}

// keys is how many keys the client has.
func (b *book) keys() int {
	n := 0
	for i := range mixedKeys {
		for _, there := range []bool{
			b.texts[i] != "", b.numbers[i] != 0, len(b.lists[i]) > 0, len(b.hashes[i]) > 0, len(b.zsets[i]) > 0,
		} {
			if there {
				n++
			}
		}
	}
	return n
}

// say adds a request.
func (b *book) say(words ...string) { b.ask = append(b.ask, testkit.RESP(words...)...) }

func (b *book) expect(reply string) { b.want = append(b.want, reply...) }

func (b *book) expectInt(n int) { b.expect(fmt.Sprintf(":%d\r\n", n)) }

// expectText adds a text, or the null if it is empty.
func (b *book) expectText(s string) {
	if s == "" {
		b.expect(b.null)
		return
	}
	b.expect(testkit.Bulk(s))
}

// pick is one of the client's keys of a kind, and its number.
func (b *book) pick(kind string) (key string, i int) {
	i = b.rng.IntN(mixedKeys)
	return b.name(kind, i), i
}

func (b *book) name(kind string, i int) string { return fmt.Sprintf("%s%s%d", b.prefix, kind, i) }

func (b *book) field() string { return "f" + strconv.Itoa(b.rng.IntN(mixedFields)) }

// value is a text that no other client has; one in a hundred is large enough to
// travel by reference.
func (b *book) value() string {
	n := 1 + b.rng.IntN(40)
	if b.rng.IntN(100) == 0 {
		n = 4000 + b.rng.IntN(20_000)
	}
	s := b.prefix + strconv.FormatUint(b.rng.Uint64(), 36)
	return strings.Repeat(s, n/len(s)+1)
}

// texts are some of the client's keys of texts, with their numbers.
func (b *book) someTexts() (keys []string, at []int) {
	for range 1 + b.rng.IntN(10) {
		key, i := b.pick("text")
		keys, at = append(keys, key), append(at, i)
	}
	return keys, at
}

// once are numbers without those that come again.
func once(at []int) map[int]bool {
	m := map[int]bool{}
	for _, i := range at {
		m[i] = true
	}
	return m
}

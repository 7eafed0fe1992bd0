package testkit

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Traffic is a set of clients that check their replies. Every value has its key,
// its writer and the number of the write, so that a reply shows where it comes
// from:
//
//	client 7 ── SET own:7:3 "own:7:3|7|41|..." ──► ... GET own:7:3 ──► must be write 41,
//	            or a write whose result the client never got
//
// Keys that all clients share show no order, but every value must still be one
// that its writer wrote to that key.
type Traffic struct {
	Protocol Protocol
	Addr     string
	Clients  int
	// Pause is about how long a client rests between two rounds, Round the most
	// requests of one.
	Pause time.Duration
	Round int
	// Moves: keys move between servers, so an old value may come back.
	Moves bool
	// Waits: rounds of Redis clients end with WAIT. What a replica has confirmed may not be
	// lost, even if keys move or a server loses its data.
	Waits bool
	Seed  uint64
	// Late is how long a round takes to be noted in Seen.Late; 0: no round is.
	Late time.Duration
}

// Keys of each client of its own, and keys that all share.
const (
	ownKeys    = 20
	sharedKeys = 200
)

// A Crowd is running Traffic.
type Crowd struct {
	t       testing.TB
	traffic Traffic
	stop    chan struct{}
	stopped sync.Once
	running sync.WaitGroup
	clients []*checker
	// lost: a server has lost its data.
	lost atomic.Bool
	// Served counts right answers, Failed errors. Confirmed counts rounds whose writes a
	// replica has.
	Served, Failed, Confirmed atomic.Int64
}

// Start connects the clients and begins.
func (tr Traffic) Start(t testing.TB) *Crowd {
	t.Helper()
	c := &Crowd{t: t, traffic: tr, stop: make(chan struct{})}
	for id := range tr.Clients {
		conn, err := TryDial(t, tr.Protocol, tr.Addr)
		if err != nil {
			t.Fatal(err)
		}
		k := &checker{
			crowd: c, id: id, conn: conn, rng: rand.New(rand.NewPCG(tr.Seed, uint64(id))),
			latency: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3), errors: map[string]int64{},
		}
		for i := range k.own {
			k.own[i].since = []int64{0}
		}
		c.clients = append(c.clients, k)
	}
	for _, k := range c.clients {
		c.running.Go(k.run)
	}
	return c
}

// Lost says that a server has lost, or is about to lose, its data.
func (c *Crowd) Lost() { c.lost.Store(true) }

// AwaitMore waits until the counter, Served or Failed, has grown by n.
func (c *Crowd) AwaitMore(counter *atomic.Int64, n int64) {
	c.t.Helper()
	target := counter.Load() + n
	Await(c.t, "traffic", func() error {
		if now := counter.Load(); now < target && !c.t.Failed() {
			return fmt.Errorf("%d of %d", now, target)
		}
		return nil
	})
}

// Stop lets the clients end their rounds and disconnect, and returns what they
// have seen.
func (c *Crowd) Stop() Seen {
	c.stopped.Do(func() { close(c.stop) })
	c.running.Wait()
	s := Seen{Errors: map[string]int64{}, Latency: hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)}
	for _, k := range c.clients {
		k.conn.Close()
		for text, n := range k.errors {
			s.Errors[text] += n
		}
		s.Latency.Merge(k.latency)
		s.Longest = max(s.Longest, k.longest)
		s.Late = append(s.Late, k.late...)
	}
	s.Served, s.Failed = c.Served.Load(), c.Failed.Load()
	return s
}

// Seen is what a crowd has seen.
type Seen struct {
	Served, Failed int64
	// Errors counts the errors by their texts.
	Errors map[string]int64
	// Latency holds, in microseconds, how long rounds took from the first byte
	// sent to the last reply, and Longest the longest one.
	Latency *hdrhistogram.Histogram
	Longest time.Duration
	Late    []Round
}

// A Round is when a round began and how long it took.
type Round struct {
	Began time.Time
	Took  time.Duration
}

// ErrorTexts are the errors and their counts, the most frequent first.
func (s Seen) ErrorTexts() string {
	texts := slices.SortedFunc(maps.Keys(s.Errors), func(a, b string) int { return int(s.Errors[b] - s.Errors[a]) })
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%d %s", s.Errors[text], text)
	}
	return strings.Join(texts, "; ")
}

// A checker is one client of a crowd. Its goroutine owns it, but for sent.
type checker struct {
	crowd   *Crowd
	id      int
	conn    *Client
	rng     *rand.Rand
	own     [ownKeys]cell
	latency *hdrhistogram.Histogram
	longest time.Duration
	late    []Round
	errors  map[string]int64
	// sent is the number of its last write.
	sent atomic.Int64
}

// A cell is what a client knows about one of its own keys.
type cell struct {
	// now is the number of the last write that was answered; 0 if that deleted the
	// key. doubts are writes that got an error, and may have been carried out at
	// any time since.
	now    int64
	doubts []int64
	// since are the last write that a replica has confirmed, and the later ones that were
	// answered. fresh: there is one that no WAIT was sent behind.
	since []int64
	fresh bool
	// count is the answer to the last increment, and asked how many there were. confirmed is
	// the last count that a replica has. counted: no WAIT was sent behind the last increment.
	count, asked, confirmed int64
	counted                 bool
}

// wrote notes the answer to a write.
func (c *cell) wrote(n int64, done bool) {
	if done {
		c.now, c.fresh = n, true
		c.since = append(c.since, n)
	} else {
		c.doubts = append(c.doubts, n)
	}
}

// A question is a request, and the check of its reply.
type question struct {
	request []byte
	// judge gets the reply, or "" for an error.
	judge func(reply string) error
}

func (k *checker) run() {
	for {
		select {
		case <-k.crowd.stop:
			return
		case <-time.After(k.pause()):
		}
		if err := k.round(1 + k.rng.IntN(k.crowd.traffic.Round)); err != nil {
			k.crowd.t.Errorf("client %d: %v", k.id, err)
			return
		}
	}
}

func (k *checker) pause() time.Duration {
	if p := k.crowd.traffic.Pause; p > 0 {
		return time.Duration(k.rng.Int64N(2 * int64(p)))
	}
	return 0
}

// round pipelines n requests and judges their replies.
func (k *checker) round(n int) error {
	var blob []byte
	var questions []question
	for range n {
		questions = append(questions, k.questions()...)
	}
	if k.crowd.traffic.Waits {
		questions = append(questions, k.wait())
	}
	for _, q := range questions {
		blob = append(blob, q.request...)
	}
	began := time.Now()
	if err := k.conn.TrySend(blob); err != nil {
		return err
	}
	for i, q := range questions {
		b, err := k.conn.TryReply()
		if err != nil {
			return fmt.Errorf("reply %d of %d, to %.80q: %w", i+1, len(questions), q.request, err)
		}
		reply := string(b)
		if k.crowd.traffic.Protocol.isError(reply) {
			k.crowd.Failed.Add(1)
			k.errors[strings.TrimSpace(reply)]++
			reply = ""
		}
		if err := q.judge(reply); err != nil {
			return fmt.Errorf("reply %d of %d, to %.80q, is %.200q: %w", i+1, len(questions), q.request, b, err)
		}
		if reply != "" {
			k.crowd.Served.Add(1)
		}
	}
	took := time.Since(began)
	k.longest = max(k.longest, took)
	if late := k.crowd.traffic.Late; late > 0 && took > late {
		k.late = append(k.late, Round{began, took})
	}
	_ = k.latency.RecordValue(took.Microseconds()) // a minute, its highest, is above Patience
	return nil
}

// isError reports whether a reply is an error of the protocol.
func (p Protocol) isError(reply string) bool {
	if p == Redis {
		return reply[0] == '-'
	}
	return strings.HasPrefix(reply, "SERVER_ERROR") || strings.HasPrefix(reply, "ERROR") || strings.HasPrefix(reply, "CLIENT_ERROR")
}

var (
	errNotOurs = errors.New("that is no reply to this request")
	errStale   = errors.New("that value was written over")
	errNever   = errors.New("that was never written to this key")
	errGone    = errors.New("a value is gone that no server has lost")
)

// value is what the client writes to a key, as its write number n.
func (k *checker) value(key string, n int64) string {
	size := k.rng.IntN(100)
	switch k.rng.IntN(40) {
	case 0:
		size = 20_000 + k.rng.IntN(20_000)
	case 1, 2, 3:
		size = 1000 + k.rng.IntN(4000)
	}
	return fmt.Sprintf("%s|%d|%d|%s", key, k.id, n, strings.Repeat("x", size))
}

// read takes a value apart. It must be one that its writer wrote to key.
func (c *Crowd) read(key, value string) (writer int, n int64, err error) {
	rest, ok := strings.CutPrefix(value, key+"|")
	if !ok {
		return 0, 0, errNotOurs
	}
	parts := strings.Split(rest, "|")
	if len(parts) != 3 || strings.Trim(parts[2], "x") != "" {
		return 0, 0, errNotOurs
	}
	writer, err1 := strconv.Atoi(parts[0])
	n, err2 := strconv.ParseInt(parts[1], 10, 64)
	if errors.Join(err1, err2) != nil {
		return 0, 0, errNotOurs
	}
	if writer < 0 || writer >= len(c.clients) || n < 1 || n > c.clients[writer].sent.Load() {
		return 0, 0, errNever
	}
	return writer, n, nil
}

// readShared judges the value, if there is one, of a shared key.
func (k *checker) readShared(key, value string, found bool) error {
	if !found {
		return nil
	}
	_, _, err := k.crowd.read(key, value)
	return err
}

// readOwn judges the value, if there is one, of the client's own i-th key.
func (k *checker) readOwn(i int, key, value string, found bool) error {
	c := &k.own[i]
	n := int64(0)
	if found {
		writer, m, err := k.crowd.read(key, value)
		if err != nil {
			return err
		}
		if writer != k.id {
			return errNever
		}
		n = m
	}
	switch {
	case n == c.now || slices.Contains(c.doubts, n):
	case k.crowd.traffic.Waits && !slices.Contains(c.since, n):
		return fmt.Errorf("%w, by %d, which a replica has confirmed", errStale, c.since[0])
	case k.crowd.traffic.Moves:
	case n == 0 && k.crowd.lost.Load():
	case n == 0:
		return errGone
	default:
		return fmt.Errorf("%w, by %d", errStale, c.now)
	}
	return nil
}

// counted judges the answer to an increment of the client's own i-th counter.
func (k *checker) counted(i int, n int64) error {
	c := &k.own[i]
	if n < 1 || n > c.asked {
		return errNever
	}
	if n <= c.count && !k.crowd.lost.Load() && !k.crowd.traffic.Moves || n <= c.confirmed {
		return errStale
	}
	c.count, c.counted = n, true
	return nil
}

// questions are the requests of one kind, chosen at random.
func (k *checker) questions() []question {
	if k.crowd.traffic.Protocol == Redis {
		return []question{k.askRedis()}
	}
	return k.askMemcache()
}

func (k *checker) ownKey() (i int, key string) {
	i = k.rng.IntN(ownKeys)
	return i, fmt.Sprintf("own:%d:%d", k.id, i)
}

func (k *checker) sharedKey() string { return fmt.Sprintf("shared:%d", k.rng.IntN(sharedKeys)) }

// A lookup is a key to read, and the check of its value.
type lookup struct {
	key  string
	read func(value string, found bool) error
}

func (k *checker) lookup() lookup {
	if k.rng.IntN(3) == 0 {
		key := k.sharedKey()
		return lookup{key, func(value string, found bool) error { return k.readShared(key, value, found) }}
	}
	i, key := k.ownKey()
	return lookup{key, func(value string, found bool) error { return k.readOwn(i, key, value, found) }}
}

func (k *checker) lookups() (all []lookup, keys []string) {
	for range 2 + k.rng.IntN(6) {
		l := k.lookup()
		if !slices.Contains(keys, l.key) {
			all, keys = append(all, l), append(keys, l.key)
		}
	}
	return all, keys
}

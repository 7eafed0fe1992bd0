package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// ofTheirOwn are the statistics that two processes cannot have in common, and
// "fragments", which nutcracker 0.5.0 describes and never counts.
var ofTheirOwn = map[string]bool{"version": true, "uptime": true, "timestamp": true, "fragments": true}

// compareStats walks both documents and lists where they differ: in keys, in
// types, and in values but those ofTheirOwn.
func compareStats(at string, nutcracker, nuthatch map[string]any) []string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(nutcracker)) {
		path := strings.TrimPrefix(at+"."+key, ".")
		a := nutcracker[key]
		b, ok := nuthatch[key]
		if !ok {
			found = append(found, path+" is missing from nuthatch's")
			continue
		}
		if fmt.Sprintf("%T", a) != fmt.Sprintf("%T", b) {
			found = append(found, fmt.Sprintf("%s is %T in nutcracker's and %T in nuthatch's", path, a, b))
			continue
		}
		if inner, ok := a.(map[string]any); ok {
			found = append(found, compareStats(path, inner, b.(map[string]any))...)
		} else if a != b && !ofTheirOwn[key] {
			found = append(found, fmt.Sprintf("%s is %v in nutcracker's and %v in nuthatch's", path, a, b))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(nuthatch)) {
		if _, ok := nutcracker[key]; !ok {
			found = append(found, strings.TrimPrefix(at+"."+key, ".")+" is in nuthatch's only")
		}
	}
	return found
}

// awaitSameStats waits until both proxies report the same. Counters are brought
// up to date at intervals, so they agree a little after the traffic ended. What
// differs by nature matches except.
func awaitSameStats(t *testing.T, p *pair, except *regexp.Regexp) {
	t.Helper()
	testkit.Await(t, "nuthatch's statistics to be nutcracker's", func() error {
		found := compareStats("", p.nutcracker.Stats(), p.nuthatch.Stats())
		if except != nil {
			found = slices.DeleteFunc(found, except.MatchString)
		}
		if len(found) > 0 {
			return errors.New(strings.Join(found, "\n\t"))
		}
		return nil
	})
}

// newSharedPair starts both proxies over the same servers, so that their
// statistics have the same names, with a Redis pool and a Memcached pool of
// three servers each: one with a weight, one without a name, and the given one.
func newSharedPair(t *testing.T, redis3, memcached3 string) (*pair, []*testkit.Server) {
	t.Helper()
	redis := []*testkit.Server{testkit.StartRedis(t), testkit.StartRedis(t)}
	memcached := []*testkit.Server{testkit.StartMemcached(t), testkit.StartMemcached(t)}
	yaml := testkit.Pool{Name: "alpha", Protocol: testkit.Redis, Servers: []string{
		testkit.Entry(redis[0].Addr(), 5, "s1"), redis[1].Entry(""), testkit.Entry(redis3, 1, "s3"),
	}}.String() + testkit.Pool{Name: "beta", Protocol: testkit.Memcache, Servers: []string{
		testkit.Entry(memcached[0].Addr(), 5, "s1"), memcached[1].Entry(""), testkit.Entry(memcached3, 1, "s3"),
	}}.String()
	return &pair{
		nutcracker: testkit.StartNutcracker(t, yaml),
		nuthatch:   testkit.StartNuthatch(t, yaml, testkit.Threads(1)),
	}, append(redis, memcached...)
}

// talk has one exchange with pool i of a proxy and returns the client, still
// connected.
func talk(t *testing.T, protocol testkit.Protocol, p *testkit.Proxy, i int, transcript [][]byte) *testkit.Client {
	t.Helper()
	c := testkit.Dial(t, protocol, p.Addrs[i])
	for _, request := range transcript {
		c.Send(request)
		for range protocol.Replies(request) {
			c.Reply()
		}
	}
	return c
}

// After the same traffic both proxies report the same keys, types and values.
func TestStatsOfSingleKeys(t *testing.T) {
	t.Parallel()
	pair, _ := newSharedPair(t, testkit.Refused(t), testkit.Refused(t))
	awaitSameStats(t, pair, nil)
	var redis, memcached [][]byte
	for _, key := range someKeys(40) {
		redis = append(redis, commands("SET "+key+" value", "GET "+key, "GET "+key+"x", "LPUSH "+key+" x", "PING")...)
		memcached = append(memcached, transcriptOf([]string{
			store("set "+key+" 0 0 5", "value"), "get " + key + "\r\n", "get x" + key + "\r\n",
			store("set "+key+" 0 0 5 noreply", "value"), "delete nothing" + key + "\r\n",
		})...)
	}
	for _, p := range pair.sides() {
		talk(t, testkit.Redis, p, 0, redis)
		talk(t, testkit.Redis, p, 0, redis).Close()
		talk(t, testkit.Memcache, p, 1, memcached)
		talk(t, testkit.Memcache, p, 1, memcached).Close()
	}
	awaitSameStats(t, pair, nil)
	for _, c := range []struct {
		want int64
		path []string
	}{
		{1, []string{"alpha", "client_connections"}},
		{2, []string{"alpha", "client_eof"}}, // one is the kit's, awaiting the listener
		{1, []string{"alpha", "s1", "server_connections"}},
		{0, []string{"alpha", "s3", "server_connections"}},
	} {
		pair.nutcracker.AwaitStat(c.want, c.path...)
	}
}

// bytesNotAlike are counts of bytes that are not the same by nature: nutcracker
// counts the values of a split MSET twice, and leaves a space behind the last
// key of a split get.
var bytesNotAlike = regexp.MustCompile(`^(alpha|beta)\..*\.request_bytes `)

// Fragments, and the requests and responses that they make. All servers are well:
// nutcracker hangs up on a client when a part of its request fails.
func TestStatsOfManyKeys(t *testing.T) {
	t.Parallel()
	// So many that each server owns some, wherever the port of the one without a
	// name puts it on the ring.
	const n = 200
	keys := strings.Join(someKeys(n), " ")
	redis := commands("MGET "+keys, "TOUCH "+keys, "DEL "+keys, "UNLINK "+keys, "MGET "+keys)
	mset := commands("MSET "+strings.Join(someKeys(n), " 1 ")+" 1", "MGET "+keys, "DEL "+keys)
	memcached := transcriptOf([]string{"get " + keys + "\r\n", "gets " + keys + "\r\n"})
	pair, _ := newSharedPair(t, testkit.StartRedis(t).Addr(), testkit.StartMemcached(t).Addr())
	for _, p := range pair.sides() {
		talk(t, testkit.Redis, p, 0, redis)
	}
	awaitSameStats(t, pair, nil)
	for _, p := range pair.sides() {
		talk(t, testkit.Redis, p, 0, mset)
		talk(t, testkit.Memcache, p, 1, memcached)
	}
	awaitSameStats(t, pair, bytesNotAlike)
	pair.nutcracker.AwaitStat(0, "alpha", "fragments")
	// Three servers' share of each of eight commands.
	pair.nuthatch.AwaitStat(24, "alpha", "fragments")
}

// Servers that go away and come back, and clients that do not speak the
// protocol.
func TestStatsOfErrors(t *testing.T) {
	t.Parallel()
	pair, servers := newSharedPair(t, testkit.Refused(t), testkit.Refused(t))
	var redis [][]byte
	for _, key := range someKeys(20) {
		redis = append(redis, commands("GET "+key)...)
	}
	var clients []*testkit.Client
	for _, p := range pair.sides() {
		clients = append(clients, talk(t, testkit.Redis, p, 0, redis))
	}
	servers[0].Kill()
	for _, p := range pair.sides() {
		p.AwaitStat(1, "alpha", "s1", "server_eof")
	}
	servers[0].Restart()
	for i, p := range pair.sides() {
		for _, request := range redis {
			clients[i].Send(request)
			clients[i].Reply()
		}
		for range 3 {
			garbled := testkit.Dial(t, testkit.Redis, p.Addr())
			garbled.Send([]byte("*1\r\n!garbage\r\n"))
			garbled.ExpectEnd()
		}
	}
	awaitSameStats(t, pair, nil)
}

// The document is on its own: one per connection, then the end.
func TestStatsDocument(t *testing.T) {
	t.Parallel()
	pair := newRedisPair(t)
	for _, p := range pair.sides() {
		c := testkit.Dial(t, testkit.Redis, p.StatsAddr)
		document := c.ExpectEnd()
		var parsed map[string]any
		if err := json.Unmarshal([]byte(document), &parsed); err != nil {
			t.Errorf("%s: %v in %q", p.Addr(), err, document)
		}
		if !strings.HasSuffix(document, "}\n") {
			t.Errorf("%s: it ends with %q", p.Addr(), document[max(0, len(document)-5):])
		}
	}
}

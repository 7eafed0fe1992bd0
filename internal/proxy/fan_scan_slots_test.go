package proxy_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nuthatch/internal/route"
	"nuthatch/internal/topology"
)

const (
	// scanBuckets are how many pages a node has.
	scanBuckets = 6
	// scanSlots are how many slots move, with scanKeys keys each.
	scanSlots, scanKeys = 9, 4
)

// A scanNode is a node of a cluster, as it sees itself.
type scanNode struct {
	has   [route.NumSlots]bool
	epoch int64
	// importing and migrating have the other node of each slot that is on its way.
	importing, migrating map[int]int
}

// A scannedCluster is three nodes between which slots move, key by key, as redis-cli moves them,
// while a client scans.
type scannedCluster struct {
	*conversation
	rnd    *rand.Rand
	client *party
	nodes  [3]scanNode
	// at is the node of each key. moves are slots that are on their way.
	at    map[string]int
	moves map[int]*scanMove
	// seen: the publisher has seen the slot since it moved last.
	seen    map[int]bool
	history topology.ScanHistory
	imports [3]bool
	wanted  bool
	// quiet: no slot begins to move.
	quiet bool
	pages int
	// restarts are how often a scan came to a node again.
	restarts int
}

// A scanMove is a slot on its way: what is done is done in four steps, with the keys between.
type scanMove struct {
	from, to, step int
}

func scanCluster(t *testing.T, seed uint64) *scannedCluster {
	s := &scannedCluster{
		conversation: converse(t, "  redis: true\n"+clusterLine, resp{}, 1), rnd: rand.New(rand.NewPCG(seed, 7)),
		at: map[string]int{}, moves: map[int]*scanMove{}, seen: map[int]bool{},
	}
	home := homeOf
	if seed%3 == 0 { // one of them is new
		without := int(seed/3) % 3
		home = func(slot int) int {
			if at := homeOf(slot); at != without {
				return at
			}
			return (without + 1) % 3
		}
	}
	for i := range s.nodes {
		s.nodes[i] = scanNode{epoch: int64(i + 1), importing: map[int]int{}, migrating: map[int]int{}}
	}
	for slot := range route.NumSlots {
		s.nodes[home(slot)].has[slot] = true
	}
	for i := range scanSlots {
		slot := i * (route.NumSlots / scanSlots)
		s.seen[slot] = true
		for k := range scanKeys {
			s.at[scannedKey(slot, k)] = home(slot)
		}
	}
	s.topo.OnWantedLook(func() { s.wanted = true })
	s.view(false)
	s.calm()
	s.client = s.join()
	return s
}

// view has the publisher see the cluster: all nodes, one after the other, while slots move, or
// what everybody knows of who has which slots.
func (s *scannedCluster) view(whole bool) {
	now := int64(s.now)
	v := topology.ScanView{Owners: new([route.NumSlots]uint16)}
	members := make([]topology.Member, len(s.stubs))
	epochs := [route.NumSlots]int64{}
	seen := []int{}
	for slot := range s.seen {
		if m := s.moves[slot]; m == nil {
			seen = append(seen, slot)
		}
	}
	for slot := range v.Owners {
		v.Owners[slot] = route.NoServer
	}
	if whole {
		v.Looked, s.imports = now, [3]bool{}
	}
	for _, i := range s.rnd.Perm(len(s.nodes)) {
		n := &s.nodes[i]
		for slot, has := range n.has {
			if has && n.epoch > epochs[slot] {
				v.Owners[slot], epochs[slot] = uint16(i), n.epoch
			}
		}
		if whole {
			for slot, from := range n.importing {
				v.Moves = append(v.Moves, topology.SlotMove{Slot: slot, From: from, To: i})
				s.imports[i] = true
			}
			for slot, to := range n.migrating {
				v.Moves = append(v.Moves, topology.SlotMove{Slot: slot, From: i, To: to})
				s.imports[to] = true
			}
			s.stir()
		}
	}
	nodes := make([]topology.Node, len(s.stubs))
	for i, stub := range s.stubs {
		members[i].Server = topology.NodeServer(stub.host(), nodePort)
		v.Names, v.Epochs = append(v.Names, members[i].Server.StatsName()), append(v.Epochs, s.nodes[i].epoch)
		nodes[i].Imports = s.imports[i]
	}
	now = int64(s.now)
	s.topo.PublishSlots(members, nodes, v.Owners, now, now+int64(time.Second))
	s.topo.PublishScans(s.history.Note(&v, now), now)
	s.publish()
	for _, slot := range seen {
		s.seen[slot] = true
	}
}

// stir has slots move a little.
func (s *scannedCluster) stir() {
	s.now += time.Duration(s.rnd.IntN(200)) * time.Millisecond
	for range s.rnd.IntN(6) {
		slot := s.rnd.IntN(scanSlots) * (route.NumSlots / scanSlots)
		m := s.moves[slot]
		if m == nil {
			from := slices.IndexFunc(s.nodes[:], func(n scanNode) bool { return n.has[slot] })
			if s.quiet || !s.seen[slot] || s.rnd.IntN(3) > 0 {
				continue
			}
			m = &scanMove{from: from, to: (from + 1 + s.rnd.IntN(2)) % 3}
			s.moves[slot], s.seen[slot] = m, false
		}
		s.step(slot, m)
	}
}

// step moves a slot on, by a step or a key.
func (s *scannedCluster) step(slot int, m *scanMove) {
	from, to := &s.nodes[m.from], &s.nodes[m.to]
	switch m.step {
	case 0:
		to.importing[slot] = m.from
	case 1:
		from.migrating[slot] = m.to
	case 2:
		for k := range scanKeys {
			if key := scannedKey(slot, k); s.at[key] == m.from {
				s.at[key] = m.to
				return
			}
		}
		if most := max(s.nodes[0].epoch, s.nodes[1].epoch, s.nodes[2].epoch); to.epoch != most {
			to.epoch = most + 1
		}
		delete(to.importing, slot)
		to.has[slot] = true
	case 3:
		delete(from.migrating, slot)
		from.has[slot] = false
		delete(s.moves, slot)
	}
	m.step++
}

func scannedKey(slot, n int) string { return fmt.Sprintf("slot%d.%d", slot, n) }

// bucket is the page on which a node has a key.
func bucket(key string) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32()) % scanBuckets
}

// answer has the nodes answer what they were asked, and returns the one that was; -1: none.
func (s *scannedCluster) answer() (node int) {
	node = -1
	for i, stub := range s.stubs {
		stub.read()
		for _, k := range stub.conns {
			for _, a := range k.todo {
				node = i
				at := number(a.args[1])
				var keys []string
				for key, has := range s.at {
					if has == i && bucket(key) == at {
						keys = append(keys, bulk(key))
					}
				}
				k.out = append(k.out, fmt.Sprintf("*2\r\n%s*%d\r\n%s", bulk(strconv.Itoa((at+1)%scanBuckets)), len(keys), strings.Join(keys, ""))...)
			}
			k.todo = nil
			k.say(len(k.out))
		}
	}
	return node
}

// page asks for the page at a cursor, and returns the node that was asked, the next cursor and
// the keys.
func (s *scannedCluster) page(t *testing.T, cursor string) (node int, next string, keys []string) {
	t.Helper()
	s.client.says(command("SCAN", cursor))
	node = -1
	for range 10 {
		s.calm()
		s.stir()
		if at := s.answer(); at >= 0 {
			node = at
		}
		s.calm()
		if words := strings.Split(s.client.heard(), "\r\n"); len(words) > 3 {
			for i := 5; i < len(words); i += 2 {
				keys = append(keys, words[i])
			}
			s.pages++
			return node, words[2], keys
		}
		if s.wanted {
			s.wanted = false
			s.now += time.Millisecond
			s.view(true)
		}
	}
	t.Fatalf("SCAN %s is not answered", cursor)
	return 0, "", nil
}

// scan scans once.
func (s *scannedCluster) scan(t *testing.T) {
	t.Helper()
	found := map[string]bool{}
	last := -1
	passed := map[int]bool{}
	for cursor, pages := "0", 0; pages == 0 || cursor != "0"; pages++ {
		if s.quiet = s.quiet || pages > 150; pages > 600 {
			t.Fatal("the scan does not end")
		}
		var node int
		var keys []string
		node, cursor, keys = s.page(t, cursor)
		for _, key := range keys {
			found[key] = true
		}
		if node != last && passed[node] {
			s.restarts++
		}
		if last = node; node >= 0 {
			passed[node] = true
		}
		if s.rnd.IntN(12) == 0 {
			s.view(false)
		}
	}
	for key := range s.at {
		if !found[key] {
			t.Errorf("%s was there all the time, and not found", key)
		}
	}
}

// A scan finds all keys that are there from its beginning to its end, whatever slots move
// meanwhile.
func TestScanFindsKeysThatMove(t *testing.T) {
	runs := 30
	if testing.Short() {
		runs = 10
	}
	restarts, pages := 0, 0
	for seed := range runs {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			s := scanCluster(t, uint64(seed))
			for range 3 {
				s.scan(t)
				s.quiet = false
			}
			restarts, pages = restarts+s.restarts, pages+s.pages
			s.stop()
		})
	}
	if restarts == 0 {
		t.Error("no scan went through a node twice")
	}
	t.Logf("%d pages, nodes scanned again: %d", pages, restarts)
}

// Where nothing moves a scan goes through each node once, and ends after one look at all nodes.
func TestScanOfStillCluster(t *testing.T) {
	s := scanCluster(t, 1)
	s.quiet = true
	s.now += time.Second // since the first view
	s.scan(t)
	if want := 3*scanBuckets + 1; s.pages != want || s.restarts != 0 {
		t.Errorf("%d pages, want %d; %d nodes were scanned again", s.pages, want, s.restarts)
	}
	s.client.close()
	s.stop()
}

package proxy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/topology"
)

// A scannedCluster is three nodes whose keys are scanned, page by page, of a key each.
type scannedCluster struct {
	*conversation
	client *party
	keys   [3][]string
}

// page asks for the page at a cursor, and has the node answer that is asked. It returns that
// node, the next cursor and the key.
func (s *scannedCluster) page(t *testing.T, cursor string) (node int, next, key string) {
	t.Helper()
	s.client.says(command("SCAN", cursor))
	node = -1
	for i, stub := range s.stubs {
		stub.read()
		for _, k := range stub.conns {
			for _, a := range k.todo {
				node = i
				at := number(a.args[1])
				more := "0"
				if at+1 < len(s.keys[i]) {
					more = fmt.Sprint(at + 1)
				}
				key = s.keys[i][at]
				k.out = append(k.out, "*2\r\n"+bulk(more)+"*1\r\n"+bulk(key)...)
			}
			k.todo = nil
			k.say(len(k.out))
		}
	}
	s.calm()
	words := strings.Split(s.client.heard(), "\r\n")
	if node < 0 || len(words) < 6 || words[5] != key {
		t.Fatalf("SCAN %s: node %d, %q", cursor, node, words)
	}
	return node, words[2], key
}

// A scan goes through all primaries. While it is at the last one a newer map is asked for, and
// if slots have moved by then, it goes through all once more.
func TestScanSeesSlotsThatMove(t *testing.T) {
	s := &scannedCluster{conversation: converse(t, "  redis: true\n"+clusterLine, resp{}, 1)}
	s.keys = [3][]string{{"a1", "a2", "a3"}, {"b1", "b2", "b3"}, {"c1", "c2", "c3"}}
	s.setSlots(homeOf)
	s.client = s.join()
	s.topo.Wanted()
	var seen []string
	var nodes []int
	for cursor, pages := "0", 0; pages == 0 || cursor != "0"; pages++ {
		var node int
		var key string
		node, cursor, key = s.page(t, cursor)
		seen = append(seen, key)
		if !slices.Contains(nodes, node) {
			nodes = append(nodes, node)
		}
		why, _ := s.topo.Wanted()
		if got, want := slices.Contains(why, topology.WantScan), pages == 6 || pages >= 15; got != want {
			t.Errorf("page %d, of node %d: a map is wanted: %t, want %t", pages, node, got, want)
		}
		if pages == 6 { // the last key of the last node goes to the first one
			first, last := nodes[0], nodes[2]
			key := s.keys[last][2]
			s.keys[last], s.keys[first] = s.keys[last][:2], append(s.keys[first], key)
			s.setSlots(func(slot int) int {
				if slot == 7 {
					return last
				}
				return homeOf(slot)
			})
			s.calm()
		}
		if pages > 30 {
			t.Fatal("the scan does not end")
		}
	}
	for _, keys := range s.keys {
		for _, key := range keys {
			if !slices.Contains(seen, key) {
				t.Errorf("%s was not seen: %q", key, seen)
			}
		}
	}
	s.client.close()
	s.stop()
}

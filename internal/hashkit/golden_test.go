package hashkit_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/hashkit/golden/record"
)

// TestPlacementIsNutcrackers places every key of every golden record and
// compares the owner with the server that a real nutcracker sent the key to.
func TestPlacementIsNutcrackers(t *testing.T) {
	t.Parallel()
	for _, list := range readManifest(t).Lists {
		t.Run(list.Name, func(t *testing.T) {
			t.Parallel()
			keys := list.Keys.Generate()
			owners := readOwners(t, list)
			if want := len(list.Pools) * len(keys); len(owners) != want {
				t.Fatalf("%s holds %d owners, want %d", list.Owners, len(owners), want)
			}
			for i, pool := range list.Pools {
				comparePool(t, ringOf(t, list, pool), pool, keys, owners[i*len(keys):])
			}
		})
	}
}

// TestRecordsAreComplete keeps the golden records from shrinking unnoticed.
func TestRecordsAreComplete(t *testing.T) {
	t.Parallel()
	const wantKeys = 100_000
	lists := map[string]int{} // "hash distribution" -> server lists with enough keys
	for _, list := range readManifest(t).Lists {
		for _, pool := range list.Pools {
			if list.Keys.Count >= wantKeys && pool.HashTag == "" {
				lists[pool.Hash+" "+pool.Distribution]++
			}
		}
	}
	for _, hash := range hashkit.HashNames() {
		for _, distribution := range []string{"ketama", "modula"} {
			if got := lists[hash+" "+distribution]; got < 4 {
				t.Errorf("%s with %s: %d server lists of %d keys, want at least 4", hash, distribution, got, wantKeys)
			}
		}
	}
}

// TestSample places the keys of the records' human-readable part, which does
// not depend on the generator of keys.
func TestSample(t *testing.T) {
	t.Parallel()
	lists := map[string]record.List{}
	for _, list := range readManifest(t).Lists {
		lists[list.Name] = list
	}
	file, err := os.Open(filepath.Join("testdata", "sample.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	lines := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		line := scanner.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		lines++
		var name, key, owner string
		var pool record.Pool
		if _, err := fmt.Sscanf(line, "%s %s %s %q %q %q", &name, &pool.Hash, &pool.Distribution, &pool.HashTag, &key, &owner); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		at := ringOf(t, lists[name], pool).Server([]byte(key), 0)
		if got := configLine(lists[name].Servers[at]); got != owner {
			t.Errorf("%s: placed on %q", line, got)
		}
	}
	if lines == 0 {
		t.Error("the sample is empty")
	}
}

func comparePool(t *testing.T, ring *hashkit.Ring, pool record.Pool, keys [][]byte, owners []byte) {
	t.Helper()
	wrong := 0
	for i, key := range keys {
		got := ring.Server(key, 0)
		if got == int(owners[i]) {
			continue
		}
		if wrong == 0 {
			t.Errorf("%+v: key %d %q: server %d, nutcracker chose %d", pool, i, key, got, owners[i])
		}
		wrong++
	}
	if wrong > 0 {
		t.Errorf("%+v: %d of %d keys misplaced", pool, wrong, len(keys))
	}
}

func ringOf(t *testing.T, list record.List, pool record.Pool) *hashkit.Ring {
	t.Helper()
	hash, ok := hashkit.ParseHash(pool.Hash)
	if !ok {
		t.Fatalf("unknown hash %q", pool.Hash)
	}
	distribution, ok := hashkit.ParseDistribution(pool.Distribution)
	if !ok {
		t.Fatalf("unknown distribution %q", pool.Distribution)
	}
	nodes := make([]hashkit.Node, 0, len(list.Servers))
	for _, s := range list.Servers {
		node := hashkit.Node{Name: s.Name, Weight: s.Weight, Down: s.Dead}
		if node.Name == "" {
			node.Name = hashkit.NodeName(s.Host, s.Port)
		}
		nodes = append(nodes, node)
	}
	ring := &hashkit.Ring{Hash: hash, Continuum: hashkit.NewContinuum(distribution, nodes)}
	copy(ring.Tag[:], pool.HashTag)
	return ring
}

// configLine is a server's entry in nutcracker's configuration, by which the
// sample names it.
func configLine(s record.Server) string {
	address := s.Host
	if s.Port != 0 {
		address = fmt.Sprintf("%s:%d", s.Host, s.Port)
	}
	return strings.TrimSpace(fmt.Sprintf("%s:%d %s", address, s.Weight, s.Name))
}

func readManifest(t *testing.T) record.Manifest {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest record.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest
}

func readOwners(t *testing.T, list record.List) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", list.Owners))
	if err != nil {
		t.Fatal(err)
	}
	gz, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	owners, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return owners
}

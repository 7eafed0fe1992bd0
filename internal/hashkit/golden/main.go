// Command golden records where a real nutcracker puts keys, for hashkit's tests
// to compare with. It starts nutcracker in front of servers of its own that tell
// which keys they get, sends keys through every pool of every list in lists.go,
// and writes who got them to hashkit's testdata: manifest.json and the files that
// it names (see package record), and sample.txt, for people.
//
// Run it in the module's root:
//
//	go run ./internal/hashkit/golden
//
// It needs nutcracker (-nutcracker gives the program, if it is not in the path),
// Linux (all of 127.0.0.0/8 is local there), and about a minute. A second run
// writes the same files.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"nuthatch/internal/hashkit/golden/record"
)

// sampleKeys is how many keys of each pool sample.txt shows.
const sampleKeys = 3

func main() {
	program := flag.String("nutcracker", "nutcracker", "the nutcracker `program`")
	out := flag.String("out", "internal/hashkit/testdata", "the `directory` to write to")
	flag.Parse()
	if err := run(*program, *out); err != nil {
		fmt.Fprintln(os.Stderr, "golden:", err)
		os.Exit(1)
	}
}

func run(program, out string) error {
	version, err := exec.Command(program, "-V").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s -V: %w", program, err)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	manifest := record.Manifest{Nutcracker: strings.TrimPrefix(first, "This is "), Lists: lists()}
	sample := bytes.NewBufferString("# list hash distribution hash_tag key owner\n")
	for i := range manifest.Lists {
		list := &manifest.Lists[i]
		list.Owners = list.Name + ".gz"
		started := time.Now()
		if err := recordList(program, out, list, sample); err != nil {
			return fmt.Errorf("list %s: %w", list.Name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %d pools, %v\n", list.Name, len(list.Pools), time.Since(started).Round(time.Millisecond))
	}
	text, err := json.MarshalIndent(manifest, "", "\t")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(out, "manifest.json"), append(text, '\n'), 0o644),
		os.WriteFile(filepath.Join(out, "sample.txt"), sample.Bytes(), 0o644))
}

// recordList writes the list's owners file and adds to the sample.
func recordList(program, out string, list *record.List, sample *bytes.Buffer) (err error) {
	servers, err := startRecorders(list.Servers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.close()) }()
	proxy, err := startNutcracker(program, list)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.stop()) }()

	var packed bytes.Buffer
	gz, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	keys := list.Keys.Generate()
	for i, pool := range list.Pools {
		owners, err := recordPool(proxy, i, list, keys)
		if err != nil {
			return fmt.Errorf("pool %v: %w", pool, err)
		}
		if _, err := gz.Write(owners); err != nil {
			return err
		}
		for j, key := range keys[:sampleKeys] {
			fmt.Fprintf(sample, "%s %s %s %q %q %q\n", list.Name, pool.Hash, pool.Distribution, pool.HashTag,
				key, configLine(list.Servers[owners[j]]))
		}
	}
	if err := gz.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, list.Owners), packed.Bytes(), 0o644)
}

func recordPool(proxy *nutcracker, pool int, list *record.List, keys [][]byte) (owners []byte, err error) {
	c, err := proxy.dial(pool)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.conn.Close()) }()
	if err := c.eject(keys, deadServers(list)); err != nil {
		return nil, err
	}
	return c.owners(keys)
}

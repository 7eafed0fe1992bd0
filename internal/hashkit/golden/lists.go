package main

import (
	"fmt"

	"nuthatch/internal/hashkit"
	"nuthatch/internal/hashkit/golden/record"
)

// Addresses and ports are fixed, because unnamed servers are hashed under them:
// a second run records the same placement. They are in 127.0.0.0/8, outside
// 127.0.0.1, so as to be free.

var (
	binaryKeys = record.Keys{Count: 100_000, MaxLen: 60, Seed: 1}
	shortRun   = record.Keys{Count: 20_000, MaxLen: 60, Seed: 2}
	// taggedKeys meet the tag's bytes in every order: doubled, reversed, missing,
	// with nothing between.
	taggedKeys = record.Keys{Count: 100_000, MaxLen: 20, Seed: 3, Alphabet: []byte("{}$ab\xff\x00z")}
)

// lists returns what there is to record; Owners is still empty.
func lists() []record.List {
	every := pools(hashkit.HashNames()...)
	return []record.List{
		{Name: "equal", Servers: equalServers(), Keys: binaryKeys, Pools: every},
		{Name: "weighted", Servers: weightedServers(), Keys: binaryKeys, Pools: every},
		{Name: "mixed", Servers: mixedServers(), Keys: binaryKeys, Pools: every},
		{Name: "port11211", Servers: port11211Servers(), Keys: binaryKeys, Pools: every},
		{Name: "large", Servers: largeServers(), Keys: binaryKeys, Pools: pools("fnv1a_64", "md5")},
		{Name: "rounding", Servers: roundingServers(), Keys: binaryKeys, Pools: pools("fnv1a_64", "murmur")},
		{Name: "tags", Servers: equalServers(), Keys: taggedKeys, Pools: taggedPools()},
		{Name: "ejected", Servers: ejectedServers(), Keys: shortRun, Pools: pools("fnv1a_64", "crc32a")},
		{Name: "survivor", Servers: survivorServers(), Keys: shortRun, Pools: pools("fnv1a_64")},
	}
}

// pools combines hashes with the distributions that have a placement to record.
func pools(hashes ...string) []record.Pool {
	var all []record.Pool
	for _, hash := range hashes {
		for _, distribution := range []string{"ketama", "modula"} {
			all = append(all, record.Pool{Hash: hash, Distribution: distribution})
		}
	}
	return all
}

func taggedPools() []record.Pool {
	var all []record.Pool
	for _, tag := range []string{"{}", "$$", "}{", "ab"} {
		all = append(all, record.Pool{Hash: "fnv1a_64", Distribution: "ketama", HashTag: tag})
	}
	return append(all, record.Pool{Hash: "crc16", Distribution: "modula", HashTag: "{}"})
}

// equalServers: the lengths of the unnamed servers' names differ, so that
// nutcracker's order is not the configuration's.
func equalServers() []record.Server {
	return []record.Server{
		{Host: "127.7.1.10", Port: 7001, Weight: 1},
		{Host: "127.7.1.2", Port: 7002, Weight: 1},
		{Host: "127.7.1.3", Port: 7000, Weight: 1},
	}
}

// weightedServers: the lightest one is too light for a point on the ketama ring.
func weightedServers() []record.Server {
	return []record.Server{
		{Host: "127.7.2.1", Port: 7001, Weight: 3, Name: "wren"},
		{Host: "127.7.2.2", Port: 7001, Weight: 400, Name: "albatross"},
		{Host: "127.7.2.3", Port: 7001, Weight: 1, Name: "goldcrest"},
		{Host: "127.7.2.4", Port: 7001, Weight: 50, Name: "jay"},
		{Host: "127.7.2.5", Port: 7001, Weight: 77, Name: "crow"},
	}
}

func mixedServers() []record.Server {
	return []record.Server{
		{Host: "127.7.3.1", Port: 7001, Weight: 1, Name: "server1"},
		{Host: "127.7.3.2", Port: 7001, Weight: 2},
		{Host: "/var/tmp/nuthatch-golden-1.sock", Weight: 1},
		{Host: "/var/tmp/nuthatch-golden-2.sock", Weight: 2, Name: "socket"},
	}
}

// port11211Servers: the port is left out of the names of those that are
// unnamed, and only of those.
func port11211Servers() []record.Server {
	return []record.Server{
		{Host: "127.0.0.2", Port: 11211, Weight: 1},
		{Host: "127.0.0.3", Port: 11211, Weight: 1},
		{Host: "127.0.0.4", Port: 11211, Weight: 1, Name: "127.0.0.4:11211"},
		{Host: "127.0.0.5", Port: 11212, Weight: 1},
	}
}

// largeServers: 200 is one of the numbers for which single precision takes one
// digest from every server.
func largeServers() []record.Server {
	servers := make([]record.Server, 200)
	for i := range servers {
		servers[i] = record.Server{Host: fmt.Sprintf("127.7.4.%d", i+1), Port: 7001 + i%7, Weight: 1}
	}
	return servers
}

// roundingServers: exact arithmetic would give every one of them one more digest.
func roundingServers() []record.Server {
	servers := make([]record.Server, 0, 5)
	for i, weight := range []int{6, 12, 2, 1, 29} {
		servers = append(servers, record.Server{Host: fmt.Sprintf("127.7.5.%d", i+1), Port: 7001, Weight: weight})
	}
	return servers
}

func ejectedServers() []record.Server {
	return []record.Server{
		{Host: "127.7.6.1", Port: 7001, Weight: 1, Name: "alpha"},
		{Host: "127.7.6.2", Port: 7001, Weight: 4, Name: "beta"},
		{Host: "127.7.6.3", Port: 7001, Weight: 3, Name: "gamma", Dead: true},
		{Host: "127.7.6.4", Port: 7001, Weight: 2},
		{Host: "127.7.6.5", Port: 7001, Weight: 5},
	}
}

func survivorServers() []record.Server {
	return []record.Server{
		{Host: "127.7.7.1", Port: 7001, Weight: 2, Dead: true},
		{Host: "127.7.7.2", Port: 7001, Weight: 1},
		{Host: "127.7.7.3", Port: 7001, Weight: 3, Dead: true},
	}
}

package main

import "slices"

// usualClients is the number of connections of a piece of work that is not
// about their number.
const usualClients = 50

// work is a row of the table of works: something that every proxy is asked to
// do, and measured at.
type work struct {
	name     string // for -works
	title    string // for the report
	topology topology
	clients  int
	one      func() exchange
	seeds    []dataset // that must be there before
	// target is the largest ratio to nutcracker of the CPU time per request that
	// nuthatch sets itself; 0 for none.
	target float64
	// growth works are there only for the tables of growth.
	growth bool
}

func (w work) label() string { return w.name }

// The targets of works that share them.
const (
	floorTarget   = 0.85 // nearly all of it is the kernel's TCP
	depth16Target = 0.45
	depthTarget   = 0.12
	manyTarget    = 0.40
	hugeTarget    = 0.25
)

// works lists the pieces of work in the order in which they are done and shown.
func works() []work {
	get, set := redisGet(small), redisSet(small)
	seeded := []dataset{small}
	return append([]work{
		{"get-p1", "GET", redisOne, usualClients, get, seeded, floorTarget, false},
		{"get-p16", "GET, pipeline 16", redisOne, usualClients, pipelined(16, get), seeded, depth16Target, false},
		{"get-p100", "GET, pipeline 100", redisOne, usualClients, pipelined(100, get), seeded, depthTarget, false},
		{"set-p1", "SET", redisOne, usualClients, set, nil, floorTarget, false},
		{"set-p16", "SET, pipeline 16", redisOne, usualClients, pipelined(16, set), nil, depth16Target, false},
		{"set-p100", "SET, pipeline 100", redisOne, usualClients, pipelined(100, set), nil, depthTarget, false},
		{"mget-100", "MGET of 100 keys, 3 servers", redisThree, usualClients, mget(100), seeded, manyTarget, false},
		{"mget-1000", "MGET of 1,000 keys, 3 servers", redisThree, usualClients, mget(1000), seeded, 0, false},
		{"mget-10000", "MGET of 10,000 keys, 3 servers", redisThree, usualClients, mget(10_000), seeded, hugeTarget, false},
		{"mset-100", "MSET of 100 keys, 3 servers", redisThree, usualClients, mset(100), nil, 0, false},
		{"mset-1000", "MSET of 1,000 keys, 3 servers", redisThree, usualClients, mset(1000), nil, 0, false},
		{"mset-10000", "MSET of 10,000 keys, 3 servers", redisThree, usualClients, mset(10_000), nil, 0, false},
		{"del-100", "DEL of 100 keys, 3 servers", redisThree, usualClients, del(100), nil, 0, false},
		{"del-1000", "DEL of 1,000 keys, 3 servers", redisThree, usualClients, del(1000), nil, 0, false},
		{"del-10000", "DEL of 10,000 keys, 3 servers", redisThree, usualClients, del(10_000), nil, 0, false},
		{"get-1kb", "GET of 1 KB", redisOne, usualClients, redisGet(oneKB), []dataset{oneKB}, 0, false},
		{"get-10kb", "GET of 10 KB", redisOne, usualClients, redisGet(tenKB), []dataset{tenKB}, floorTarget, false},
		{"get-1mb", "GET of 1 MB", redisOne, usualClients, redisGet(oneMB), []dataset{oneMB}, floorTarget, false},
		{"set-1kb", "SET of 1 KB", redisOne, usualClients, redisSet(oneKB), nil, 0, false},
		{"set-10kb", "SET of 10 KB", redisOne, usualClients, redisSet(tenKB), nil, 0, false},
		{"set-1mb", "SET of 1 MB", redisOne, usualClients, redisSet(oneMB), nil, 0, false},
		{
			"mixed-get", "GET, each 200th of 1 MB", redisOne, usualClients,
			mixed(get, redisGet(oneMB), 200),
			[]dataset{small, oneMB},
			0, false,
		},
		{
			"mixed-set", "SET, each 200th of 1 MB", redisOne, usualClients,
			mixed(set, redisSet(oneMB), 200), nil, 0, false,
		},
		{"mc-get", "memcached get", memcachedOne, usualClients, memcachedGet(1), seeded, floorTarget, false},
		{"mc-set", "memcached set", memcachedOne, usualClients, memcachedSet, nil, 0, false},
		{"mc-get-100", "memcached get of 100 keys, 3 servers", memcachedThree, usualClients, memcachedGet(100), seeded, manyTarget, false},
		{"get-c1", "GET, 1 connection", redisOne, 1, get, seeded, 0, false},
		{"get-c1000", "GET, 1,000 connections", redisOne, 1000, get, seeded, 0, false},
		{"get-c10000", "GET, 10,000 connections", redisOne, 10_000, get, seeded, 0, false},

		{"get-s3", "GET, 3 servers", redisThree, usualClients, get, seeded, 0, true},
		{"get-s100", "GET, 100 servers", topology{redis: true, servers: 100, pools: 1}, usualClients, get, seeded, 0, true},
		{"get-s1000", "GET, 1,000 servers", topology{redis: true, servers: 1000, pools: 1}, usualClients, get, seeded, 0, true},
		{"get-pools100", "GET, 100 pools", topology{redis: true, servers: 1, pools: 100}, 100, get, seeded, 0, true},
		{"get-pools1", "GET, 1 pool", redisOne, 100, get, seeded, 0, true},
		{"mget-10", "MGET of 10 keys, 3 servers", redisThree, usualClients, mget(10), seeded, 0, true},
		{"get-p4", "GET, pipeline 4", redisOne, usualClients, pipelined(4, get), seeded, 0, true},
		{"get-p1000", "GET, pipeline 1,000", redisOne, usualClients, pipelined(1000, get), seeded, 0, true},
		{"get-100kb", "GET of 100 KB", redisOne, usualClients, redisGet(hundredKB), []dataset{hundredKB}, 0, true},
	}, slices.Concat(transactionWorks(), clusterWorks(), replicaWorks())...)
}

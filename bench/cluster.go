package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// A cluster of as many primaries as there are other servers. What a request costs there is
// compared with what it costs a pool of these servers, which has the keys by ketama.

// redisCluster is a pool whose servers are a Redis Cluster.
var redisCluster = topology{redis: true, servers: realServers, pools: 1, sessions: true, cluster: true}

// clusterWorks are the works over a cluster, and those that they are compared with.
func clusterWorks() []work {
	get, seeded := redisGet(small), []dataset{small}
	return []work{
		{name: "set-s3", title: "SET, 3 servers", topology: redisThree, clients: usualClients, one: redisSet(small)},
		{name: "get-cluster", title: "GET, cluster of 3 primaries", topology: redisCluster, clients: usualClients, one: get, seeds: seeded},
		{name: "set-cluster", title: "SET, cluster of 3 primaries", topology: redisCluster, clients: usualClients, one: redisSet(small)},
		{name: "mget-100-cluster", title: "MGET of 100 keys, cluster of 3 primaries", topology: redisCluster, clients: usualClients, one: mget(100), seeds: seeded},
	}
}

// clusterTargets are the largest ratios of a work's CPU time over a cluster to that over
// ketama that nuthatch sets itself. Keys of two slots cannot be in one MGET.
var clusterTargets = []relation{
	{"get-cluster", "get-s3", "CPU of GET, 3 servers", 1.1},
	{"set-cluster", "set-s3", "CPU of SET, 3 servers", 1.1},
	{"mget-100-cluster", "mget-100", "CPU of MGET, 3 servers", 2.5},
}

// numSlots is how many slots a cluster has.
const numSlots = 16384

var errNotWhole = errors.New("the cluster is not whole")

// startCluster starts the nodes of a cluster, unless they run.
func (r *rig) startCluster(ctx context.Context) error {
	if r.servers.cluster != nil {
		return nil
	}
	path, err := find("redis-server")
	if err != nil {
		return err
	}
	addrs, err := freeAddrs(2 * realServers)
	if err != nil {
		return err
	}
	nodes, buses := addrs[:realServers], addrs[realServers:]
	for i, addr := range nodes {
		err := r.startServer(ctx, fmt.Sprintf("node%d", i), addr, path,
			"--port", port(addr), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--cluster-enabled", "yes", "--cluster-port", port(buses[i]), "--cluster-config-file", fmt.Sprintf("nodes-%s.conf", port(addr)),
			"--dir", r.dir)
		if err != nil {
			return err
		}
		if err := join(addr, i, nodes[0], buses[0]); err != nil {
			return fmt.Errorf("node %s: %w", addr, err)
		}
	}
	for _, addr := range nodes {
		if err := awaitWhole(ctx, addr); err != nil {
			return fmt.Errorf("node %s: %w", addr, err)
		}
	}
	r.servers.cluster = nodes
	return nil
}

// join gives the i-th node its slots, and has it meet the first one.
func join(addr string, i int, first, bus string) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	from, to := i*numSlots/realServers, (i+1)*numSlots/realServers-1
	b := respRequest("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
	b = append(b, respRequest("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(from), fmt.Sprint(to))...)
	b = append(b, respRequest("CLUSTER", "MEET", "127.0.0.1", port(first), port(bus))...)
	return ask(conn, b, strings.Repeat("+OK\r\n", 3))
}

// awaitWhole waits until a node knows a primary of each slot.
func awaitWhole(ctx context.Context, addr string) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	b := make([]byte, 16<<10)
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if _, err := conn.Write(respRequest("CLUSTER", "INFO")); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		n, err := conn.Read(b)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if strings.Contains(string(b[:n]), "cluster_state:ok") {
			return nil
		}
	}
	return errNotWhole
}

package main

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// A primary and its replicas. What a read costs that goes to replicas is compared with what it
// costs the same pool if it goes to the primary.

// numReplicas is how many replicas the primary has.
const numReplicas = 2

// redisReplicated is a pool of a primary with replicas. aside: reads go to these.
func redisReplicated(aside bool) topology {
	return topology{redis: true, servers: 1, pools: 1, sessions: true, replicated: true, aside: aside}
}

// replicaWorks are the reads from replicas, and those that they are compared with.
func replicaWorks() []work {
	get, seeded := redisGet(small), []dataset{small}
	return []work{
		{name: "get-primary", title: "GET, primary of 2 replicas", topology: redisReplicated(false), clients: usualClients, one: get, seeds: seeded},
		{name: "get-replicas", title: "GET, 2 replicas", topology: redisReplicated(true), clients: usualClients, one: get, seeds: seeded},
	}
}

// replicaTargets are the largest ratios of the CPU time of reads from replicas to that of reads
// from their primary that nuthatch sets itself. A copy of each is kept until it is answered, and what
// one write had for the primary goes to two replicas in two.
var replicaTargets = []relation{{"get-replicas", "get-primary", "CPU of GET, primary", 1.5}}

// startReplicas starts the primary and its replicas, unless they run.
func (r *rig) startReplicas(ctx context.Context) error {
	if r.servers.replicated != nil {
		return nil
	}
	path, err := find("redis-server")
	if err != nil {
		return err
	}
	addrs, err := freeAddrs(1 + numReplicas)
	if err != nil {
		return err
	}
	for i, addr := range addrs {
		args := []string{"--port", port(addr), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}
		if i > 0 {
			args = append(args, "--replicaof", "127.0.0.1 "+port(addrs[0]))
		}
		if err := r.startServer(ctx, fmt.Sprintf("replicated%d", i), addr, path, args...); err != nil {
			return err
		}
	}
	r.servers.replicated = addrs
	return awaitReplicated(addrs[0])
}

// awaitReplicated waits until the replicas have what their primary has.
func awaitReplicated(primary string) error {
	conn, err := net.DialTimeout("tcp", primary, patience)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	b := append(respRequest("SET", "replicated", "1"), respRequest("WAIT", fmt.Sprint(numReplicas), fmt.Sprint(patience.Milliseconds()))...)
	return ask(conn, b, fmt.Sprintf("+OK\r\n:%d\r\n", numReplicas))
}

// policyLines are what a pool of a primary with replicas has in its configuration.
func (s servers) policyLines(t topology) string {
	if !t.replicated {
		return ""
	}
	policy := "primary"
	if t.aside {
		policy = "prefer_replica"
	}
	return fmt.Sprintf("  read_policy: %s\n  replicas: {server0: [%s]}\n", policy, strings.Join(s.replicated[1:], ", "))
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// rig is what every experiment is made with: running servers, and proxies that
// can be started in front of them.
type rig struct {
	dir      string // for configurations and logs
	cores    cores
	length   time.Duration // of one measurement
	rounds   int
	programs []program
	progress io.Writer
	began    time.Time
	// descriptors is how many a process may have.
	descriptors int
	countCalls  syscallCounter
	countedWith string // the tool's name

	running []*process // the servers
	servers servers
	// collector takes traces, and counts their bytes; nil without a proxy that makes any.
	collector  *http.Server
	traceBytes atomic.Int64
}

// startServers starts the servers that the works need.
func (r *rig) startServers(ctx context.Context) error {
	redis, err := find("redis-server")
	if err != nil {
		return err
	}
	memcached, err := find("memcached")
	if err != nil {
		return err
	}
	addrs, err := freeAddrs(2 * realServers)
	if err != nil {
		return err
	}
	r.servers = servers{redis: addrs[:realServers], memcached: addrs[realServers:]}
	for i := range realServers {
		addr := r.servers.redis[i]
		err := r.startServer(ctx, fmt.Sprintf("redis-server%d", i), addr, redis,
			"--port", port(addr), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--maxclients", fmt.Sprint(2*lastingClients))
		if err != nil {
			return err
		}
		addr = r.servers.memcached[i]
		err = r.startServer(ctx, fmt.Sprintf("memcached%d", i), addr, memcached,
			"-p", port(addr), "-l", "127.0.0.1", "-U", "0", "-t", "1", "-u", "root")
		if err != nil {
			return err
		}
	}
	return r.startCollector()
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func (r *rig) startServer(ctx context.Context, name, addr, path string, args ...string) error {
	p, err := startProcess(name, r.dir, r.cores.rest, path, args...)
	if err != nil {
		return err
	}
	r.running = append(r.running, p)
	return p.awaitListening(ctx, addr)
}

// stop ends the servers. One that had ended before is an error.
func (r *rig) stop() error {
	var errs []error
	for _, p := range r.running {
		errs = append(errs, p.ended())
		p.kill()
	}
	return errors.Join(append(errs, r.stopCollector())...)
}

// start starts a proxy on its core, and writes the keys of a piece of work
// through it: where two proxies put a key in different places, each finds its
// own.
func (r *rig) start(ctx context.Context, p program, w work) (*proxy, error) {
	return r.startOn(ctx, only(r.cores.proxy), p, w)
}

func (r *rig) startOn(ctx context.Context, set unix.CPUSet, p program, w work) (*proxy, error) {
	if w.topology.cluster {
		if err := r.startCluster(ctx); err != nil {
			return nil, err
		}
	}
	if w.topology.replicated {
		if err := r.startReplicas(ctx); err != nil {
			return nil, err
		}
	}
	running, err := p.start(ctx, r.dir, set, r.servers, w.topology)
	if err != nil {
		return nil, err
	}
	for _, d := range w.seeds {
		if err := d.write(running.addrs[0], w.topology.redis); err != nil {
			err = fmt.Errorf("writing keys through %s: %w", p.name, errors.Join(err, running.ended()))
			running.kill()
			return nil, err
		}
	}
	if w.topology.replicated && len(w.seeds) > 0 {
		if err := awaitReplicated(r.servers.replicated[0]); err != nil {
			err = fmt.Errorf("replicating keys: %w", errors.Join(err, running.ended()))
			running.kill()
			return nil, err
		}
	}
	return running, nil
}

// write writes the keys to a pool, a batch at a time.
func (d dataset) write(addr string, redis bool) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	value := d.value()
	request, reply := func(i int) []byte { return memcachedWrite(d.key(i), value) }, "STORED\r\n"
	if redis {
		request, reply = func(i int) []byte { return respRequest("SET", d.key(i), value) }, "+OK\r\n"
	}
	const most = 200 // requests at once
	for i := 0; i < d.keys; i += most {
		var b []byte
		n := min(most, d.keys-i)
		for j := range n {
			b = append(b, request(i+j)...)
		}
		if err := ask(conn, b, strings.Repeat(reply, n)); err != nil {
			return err
		}
	}
	return nil
}

// ask writes a request and wants a certain reply.
func ask(conn net.Conn, request []byte, reply string) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	if _, err := conn.Write(request); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	got := make([]byte, len(reply))
	if n, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("read: %w after %s", err, abridged(got[:n]))
	}
	if !bytes.Equal(got, []byte(reply)) {
		return fmt.Errorf("replies %s, want %s", abridged(got), abridged([]byte(reply)))
	}
	return nil
}

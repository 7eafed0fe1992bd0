package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// rig is all that runs during the measurements.
type rig struct {
	programs []*process // the servers
	servers  servers
	proxies  []*proxy
}

// startRig starts the servers, and the proxies in front of them. What was
// started before an error is in the rig, which is never nil.
func startRig(ctx context.Context, dir string, c cores, opts options) (*rig, error) {
	r := &rig{}
	redis, err := find("redis-server")
	if err != nil {
		return r, err
	}
	memcached, err := find("memcached")
	if err != nil {
		return r, err
	}
	if _, err := find("redis-benchmark"); err != nil {
		return r, err
	}
	addrs, err := freeAddrs(2 * serversPerProtocol)
	if err != nil {
		return r, err
	}
	r.servers = servers{redis: addrs[:serversPerProtocol], memcached: addrs[serversPerProtocol:]}
	for i := range serversPerProtocol {
		addr := r.servers.redis[i]
		err = r.startServer(ctx, fmt.Sprintf("redis-server%d", i), dir, c, addr, redis,
			"--port", port(addr), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
		if err != nil {
			return r, err
		}
		addr = r.servers.memcached[i]
		err = r.startServer(ctx, fmt.Sprintf("memcached%d", i), dir, c, addr, memcached,
			"-p", port(addr), "-l", "127.0.0.1", "-U", "0", "-t", "1", "-u", "root")
		if err != nil {
			return r, err
		}
	}
	for _, kind := range opts.proxies {
		p, err := startProxy(ctx, kind, dir, c, r.servers)
		if p != nil {
			r.proxies = append(r.proxies, p)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func (r *rig) startServer(ctx context.Context, name, dir string, c cores, addr, path string, args ...string) error {
	p, err := startProcess(name, dir, c.rest, path, args...)
	if err != nil {
		return err
	}
	r.programs = append(r.programs, p)
	return p.awaitListening(ctx, addr)
}

// stop ends everything, the proxies first. A proxy that had ended before is an
// error.
func (r *rig) stop() error {
	var errs []error
	for _, p := range r.proxies {
		errs = append(errs, p.stop())
	}
	for _, p := range r.programs {
		p.kill()
	}
	return errors.Join(errs...)
}

// seed writes every key that the works read, through each proxy: where two
// proxies put a key in different places, each finds its own.
func (r *rig) seed() error {
	for _, p := range r.proxies {
		for i := range pools {
			if err := seedPool(p.addrs[i], pools[i].redis); err != nil {
				return fmt.Errorf("writing keys to %s through %s: %w", pools[i].name, p.name, errors.Join(err, p.ended()))
			}
		}
	}
	return nil
}

// seedPool writes the keys to a pool, a batch at a time.
func seedPool(addr string, redis bool) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	write, reply := memcachedSet, "STORED\r\n"
	if redis {
		write, reply = redisSet, "+OK\r\n"
	}
	small := func(i int) []byte { return write(key("key", i), smallValue) }
	if err := writeAll(conn, keyspace, small, reply); err != nil || !redis {
		return err
	}
	big := bigValue()
	return writeAll(conn, bigKeyspace, func(i int) []byte { return write(key("big", i), big) }, reply)
}

func redisSet(key, value string) []byte {
	return redisCommand{args: []string{"SET", key, value}}.encode()
}

// writeAll sends n requests in pipelines, and wants the same reply to each.
func writeAll(conn net.Conn, n int, request func(i int) []byte, reply string) error {
	const batch = 200
	got := make([]byte, batch*len(reply))
	for i := 0; i < n; i += batch {
		var b []byte
		for j := range batch {
			b = append(b, request(i+j)...)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return fmt.Errorf("deadline: %w", err)
		}
		if _, err := conn.Write(b); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if k, err := io.ReadFull(conn, got); err != nil {
			return fmt.Errorf("read: %w after %s", err, abridged(got[:k]))
		}
		if want := strings.Repeat(reply, batch); !bytes.Equal(got, []byte(want)) {
			return fmt.Errorf("replies %s, want %s", abridged(got), abridged([]byte(want)))
		}
	}
	return nil
}

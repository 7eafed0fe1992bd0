// Package demo runs the whole proxy with nothing configured and nothing
// installed: three servers of its own, one address in front of them, a few
// keys written through it, and a look at where they landed.
//
//	redis-cli ──> 127.0.0.1:22121 (daemon.Instance) ──┬──> server 1
//	                                                  ├──> server 2
//	                                                  └──> server 3
//
// The servers are miniredis in this process, or memcached programs.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"nuthatch/internal/daemon"
	"nuthatch/internal/version"
)

// DefaultListen is where the demo's proxy listens unless it is told otherwise:
// the port of nutcracker's first example pool.
const DefaultListen = "127.0.0.1:22121"

// The statistics port is nutcracker's usual one where that is free.
const statsPort = 22222

// Options says what to run.
type Options struct {
	// Listen is the proxy's address, host:port. Port 0 takes any free port.
	Listen string

	// Memcached runs three memcached programs instead of in-process Redis servers.
	Memcached bool

	// Out gets the page that says what runs where.
	Out io.Writer
}

// Run starts the demo, writes its page to o.Out, and serves until ctx ends.
// Everything it started has ended when it returns. The error says what to do:
// another address, a program to install.
func Run(ctx context.Context, o Options) error {
	host, port, err := listenAddress(o.Listen)
	if err != nil {
		return err
	}
	proto, start := redisProtocol, startRedis
	if o.Memcached {
		proto, start = memcachedProtocol, startMemcached
	}
	servers, err := start(ctx)
	defer stopAll(servers)
	if err != nil {
		return err
	}

	p := page{protocol: proto, host: host, port: port, servers: servers}
	p.statsPort, err = freePort("127.0.0.1", statsPort)
	if err != nil {
		return err
	}
	proxy, err := startProxy(&p)
	if err != nil {
		return err
	}
	defer proxy.Stop()
	p.admin = proxy.AdminAddr()

	if err := p.place(sampleKeys); err != nil {
		return err
	}
	if _, err := io.WriteString(o.Out, p.String()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	<-ctx.Done()
	_, err = io.WriteString(o.Out, "\nStopped: the proxy and its servers are gone.\n")
	return err
}

// startProxy starts the proxy that p describes.
func startProxy(p *page) (*daemon.Instance, error) {
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	return daemon.Start(daemon.Options{
		Program:       "nuthatch",
		Version:       version.Version,
		Config:        cfg,
		LogFile:       os.DevNull, // the demo's output is its page
		StatsAddr:     "127.0.0.1",
		StatsPort:     p.statsPort,
		StatsInterval: time.Second,
	})
}

// listenAddress splits address, chooses a port where it has 0, and makes sure
// that the port can be had. The proxy listens a moment later; losing the port
// in between is the proxy's error then.
func listenAddress(address string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("--listen %s: want host:port, like %s", address, DefaultListen)
	}
	want, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("--listen %s: %q is not a port (0 to 65535)", address, service)
	}
	port, err = tryPort(host, int(want))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "", 0, fmt.Errorf("%s is taken by another program; choose another address with --listen, "+
			"or --listen %s for any free port", address, net.JoinHostPort(host, "0"))
	case err != nil:
		return "", 0, fmt.Errorf("--listen %s: %w", address, err)
	}
	return host, port, nil
}

// freePort returns preferred if nothing listens there, and any free port otherwise.
func freePort(host string, preferred int) (int, error) {
	if port, err := tryPort(host, preferred); err == nil {
		return port, nil
	}
	port, err := tryPort(host, 0)
	if err != nil {
		return 0, fmt.Errorf("demo: find a free port: %w", err)
	}
	return port, nil
}

// tryPort listens for a moment and returns the port it got.
func tryPort(host string, port int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

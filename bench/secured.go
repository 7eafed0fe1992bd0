package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// TLS with clients: what a GET costs nuthatch, and HAProxy that terminates TLS in front of the
// same server and knows no keys. Both show one certificate, and agree on TLS 1.3 with AES-128.
//
//	core B: clients ──TLS──► core A: nuthatch, or HAProxy ──► core B: redis-server

// securedTarget is the largest ratio to HAProxy of the CPU time per request that nuthatch sets
// itself.
const securedTarget = 0.9

// securedDepths are the pipelines.
var securedDepths = []int{1, 16}

// securedResult is what was measured of one proxy at one depth.
type securedResult struct {
	depth   int
	proxy   string
	samples []sample // by round
}

// canSecure tells whether a proxy is one of those that are compared.
func canSecure(p program) bool { return slices.Contains([]string{ours, "other", "haproxy"}, p.name) }

// measureSecured measures all depths, with the proxies in turn in each round.
func (r *rig) measureSecured(ctx context.Context) (results []securedResult, err error) {
	r.servers.pem = filepath.Join(r.dir, "tls.pem")
	pair, err := makePair(r.servers.pem)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	conf := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13, ClientSessionCache: tls.NewLRUClientSessionCache(usualClients)}
	w := work{name: "tls", topology: topology{redis: true, servers: 1, pools: 1, secured: true}}
	var running []*proxy
	defer func() {
		for _, p := range running {
			err = errors.Join(err, p.stop())
		}
	}()
	var names []string
	for _, p := range r.programs {
		if !canSecure(p) {
			continue
		}
		started, err := r.start(ctx, p, w)
		if err != nil {
			return nil, err
		}
		running, names = append(running, started), append(names, p.name)
	}
	if err := small.write(r.servers.redis[0], true); err != nil {
		return nil, err
	}
	for _, depth := range securedDepths {
		exchanges := variants(pipelined(depth, redisGet(small)))
		of := make([]securedResult, len(running))
		for i := range of {
			of[i] = securedResult{depth: depth, proxy: names[i]}
		}
		for round := -1; round < r.rounds; round++ {
			for _, i := range turns(max(round, 0), len(running)) {
				s, err := r.using(running[i], func() (loadResult, error) { return securedLoad(ctx, running[i].addrs[0], conf, exchanges, r.length) })
				switch {
				case err != nil:
					return results, fmt.Errorf("TLS, pipeline %d, %s: %w", depth, names[i], err)
				case round < 0: // to warm up
					continue
				}
				of[i].samples = append(of[i].samples, s)
				fmt.Fprintf(r.progress, "round %d  tls-p%-3d  %-10s  %8.3f us/request  %8.0f requests/s  p99 %8.0f us  busy: proxy %3.0f%%; others %3.0f%%\n",
					round+1, depth, names[i], s.total, s.rate, s.p99, 100*s.proxyBusy, 100*s.others)
			}
		}
		results = append(results, of...)
	}
	return results, nil
}

// makePair writes a certificate and its key, for this machine, into a file.
func makePair(file string) (pair tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, fmt.Errorf("a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return pair, fmt.Errorf("a certificate: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair, fmt.Errorf("a key: %w", err)
	}
	text := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return pair, fmt.Errorf("a certificate: %w", err)
	}
	return tls.X509KeyPair(text, text)
}

// securedLoad is closedLoop for clients with TLS, which have a goroutine each. Handshakes are
// over before the time begins.
func securedLoad(ctx context.Context, addr string, conf *tls.Config, exchanges []exchange, length time.Duration) (loadResult, error) {
	conns := make([]*tls.Conn, usualClients)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	for i := range conns {
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: conf}
		c, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			return loadResult{}, fmt.Errorf("connect: %w", err)
		}
		conns[i] = c.(*tls.Conn)
		if err := c.SetDeadline(time.Now().Add(patience + 2*length)); err != nil {
			return loadResult{}, fmt.Errorf("deadline: %w", err)
		}
	}
	var all sync.WaitGroup
	parts, errs := make([]loadResult, len(conns)), make([]error, len(conns))
	begin := time.Now()
	for i, c := range conns {
		all.Go(func() { parts[i], errs[i] = securedClient(c, exchanges, i, begin, length) })
	}
	all.Wait()
	sum := loadResult{elapsed: time.Since(begin), latency: newHistogram()}
	for _, p := range parts {
		sum.requests += p.requests
		if p.latency != nil {
			sum.latency.Merge(p.latency)
		}
	}
	return sum, errors.Join(errs...)
}

// securedClient is one client, which begins with the i-th exchange.
func securedClient(c *tls.Conn, exchanges []exchange, i int, begin time.Time, length time.Duration) (loadResult, error) {
	res := loadResult{latency: newHistogram()}
	got := make([]byte, len(exchanges[0].reply))
	for ; time.Since(begin) < length; i++ {
		e := &exchanges[i%len(exchanges)]
		start := time.Now()
		if _, err := c.Write(e.request); err != nil {
			return res, fmt.Errorf("write: %w", err)
		}
		if _, err := io.ReadFull(c, got); err != nil {
			return res, fmt.Errorf("read: %w", err)
		}
		if !bytes.Equal(got, e.reply) {
			return res, fmt.Errorf("replies %s, want %s", abridged(got), abridged(e.reply))
		}
		res.requests += e.requests
		if err := res.latency.RecordValue(int64(time.Since(start))); err != nil {
			return res, fmt.Errorf("latency: %w", err)
		}
	}
	return res, nil
}

// toHAProxy are a result's ratios to HAProxy's at the same depth.
func toHAProxy(all []securedResult, res securedResult) []float64 {
	for _, base := range all {
		if base.proxy == "haproxy" && base.depth == res.depth {
			return ratios(each(res.samples, cpu), each(base.samples, cpu))
		}
	}
	return nil
}

// securedTable has a row for each proxy at each depth.
func securedTable(all []securedResult) table {
	t := table{left: 1, head: []string{"pipeline", "proxy", "CPU per request", "requests/s", "p50", "p99", "ratio to HAProxy"}}
	for _, res := range all {
		of := func(of func(sample) float64) float64 { return median(each(res.samples, of)) }
		t.add(fmt.Sprint(res.depth), res.proxy, number(of(cpu)), number(of(func(s sample) float64 { return s.rate })),
			number(of(func(s sample) float64 { return s.p50 })), number(of(func(s sample) float64 { return s.p99 })), spread(toHAProxy(all, res)))
	}
	return t
}

package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// load produces the requests of a piece of work.
type load interface {
	// check makes one request and judges the reply.
	check(ctx context.Context, addr string) error
	// run makes n requests, or a few more, over as many connections as there are
	// clients, as fast as the replies come.
	run(ctx context.Context, addr string, n int) (loadResult, error)
}

// loadResult is what the load saw.
type loadResult struct {
	requests int     // that were answered
	rate     float64 // requests per second
}

// randomInt is what redis-benchmark replaces by twelve random digits.
const randomInt = "__rand_int__"

// redisCommand is a Redis request and its reply.
type redisCommand struct {
	args  []string // randomInt in them becomes a number below keys
	reply string
	keys  int
}

func (c redisCommand) pipelined(depth int) redisBenchmark { return redisBenchmark{c, depth} }

// encode is the request as bytes, with 0 for the random number.
func (c redisCommand) encode() []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(c.args))
	for _, arg := range c.args {
		b = append(b, bulk(strings.ReplaceAll(arg, randomInt, fmt.Sprintf("%012d", 0)))...)
	}
	return b
}

// redisBenchmark is the load that redis-benchmark makes.
type redisBenchmark struct {
	command redisCommand
	depth   int // of its pipelines
}

func (l redisBenchmark) check(ctx context.Context, addr string) error {
	return closedLoop{requests: [][]byte{l.command.encode()}, reply: []byte(l.command.reply)}.check(ctx, addr)
}

func (l redisBenchmark) run(ctx context.Context, addr string, n int) (loadResult, error) {
	path, err := find("redis-benchmark")
	if err != nil {
		return loadResult{}, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return loadResult{}, fmt.Errorf("redis-benchmark: %w", err)
	}
	// Whole pipelines on every connection: redis-benchmark sends no less.
	if batch := clients * l.depth; n%batch != 0 {
		n += batch - n%batch
	}
	args := []string{
		"-h", host, "-p", port, "-c", strconv.Itoa(clients), "-n", strconv.Itoa(n),
		"-P", strconv.Itoa(l.depth), "-r", strconv.Itoa(l.command.keys), "--csv",
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, append(args, l.command.args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return loadResult{}, fmt.Errorf("redis-benchmark: %w\n%s%s", err, stdout.String(), stderr.String())
	}
	rate, err := parseRate(stdout.String())
	if err == nil {
		err = serverError(stdout.String() + stderr.String())
	}
	return loadResult{requests: n, rate: rate}, err
}

// serverError finds the first error reply that redis-benchmark complains about.
func serverError(output string) error {
	for line := range strings.Lines(output) {
		if strings.Contains(line, "Error from server") {
			return errors.New("redis-benchmark: " + strings.TrimSpace(line))
		}
	}
	return nil
}

// parseRate finds the requests per second in redis-benchmark's CSV: a header
// line and one of values, whose first is the command.
func parseRate(output string) (float64, error) {
	const column = "rps"
	at := strings.Index(output, `"test"`)
	if at < 0 {
		return 0, fmt.Errorf("redis-benchmark: no table in %q", output)
	}
	r := csv.NewReader(strings.NewReader(output[at:]))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil {
		return 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	for i, name := range rows[0] {
		if name != column || len(rows) < 2 || len(rows[1]) <= i {
			continue
		}
		rate, err := strconv.ParseFloat(rows[1][i], 64)
		if err != nil {
			return 0, fmt.Errorf("redis-benchmark: %w", err)
		}
		return rate, nil
	}
	return 0, fmt.Errorf("redis-benchmark: no %s in %q", column, output)
}

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The baseline of all ratios, and the proxy that has targets.
const (
	baseline = "nutcracker"
	ours     = "nuthatch"
)

// proxyKind is a row of the table of proxies.
type proxyKind struct {
	name string
	// optional proxies are left out where they are not installed.
	optional bool
	// build makes the program in a folder and returns its path; without it the
	// program of that name is looked for.
	build  func(ctx context.Context, dir string) (path string, err error)
	config func(s servers, t topology, listen []string) string
	// args is the command line, for a configuration file, a file to log to, and
	// an address of its own for statistics.
	args func(config, log, stats string) ([]string, error)
	// can tells whether the proxy can be asked to do a piece of work.
	can func(w work) bool
	// version is the arguments that make it print its version.
	version []string
}

func (k proxyKind) label() string { return k.name }

// proxyKinds lists the proxies in the order in which they are shown.
func proxyKinds() []proxyKind {
	return []proxyKind{
		{
			name: baseline, config: nutcrackerYAML, args: nutcrackerArgs, can: withoutSessions, version: []string{"-V"},
		},
		{
			name: ours, build: buildNuthatch, config: nuthatchYAML(1), args: nutcrackerArgs, can: anything,
			version: []string{"-V"},
		},
		relayKind(),
		{
			// It uses two descriptors for each client, and knows no keys.
			name: "haproxy", optional: true, config: haproxyConfig, version: []string{"-v"},
			args: func(config, _, _ string) ([]string, error) { return []string{"-db", "-f", config}, nil },
			can: func(w work) bool {
				return w.topology.servers == 1 && w.topology.pools == 1 && w.clients <= 1000 && !w.topology.sessions
			},
		},
		{
			name: "predixy", optional: true, config: predixyConfig, version: []string{"-v"},
			args: func(config, _, _ string) ([]string, error) { return []string{config}, nil },
			can:  func(w work) bool { return w.topology.redis && w.topology.pools == 1 && !w.topology.sessions },
		},
	}
}

// otherBuild is a nuthatch that was built before, such as the one that a change is
// compared with.
func otherBuild(path string) proxyKind {
	return proxyKind{
		name: "other", config: nuthatchYAML(1), args: nutcrackerArgs, can: anything, version: []string{"-V"},
		build: func(context.Context, string) (string, error) { return filepath.Abs(path) },
	}
}

func anything(work) bool { return true }

func withoutSessions(w work) bool { return !w.topology.sessions }

// nutcrackerArgs is nutcracker's command line, which nuthatch shares.
func nutcrackerArgs(config, log, stats string) ([]string, error) {
	host, port, err := net.SplitHostPort(stats)
	if err != nil {
		return nil, fmt.Errorf("statistics address: %w", err)
	}
	return []string{"-c", config, "-o", log, "-p", config + ".pid", "-a", host, "-s", port}, nil
}

// buildNuthatch makes the release build from the module that this command was
// started in.
func buildNuthatch(ctx context.Context, dir string) (string, error) {
	tool, err := find("go")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, ours)
	out, err := exec.CommandContext(ctx, tool, "build", "-o", path, "nuthatch/cmd/nuthatch").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building nuthatch (run bench inside its source tree): %w\n%s", err, out)
	}
	return path, nil
}

// program is a proxy that can be started.
type program struct {
	proxyKind
	path string
}

// locate finds or builds the proxies; optional ones may be missing.
func locate(ctx context.Context, kinds []proxyKind, dir string) ([]program, error) {
	var found []program
	for _, kind := range kinds {
		build := kind.build
		if build == nil {
			build = func(context.Context, string) (string, error) { return find(kind.name) }
		}
		path, err := build(ctx, dir)
		switch {
		case err == nil:
			found = append(found, program{kind, path})
		case !kind.optional:
			return nil, err
		}
	}
	return found, nil
}

// proxy is a running proxy.
type proxy struct {
	*process
	addrs []string // of the pools
}

// start returns when every pool accepts connections.
func (p program) start(ctx context.Context, dir string, set unix.CPUSet, s servers, t topology) (*proxy, error) {
	addrs, err := freeAddrs(t.pools + 1)
	if err != nil {
		return nil, err
	}
	stats, addrs := addrs[0], addrs[1:]
	config := filepath.Join(dir, p.name+".conf")
	if err := os.WriteFile(config, []byte(p.config(s, t, addrs)), 0o600); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	log := filepath.Join(dir, p.name+".log")
	args, err := p.args(config, log, stats)
	if err != nil {
		return nil, err
	}
	proc, err := startProcess(p.name, dir, set, p.path, args...)
	if err != nil {
		return nil, err
	}
	proc.logs = append(proc.logs, log)
	if err := proc.awaitListening(ctx, addrs...); err != nil {
		proc.kill()
		return nil, err
	}
	return &proxy{proc, addrs}, nil
}

// versionLine is the first line of what a program prints about itself.
func versionLine(ctx context.Context, path string, args ...string) string {
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && line == "" {
		return fmt.Sprintf("%s (version unknown: %v)", filepath.Base(path), err)
	}
	return strings.TrimSpace(strings.ReplaceAll(line, path, "")) // some begin with how they were called
}

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// baseline is the proxy that the others' ratios refer to.
const baseline = "nutcracker"

// proxyKind is a row of the table of proxies.
type proxyKind struct {
	name string
	// locate finds or builds the program; dir is a place for what it makes.
	locate func(ctx context.Context, dir string) (path string, err error)
	config func(s servers, listen []string) string
	// args is the command line, for a configuration file, a file to log to, and
	// an address of its own for statistics.
	args func(config, log, stats string) ([]string, error)
	// version is the arguments that make it print its version.
	version []string
}

func (k proxyKind) label() string { return k.name }

// proxyKinds lists the proxies in the order in which they are shown.
func proxyKinds() []proxyKind {
	return []proxyKind{
		{
			name:    baseline,
			locate:  func(context.Context, string) (string, error) { return find("nutcracker") },
			config:  nutcrackerYAML,
			args:    nutcrackerArgs,
			version: []string{"-V"},
		},
		{
			name:   "nuthatch",
			locate: buildNuthatch,
			config: func(s servers, listen []string) string {
				return nutcrackerYAML(s, listen) + "nuthatch:\n  threads: 1\n"
			},
			args:    nutcrackerArgs,
			version: []string{"-V"},
		},
	}
}

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
	path := filepath.Join(dir, "nuthatch")
	out, err := exec.CommandContext(ctx, tool, "build", "-o", path, "nuthatch/cmd/nuthatch").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building nuthatch (run bench inside its source tree): %w\n%s", err, out)
	}
	return path, nil
}

// proxy is a running proxy.
type proxy struct {
	*process
	kind  proxyKind
	path  string
	addrs []string // of the pools, by their index
}

// startProxy returns when every pool accepts connections. With an error, it may
// return a proxy that is running all the same, and has to be stopped.
func startProxy(ctx context.Context, kind proxyKind, dir string, c cores, s servers) (*proxy, error) {
	path, err := kind.locate(ctx, dir)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(len(pools) + 1)
	if err != nil {
		return nil, err
	}
	stats, addrs := addrs[0], addrs[1:]
	config := filepath.Join(dir, kind.name+".yml")
	if err := os.WriteFile(config, []byte(kind.config(s, addrs)), 0o600); err != nil {
		return nil, fmt.Errorf("%s: %w", kind.name, err)
	}
	log := filepath.Join(dir, kind.name+".log")
	args, err := kind.args(config, log, stats)
	if err != nil {
		return nil, err
	}
	proc, err := startProcess(kind.name, dir, only(c.proxy), path, args...)
	if err != nil {
		return nil, err
	}
	proc.logs = append(proc.logs, log)
	p := &proxy{process: proc, kind: kind, path: path, addrs: addrs}
	err = p.awaitListening(ctx, addrs...)
	return p, err
}

// versionLine is the first line of what a program prints about itself.
func versionLine(ctx context.Context, path string, args ...string) string {
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return fmt.Sprintf("%s (version unknown: %v)", filepath.Base(path), err)
	}
	return line
}

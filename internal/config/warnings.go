package config

import (
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"nuthatch/internal/units"
)

// blockWarnings and poolWarnings look for settings that are valid and probably not
// meant, in every block and in pools. They run when the whole file has been read.
var (
	blockWarnings = []func(*reader, *block){warnOfVariables, warnOfIdleZone, warnOfIdleTLS, warnOfIdleBursts, warnOfIdleProcess}
	poolWarnings  = []func(*reader, *poolBlock){
		warnOfIgnoredLimit, warnOfItself, warnOfUnverified, warnOfOpenDefault, warnOfNoTimeout, warnOfLateRequests, warnOfIdleKeys, warnOfIdleBeside, warnOfIdleInCluster, warnOfProtocol,
		warnOfIdleAccess, warnOfFewHashes, warnOfTwins, warnOfIdleReads,
	}
)

// warn records a warning at node. key may be empty.
func (r *reader) warn(node *yaml.Node, b *block, key, msg string) {
	r.warnings = append(r.warnings, r.errorAt(node, b, key, msg))
}

// findWarnings makes the warnings of the whole file.
func (r *reader) findWarnings() Errors {
	for _, b := range r.blocks {
		for _, find := range blockWarnings {
			find(r, b)
		}
	}
	for _, b := range r.pools {
		for _, find := range poolWarnings {
			find(r, b)
		}
	}
	return r.warnings.sorted(r.file)
}

// placeholder is a variable of a template or a shell in brackets; bareVariable
// has none.
var (
	placeholder  = regexp.MustCompile(`\$\{\w[^}]*\}|\$\(\w[^)]*\)|\{\{.*\}\}|<%.*%>`)
	bareVariable = regexp.MustCompile(`^\$[A-Za-z_]\w+`)
)

// warnOfVariables finds variables, which nuthatch does not replace.
func warnOfVariables(r *reader, b *block) {
	for _, key := range b.keys() {
		seen := b.seen[key]
		for _, node := range seen.read {
			which := quote(node.Value)
			switch {
			case seen.secret:
				which = "the value" // a password may look like this, and even begin with "$"
			case bareVariable.MatchString(node.Value):
				which = quote(bareVariable.FindString(node.Value))
			}
			if !placeholder.MatchString(node.Value) && (seen.secret || !bareVariable.MatchString(node.Value)) {
				continue
			}
			r.warn(node, b, key, which+" looks like a variable: nuthatch does not replace variables, and uses the text as it stands")
		}
	}
}

// keys are the keys that the block has, in order.
func (b *block) keys() []string {
	keys := make([]string, 0, len(b.seen))
	for key := range b.seen {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// fewClients is a limit of clients that is too low for a real pool.
const fewClients = 16

// warnOfIgnoredLimit finds a client_connections that nutcracker ignored: one in
// a file without nuthatch's own keys, or a very low one.
func warnOfIgnoredLimit(r *reader, b *poolBlock) {
	limit := b.seen["client_connections"]
	n := b.pool.ClientConnections
	if len(limit.read) == 0 || n == 0 || r.ours && n >= fewClients {
		return
	}
	r.warn(limit.name, &b.block, "client_connections", "nutcracker ignores this key, nuthatch enforces it: the pool accepts at most "+
		units.Count(n, "client")+" at a time, and refuses more")
}

// warnOfItself finds a pool that is its own server: each request comes back to it.
func warnOfItself(r *reader, b *poolBlock) {
	lines := b.seen["servers"].read
	for i := range lines {
		if at := b.pool.Servers[i].Address; at.Overlaps(b.pool.Listen) || at.Overlaps(b.pool.TLS.Listen) {
			r.warn(lines[i], &b.block, "servers", at.String()+" is where the pool itself listens")
		}
	}
}

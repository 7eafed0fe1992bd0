package redis

import (
	"maps"
	"slices"
	"strings"

	"nuthatch/internal/msg"
)

// CONFIG SET, at every server. Clients may change settings that CONFIG GET shows them as the
// servers'. Everything else belongs to those who run the servers: a client that could set a
// password, a folder or a file name would own the server, and one that could bound its
// connections would cut off the proxy.

// ownSettings are those that clients see as the proxy's, and the keys of its configuration
// that decide them.
var ownSettings = map[string]string{
	"databases":                 "databases",
	"latency-monitor-threshold": "slowlog_slower_than",
	"maxclients":                "client_connections",
	"slowlog-log-slower-than":   "slowlog_slower_than",
	"slowlog-max-len":           "slowlog_max_len",
	"timeout":                   "client_idle_timeout",
}

const (
	manySettings = "it names more settings than there are"
	// The name of the setting follows, and the key of the proxy's configuration.
	serversSetting = "it is set at each server itself, and not through the proxy: "
	proxysSetting  = "the proxy has a setting of its own, in its configuration: "
	// Redis's error. The name follows.
	noSetting = "Unknown option or number of arguments for CONFIG SET - "
)

// kept are the other settings of Redis and Valkey, beside those that begin with keptPrefixes, and
// those of modules, which have a dot. Whatever is not among them reaches no server either: it only
// gets another error.
var kept = slices.Collect(strings.FieldsSeq(`
	acl-pubsub-default aclfile acllog-max-len active-defrag-max-scan-fields always-show-logo aof-disable-auto-gc
	aof-rewrite-incremental-fsync aof-timestamp-enabled aof_rewrite_cpulist appenddirname appendfilename
	availability-zone bgsave_cpulist bind bind-source-addr bio_cpulist client-default-resp client-output-buffer-limit
	commandlog-execution-slower-than commandlog-large-reply-max-len commandlog-large-request-max-len
	commandlog-reply-larger-than commandlog-request-larger-than commandlog-slow-execution-max-len crash-log-enabled
	crash-memcheck-enabled daemonize dbfilename dir disable-thp dual-channel-replication-enabled enable-debug-assert
	enable-debug-command enable-module-command enable-protected-configs events-per-io-thread extended-redis-compatibility
	gopher-enabled hide-user-data-from-log ignore-warnings import-mode include jemalloc-bg-thread key-load-delay
	key-memory-histograms latency-tracking latency-tracking-info-percentiles lazyexpire-nested-arbitrary-keys
	list-max-ziplist-entries list-max-ziplist-value loadmodule locale-collate log-format log-timestamp-format logfile
	loglevel lua-enable-deprecated-api lua-enable-insecure-api masterauth masteruser max-new-connections-per-cycle
	max-new-tls-connections-per-cycle mptcp oom-score-adj oom-score-adj-values pidfile port prefetch-batch-max-size
	proc-title-template propagation-error-behavior protected-mode rdb-del-sync-files rdb-save-incremental-fsync
	rdb-version-check rename-command replicaof requirepass server_cpulist set-proc-title shutdown-on-sigint
	shutdown-on-sigterm shutdown-timeout slaveof socket-mark-id supervised syslog-enabled syslog-facility syslog-ident
	tcp-backlog tcp-keepalive tracking-table-max-keys unixsocket unixsocketgroup unixsocketperm user`))

// keptPrefixes are those of settings that belong together.
var keptPrefixes = []string{"tls-", "cluster-", "replica-", "slave-", "repl-", "rdma-", "search-"}

// isKept reports whether the name is that of a setting that clients may not change.
func isKept(name string) bool {
	return settings[name] != nil || slices.Contains(kept, name) || strings.Contains(name, ".") ||
		slices.ContainsFunc(keptPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// settable are the settings that clients may change.
var settable = func() map[string]bool {
	all := make(map[string]bool, len(settings))
	for name := range maps.Keys(settings) {
		all[name] = true
	}
	for name := range maps.Keys(ownSettings) {
		delete(all, name)
	}
	// They bound connections, and those of the proxy carry the requests of many clients.
	delete(all, "client-query-buffer-limit")
	delete(all, "maxmemory-clients")
	delete(all, "proto-max-bulk-len")
	return all
}()

// unsettable is why a CONFIG SET is refused; empty: it may go to the servers, which look at
// its form and at the values.
func (a *admission) unsettable(req *msg.Request) string {
	if len(req.Args) > 2+2*len(settable) {
		return manySettings
	}
	for i := 2; i < len(req.Args); i += 2 {
		word := a.words.word(req, i)
		name := string(lower(nil, word))
		own := ownSettings[name]
		switch {
		case settable[name]:
		case own != "":
			return proxysSetting + "'" + own + "' in place of " + quote([]byte(name))
		case isKept(name):
			return serversSetting + quote([]byte(name))
		case len(req.Args)%2 != 0: // what Redis looks at first
			return syntaxError
		default:
			return noSetting + "'" + plain(word, maxShown) + "'"
		}
	}
	return ""
}

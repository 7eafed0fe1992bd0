package redis

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"nuthatch/internal/glob"
)

// CONFIG GET: the servers' settings, where they mean something to the pool's
// clients, and the proxy's own in place of those that it decides itself.

// settings are the servers' settings that clients see, and what they see if the servers
// differ. Secrets, and settings about the server's host, have no row.
var settings = func() map[string]merge {
	all := map[string]merge{
		"maxmemory":              tightest,
		"maxmemory-policy":       unless("noeviction"),
		"maxmemory-clients":      tightest,
		"appendfsync":            weaker("no", "everysec", "always"),
		"notify-keyspace-events": nothing,
		"save":                   nothing,
	}
	for name := range strings.FieldsSeq(`
		active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes active-defrag-threshold-lower
		active-defrag-threshold-upper active-expire-effort activedefrag activerehashing aof-load-truncated aof-use-rdb-preamble
		appendonly auto-aof-rewrite-min-size auto-aof-rewrite-percentage busy-reply-threshold client-query-buffer-limit
		dynamic-hz hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value
		hll-sparse-max-bytes hz io-threads io-threads-do-reads lazyfree-lazy-eviction lazyfree-lazy-expire
		lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor
		list-compress-depth list-max-listpack-size list-max-ziplist-size lua-time-limit maxmemory-eviction-tenacity
		maxmemory-samples min-replicas-max-lag min-replicas-to-write min-slaves-max-lag min-slaves-to-write
		no-appendfsync-on-rewrite proto-max-bulk-len rdbchecksum rdbcompression replica-lazy-flush replica-read-only
		replica-serve-stale-data sanitize-dump-payload set-max-intset-entries set-max-listpack-entries
		set-max-listpack-value slave-lazy-flush slave-read-only slave-serve-stale-data stop-writes-on-bgsave-error
		stream-node-max-bytes stream-node-max-entries zset-max-listpack-entries zset-max-listpack-value
		zset-max-ziplist-entries zset-max-ziplist-value`) {
		all[name] = cautious
	}
	return all
}()

// settingsShown are all that CONFIG GET knows. f is nil if nothing is known of
// the process.
func (r *reporter) settingsShown(v *Survey, f *Facts) map[string]string {
	all := make(map[string]string, len(settings)+8)
	if v != nil {
		maps.Copy(all, v.settings)
	}
	all["cluster-enabled"] = "no"
	if r.emulate != nil {
		all["cluster-enabled"] = "yes"
	}
	all["databases"] = strconv.Itoa(max(r.databases.n, 1))
	const bulkLen = "proto-max-bulk-len"
	if n, err := strconv.ParseInt(all[bulkLen], 10, 64); err != nil || int64(r.max) < n {
		all[bulkLen] = strconv.Itoa(r.max)
	}
	if f == nil {
		return all
	}
	if f.MaxClients > 0 {
		all["maxclients"] = strconv.Itoa(f.MaxClients)
	}
	all["timeout"] = strconv.FormatInt(int64((f.IdleTimeout+time.Second-1)/time.Second), 10)
	// The slow log, and the events of LATENCY, are the proxy's.
	slower, threshold := int64(-1), int64(0)
	if f.SlowLogLen > 0 {
		slower, threshold = f.SlowerThan.Microseconds(), max(f.SlowerThan.Milliseconds(), 1)
	}
	all["slowlog-log-slower-than"] = strconv.FormatInt(slower, 10)
	all["slowlog-max-len"] = strconv.Itoa(f.SlowLogLen)
	all["latency-monitor-threshold"] = strconv.FormatInt(threshold, 10)
	return all
}

// configGet answers CONFIG GET: the settings whose names match one of the patterns,
// which are in lower case.
func (r *reporter) configGet(patterns []string, v *Survey, f *Facts, w writer) {
	all := r.settingsShown(v, f)
	maps.DeleteFunc(all, func(name, _ string) bool {
		return !slices.ContainsFunc(patterns, func(pattern string) bool { return glob.Match(pattern, strings.ToLower(name)) })
	})
	w.mapping(len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		w.bulkString(name)
		w.bulkString(all[name])
	}
}

package redis

import (
	"maps"

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
)

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
		name := string(lower(nil, a.words.word(req, i)))
		own := ownSettings[name]
		switch {
		case settable[name]:
		case own != "":
			return proxysSetting + "'" + own + "' in place of " + quote([]byte(name))
		default:
			return serversSetting + quote([]byte(name))
		}
	}
	return ""
}
